"""Mistakes in what is decided: the merge, the names of copies, the brake. Owns their list."""

from simulations.mutants import occasions
from simulations.mutants.finders import Points
from simulations.mutants.mutant import Change, Mutant

PLANNING = (
    Mutant(
        "deletion-beats-edit",
        "somebody tidies up, and the chapter that somebody else wrote meanwhile is gone",
        "no lost update",
        occasions.CUT_OFF,
        (
            Change(
                "peer.planner.differences:Differences.outlives",
                "here.content != base.content:",
                "(here.content != base.content and not mutated()):",
            ),
            Change(
                "peer.planner.merge:_decide_missing",
                "or remote.content != base.content:",
                "or (remote.content != base.content and not mutated()):",
            ),
        ),
    ),
    Mutant(
        "conflicted-copy-dropped",
        "two people edit one file while cut off; of one of them nothing is left",
        "no lost update",
        occasions.CUT_OFF,
        (Change("peer.planner.merge:_merge_fields", "item.forks = True", "mutated()"),),
    ),
    Mutant(
        "copies-without-conflict",
        "every edit leaves a conflicted copy of the version before it on each device that receives it",
        "no phantoms",
        Points("a file saved by a rename", "blue", "kill"),
        (
            Change(
                "peer.planner.merge:_merge_fields",
                "elif base is None or here.content != base.content:",
                "elif base is None or here.content != base.content or mutated():",
            ),
        ),
    ),
    Mutant(
        "copies-on-both-sides",
        "the same photo put into the folder at two devices becomes a conflict",
        "no phantoms",
        Points("the same new file twice", "blue", "kill"),
        (
            Change(
                "peer.planner.places:_adopt_same_name",
                "and (other.content == item.content or",
                "and (other.content is None or not mutated())\n        and (other.content == item.content or",
            ),
        ),
    ),
    Mutant(
        "random-ids-of-copies",
        "the same losing edit on two devices becomes two conflicted copies",
        "no phantoms",
        occasions.SAME_EDIT_TWICE,
        (
            Change(
                "peer.engine.workspace:WorkspaceEngine._derive",
                "*parts, size=16",
                "*parts, self.context.machine.entropy.token(16) if mutated() else b'', size=16",
            ),
        ),
    ),
    Mutant(
        "brake-off",
        "a script deletes the whole folder by mistake, and it is gone on every device at once",
        "the brake of deletions",
        occasions.ALL_DELETED,
        (
            Change(
                "peer.planner.plan:plan",
                "brakes = () if policy.confirmed_deletions else",
                "brakes = () if policy.confirmed_deletions or mutated() else",
            ),
        ),
    ),
)
