"""Files whose bytes changed although nobody saved them. Owns telling them from edits, and what becomes of them.

What was found is copied to the rescue area; then it counts, in the rows, as what this device had in common with the
journal. So the journal's version differs from it and is put back by the next plan as any other version would be, its
preimage checked; an edit in between is an edit, and what the journal changed meanwhile is simply what is put there.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from peer.disk.failures import failure
from peer.disk.rescuing import is_rescued, rescue_copy
from peer.engine.context import Context
from peer.engine.problems import path_text
from peer.planner.trees import Content, LocalNode
from peer.scan.identity import Assigned
from peer.transfer.ingest import Ingested
from protocol.ids import EntryId
from protocol.model import Kind

Read = tuple[Assigned, Ingested]


def is_suspect(before: LocalNode, result: Ingested) -> bool:
    """Whether a file has other bytes although it is the same file, of the same time, and as long or empty now."""
    known, found, content = before.fingerprint, result.fingerprint, before.node.content
    if known is None or content is None or content.digest == result.digest:
        return False
    return found.is_same_file(known) and found.mtime_ns == known.mtime_ns and found.size in (known.size, 0)


class Suspects:
    """The suspect files of one workspace. `current` is the entry that a file which was asked for now is."""

    def __init__(self, context: Context, current: Callable[[Assigned], Assigned | None]) -> None:
        self._context = context
        self._current = current
        self._kept: dict[str, str] = {}

    async def sift(self, read: Sequence[Read]) -> tuple[list[Read], list[Assigned]]:
        """Deal with the suspects among files that were read. Returns the others, and those to be looked at again."""
        machine = self._context.machine
        found = await machine.database_work.run(self._find, read)
        if not found:
            return list(read), []
        others = [one for one in read if one not in found]
        again: list[Assigned] = []
        for asked, result in found:
            path = asked.found.path
            try:
                name = await machine.disk_work.run(rescue_copy, self._context.root, path, result.fingerprint)
            except OSError as error:
                failed = failure(error)
                message = f"its bytes changed though nobody saved it, and cannot be kept ({failed.message})"
                self._context.problems.put(path_text(path), "suspect_file", f"{message}: it is tried again")
                name = None
            if name is None:
                again.append(asked)
                continue
            await machine.database_work.run(self._write, asked, result)
            self._kept[path_text(path)] = name
            self._context.problems.put(
                path_text(path),
                "suspect_file",
                "its bytes changed though nobody saved it: the synced version is put back, and what was found kept as "
                f".shoal/rescue/{path_text((name,))}; delete that once you do not need it",
            )
        return others, again

    async def review(self) -> None:
        """What a person has taken out of the rescue area is no problem any more."""
        for text, name in list(self._kept.items()):
            if not await self._context.machine.disk_work.run(is_rescued, self._context.root, name):
                del self._kept[text]
                self._context.problems.clear(text, "suspect_file")

    def _find(self, read: Sequence[Read]) -> list[Read]:
        trees = self._context.trees
        found = []
        for asked, result in read:
            one = self._current(asked)
            before = None if one is None else trees.local(one.entry)
            if one is not None and before is not None and is_suspect(before, result) and self._is_synced(one.entry):
                found.append((asked, result))
        return found

    def _is_synced(self, entry: EntryId) -> bool:
        """Whether the journal has a version of the file that could be put back."""
        row, remote = self._context.trees.synced(entry), self._context.trees.remote(entry)
        return row is not None and not row.base.deleted and row.base.kind is Kind.FILE and remote is not None

    def _write(self, asked: Assigned, result: Ingested) -> None:
        context, one = self._context, self._current(asked)
        assert one is not None
        before, row = context.trees.local(one.entry), context.trees.synced(one.entry)
        assert before is not None
        assert row is not None
        content = Content(result.digest, result.size)
        with context.machine.database.transaction():
            node = replace(before.node, content=content)
            context.trees.put_local([replace(before, node=node, fingerprint=result.fingerprint)])
            context.trees.put_synced([replace(row, base=replace(row.base, content=content), shown=result.fingerprint)])
