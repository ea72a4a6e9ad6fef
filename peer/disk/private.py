"""The private directory `.shoal/` of a synced folder.

Owns the marker that tells this folder from any other, the directories beside it, and what is done
with their leftovers at a start. Never looks at or touches the user's own files.

    .shoal/marker    workspace id and a random token: is this still the folder that was synced?
    .shoal/age       a number that grows, here and in the home: is one of the two an old copy?
    .shoal/tmp/      files in the making; leftovers are removed
    .shoal/swap/     files on their way in or out; leftovers are judged by `recover`
    .shoal/held/     bytes kept until they are stored elsewhere
    .shoal/rescue/   bytes that nobody asked for and nobody may destroy
"""

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import assert_never

import msgspec

from peer.disk.root import PRIVATE_NAME, Root
from peer.disk.swap_names import read_swap_name
from peer.ports import Entropy, Filesystem, Handle

_MARKER = "marker"
_AGE = "age"
_AGE_DIGITS = 18
_DIRECTORIES = ("tmp", "swap", "held", "rescue")
_MARKER_BYTES = 4096
_NAME_BYTES = 255
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a synced folder says about itself: whose it is, and which one of them."""

    workspace: bytes
    token: bytes


@dataclass(frozen=True)
class RootMissing:
    """There is no folder at that path, or nothing can be read of it."""

    message: str


@dataclass(frozen=True)
class RootReplaced:
    """There is a folder, but not the one that was synced; `found` is what its marker says."""

    found: Marker | None


def read_marker(fs: Filesystem, path: str) -> Marker | None:
    """Return the marker of the folder at `path`; None if it has none or a garbled one.

    Raises OSError where the folder or its marker cannot be read.
    """
    with ExitStack() as handles:
        folder = fs.open_root(path)
        handles.callback(fs.close, folder)
        try:
            private = fs.open_dir(folder, PRIVATE_NAME)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        handles.callback(fs.close, private)
        return _read_marker(fs, private)


@contextmanager
def open_new_root(fs: Filesystem, entropy: Entropy, path: str, workspace: bytes) -> Iterator[tuple[Root, Marker]]:
    """Make the folder at `path` a synced one and open it; a marker that it has is replaced.

    The marker is durable before the body runs. Raises OSError.
    """
    marker = Marker(workspace, entropy.token(16))
    folder = fs.open_root(path)
    try:
        with suppress(FileExistsError):
            fs.make_dir(folder, PRIVATE_NAME, 0o700)
        private = fs.open_dir(folder, PRIVATE_NAME)
        try:
            _write_marker(fs, entropy, private, marker)
            fs.sync(private)
        finally:
            fs.close(private)
        fs.sync(folder)
        with _open(fs, entropy, path, folder) as root:
            yield root, marker
    finally:
        fs.close(folder)


@contextmanager
def open_root(
    fs: Filesystem, entropy: Entropy, path: str, expected: Marker
) -> Iterator[Root | RootMissing | RootReplaced]:
    """Open the synced folder at `path` if it is the one that `expected` says.

    Call `recover` before the first batch. Raises OSError if the folder is there and cannot be
    used.
    """
    try:
        folder = fs.open_root(path)
    except OSError as error:
        yield RootMissing(str(error))
        return
    try:
        verdict = _judge(fs, folder, expected)
        if verdict is not None:
            yield verdict
            return
        with _open(fs, entropy, path, folder) as root:
            yield root
    finally:
        fs.close(folder)


def check_root(root: Root, expected: Marker) -> RootMissing | RootReplaced | None:
    """Say whether the root's path still leads to the folder that was opened; None if so."""
    fs = root.fs
    try:
        folder = fs.open_root(root.path)
    except OSError as error:
        return RootMissing(str(error))
    try:
        found = fs.stat_handle(folder).fingerprint
        verdict = _judge(fs, folder, expected)
        if verdict is None and (found.device, found.inode) != (root.device, root.inode):
            return RootReplaced(expected)
        return verdict
    finally:
        fs.close(folder)


def read_age(root: Root) -> int | None:
    """The number that the folder has; None if it has none, or a garbled one. Raises OSError."""
    said = _read_small(root.fs, root.private, _AGE)
    return int(said) if said.isdigit() and len(said) <= _AGE_DIGITS else None


def write_age(root: Root, age: int) -> None:
    """Give the folder a number; durable when this returns. Raises OSError."""
    _write_small(root.fs, root.entropy, root.private, _AGE, b"%d" % age)
    root.fs.sync(root.private)


def inodes_inside(root: Root) -> frozenset[tuple[int, int]]:
    """Device and inode of all files on their way in or out, or kept aside: what is here is not in its place. Raises
    OSError where not all of them can be told."""
    found = set()
    for directory in (root.tmp, root.swap, root.held, root.rescue):
        for _, status in root.fs.list_dir(directory):
            if isinstance(status, OSError):
                raise status
            found.add((status.fingerprint.device, status.fingerprint.inode))
    return frozenset(found)


def recover(root: Root, keep: Collection[str] = ()) -> list[str]:
    """Clear up what an earlier run left behind; return the names put under `rescue`.

    Removed: temporary files, except those in `keep`, and of `swap` what is recognised as bytes of
    our own, or as the very version that a step meant to replace. Anything else in `swap` is
    somebody's edit of that instant and goes to `rescue`; what a step meant to hold goes to `held`.
    """
    fs = root.fs
    for name, is_directory in fs.list_names(root.tmp):
        if name not in keep and not is_directory:
            fs.unlink(root.tmp, name)
    rescued = []
    for name, _ in fs.list_names(root.swap):
        status = fs.stat(root.swap, name)
        verdict, hold = read_swap_name(name, status)
        if verdict != "unknown" and is_open_for_writing(root, root.swap, name):
            verdict = "unknown"
        match verdict:
            case "new":
                fs.unlink(root.swap, name)
            case "old" if hold:
                move_aside(root, name, root.held, hold)
            case "old":
                fs.unlink(root.swap, name)
            case "unknown":
                rescued.append(rescue(root, root.swap, name, name.partition(".")[0]))
            case _ as never:
                assert_never(never)
    fs.sync_all(root.handle)
    return rescued


def rescue(root: Root, directory: Handle, name: str, label: str) -> str:
    """Move something into `rescue` under a free name that ends in `label`; return that name."""
    prefix = root.fresh_name() + "-"
    room = _NAME_BYTES - len(prefix)
    safe = prefix + os.fsdecode(os.fsencode(label)[-room:])
    root.fs.rename_new(directory, name, root.rescue, safe)
    return safe


def move_aside(root: Root, name: str, target: Handle, new_name: str) -> None:
    """Move a file from `swap` to `target`; if the name is taken there, to `rescue` instead."""
    try:
        root.fs.rename_new(root.swap, name, target, new_name)
    except FileExistsError:
        rescue(root, root.swap, name, new_name)


def is_open_for_writing(root: Root, directory: Handle, name: str) -> bool:
    """Say whether somebody may still write to a file; False for links and what cannot be opened."""
    fs = root.fs
    try:
        handle = fs.open_read(directory, name)
    except OSError:
        return False
    try:
        return fs.is_being_written(handle)
    finally:
        fs.close(handle)


def _judge(fs: Filesystem, folder: Handle, expected: Marker) -> RootMissing | RootReplaced | None:
    try:
        private = fs.open_dir(folder, PRIVATE_NAME)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return RootReplaced(None)
        return RootMissing(str(error))
    try:
        found = _read_marker(fs, private)
    except OSError as error:
        return RootMissing(str(error))
    finally:
        fs.close(private)
    return None if found == expected else RootReplaced(found)


def _read_marker(fs: Filesystem, private: Handle) -> Marker | None:
    try:
        return msgspec.json.decode(_read_small(fs, private, _MARKER), type=Marker)
    except msgspec.DecodeError:
        return None


def _write_marker(fs: Filesystem, entropy: Entropy, private: Handle, marker: Marker) -> None:
    _write_small(fs, entropy, private, _MARKER, msgspec.json.encode(marker))


def _read_small(fs: Filesystem, private: Handle, name: str) -> bytes:
    """A small file's bytes; none where it is not there. Raises OSError."""
    try:
        handle = fs.open_read(private, name)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return b""
        raise
    try:
        buffer = bytearray(_MARKER_BYTES)
        size = fs.read_into(handle, memoryview(buffer), 0)
    finally:
        fs.close(handle)
    return bytes(buffer[:size])


def _write_small(fs: Filesystem, entropy: Entropy, private: Handle, name: str, data: bytes) -> None:
    """Replace a small file; its bytes are durable, its name not yet. Raises OSError."""
    new = name + "-" + entropy.token(8).hex()
    handle = fs.create(private, new)
    try:
        fs.write_at(handle, data, 0)
        fs.sync(handle)
    except OSError:
        with suppress(OSError):
            fs.unlink(private, new)
        raise
    finally:
        fs.close(handle)
    try:
        fs.rename_new(private, new, private, name)
    except FileExistsError:
        _put_over(fs, private, new, name)


def _put_over(fs: Filesystem, private: Handle, new: str, name: str) -> None:
    """Put a small file in the place of another: at no moment there is none, where the file system can exchange."""
    try:
        fs.exchange(private, new, private, name)
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
        fs.unlink(private, name)
        fs.rename_new(private, new, private, name)
    else:
        fs.unlink(private, new)


@contextmanager
def _open(fs: Filesystem, entropy: Entropy, path: str, folder: Handle) -> Iterator[Root]:
    opened: list[Handle] = []
    try:
        private = fs.open_dir(folder, PRIVATE_NAME)
        opened.append(private)
        fs.set_mode(private, 0o700)
        for name in _DIRECTORIES:
            with suppress(FileExistsError):
                fs.make_dir(private, name, 0o700)
            opened.append(fs.open_dir(private, name))
        _, tmp, swap, held, rescued = opened
        found = fs.stat_handle(folder).fingerprint
        can_exchange = _can_exchange(fs, entropy, tmp)
        yield Root(
            fs,
            entropy,
            path,
            found.device,
            found.inode,
            folder,
            private,
            tmp,
            swap,
            held,
            rescued,
            can_exchange,
        )
    finally:
        for handle in reversed(opened):
            fs.close(handle)


def _can_exchange(fs: Filesystem, entropy: Entropy, tmp: Handle) -> bool:
    """Try on two empty files whether names can be swapped; what kernels claim is not enough."""
    names = [entropy.token(12).hex(), entropy.token(12).hex()]
    for name in names:
        fs.close(fs.create(tmp, name))
    try:
        before = fs.stat(tmp, names[0]).fingerprint
        try:
            fs.exchange(tmp, names[0], tmp, names[1])
        except OSError:
            return False
        return fs.stat(tmp, names[1]).fingerprint.is_same_file(before)
    finally:
        for name in names:
            fs.unlink(tmp, name)
