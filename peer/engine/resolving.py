"""Settling conflicted copies. Owns which of two versions is whose, and the steps on disk that keep one or both.

What is done is done to the files, as a person would: the engine notices and commits it. Nothing goes that the journal
does not have: a version that was not committed yet, or was changed meanwhile, is refused and stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from crypto.digest import file_hasher
from peer.control.upkeep import Keep, Resolved
from peer.disk import steps
from peer.disk.apply import apply
from peer.disk.reading import read_stable
from peer.disk.root import Root
from peer.disk.temporary import discard_temp, open_temp
from peer.engine.browse import Target, find_entry, journal_path, list_conflicts
from peer.engine.context import Context
from peer.engine.device import DeviceEngine
from peer.engine.folders import CannotDo
from peer.engine.mounted import MountedWorkspace
from peer.engine.workspace import RootLost
from peer.fingerprint import Fingerprint, Path
from peer.planner.trees import LocalNode
from peer.store.database import Database
from peer.store.versions import version_body
from protocol import limits
from protocol.ids import ROOT, ChangeId, DeviceId, EntryId, UserId
from protocol.model import Kind
from protocol.names import conflicted_from, resolved_name

Side = Literal["copy", "original"]
_NAMES: Final = 100
_BUFFER_BYTES: Final = limits.MIB


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a version's content."""

    device: DeviceId
    user: UserId


@dataclass(frozen=True, slots=True)
class _Version:
    """A version as it is on this disk, certainly also in the journal."""

    entry: EntryId
    path: Path
    row: LocalNode
    fingerprint: Fingerprint

    @property
    def digest(self) -> bytes | None:
        """Of its content, which the journal has."""
        return None if self.row.node.content is None else self.row.node.content.digest


@dataclass(frozen=True, slots=True)
class _Conflict:
    """A copy and what it is a copy of; `original` is None where that was deleted, `name` what it was called."""

    copy: _Version
    original: _Version | None
    copy_path: str
    original_path: str
    name: str
    mine: Side | None


def decide_mine(this: Author, copy: Author, original: Author) -> Side | None:
    """Which version is this device's, else this user's; None where both are, or neither."""
    here = (copy.device == this.device, original.device == this.device)
    own = (copy.user == this.user, original.user == this.user)
    for is_copy, is_original in (here, own):
        if is_copy != is_original:
            return "copy" if is_copy else "original"
    return None


async def resolve(device: DeviceEngine, target: Target, keep: Keep) -> Resolved:
    """Keep one version or both; durable on this disk when it returns. Raises `CannotDo`."""
    one = device.mounted.get(target.record.workspace)
    if one is None or one.engine is None:
        raise CannotDo(f"{target.record.name} is not being synced here at the moment: see `shoal status`")
    engine, machine = one.engine, device.machine
    conflict = await machine.database_work.run(_find, engine.context, target)
    side = _side(conflict, keep)
    moved = await machine.database_work.run(_forget_copy_of, engine.context, conflict, side)
    try:
        copy_at = await machine.disk_work.run(_carry_out, one, conflict, side)
    except RootLost as error:
        raise CannotDo(error.trouble.message) from None
    except OSError as error:
        raise CannotDo(f"{conflict.copy_path} could not be resolved ({error.strerror}): nothing was lost") from None
    finally:
        for path in (conflict.copy.path, conflict.original.path if conflict.original else conflict.copy.path):
            engine.scanner.look_again(path)
        if moved:
            engine.scanner.rescan(conflict.copy.path[:-1])
        engine.context.signal.set()
    at = None if copy_at is None else "/".join((*conflict.copy_path.split("/")[:-1], copy_at))
    return Resolved(
        workspace=target.record.name,
        path=conflict.original_path,
        copy=conflict.copy_path,
        kept=side,
        copy_at=at if side == "both" else None,
    )


def _side(conflict: _Conflict, keep: Keep) -> Literal["copy", "original", "both"]:
    match keep:
        case "both" | "copy" | "original":
            side: Literal["copy", "original", "both"] = keep
        case "mine" | "theirs":
            if conflict.mine is None:
                raise CannotDo(
                    f"neither or both versions of {conflict.original_path} were edited here: say `--keep original` for "
                    f"the one under that name, `--keep copy` for {conflict.copy_path}, or `--keep both`"
                )
            side = conflict.mine if keep == "mine" else "original" if conflict.mine == "copy" else "copy"
        case _:
            assert_never(keep)
    if side == "original" and conflict.original is None:
        raise CannotDo(
            f"{conflict.original_path} was deleted, only the copy is left: keep that with `--keep copy`, or delete it"
        )
    return side


# --- what there is: in the database's thread ------------------------------------------------------------


def _find(context: Context, target: Target) -> _Conflict:
    """The conflict that is meant. Raises `CannotDo` where there is none, or it cannot be settled now."""
    database, record = context.machine.database, target.record
    where = f"{record.name}:{'/'.join(target.names)}"
    entry = find_entry(database, target)
    if entry is None or entry == ROOT:
        raise CannotDo(f"{where} is not in the journal: see `shoal conflicts`")
    every = list_conflicts(database, record)
    meant = [one for one in every if one.entry == entry] or [one for one in every if one.copy_of == entry]
    if not meant:
        raise CannotDo(f"{where} is in no conflict: see `shoal conflicts`")
    if len(meant) > 1:
        raise CannotDo(f"{where} has several conflicted copies, name one: {', '.join(one.path for one in meant)}")
    (listed,) = meant
    copy, winner = _at_rest(context, listed.entry, listed.path), listed.copy_of
    there = None if winner is None else journal_path(database, record.w, winner)
    original = None if winner is None or there is None else _at_rest(context, winner, there)
    remote = None if winner is None else context.trees.remote(winner)
    copy_name = listed.path.rpartition("/")[2]
    name = (conflicted_from(copy_name) or copy_name) if remote is None else remote.node.name
    this = Author(context.identity.device, context.identity.user)
    mine: Side | None = "copy"
    if original is not None:
        authors = (_author(database, record.w, listed.entry), _author(database, record.w, original.entry))
        mine = decide_mine(this, *authors)
    above = listed.path.rpartition("/")[0]
    original_path = there or (f"{above}/{name}" if above else name)
    return _Conflict(copy, original, listed.path, original_path, name, mine)


def _at_rest(context: Context, entry: EntryId, where: str) -> _Version:
    """A version that is here exactly as the journal has it."""
    trees = context.trees
    row, remote, path = trees.local(entry), trees.remote(entry), trees.path(entry)
    same = row is not None and remote is not None and remote.usable and row.node.content == remote.node.content
    if row is None or path is None or row.fingerprint is None or not same:
        raise CannotDo(f"{where} is not in step yet: `shoal wait`, then try again")
    if row.node.kind is Kind.DIRECTORY:
        raise CannotDo(f"{where} is a directory: move what you want to keep out of it, and rename or delete it")
    return _Version(entry, path, row, row.fingerprint)


def _author(database: Database, w: int, entry: EntryId) -> Author:
    """Who wrote the content that an entry has now, whoever moved it since."""
    row = database.one("SELECT head FROM remote WHERE w = ? AND entry = ?", (w, entry))
    assert row is not None
    change: bytes | None = row[0]
    device, digest = b"", None
    while change is not None:
        version = database.one("SELECT base, device FROM versions WHERE w = ? AND change = ?", (w, change))
        body = version_body(database, w, ChangeId(change))
        if version is None or body is None or (device and body.digest != digest):
            break
        change, device = version
        digest = body.digest
    user = database.one("SELECT user FROM devices WHERE w = ? AND device = ?", (w, device))
    return Author(DeviceId(device), UserId(b"" if user is None else user[0]))


def _forget_copy_of(context: Context, conflict: _Conflict, side: str) -> bool:
    """Where the copy is to get a name of its own: the change that says so does not call it a copy any more."""
    moves = side == "both" or (side == "copy" and conflict.original is None)
    if moves and conflict.copy.row.copy_of is not None:
        row = conflict.copy.row
        with context.machine.database.transaction():
            context.trees.put_local([LocalNode(row.node, row.disk_name, row.fingerprint, row.intended, None)])
    return moves


# --- on disk --------------------------------------------------------------------------------------------


def _carry_out(one: MountedWorkspace, conflict: _Conflict, side: str) -> str | None:
    """Do it; the name that the copy has now, where it moved. Raises `CannotDo`, `RootLost`, `OSError`."""
    assert one.engine is not None
    context = one.engine.context
    with one.open_beside() as root:
        if side == "both":
            names = (resolved_name(conflict.copy.path[-1], n) for n in range(1, _NAMES))
            return _move(root, conflict, list(names))
        if side == "copy" and conflict.original is None:
            return _move(root, conflict, [conflict.name])
        if side == "copy":
            assert conflict.original is not None
            _put(root, context, conflict.copy, conflict.original)
        _do(root, _removal(conflict.copy), conflict.copy_path)
    return None


def _move(root: Root, conflict: _Conflict, names: Sequence[str]) -> str:
    copy = conflict.copy
    for name in names:
        if len(name.encode()) > limits.NAME_BYTES:
            break
        step = steps.Move(copy.path, (*copy.path[:-1], name), copy.fingerprint)
        (result,) = apply(root, [step])
        if not isinstance(result, steps.Occupied):
            _check(result, conflict.copy_path)
            return name
    raise CannotDo(f"there is something called {names[0]} already: rename {conflict.copy_path} yourself")


def _put(root: Root, context: Context, source: _Version, place: _Version) -> None:
    """Put the source's content in the other one's place."""
    if source.row.node.kind is Kind.SYMLINK:
        with root.open_directories() as directories:
            parent, name = directories.parent(source.path)
            target = root.fs.read_link(parent, name)
        _do(root, steps.PutLink(place.path, target, place.fingerprint, place.digest), "/".join(place.path))
        return
    temp = _copied(root, context, source)
    its = source.fingerprint
    step = steps.PutFile(place.path, temp, place.fingerprint, its.mtime_ns, its.executable, place.digest)
    try:
        _do(root, step, "/".join(place.path))
    except CannotDo:
        discard_temp(root, temp)
        raise


def _copied(root: Root, context: Context, source: _Version) -> str:
    """A temporary file with the source's content, proved to be that."""
    content = source.row.node.content
    assert content is not None
    hasher, buffer = file_hasher(context.keyring.fixed), memoryview(bytearray(_BUFFER_BYTES))
    with root.open_directories() as directories, read_stable(root.fs, directories, source.path) as reading:
        with open_temp(root, content.size) as temp:
            done = 0
            if reading.before == source.fingerprint:
                temp.copy_from(reading.handle, 0, 0, content.size)
                while filled := temp.read_into(buffer, done):
                    hasher.update(buffer[:filled])
                    done += filled
            if hasher.digest() != content.digest:
                raise CannotDo(f"{'/'.join(source.path)} has just changed: `shoal wait`, then try again")
            temp.finish(content.size, source.fingerprint.mtime_ns, source.fingerprint.executable)
        return temp.name


def _removal(one: _Version) -> steps.Step:
    if one.row.node.kind is Kind.SYMLINK:
        return steps.RemoveLink(one.path, one.fingerprint, one.digest)
    return steps.RemoveFile(one.path, one.fingerprint, one.digest)


def _do(root: Root, step: steps.Step, where: str) -> None:
    (result,) = apply(root, [step])
    _check(result, where)


def _check(result: steps.StepResult, where: str) -> None:
    match result:
        case steps.Applied():
            return
        case steps.Failed(message=message):
            raise CannotDo(f"{where} could not be changed ({message}): try again")
        case _:
            raise CannotDo(f"{where} has just changed: `shoal wait`, then try again")
