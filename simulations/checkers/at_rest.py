"""What the ledger says of a tree at rest, all of it. Owns the order in which the checkers are asked."""

from collections.abc import Collection, Mapping

from simulations.checkers.a02_lost_update import lost
from simulations.checkers.a14_partial import partial
from simulations.checkers.l02_phantom import phantoms
from simulations.checkers.l03_resurrection import resurrected
from simulations.checkers.l06_conflicts import doubled
from simulations.checkers.resting import Resting
from simulations.ledger import Ledger


def check_at_rest(ledger: Ledger, tree: Mapping[str, bytes | None], restarted: Collection[str] = ()) -> list[str]:
    """What is wrong with the tree (bytes by path, None for a directory) that all devices agree on, a line each.

    Ends a phase of the ledger. `restarted`: see `Ledger.note_unseen`.
    """
    ledger.note_unseen(restarted)
    rest = Resting(ledger, tree)
    wrong = [*partial(rest), *resurrected(rest), *lost(rest), *doubled(rest), *phantoms(rest.paths)]
    ledger.end_phase()
    return wrong
