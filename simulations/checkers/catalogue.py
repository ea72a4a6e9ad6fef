"""Which invariant is checked by what, and where one is looked after outside of the simulated world.

Owns the table that `shoal-sim checkers` prints. A path is either a module of this package or a file of the tests.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Invariant:
    """A promise. `module` is the checker in this package, None where the world is not where it can be broken."""

    id: str
    name: str
    promise: str
    module: str | None
    when: str
    """At which moments of a simulated world it is checked."""
    elsewhere: str = ""
    """Files that check it without a simulated world, separated by blanks."""


_CALL = "each call that changes a disk"
_ROW = "each row of the journal"
_REST = "each rest"

INVARIANTS = (
    Invariant(
        "A1",
        "destruction",
        "no program destroys bytes of people's that are no version of the journal",
        "a01_destruction",
        _CALL,
        "peer/disk/destroying.py tests/unit/peer/disk/test_destroying.py",
    ),
    Invariant(
        "A2",
        "lost update",
        "what was saved lives until somebody replaces or deletes it, and is in the history for ever",
        "a02_lost_update",
        f"{_REST}, and the history at the end",
    ),
    Invariant(
        "A3",
        "deletion needs evidence",
        "no device commits a deletion unless its own person deleted or moved what it is about",
        "a03_evidence",
        _ROW,
        "tests/e2e/sync/test_folders.py",
    ),
    Invariant(
        "A4",
        "failure atomicity",
        "a crash leaves the old or the new, and no name of the program's own",
        "a05_row_and_disk",
        "each loss of power; crash points",
        "simulations/crashpoints.py tests/faults/power.py",
    ),
    Invariant(
        "A5",
        "row and disk",
        "no row of a device's database is ahead of its disk",
        "a05_row_and_disk",
        "each loss of power",
        "tests/faults/power.py",
    ),
    Invariant(
        "A6",
        "monotonicity",
        "rows are numbered without a gap, times never decrease, no cursor goes back or leaves the journal",
        "a06_order",
        f"{_ROW}, each commit of a device's database",
    ),
    Invariant(
        "A7",
        "chain",
        "each row follows from the one before it, signed by somebody who may",
        "a07_chain",
        _ROW,
        "tests/unit/protocol/rules",
    ),
    Invariant(
        "A8",
        "compare and swap",
        "a change replaces the version that it names",
        "a08_compare_and_swap",
        _ROW,
    ),
    Invariant(
        "A9",
        "references",
        "the blocks of every durable version are stored and undamaged",
        "a09_references",
        "the end",
    ),
    Invariant(
        "A10",
        "collection",
        "no block is collected that anything may need",
        None,
        "nothing collects blocks yet; the end of A9 would see it",
    ),
    Invariant(
        "A11",
        "put before reference",
        "a version's blocks are durable before its row is, or before it is called durable",
        "a09_references",
        _ROW,
        "tests/properties/test_segments_power_loss.py",
    ),
    Invariant(
        "A12",
        "idempotence",
        "whatever is repeated makes no second version",
        "a02_lost_update",
        "the end: no version is equal to the one before it",
        "tests/unit/coordinator/test_journal.py",
    ),
    Invariant(
        "A13",
        "tree",
        "live entries form a tree, names in a directory are unique",
        "a13_tree",
        _ROW,
    ),
    Invariant(
        "A14",
        "partial content",
        "only whole versions are ever put at a place of people's, and nothing is written there in place",
        "a14_partial",
        f"{_CALL}, {_REST}",
        "tests/common/witness.py",
    ),
    Invariant(
        "A15",
        "containment",
        "no program changes anything outside of its folders",
        "a15_containment",
        _CALL,
        "tests/unit/peer/disk/test_apply.py",
    ),
    Invariant(
        "A16",
        "permission",
        "nobody is sent anything of a workspace of others",
        None,
        "worlds have one person",
        "tests/unit/coordinator/test_journal.py tests/e2e/coordinator/test_notify.py",
    ),
    Invariant(
        "A17",
        "ciphertext",
        "no content and no name can be read on the coordinator's disk",
        "a17_ciphertext",
        "the end",
        "tests/acceptance/confidential.py",
    ),
    Invariant(
        "A18",
        "wrong bytes",
        "bytes that are not what their name says are never put in place",
        "a14_partial",
        _CALL,
        "tests/e2e/sync/test_damage.py tests/unit/coordinator/test_blocks.py",
    ),
    Invariant(
        "A19",
        "one owner",
        "a folder and a home have one program at a time",
        None,
        "locks are the kernel's",
        "tests/e2e/sync/test_folders.py",
    ),
    Invariant(
        "A20",
        "bounds",
        "open files and tasks have a limit, and at rest nothing is left of them",
        "a20_bounds",
        f"{_CALL}, {_REST}",
        "tests/e2e/coordinator/test_abuse.py tests/e2e/sync/test_vitals.py",
    ),
    Invariant(
        "L1",
        "convergence",
        "all devices have the journal's tree, with its times and executable bits",
        "l01_convergence",
        _REST,
    ),
    Invariant(
        "L2",
        "phantoms",
        "nothing has a name that nobody gave",
        "l02_phantom",
        _REST,
    ),
    Invariant(
        "L3",
        "resurrection",
        "what was deleted or replaced does not come back",
        "l03_resurrection",
        _REST,
    ),
    Invariant(
        "L4",
        "deletions progress",
        "what was deleted is gone everywhere",
        "l03_resurrection",
        _REST,
    ),
    Invariant(
        "L5",
        "idle",
        "while nobody does anything nothing is committed or changed, and next to nothing is sent",
        "l05_idle",
        "the last rest",
        "tests/e2e/sync/test_in_motion.py",
    ),
    Invariant(
        "L6",
        "conflicts",
        "equal contents never conflict, copies are not copied",
        "l06_conflicts",
        _REST,
        "simulations/checkers/l02_phantom.py",
    ),
    Invariant(
        "L7",
        "determinism",
        "the tree is a function of the journal alone",
        "l01_convergence",
        f"{_REST}, also of a device that comes late",
        "tests/properties/planner/test_planner_properties.py",
    ),
    Invariant(
        "L8",
        "explained stops",
        "a device that is not in step says why, and one that is says so",
        "l08_explained",
        f"{_REST}; where a world does not converge",
        "tests/e2e/sync/test_full_disks.py",
    ),
    Invariant(
        "L9",
        "healing",
        "a damaged block that a device holds becomes whole again",
        None,
        "blocks on a simulated disk are not damaged yet",
        "tests/e2e/sync/test_damage.py",
    ),
    Invariant(
        "L10",
        "progress",
        "bytes go on under loss and beside one who stalls",
        None,
        "the bound of each rest; the story train-with-bad-coverage",
        "tests/e2e/sync/test_lines.py",
    ),
    Invariant(
        "L11",
        "agreement",
        "what people saw of one file on all devices has an explanation in a model of it",
        "l11_agreement",
        f"{_REST}, of the file in which everybody writes",
        "tests/e2e/sync/test_agreement.py",
    ),
)
