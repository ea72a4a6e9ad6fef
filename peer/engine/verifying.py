"""Reading a synced folder and comparing it with the journal. Owns finding out; changes nothing on disk or in the trees.

A file counts by what the local tree says of it: same place, same fingerprint, and the digest of its bytes. What differs
in passing, since somebody is at work in the folder, is looked at a second time before it is said.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from peer.control.upkeep import Finding, VerifiedFolder, Verifying
from peer.disk.reading import read_stable
from peer.disk.root import Root
from peer.engine.context import Machine
from peer.engine.folders import CannotDo
from peer.engine.mounted import MountedWorkspace
from peer.engine.workspace import RootLost, WorkspaceEngine
from peer.fingerprint import Fingerprint, Path
from peer.store.trees import TreeStore
from peer.transfer.reading import FileFailed, FileRead, FileReader, IngestRequest
from protocol.ids import EntryId
from protocol.model import Kind

PAGE_FILES: Final = 1000
SECOND_LOOK_S: Final = 3.0
"""Longer than a change takes from the disk to the local tree."""
_FINDINGS: Final = 10_000
"""So many are enough to know."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as the local tree has it."""

    entry: EntryId
    path: Path
    digest: bytes
    fingerprint: Fingerprint
    in_step: bool


@dataclass(slots=True)
class _Count:
    """What was read so far."""

    files: int = 0
    bytes: int = 0
    not_in_step: int = 0


async def verify_folder(machine: Machine, one: MountedWorkspace) -> AsyncGenerator[Verifying | VerifiedFolder, None]:
    """Read everything; how far it is now and then, and what was found at last. Raises `CannotDo`."""
    engine, record = one.engine, one.record
    if engine is None or not engine.begun.is_set():
        raise CannotDo(f"{record.folder} is not being synced at the moment: see `shoal status`")
    checking = _Checking(machine, engine)
    try:
        with one.open_beside() as root:
            async with aclosing(checking.run(root)) as progress:
                async for each in progress:
                    if one.engine is not engine:
                        raise CannotDo(f"{record.folder} went away meanwhile: see `shoal status`")
                    yield each
    except RootLost as error:
        raise CannotDo(error.trouble.message) from None
    except OSError as error:
        raise CannotDo(f"{record.folder} cannot be read ({error.strerror}): check its disk") from None
    count = checking.count
    yield VerifiedFolder(
        record.name, record.folder or "", count.files, count.bytes, count.not_in_step, checking.findings
    )


class _Checking:
    """One run over one folder."""

    def __init__(self, machine: Machine, engine: WorkspaceEngine) -> None:
        self._machine = machine
        self._engine = engine
        self._context = engine.context
        self._trees = TreeStore(machine.database, engine.context.record.w)
        self._total = (0, 0)
        self.count = _Count()
        self.findings: list[Finding] = []

    async def run(self, root: Root) -> AsyncGenerator[Verifying, None]:
        database_work = self._machine.database_work
        self._total = await database_work.run(self._totals)
        again: list[EntryId] = []
        entries = await database_work.run(self._page, b"")
        while entries:
            page = await database_work.run(self._rows, entries)
            entries = await database_work.run(self._page, entries[-1])
            async with aclosing(self._read(root, page)) as ends:
                async for index, end in ends:
                    one = page[index]
                    if isinstance(end, FileRead) and end.digest == one.digest:
                        self._note(one)
                    elif len(again) < _FINDINGS:
                        again.append(one.entry)
                    yield self._progress()
        if again:
            await self._machine.clock.sleep(SECOND_LOOK_S)
        for at in range(0, len(again), PAGE_FILES):
            await self._look_again(root, again[at : at + PAGE_FILES])
            yield self._progress()

    def _progress(self) -> Verifying:
        return Verifying(
            files=self.count.files, bytes=self.count.bytes, total_files=self._total[0], total_bytes=self._total[1]
        )

    async def _read(self, root: Root, page: Sequence[_Known]) -> AsyncGenerator[tuple[int, object], None]:
        requests = [IngestRequest(one.path, one.fingerprint) for one in page]
        indexes = iter(range(len(requests)))
        reader = FileReader(
            root, requests, indexes, self._context.keyring.fixed, self._context.chunker_params, keep=False
        )
        try:
            while (batch := await self._machine.compute.run(reader.next_batch)) is not None:
                for ended in batch.ended:
                    yield ended
        finally:
            reader.close()

    def _note(self, one: _Known) -> None:
        self.count.files += 1
        self.count.bytes += one.fingerprint.size
        self.count.not_in_step += not one.in_step

    # --- the second look --------------------------------------------------------------------------------

    async def _look_again(self, root: Root, entries: Sequence[EntryId]) -> None:
        """What was otherwise than the tree had it: by now the tree has it, or it is something to tell."""
        known = await self._machine.database_work.run(self._rows, entries)
        now = await self._machine.disk_work.run(_prints, root, [one.path for one in known])
        there: list[_Known] = []
        for one, found in zip(known, now, strict=True):
            if isinstance(found, str):
                self._tell(one, "unreadable", f"cannot be read ({found}): check its permissions and its disk")
            elif found is None:
                self._tell(one, "missing", "it is gone, and that was not noticed: it is looked at now")
            elif (found.size, found.mtime_ns) != (one.fingerprint.size, one.fingerprint.mtime_ns):
                self._tell(one, "changed", "it was changed, and that was not noticed: it is looked at now")
            else:
                there.append(_Known(one.entry, one.path, one.digest, found, one.in_step))
        async with aclosing(self._read(root, there)) as ends:
            async for index, end in ends:
                one = there[index]
                match end:
                    case FileRead(digest=digest) if digest == one.digest:
                        self._note(one)
                    case FileRead():
                        message = "its bytes are others than those that were synced, and nobody saved it: compare it "
                        self._tell(one, "damaged", f"{message}with `shoal cat`, and put back what is right")
                    case FileFailed(message=message):
                        self._tell(one, "unreadable", f"cannot be read ({message}): check its disk")
                    case _:
                        self._note(one)  # somebody is writing to it: it is noticed

    def _tell(self, one: _Known, what: str, message: str) -> None:
        text = "/".join(one.path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        self.findings.append(Finding(text, what, message))  # type: ignore[arg-type]  # one of the four, above
        if what in ("missing", "changed"):
            self._engine.scanner.look_again(one.path)
            self._context.signal.set()

    # --- the local tree: in the database's thread -------------------------------------------------------

    def _totals(self) -> tuple[int, int]:
        row = self._machine.database.one(
            "SELECT count(*), coalesce(sum(size), 0) FROM local WHERE w = ? AND kind = ? AND digest IS NOT NULL",
            (self._context.record.w, int(Kind.FILE)),
        )
        return (0, 0) if row is None else (row[0], row[1])

    def _page(self, after: bytes) -> list[EntryId]:
        rows = self._machine.database.all(
            "SELECT entry FROM local WHERE w = ? AND kind = ? AND digest IS NOT NULL AND entry > ? "
            "ORDER BY entry LIMIT ?",
            (self._context.record.w, int(Kind.FILE), after, PAGE_FILES),
        )
        return [EntryId(row[0]) for row in rows]

    def _rows(self, entries: Sequence[EntryId]) -> list[_Known]:
        return list(self._known(entries))

    def _known(self, entries: Sequence[EntryId]) -> Iterator[_Known]:
        trees = self._trees
        trees.forget_cache()  # the engine writes these rows through a store of its own
        for entry in entries:
            row, path = trees.local(entry), trees.path(entry)
            if row is None or path is None or row.fingerprint is None or row.node.content is None:
                continue
            remote = trees.remote(entry)
            content = None if remote is None or remote.node.deleted else remote.node.content
            in_step = content is not None and content.digest == row.node.content.digest
            yield _Known(entry, path, row.node.content.digest, row.fingerprint, in_step)


def _prints(root: Root, paths: Sequence[Path]) -> list[Fingerprint | str | None]:
    """What files are now: None where one is gone, words where it cannot be looked at."""
    found: list[Fingerprint | str | None] = []
    with root.open_directories() as directories:
        for path in paths:
            try:
                with read_stable(root.fs, directories, path) as reading:
                    found.append(reading.before)
            except FileNotFoundError:
                found.append(None)
            except OSError as error:
                found.append(error.strerror or str(error))
    return found
