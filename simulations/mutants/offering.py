"""Mistakes about versions whose blocks the coordinator does not have yet. Owns their list."""

from simulations.mutants import offered_occasions as occasions
from simulations.mutants.mutant import Change, Mutant

OFFERING = (
    Mutant(
        "held-let-go-early",
        "a film is replaced while it is still on its way, and the only other device that had it throws it away",
        "what is not durable is kept",
        occasions.REPLACED_AFTER,
        (
            Change(
                "peer.engine.offering:Offering._compare",
                "held.keys() - offered if",
                "held.keys() - (frozenset() if offered and mutated() else offered) if",
            ),
        ),
    ),
    Mutant(
        "not-held-at-all",
        "a version arrives, and destroys the one before it, which nobody else has any more",
        "what is not durable is kept",
        occasions.REPLACED_AFTER,
        (
            Change(
                "peer.engine.executor:Executor._hold",
                "None if change is None else",
                "None if change is None or mutated() else",
            ),
        ),
    ),
    Mutant(
        "given-up-though-somebody-has-it",
        "an author has replaced a version, and it is given up though another device holds it",
        "a version is given up only where no holder is left",
        occasions.REPLACED_AFTER,
        (Change("coordinator.domain.offers:is_lost", "not holders and", "(not holders or mutated()) and"),),
    ),
    Mutant(
        "durable-too-early",
        "a film counts as stored since a second laptop has it: both are stolen, and so is the film",
        "a durable version's blocks are stored",
        occasions.AUTHOR_GONE,
        (
            Change(
                "coordinator.storage.sql_offers:SqlOffers.hold",
                "added.append((key, change, device))",
                "self._end(key, [change], Standing.DURABLE, 0) if mutated() else None",
            ),
        ),
    ),
    Mutant(
        "only-its-author-sends",
        "a camera's battery is empty before the line has carried its film, and the laptop that has it does nothing",
        "any holder may send",
        occasions.AUTHOR_GONE,
        (
            Change(
                "peer.engine.offering:Offering._due",
                "since_s + HOLDER_S",
                "since_s + HOLDER_S * 1e9 * mutated()",
            ),
        ),
    ),
    Mutant(
        "edit-over-what-cannot-be-had-proposed",
        "somebody edits a text of which a newer version never came, and has a conflict with nobody",
        "an edit waits for what it may conflict with",
        occasions.EDITED_MEANWHILE,
        (
            Change(
                "peer.planner.differences:Differences.load",
                "and _is_edited(item):",
                "and _is_edited(item) and not mutated():",
            ),
        ),
    ),
    Mutant(
        "given-up-base-stays",
        "a camera that was silent for a month comes back, and its film is replaced by what was there before",
        "what was given up counts as what was before it",
        occasions.AWAY_FOR_A_MONTH,
        (
            Change(
                "peer.store.offers:_settle_head",
                "for change in given_up)",
                "for change in given_up if not mutated())",
            ),
        ),
    ),
    Mutant(
        "given-up-head-stays",
        "a version is given up, and all devices wait for it for ever",
        "what was given up counts as what was before it",
        occasions.EDITED_MEANWHILE,
        (
            Change(
                "peer.store.offers:OfferStore.settle_given_up",
                "for change, entry in rows:",
                "for change, entry in () if rows and mutated() else rows:",
            ),
        ),
    ),
)
