"""What the transfers brought, and are to bring. Owns what becomes of a file that was read or sent, and of a version
that was fetched, and which versions are asked for.
"""

from collections.abc import Sequence
from dataclasses import replace

from peer.disk.temporary import discard_temp
from peer.engine.context import Context
from peer.engine.executor import Executor, Ready
from peer.engine.lacking import Lacking
from peer.engine.moving import Aim, Down, IngestResult, Mover, Up
from peer.engine.rests import DISK_S, LINK_S, REFUSED_S, SOON_S, Rests
from peer.engine.scanning import Scanner
from peer.planner.operations import Plan
from peer.scan.identity import Assigned
from peer.store.offers import OfferStore
from peer.transfer.download import Bad, Fetched, FetchResult, Missing, NotFetched, NotWritten
from peer.transfer.ingest import Changed, Failed, Ingested, NotSent
from protocol.ids import ChangeId, EntryId
from protocol.model import ChunkRef

FETCH = "fetch"
UPLOADS = "uploads"
"""The rest of everything that is sent."""


def upload_of(entry: EntryId) -> tuple[str, EntryId]:
    """The rest of one file that was to be read for a proposal."""
    return ("upload", entry)


def fetch_of(version: ChangeId) -> tuple[str, ChangeId]:
    """The rest of one version that is wanted here; the next one of the same entry is tried at once."""
    return (FETCH, version)


class Arrivals:
    """Takes the mover's results for the loop."""

    def __init__(
        self,
        context: Context,
        scanner: Scanner,
        executor: Executor,
        mover: Mover,
        rests: Rests,
        obtainable: set[ChangeId],
        lacking: Lacking,
    ) -> None:
        self._context = context
        self._scanner = scanner
        self._executor = executor
        self._mover = mover
        self._rests = rests
        self._obtainable = obtainable
        self._lacking = lacking
        self.waited_for: Sequence[Down] = ()
        """The heads that are to be had before anything is decided about what was edited here."""
        self._offers = OfferStore(context.machine.database, context.record.w)

    async def take(self) -> bool:
        """Take all that is there; True where a plan is due: files were read, or there may be something else to fetch of
        an entry now."""
        read, fetched = self._mover.take_results()
        if read:
            await self._take_read(read)
        return await self._take_fetched(fetched) or bool(read)

    # --- up ---------------------------------------------------------------------------------------------

    async def _take_read(self, read: list[tuple[Up, IngestResult]]) -> None:
        good: list[tuple[Assigned, Ingested]] = []
        stored: list[ChunkRef] = []
        for job, result in read:
            match result:
                case Ingested():
                    good.append((job.file, result))
                case Changed():
                    stored += result.stored
                    if not self._scanner.stop_reading(job.file):
                        self._rests.rest(upload_of(job.file.entry), SOON_S)
                    self._scanner.look_again_for(job.file)
                case Failed(message=message):
                    if self._scanner.stop_reading(job.file):
                        self._scanner.cannot_read(job.file.found.path, message)
                    else:
                        self._rests.rest(upload_of(job.file.entry), DISK_S)
                case NotSent(failure=failure):
                    stored += result.stored
                    if self._scanner.is_wanted(job.file):
                        self._mover.put_up([replace(job, aim=Aim.READ)])
                    if failure.refusal is not None:
                        self._refused_blocks(failure.refusal.value, failure.message)
                    self._rests.rest(UPLOADS, LINK_S)
        good = await self._scanner.take_suspects(good)
        await self._context.machine.database_work.run(self._write_read, good, stored)

    def _write_read(self, good: list[tuple[Assigned, Ingested]], stored: list[ChunkRef]) -> None:
        self._scanner.put_read(good)
        context = self._context
        with context.machine.database.transaction():
            context.contents.put_stored(stored)
            for job, result in good:
                if result.manifest is None:
                    continue
                context.contents.put_manifest(result.digest, result.manifest, stored=result.stored)
                row = context.trees.local(job.entry)
                if row is not None and row.fingerprint == result.fingerprint:
                    context.contents.put_places(job.entry, result.chunks)

    def _refused_blocks(self, code: str, message: str) -> None:
        if code in ("server_full", "quota"):
            self._context.problems.put("", code, f"{message}: free some space on the coordinator")

    # --- down -------------------------------------------------------------------------------------------

    async def _take_fetched(self, fetched: list[tuple[Down, FetchResult]]) -> bool:
        ready: list[Ready] = []
        unused: list[str] = []
        is_news = False
        for job, result in fetched:
            entry = job.entry
            operation = self._executor.waiting.get(entry)
            match result:
                case Fetched(temp=temp):
                    self._lacking.had(job.version)
                    if operation is not None and operation.version == result.request.version:
                        ready.append(Ready(operation, temp, result.request.manifest))
                    else:
                        unused.append(temp)
                        self._obtainable.add(result.request.version)
                case NotFetched():
                    self._rests.rest(fetch_of(job.version), LINK_S)
                case Missing(code=code, blocks=blocks):
                    is_news = self._lacking.note(entry, job.version, len(blocks)) or is_news
                    self._trouble_at(entry, code, self._who_has(entry, job.version))
                    self._rests.rest(fetch_of(job.version), REFUSED_S)
                case Bad(code=code, message=message) | NotWritten(code=code, message=message):
                    code = "unreadable" if code == "io_error" else code
                    self._trouble_at(entry, code, f"{message}: tried again every {DISK_S:.0f} seconds")
                    self._rests.rest(fetch_of(job.version), DISK_S)
        if unused:
            await self._context.machine.disk_work.run(self._discard, unused)
        if ready:
            await self._executor.write(ready)
            is_news = is_news or any(self._executor.is_earlier(one.operation) for one in ready)
        return is_news

    def _who_has(self, entry: EntryId, version: ChangeId) -> str:
        """What to say where nobody has the blocks of a version: it is the head that is waited for."""
        row = self._context.trees.remote(entry)
        return self._say_who_has(version if row is None or self._offers.author(row.head) is None else row.head)

    def _say_who_has(self, version: ChangeId) -> str:
        author = self._offers.author(version)
        if author is None:
            return "the coordinator does not have its blocks: it comes when somebody has"
        known = self._context.journal.device(author)
        name = author.hex()[:8] if known is None else known.keys.name
        return f"waiting for blocks from {name}: it comes once that device can be reached, here or by the coordinator"

    # --- what is to come --------------------------------------------------------------------------------

    @property
    def wanted(self) -> list[ChangeId]:
        """The versions that the last plan wanted and that are not here yet."""
        return [*(one.version for one in self._executor.waiting.values()), *(one.version for one in self.waited_for)]

    async def order(self, made: Plan) -> None:
        """Have fetched what a plan wants that was carried out as far as it went, but for what rests."""
        self.waited_for = waited_for = await self._context.machine.database_work.run(self._waited_for, made)
        # What is being read may turn out to be the very version: then nothing need be fetched.
        reading = {(one.parent, one.name) for one in self._scanner.reading.values()}
        wanted = [
            Down(one.entry, one.version, one.content)
            for one in self._executor.waiting.values()
            if (one.parent, one.name) not in reading
        ]
        wanted = [one for one in (*wanted, *waited_for) if not self._rests.rests(fetch_of(one.version))]
        self._mover.drop_waiting_down({one.entry: one.version for one in wanted})
        self._mover.put_down([one for one in wanted if not self._mover.fetching(one.entry, one.version)])

    def _waited_for(self, made: Plan) -> list[Down]:
        """The versions for which what was edited here waits."""
        found = []
        for entry in made.waiting:
            row, path = self._context.trees.remote(entry), self._context.trees.path(entry)
            if row is None or row.node.content is None or path is None:
                continue
            self._executor.trouble(entry, path, "waiting_for_blocks", self._say_who_has(row.head))
            found.append(Down(entry, row.head, row.node.content))
        return found

    def _discard(self, temps: list[str]) -> None:
        for temp in temps:
            discard_temp(self._context.root, temp)

    def _trouble_at(self, entry: EntryId, code: str, message: str) -> None:
        operation = self._executor.waiting.get(entry)
        if operation is not None:
            above = self._context.trees.path(operation.parent) or ()
            self._executor.trouble(entry, (*above, operation.name), code, message)
