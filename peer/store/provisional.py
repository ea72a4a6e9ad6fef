"""The provisional end of a journal: commits that devices handed each other while the coordinator was away. Owns making
them count as if the journal had them, and undoing exactly that.

While they count their rows stand in the journal's tables, after its own: every rule that reads those follows by
itself. Before the journal is read further all of it goes, and the trees are put back so that nothing is lost and
nothing is concluded from what may never be accepted:

- content that came with it counts as edited here, over the version that it replaced: it is adopted once the journal
  has it, and otherwise proposed, or kept as a conflicted copy;
- what others had moved or deleted counts as if the journal had it: where it does not, that is undone;
- what was done here counts as not proposed yet.

What is accepted after all advances the bases by what the outbox keeps of each commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from crypto.digest import name_key
from crypto.keyring import WorkspaceKeyring
from peer.planner.operations import Agreed, ProposeChange
from peer.planner.trees import Attributes, Content, LocalNode, Node, SyncedNode
from peer.store.database import Database
from peer.store.journal import HASHES, JournalState, Taken, take_within
from peer.store.outbox import KeptCommit, Outbox, Standing
from peer.store.trees import TreeStore
from protocol import limits
from protocol.codec import decode, encode
from protocol.ids import ROOT, ChangeId, CommitDigest, DeviceId, EntryId, LogHash
from protocol.model import Body, Chunker, Entries, JournalRow, Kind
from protocol.rules import Delta, judge

_ROW_BYTES: Final = limits.MIB


class NotFollowing(Exception):
    """A commit does not simply follow what is here; nothing was written. The text says why, for logs."""


class NotReadable(Exception):
    """Something in a commit is not to be believed; the transaction and what was read are not to be used any more."""


@dataclass(frozen=True, slots=True)
class _Version:
    """A provisional version of an entry; `node` is None where it could not be read."""

    change: ChangeId
    entry: EntryId
    device: DeviceId
    commit: CommitDigest
    deleted: bool
    node: Node | None


class Provisional:
    """Of one workspace. Belongs in the database's thread, and inside somebody's transaction."""

    def __init__(self, database: Database, journal: JournalState, trees: TreeStore, own: DeviceId) -> None:
        self._db = database
        self._journal = journal
        self._trees = trees
        self._own = own
        self.w = journal.w
        self.outbox = Outbox(database, journal.w)

    # --- taking -----------------------------------------------------------------------------------------

    def follow(self, kept: KeptCommit, keyring: WorkspaceKeyring, chunker: Chunker) -> Taken:
        """Let a commit in the outbox count from now on. Raises `NotFollowing`, `NotReadable`.

        One's own, or one that has counted before, advances the synced tree. A new one of another device has to find all
        that it changes as the journal and the commits before it have it, without an edit made here, and every name that
        it takes free here.
        """
        state, commit = self._journal.workspace, kept.commit
        if state.seq - self._journal.verified.seq >= limits.SEEN_COMMITS:
            raise NotFollowing("too much waits for the coordinator already")
        verdict = judge(self._journal, commit, HASHES)
        if not isinstance(verdict, Delta) or not isinstance(commit.body, Entries):
            raise NotFollowing("it is not legal here and now")
        if kept.standing is Standing.WAITS:
            self._require_untouched(commit.body, keyring)
        for change in commit.body.changes:
            self._remember(change.clear.entry, deleted=change.clear.deleted)
        log_hash = LogHash(HASHES.log_hash(state.log_hash, kept.digest))
        row = JournalRow(state.seq + 1, log_hash, self._journal.received, commit)
        taken = take_within(self._db, self._journal, self._trees, keyring, chunker, [row], provisional=True)
        if taken.bad or taken.invalid is not None or taken.lacks_key:
            raise NotReadable
        if kept.standing is not Standing.WAITS:
            self._trees.settle_agreed(self.outbox.advance(self._trees, kept.digest).entries)
        self.outbox.stand(kept.digest, Standing.SHOWN)
        return taken

    def _require_untouched(self, body: Entries, keyring: WorkspaceKeyring) -> None:
        trees = self._trees
        changed = {change.clear.entry for change in body.changes}
        taken = self._taken_here(keyring)
        for change in body.changes:
            entry, clear = change.clear.entry, change.clear
            self._require_unedited(entry)
            if clear.deleted and clear.kind is Kind.DIRECTORY:
                for below in self._below_here(entry):
                    self._require_unedited(below)
            elif not clear.deleted:
                if taken.get(clear.name_key, entry) not in changed:
                    raise NotFollowing("something that was made or moved here has its name")
                if clear.parent != ROOT and clear.parent not in changed and trees.local(clear.parent) is None:
                    self._require_unedited(clear.parent)

    def _taken_here(self, keyring: WorkspaceKeyring) -> dict[bytes, EntryId]:
        """The names that entries have here and in no journal, by their keys."""
        trees = self._trees
        found: dict[bytes, EntryId] = {}
        for entry in trees.differing():
            local, synced = trees.local(entry), trees.synced(entry)
            if local is not None and (synced is None or _place(local.node) != _place(synced.base) or local.intended):
                found[name_key(keyring.fixed, *_place(local.node))] = entry
                if local.intended is not None:
                    found[name_key(keyring.fixed, *local.intended)] = entry
        return found

    def _require_unedited(self, entry: EntryId) -> None:
        local, synced = self._trees.local(entry), self._trees.synced(entry)
        if (local is None) != (synced is None or synced.absent_by_design) or self._trees.unknown(entry):
            raise NotFollowing("what it changes was changed here too")
        if local is not None and synced is not None and _is_edited(local, synced):
            raise NotFollowing("what it changes was edited here too")

    def _below_here(self, directory: EntryId) -> list[EntryId]:
        found: list[EntryId] = []
        above = [directory]
        while above:
            one = above.pop()
            below = {*self._trees.local_children(one), *self._trees.synced_children(one)}
            found += below
            above += below
        return found

    # --- rows as they were ------------------------------------------------------------------------------

    def _remember(self, entry: EntryId, *, deleted: bool) -> None:
        self._keep_row("remote", entry)
        self._keep_row("synced", entry)
        for below in self._below_here(entry) if deleted else ():
            self._keep_row("synced", below)

    def _keep_row(self, tree: str, entry: EntryId) -> None:
        row = self._db.one(f"SELECT * FROM {tree} WHERE w = ? AND entry = ?", (self.w, entry))  # noqa: S608 - constants
        packed = None if row is None else encode(list(row))
        self._db.run("INSERT OR IGNORE INTO before VALUES (?, ?, ?, ?)", (self.w, tree, entry, packed))

    # --- going back -------------------------------------------------------------------------------------

    def roll_back(self) -> dict[EntryId, DeviceId]:
        """The journal alone counts from now on; what counted besides is to be asked about (`Standing.BACK`).

        Returns the entries of which one other device alone has made all that counted, and which device that is.
        """
        trees, versions = self._trees, self._versions()
        by_entry: dict[EntryId, list[_Version]] = {}
        for one in versions:
            by_entry.setdefault(one.entry, []).append(one)
        kept = _kept_rows(self._db, self.w, "synced")
        ended_by = {entry: self._ended_by(entry, by_entry) for entry in kept}
        shown = {entry: trees.synced(entry) for entry in kept}
        for entry, row in kept.items():
            _put_back(self._db, self.w, "synced", entry, row)
        forget(self._db, self.w)
        trees.forget_cache()
        self._journal.forget_cache()
        self._agree_others(by_entry, shown, {entry for entry, device in ended_by.items() if device == self._own})
        for entry in kept:
            self._settle(entry, shown[entry], by_entry.get(entry, []), ended_by[entry])
        gone = {entry for entry in kept if shown[entry] is None and trees.local(entry) is None}
        self.outbox.disagree({entry for entry in gone if ended_by[entry] != self._own})
        for commit in self.outbox.all():
            if commit.standing is Standing.SHOWN:
                self.outbox.stand(commit.digest, Standing.BACK)
        trees.touch({*kept, *by_entry})
        authors = {entry: {one.device for one in its} for entry, its in by_entry.items()}
        return {entry: its.pop() for entry, its in authors.items() if len(its) == 1 and self._own not in its}

    def _settle(
        self, entry: EntryId, shown: SyncedNode | None, versions: Sequence[_Version], ended_by: DeviceId | None
    ) -> None:
        """The synced row of an entry, which is as it was before, as it is to be now that it was shown otherwise."""
        trees = self._trees
        before = trees.synced(entry)
        if before is None:
            return
        if shown is None:
            if ended_by != self._own and trees.local(entry) is None:
                trees.drop_synced((entry,))  # what nobody here deleted comes back, where the journal still has it
            return
        moved = shown.base
        if _place(moved) != _place(before.base) and self._moved_by(versions, before.base) != self._own:
            node = replace(before.base, parent=moved.parent, name=moved.name)
            before = replace(before, base=node)
        if shown.content_base == before.content_base and shown.base.attributes == before.base.attributes:
            before = replace(before, shown=shown.shown, absent_by_design=shown.absent_by_design)
        trees.put_synced((before,))

    def _moved_by(self, versions: Sequence[_Version], before: Node) -> DeviceId | None:
        """Who moved an entry last."""
        found, place = None, _place(before)
        for one in versions:
            if one.node is not None and not one.deleted and _place(one.node) != place:
                found, place = one.device, _place(one.node)
        return found

    def _ended_by(self, entry: EntryId, by_entry: dict[EntryId, list[_Version]]) -> DeviceId | None:
        """Who deleted an entry, or a directory above it."""
        for _ in range(limits.PATH_DEPTH + 1):
            versions = by_entry.get(entry)
            if versions and versions[-1].deleted:
                return versions[-1].device
            row = self._journal.entry(entry)
            if row is None or row.parent == ROOT:
                return None
            entry = row.parent
        return None

    def _agree_others(
        self,
        by_entry: dict[EntryId, list[_Version]],
        shown: dict[EntryId, SyncedNode | None],
        deleted_here: set[EntryId],
    ) -> None:
        """Keep with the commits of others what of them is on this disk, or was before it was deleted here, so that the
        journal's having them counts."""
        trees = self._trees
        by_commit: dict[CommitDigest, list[tuple[ProposeChange, ChangeId]]] = {}
        for entry, versions in by_entry.items():
            row = shown.get(entry)
            if row is None and entry not in deleted_here:
                continue
            is_new = trees.synced(entry) is None
            reached = [at for at, one in enumerate(versions) if row is not None and one.change == row.content_base]
            for at, one in enumerate(versions):
                node = one.node
                if one.device == self._own or node is None or one.deleted:
                    continue
                if row is None or (bool(reached) and at <= reached[-1]) or _is_alike(node, row.base):
                    location = _place(node) if is_new else None
                    agreed = Agreed(location, node.content, None, node.attributes)
                    proposal = ProposeChange(entry, None, node, None, None, None, agreed)
                    by_commit.setdefault(one.commit, []).append((proposal, one.change))
        for digest, agreed_here in by_commit.items():
            self.outbox.agree(digest, agreed_here)

    def _versions(self) -> list[_Version]:
        """The provisional versions, in order."""
        rows = self._db.all(
            "SELECT v.change, v.entry, v.device, c.digest, v.deleted, v.parent, v.body, r.kind, r.digest "
            "FROM versions v JOIN commits c ON c.w = v.w AND c.seq = v.seq "
            "JOIN remote r ON r.w = v.w AND r.entry = v.entry "
            "WHERE v.w = ? AND v.seq > ? ORDER BY v.seq",
            (self.w, self._journal.verified.seq),
        )
        found = []
        for change, entry, device, commit, deleted, parent, packed, kind, link in rows:
            node = None
            if packed is not None:
                body = decode(Body, packed, limits.SEALED_BYTES)
                content, attributes = None, None
                if body.digest is not None:
                    content, attributes = Content(body.digest, body.size), Attributes(body.executable, body.mtime_ns)
                elif body.target is not None and link is not None:
                    content = Content(link, body.size)
                node = Node(EntryId(entry), Kind(kind), EntryId(parent), body.name, content, attributes, bool(deleted))
            found.append(
                _Version(ChangeId(change), EntryId(entry), DeviceId(device), CommitDigest(commit), bool(deleted), node)
            )
        return found


def forget(database: Database, w: int) -> None:
    """Let the journal alone be in the journal's tables again; the synced tree stays as it is. Inside a transaction."""
    row = database.one("SELECT seq FROM workspaces WHERE w = ?", (w,))
    real = 0 if row is None else row[0]
    for entry, kept in _kept_rows(database, w, "remote").items():
        _put_back(database, w, "remote", entry, kept)
    # The first provisional commit of each device names the last one of it that the journal has.
    passed: set[DeviceId] = set()
    for (packed,) in database.all("SELECT row FROM commits WHERE w = ? AND seq > ? ORDER BY seq", (w, real)):
        header = decode(JournalRow, packed, limits.REPLY_BYTES).commit.header
        if header.device not in passed:
            passed.add(header.device)
            database.run(
                "UPDATE devices SET last_number = ? WHERE w = ? AND device = ?", (header.after, w, header.device)
            )
    provisional = "SELECT change FROM versions WHERE w = ?1 AND seq > ?2"
    database.run(f"DELETE FROM offers WHERE w = ?1 AND change IN ({provisional})", (w, real))  # noqa: S608 - constants
    database.run("DELETE FROM versions WHERE w = ? AND seq > ?", (w, real))
    database.run("DELETE FROM commits WHERE w = ? AND seq > ?", (w, real))
    database.run("DELETE FROM before WHERE w = ?", (w,))


def _kept_rows(database: Database, w: int, tree: str) -> dict[EntryId, list[Any] | None]:
    rows = database.all("SELECT entry, row FROM before WHERE w = ? AND tree = ?", (w, tree))
    return {EntryId(entry): None if packed is None else decode(list[Any], packed, _ROW_BYTES) for entry, packed in rows}


def _put_back(database: Database, w: int, tree: str, entry: EntryId, row: Sequence[object] | None) -> None:
    if row is None:
        database.run(f"DELETE FROM {tree} WHERE w = ? AND entry = ?", (w, entry))  # noqa: S608 - constants
    else:
        marks = ", ".join("?" * len(row))
        database.run(f"INSERT OR REPLACE INTO {tree} VALUES ({marks})", row)  # noqa: S608 - constants


def _place(node: Node) -> tuple[EntryId, str]:
    return node.parent, node.name


def _is_alike(some: Node, other: Node) -> bool:
    return (some.content, some.attributes, _place(some)) == (other.content, other.attributes, _place(other))


def _is_edited(local: LocalNode, synced: SyncedNode) -> bool:
    return local.intended is not None or not _is_alike(local.node, synced.base)
