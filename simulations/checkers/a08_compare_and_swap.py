"""A8, compare and swap: a change names the version that it replaces, and that was its entry's last one."""

from simulations.checkers.journal import Committed


class Heads:
    """The last version of each entry of all workspaces."""

    def __init__(self) -> None:
        self._heads: dict[tuple[bytes, bytes], bytes] = {}

    def __call__(self, committed: Committed) -> str | None:
        """The broken promise, if this row breaks it."""
        wrong = None
        for version in committed.versions:
            entry = (committed.workspace, version.clear.entry)
            if version.clear.base != self._heads.get(entry):
                wrong = f"A8 compare and swap: row {committed.row.seq} replaces what is not the last version"
            self._heads[entry] = version.change
        return wrong
