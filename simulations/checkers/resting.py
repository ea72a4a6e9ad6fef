"""What is observed at rest: the tree that all devices agree on, in terms of the ledger's contents."""

from collections.abc import Mapping

from simulations.ledger import Content, Ledger


class Resting:
    """A tree (bytes by path, None for a directory) beside what people did. Each file is looked up once."""

    def __init__(self, ledger: Ledger, tree: Mapping[str, bytes | None]) -> None:
        self.ledger = ledger
        self.paths = tuple(tree)
        self.alive = {path: data for path, data in tree.items() if data is not None}
        self.contents = {path: ledger.whole(data) for path, data in self.alive.items()}
        """What each file is; None where it is no whole content."""
        self.places: dict[Content, list[str]] = {}
        """Where each content is."""
        for path, content in self.contents.items():
            if content is not None:
                self.places.setdefault(content, []).append(path)
