"""A14, no partial content: what is in a file is whole, or somebody is writing it this very moment."""

from simulations.checkers.resting import Resting
from simulations.ledger import shown


def partial(rest: Resting) -> list[str]:
    """Files whose content nobody wrote as a whole."""
    return [
        f"A14 partial content: {path}: not a whole content: {shown(rest.alive[path])}"
        for path, content in rest.contents.items()
        if content is None
    ]
