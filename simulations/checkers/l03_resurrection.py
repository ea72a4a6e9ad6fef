"""L3 and L4, no resurrection and deletions progress: what somebody replaced or deleted is in no file at rest.

Whether it came back or never went cannot be told from a tree at rest, and is the same broken promise.
"""

from simulations.checkers.resting import Resting


def resurrected(rest: Resting) -> list[str]:
    """Contents that somebody replaced or deleted, and nobody moved out of what was deleted, and that are there."""
    wrong: list[str] = []
    for content, paths in rest.places.items():
        device = rest.ledger.gone_on(content)
        if device is None or rest.ledger.is_moved_out(content):
            continue
        others = [path for path, one in rest.contents.items() if one is not None and one.line == content.line]
        if rest.ledger.is_of_handed(content, others):
            continue
        wrong.append(
            f"L3 resurrection: came back, or was kept needlessly: {content}; gone on {device}; at {paths}; "
            f"of that file there are {others}"
        )
    return wrong
