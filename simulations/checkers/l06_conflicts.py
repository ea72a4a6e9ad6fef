"""L6, conflicts bounded: equal contents never conflict, so that none is there twice.

That a conflicted copy is never a copy of one is said by its name: see `l02_phantom`.
"""

from simulations.checkers.resting import Resting


def doubled(rest: Resting) -> list[str]:
    """Contents that are in several files, though no person copied them."""
    return [
        f"L6 doubled content: is there {len(paths)} times: {content}; at {paths}"
        for content, paths in rest.places.items()
        if len(paths) > 1
    ]
