"""Swaps one file for another, and looks at what came out.

Owns the closing of the window between looking and replacing: nothing is ever overwritten, it is
taken out whole, checked, and put back if it is not what was expected. Never unlinks anything.
"""

import errno
from contextlib import suppress
from dataclasses import dataclass

from peer.disk.private import is_open_for_writing, rescue
from peer.disk.root import Root
from peer.disk.steps import PreimageChanged
from peer.fingerprint import Fingerprint, Status
from peer.ports import Handle

_PUT_BACK_TRIES = 16


@dataclass(frozen=True)
class Displaced:
    """Something that was taken away and checked; it lies in `swap` until it is disposed of.

    `state` is what it was right after it was taken, `label` its former name.
    """

    swap_name: str
    state: Fingerprint
    label: str
    hold: str | None


def replace(
    root: Root,
    parent: Handle,
    name: str,
    temp: str,
    swap_name: str,
    new: Status,
    expected: Fingerprint,
) -> Displaced | PreimageChanged:
    """Put the temporary file `temp` in the place of `expected`, which the caller has just seen.

    If something else was there after all it is back in its place when this returns, and `temp` is
    back in `tmp`. Raises OSError where the system refuses; then nothing has changed.
    """
    fs = root.fs
    fs.rename_new(root.tmp, temp, root.swap, swap_name)
    if not root.can_exchange:
        return _replace_in_two(root, parent, name, temp, swap_name, expected)
    try:
        fs.exchange(root.swap, swap_name, parent, name)
    except OSError as error:
        fs.rename_new(root.swap, swap_name, root.tmp, temp)
        if error.errno == errno.ENOENT:
            return PreimageChanged(None)
        raise
    with suppress(OSError):  # what came out cannot be looked at: back with it, as if it were something else
        taken = fs.stat(root.swap, swap_name).fingerprint
        if taken.is_renamed_from(expected):
            return Displaced(swap_name, taken, name, _hold(swap_name))
    return _put_back(root, parent, name, temp, swap_name, new.fingerprint)


def take_away(
    root: Root, parent: Handle, name: str, swap_name: str, expected: Fingerprint
) -> Displaced | PreimageChanged:
    """Move `expected`, which the caller has just seen, out of its place into `swap`.

    If it was something else it is put back; where the name is taken again by then, it is rescued.
    """
    fs = root.fs
    fs.rename_new(parent, name, root.swap, swap_name)
    taken = None
    with suppress(OSError):  # what cannot be looked at goes back too
        taken = fs.stat(root.swap, swap_name).fingerprint
        if taken.is_renamed_from(expected):
            return Displaced(swap_name, taken, name, _hold(swap_name))
    try:
        fs.rename_new(root.swap, swap_name, parent, name)
    except OSError:
        return PreimageChanged(None, rescue(root, root.swap, swap_name, name))
    return PreimageChanged(taken)


def take_back(
    root: Root, parent: Handle, name: str, temp: str, swap_name: str, new: Fingerprint, displaced: Displaced | None
) -> bool:
    """Undo a put: `new` goes back to `temp` in `tmp`, and what was displaced to its place. False where somebody has
    changed or replaced it since: that stays. Raises OSError where the system refuses."""
    if not root.fs.stat(parent, name).fingerprint.is_renamed_from(new):
        return False
    if displaced is not None:
        _put_back(root, parent, name, temp, displaced.swap_name, new)
        return True
    taken = take_away(root, parent, name, swap_name, new)
    if not isinstance(taken, Displaced):
        return False
    if is_open_for_writing(root, root.swap, swap_name):
        root.fs.rename_new(root.swap, swap_name, parent, name)
        return False
    root.fs.rename_new(root.swap, swap_name, root.tmp, temp)
    return True


def _hold(swap_name: str) -> str | None:
    return swap_name.rpartition(".")[2] or None


def _put_back(root: Root, parent: Handle, name: str, temp: str, swap_name: str, new: Fingerprint) -> PreimageChanged:
    """Undo an exchange that took out somebody's edit.

    While that is done, somebody may have put yet another file there. What comes out is therefore
    looked at again: if it is not what was last put in, it is newer than that, and goes back in
    turn. The newest always ends at the path; an older one that its owner had already replaced is
    rescued.
    """
    fs = root.fs
    placed = new
    held = fs.stat(root.swap, swap_name).fingerprint
    for _ in range(_PUT_BACK_TRIES):
        try:
            fs.exchange(root.swap, swap_name, parent, name)
        except OSError:
            # The path was removed meanwhile. What is held stays safe.
            return PreimageChanged(None, rescue(root, root.swap, swap_name, name))
        out = fs.stat(root.swap, swap_name).fingerprint
        if out.is_same_file(placed):
            if out.is_renamed_from(new) and not is_open_for_writing(root, root.swap, swap_name):
                fs.rename_new(root.swap, swap_name, root.tmp, temp)
                return PreimageChanged(held)
            return PreimageChanged(held, rescue(root, root.swap, swap_name, name))
        placed, held = held, out
    return PreimageChanged(None, rescue(root, root.swap, swap_name, name))


def _replace_in_two(
    root: Root, parent: Handle, name: str, temp: str, swap_name: str, expected: Fingerprint
) -> Displaced | PreimageChanged:
    """Replace where names cannot be exchanged: the name is free for an instant in between."""
    fs = root.fs
    out_name = "0" + swap_name
    try:
        taken = take_away(root, parent, name, out_name, expected)
    except OSError:
        fs.rename_new(root.swap, swap_name, root.tmp, temp)
        raise
    if isinstance(taken, PreimageChanged):
        fs.rename_new(root.swap, swap_name, root.tmp, temp)
        return taken
    try:
        fs.rename_new(root.swap, swap_name, parent, name)
    except OSError:
        fs.rename_new(root.swap, swap_name, root.tmp, temp)
        with suppress(OSError):
            fs.rename_new(root.swap, out_name, parent, name)
            return PreimageChanged(taken.state)
        return PreimageChanged(None, rescue(root, root.swap, out_name, name))
    return taken
