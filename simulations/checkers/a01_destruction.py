"""A1, nothing is destroyed that is nowhere else: what a program takes from people for good is a version of the journal.

The disk layer has the same rule within it (`peer.disk.destroying`); this one looks at the calls that come out of it.
What devices handed each other while the coordinator was away counts where another device has it.
"""

from collections.abc import Callable

from simulations.checkers.disk_calls import WRITES, DiskCall
from simulations.checkers.versions import Versions
from simulations.disk import Content
from simulations.disk.inodes import Inode


def destroyed(call: DiskCall, versions: Versions, is_elsewhere: Callable[[Content], bool]) -> str | None:
    """The broken promise, if the call breaks it. `is_elsewhere`: whether another device's disk has a content."""
    if call.call in WRITES or call.call == "unlink":
        name = call.names[0]
    elif call.call == "rename_over":
        name = call.names[1]
    else:
        return None
    inode = name.inode
    if inode is None or not name.is_peoples or _is_kept(call, inode, versions, is_elsewhere):
        return None
    return f"A1 destruction: {call.device} does {call.call} at {name.path}, which is no version: {_shown(inode)}"


def _is_kept(call: DiskCall, inode: Inode, versions: Versions, is_elsewhere: Callable[[Content], bool]) -> bool:
    if call.call == "unlink" and len(inode.entries) > 1:
        return True
    if inode.target:
        return versions.has_link(inode.target)
    content = inode.content
    return content.size == 0 or versions.has(content) or (versions.is_handed(content) and is_elsewhere(content))


def _shown(inode: Inode) -> str:
    return f"-> {inode.target}" if inode.target else f"{inode.content.size} bytes {inode.content.read(0, 60)!r}"
