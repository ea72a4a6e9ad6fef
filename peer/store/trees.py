"""The three trees in the database. Owns turning rows into nodes and back, and the set of differing entries.

`TreeStore` implements the planner's `Trees` for one workspace; what was read is cached until `forget_cache`. Every
write of a row puts its entry among the differing ones; `settle` takes those out again that agree in all trees.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from peer.fingerprint import Fingerprint, Path
from peer.planner.trees import Attributes, Content, LocalNode, Node, RemoteNode, SyncedNode, later_of, rows_differ
from peer.store import schema
from peer.store.database import Database
from protocol import limits
from protocol.codec import decode
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Body, Kind

_TREE: Final = "parent, name, kind, digest, size, mtime_ns, executable"
_PRINT: Final = "f_device, f_inode, f_size, f_mtime_ns, f_ctime_ns, f_executable, f_born_ns"
_REMOTE: Final = f"place AS parent, {_TREE.removeprefix('parent, ')}, deleted, head, seq, usable, copy_of"
_SYNCED: Final = f"{_TREE}, deleted, content_base, absent, {_PRINT}"
_LOCAL: Final = f"{_TREE}, disk_name, intended_parent, intended_name, copy_of, copy_base, {_PRINT}"
_CACHE_ROWS: Final = 60_000

RowNode = TypeVar("RowNode")


class TreeStore:
    """The trees of workspace number `w`. Belongs in the database's thread."""

    def __init__(self, database: Database, w: int) -> None:
        self._db = database
        self.w = w
        self._remote: dict[EntryId, RemoteNode | None] = {}
        self._synced: dict[EntryId, SyncedNode | None] = {}
        self._local: dict[EntryId, LocalNode | None] = {}
        self.unknown_entries: set[EntryId] = set()

    # --- reading ---------------------------------------------------------------------------------------

    def forget_cache(self) -> None:
        """Drop what was read; the next look-up asks the database."""
        self._remote.clear()
        self._synced.clear()
        self._local.clear()

    def forget(self, entries: Iterable[EntryId]) -> None:
        """Drop what was read of these entries, since nothing will be asked of them soon."""
        for entry in entries:
            self._remote.pop(entry, None)
            self._synced.pop(entry, None)
            self._local.pop(entry, None)

    def load_differing(self) -> None:
        """Read all rows of the differing entries at once."""
        if len(self._remote) + len(self._local) > _CACHE_ROWS:
            self.forget_cache()
        self._load("remote", _REMOTE, self._remote, _remote_node)
        self._load("synced", _SYNCED, self._synced, _synced_node)
        self._load("local", _LOCAL, self._local, _local_node)

    def _load(
        self,
        table: str,
        columns: str,
        cache: dict[EntryId, RowNode | None],
        build: Callable[[EntryId, Sequence[Any]], RowNode],
    ) -> None:
        qualified = ", ".join(f"t.{column.split(' AS ')[0]}" for column in columns.split(", "))
        sql = (
            f"SELECT d.entry, {qualified} FROM differing d LEFT JOIN {table} t "  # noqa: S608 - constants
            "ON t.w = d.w AND t.entry = d.entry WHERE d.w = ?"
        )
        for entry, *row in self._db.all(sql, (self.w,)):
            cache[entry] = None if row[0] is None else build(entry, row)

    def remote(self, entry: EntryId) -> RemoteNode | None:
        """The journal's view."""
        if entry not in self._remote:
            row = self._db.one(f"SELECT {_REMOTE} FROM remote WHERE w = ? AND entry = ?", (self.w, entry))  # noqa: S608
            self._remote[entry] = None if row is None else _remote_node(entry, row)
        return self._remote[entry]

    def synced(self, entry: EntryId) -> SyncedNode | None:
        """The common ancestor."""
        if entry not in self._synced:
            row = self._db.one(f"SELECT {_SYNCED} FROM synced WHERE w = ? AND entry = ?", (self.w, entry))  # noqa: S608
            self._synced[entry] = None if row is None else _synced_node(entry, row)
        return self._synced[entry]

    def local(self, entry: EntryId) -> LocalNode | None:
        """The disk's view."""
        if entry not in self._local:
            row = self._db.one(f"SELECT {_LOCAL} FROM local WHERE w = ? AND entry = ?", (self.w, entry))  # noqa: S608
            self._local[entry] = None if row is None else _local_node(entry, row)
        return self._local[entry]

    def remote_children(self, parent: EntryId) -> Iterable[EntryId]:
        """Entries whose head is under `parent` and not itself deleted."""
        return self._entries("SELECT entry FROM remote WHERE w = ? AND place = ? AND deleted = 0", parent)

    def synced_children(self, parent: EntryId) -> Iterable[EntryId]:
        """Entries whose synced base is under `parent` and not itself deleted."""
        return self._entries("SELECT entry FROM synced WHERE w = ? AND parent = ? AND deleted = 0", parent)

    def local_children(self, parent: EntryId) -> Iterable[EntryId]:
        """Entries on disk under `parent`."""
        return self._entries("SELECT entry FROM local WHERE w = ? AND parent = ?", parent)

    def remote_named(self, parent: EntryId, name: str) -> EntryId | None:
        """The remote child of that name that is not itself deleted."""
        return self._named(
            "SELECT entry FROM remote WHERE w = ? AND place = ? AND name = ? AND deleted = 0", parent, name
        )

    def local_named(self, parent: EntryId, name: str) -> EntryId | None:
        """The local child of that true name."""
        return self._named("SELECT entry FROM local WHERE w = ? AND parent = ? AND name = ?", parent, name)

    def intended_for(self, parent: EntryId) -> Iterable[EntryId]:
        """Parked entries that are meant to go under `parent`."""
        return self._entries("SELECT entry FROM local WHERE w = ? AND intended_parent = ?", parent)

    def local_with_inode(self, device: int, inode: int) -> list[EntryId]:
        """Entries last seen with that inode."""
        rows = self._db.all(
            "SELECT entry FROM local WHERE w = ? AND f_inode = ? AND f_device = ?", (self.w, inode, device)
        )
        return [row[0] for row in rows]

    def later_with(self, entry: EntryId, base: Content, here: Content) -> Sequence[Attributes | None]:
        """See `Trees`."""
        row = self.remote(entry)
        if row is None:
            return ()
        links = row.node.kind is Kind.SYMLINK
        known = [(self._target(one.digest), one) for one in (base, here)] if links else []
        targets = {target: one for target, one in known if target is not None}
        rows = self._db.all(
            "SELECT body FROM versions WHERE w = ? AND entry = ? AND deleted = 0 AND body IS NOT NULL ORDER BY seq",
            (self.w, entry),
        )
        bodies = (decode(Body, packed, limits.SEALED_BYTES) for (packed,) in rows)
        return later_of(((_content_of(body, targets), _attributes_of(body)) for body in bodies), base, here)

    def _target(self, digest: bytes) -> bytes | None:
        row = self._db.one("SELECT target FROM contents WHERE w = ? AND digest = ?", (self.w, digest))
        return None if row is None else row[0]

    def unknown(self, entry: EntryId) -> bool:
        """Whether the disk could not be read at the entry, or at a directory above it."""
        if not self.unknown_entries:
            return False
        passed: set[EntryId] = set()
        while entry not in passed:
            if entry in self.unknown_entries:
                return True
            passed.add(entry)
            local, synced = self.local(entry), self.synced(entry)
            if local is not None:
                entry = local.node.parent
            elif synced is not None:
                entry = synced.base.parent
        return False

    def path(self, entry: EntryId) -> Path | None:
        """Where an entry is on this disk, in names as the disk has them; None if it or something above is not there."""
        names: list[str] = []
        while entry != ROOT:
            row = self.local(entry)
            if row is None or len(names) > limits.PATH_DEPTH:
                return None
            names.append(row.disk_name)
            entry = row.node.parent
        return tuple(reversed(names))

    def differing(self) -> Iterable[EntryId]:
        """Every entry in which any two trees may differ, in the order of their ids."""
        return self._entries("SELECT entry FROM differing WHERE w = ? ORDER BY entry")

    def differing_count(self) -> int:
        """How many entries may differ."""
        row = self._db.one("SELECT count(*) FROM differing WHERE w = ?", (self.w,))
        return int(row[0]) if row else 0

    def _entries(self, sql: str, *parameters: object) -> list[EntryId]:
        return [row[0] for row in self._db.all(sql, (self.w, *parameters))]

    def _named(self, sql: str, parent: EntryId, name: str) -> EntryId | None:
        row = self._db.one(sql, (self.w, parent, name))
        return None if row is None else row[0]

    # --- writing (inside a transaction) ----------------------------------------------------------------

    def put_synced(self, nodes: Iterable[SyncedNode]) -> None:
        """Replace rows of the synced tree."""
        rows: list[tuple[Any, ...]] = []
        for node in nodes:
            entry = node.base.entry
            self._synced[entry] = node
            absent = "absent" if node.absent_by_design else None
            values = (*_tree_values(node.base), node.base.deleted, node.content_base, absent, *_print(node.shown))
            rows.append((self.w, entry, *values))
        self._db.insert(schema.synced, rows)
        self.touch(EntryId(row[1]) for row in rows)

    def put_local(self, nodes: Iterable[LocalNode]) -> None:
        """Replace rows of the local tree."""
        rows: list[tuple[Any, ...]] = []
        for node in nodes:
            entry = node.node.entry
            self._local[entry] = node
            intended = node.intended or (None, None)
            names = (node.disk_name, *intended, *(node.copy_of or (None, None)))
            rows.append((self.w, entry, *_tree_values(node.node), *names, *_print(node.fingerprint)))
        self._db.insert(schema.local, rows)
        self.touch(EntryId(row[1]) for row in rows)

    def drop_synced(self, entries: Sequence[EntryId]) -> None:
        """Remove rows of the synced tree."""
        for entry in entries:
            self._synced[entry] = None
        self._db.run_many("DELETE FROM synced WHERE w = ? AND entry = ?", ((self.w, entry) for entry in entries))
        self.touch(entries)

    def drop_local(self, entries: Sequence[EntryId]) -> None:
        """Remove rows of the local tree."""
        for entry in entries:
            self._local[entry] = None
        self._db.run_many("DELETE FROM local WHERE w = ? AND entry = ?", ((self.w, entry) for entry in entries))
        self.touch(entries)

    def touch(self, entries: Iterable[EntryId]) -> None:
        """Put entries among the differing ones."""
        self._db.run_many("INSERT OR IGNORE INTO differing VALUES (?, ?)", ((self.w, entry) for entry in entries))

    def forget_remote(self, entries: Iterable[EntryId]) -> None:
        """Drop cached remote nodes, since the journal changed them."""
        for entry in entries:
            self._remote.pop(entry, None)

    def settle(self, settled: Iterable[EntryId]) -> None:
        """Take entries out of the differing set, as a plan found nothing to do for them."""
        settled = tuple(settled)
        self.forget(settled)
        self._db.run_many("DELETE FROM differing WHERE w = ? AND entry = ?", ((self.w, entry) for entry in settled))

    def settle_agreed(self, entries: Iterable[EntryId]) -> None:
        """Take those out of the differing set whose rows agree now, so that no plan has to look at them again."""
        self.settle([one for one in entries if not rows_differ(self.remote(one), self.synced(one), self.local(one))])

    def touch_below(self, directory: EntryId) -> None:
        """Put everything that the journal has below a directory among the differing ones."""
        self._db.run(
            "WITH RECURSIVE below(entry) AS "
            "(SELECT entry FROM remote WHERE w = ?1 AND place = ?2 AND deleted = 0 UNION "
            "SELECT r.entry FROM remote r JOIN below b ON r.place = b.entry WHERE r.w = ?1 AND r.deleted = 0) "
            "INSERT OR IGNORE INTO differing SELECT ?1, entry FROM below",
            (self.w, directory),
        )

    def synced_count(self) -> int:
        """How many entries this device has in common with the journal."""
        row = self._db.one("SELECT count(*) FROM synced WHERE w = ?", (self.w,))
        return int(row[0]) if row else 0


def _content_of(body: Body, targets: Mapping[bytes, Content]) -> Content | None:
    """What a version's content is; of a symlink only if it is one of `targets`."""
    if body.target is not None:
        return targets.get(body.target)
    return None if body.digest is None else Content(body.digest, body.size)


def _attributes_of(body: Body) -> Attributes | None:
    return None if body.target is not None else Attributes(body.executable, body.mtime_ns)


def _tree_values(node: Node) -> tuple[object, ...]:
    content = node.content
    attributes = node.attributes or Attributes(False, 0)
    return (
        *(node.parent, node.name, int(node.kind)),
        *((None, 0) if content is None else (content.digest, content.size)),
        *(attributes.mtime_ns, attributes.executable),
    )


def _node(entry: EntryId, row: Sequence[Any], deleted: bool) -> Node:
    parent, name, number, digest, size, mtime_ns, executable = row
    kind = Kind(number)
    return Node(
        entry,
        kind,
        parent,
        name,
        None if digest is None else Content(digest, size),
        Attributes(bool(executable), mtime_ns) if kind is Kind.FILE and digest is not None else None,
        deleted,
    )


def _print(shown: Fingerprint | None) -> tuple[object, ...]:
    if shown is None:
        return (None,) * 7
    times = (shown.mtime_ns, shown.ctime_ns)
    return (_signed(shown.device), _signed(shown.inode), shown.size, *times, shown.executable, shown.born_ns)


def _signed(number: int) -> int:
    """SQLite's integers are signed; inode numbers may use all 64 bits."""
    return number - 2**64 if number >= 2**63 else number


def _fingerprint(row: Sequence[Any]) -> Fingerprint | None:
    device, inode, size, mtime_ns, ctime_ns, executable, born_ns = row
    if inode is None:
        return None
    return Fingerprint(device % 2**64, inode % 2**64, size, mtime_ns, ctime_ns, bool(executable), born_ns)


def _remote_node(entry: EntryId, row: Sequence[Any]) -> RemoteNode:
    deleted, head, seq, usable, copy_of = row[7:]
    return RemoteNode(_node(entry, row[:7], bool(deleted)), ChangeId(head), seq, bool(usable), copy_of)


def _synced_node(entry: EntryId, row: Sequence[Any]) -> SyncedNode:
    deleted, content_base, absent = row[7:10]
    return SyncedNode(_node(entry, row[:7], bool(deleted)), content_base, _fingerprint(row[10:]), absent is not None)


def _local_node(entry: EntryId, row: Sequence[Any]) -> LocalNode:
    disk_name, intended_parent, intended_name, copied, copy_base = row[7:12]
    intended = None if intended_parent is None else (EntryId(intended_parent), intended_name)
    copy_of = None if copied is None else (EntryId(copied), copy_base)
    return LocalNode(_node(entry, row[:7], False), disk_name, _fingerprint(row[12:]), intended, copy_of)
