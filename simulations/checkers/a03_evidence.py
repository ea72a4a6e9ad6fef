"""A3, a deletion needs evidence: no device commits one unless its own person deleted or moved what it is about.

Moved, because what was moved and changed while no program ran may be taken for deleted and made anew. Replaced will do
where it is that very content: a conflicted copy of what a person has replaced meanwhile is taken back.
"""

from collections.abc import Callable

from protocol.model import Body, Kind
from simulations.checkers.journal import Committed, Version
from simulations.ledger import Content, Ledger


class Evidence:
    """The deletions of all rows. `author` says who a device id is, `digest` how a workspace hashes a file."""

    def __init__(
        self, ledger: Ledger, author: Callable[[bytes], str | None], digest: Callable[[bytes, bytes], bytes]
    ) -> None:
        self._ledger = ledger
        self._author = author
        self._digest = digest
        self._contents: dict[bytes, Content] = {}
        self._hashed = 0
        self._bodies: dict[tuple[bytes, bytes], Body] = {}

    def __call__(self, committed: Committed) -> str | None:
        """The broken promise, if this row breaks it."""
        wrong = None
        for version in committed.versions:
            entry = (committed.workspace, version.clear.entry)
            before = self._bodies.get(entry)
            if version.clear.deleted and before is not None:
                wrong = wrong or self._unfounded(committed, version, before)
            if version.body is not None and not version.clear.deleted:
                self._bodies[entry] = version.body
        return wrong

    def _unfounded(self, committed: Committed, version: Version, before: Body) -> str | None:
        device = self._author(committed.row.commit.header.device)
        if device is None:
            return None
        if version.clear.kind is Kind.DIRECTORY:
            holds = self._ledger.has_touched_directory(before.name, device)
        elif version.clear.kind is Kind.FILE and before.digest is not None:
            content = self._content(committed.workspace, before.digest)
            holds = content is None or self._ledger.has_touched(content, device)
        else:
            return None
        if holds:
            return None
        return f"A3 deletion without evidence: row {committed.row.seq} by {device} deletes {before.name}"

    def _content(self, workspace: bytes, digest: bytes) -> Content | None:
        contents = self._ledger.contents
        for serial in range(self._hashed + 1, len(contents) + 1):
            content = contents[serial]
            self._contents[self._digest(workspace, content.data())] = content
        self._hashed = len(contents)
        return self._contents.get(digest)
