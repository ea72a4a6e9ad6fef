"""The codes of the problems that `status` names: each with what it means and what a person can do about it.

Owns the list; `docs/problems.md` tells the same at more length. Never decides whether there is a problem.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says, and what to do. Both are for people, in one line each."""

    what: str
    todo: str


MEANINGS: Final[Mapping[str, Meaning]] = {
    "root_missing": Meaning(
        "the folder is not where it was", "bring it back (mount its disk), or `shoal unmount` it: it goes on by itself"
    ),
    "root_replaced": Meaning(
        "another folder is in the synced one's place", "put the right one back, or `shoal confirm` to take this one"
    ),
    "unreadable": Meaning(
        "something cannot be read or written, so nothing is concluded about it", "check its permissions and its disk"
    ),
    "disk_full": Meaning("there is no room on this device's disk", "free some space: it goes on by itself"),
    "server_full": Meaning(
        "the coordinator has no room left", "have whoever runs it free some space: it goes on by itself"
    ),
    "quota": Meaning(
        "the workspace's owner may store no more", "delete what is not needed, or ask for more: it goes on by itself"
    ),
    "delete_brake": Meaning(
        "a great part of the workspace would be deleted",
        "`shoal confirm` if that is meant, `shoal confirm --reject` to take it back",
    ),
    "damaged_block": Meaning(
        "a block on the coordinator is not what it was", "start a device that has the file: it sends it again"
    ),
    "waiting_for_blocks": Meaning(
        "the newest version's blocks are not on the coordinator yet", "start the device that has the file"
    ),
    "not_shared": Meaning(
        "this stays on this device: your role allows no changes", "ask a manager of the workspace to make you an editor"
    ),
    "access_removed": Meaning(
        "you are no longer a member of the workspace, or this device was revoked",
        "keep the files, and `shoal unmount` the folder; or ask why",
    ),
    "history_went_back": Meaning(
        "the coordinator has an older history than this device", "wait: this device hands it back what is missing"
    ),
    "history_forked": Meaning(
        "the coordinator has another history than the one verified here",
        "ask whoever runs it whether a backup was put back; `shoal confirm` takes that history, all here is kept",
    ),
    "history_invalid": Meaning(
        "the coordinator sent a history that breaks the rules", "tell whoever runs it; nothing of it is applied"
    ),
    "bad_change": Meaning(
        "a change cannot be believed, or was refused", "the last good version is kept: save the file anew"
    ),
    "no_recovery_key": Meaning(
        "nobody has proved that the recovery words are written down", "write them down, and keep them apart"
    ),
    "watch_limit": Meaning(
        "the system watches no more folders: some are only scanned every 30 seconds",
        "raise fs.inotify.max_user_watches with sysctl, and start Shoal again",
    ),
    "cloned_home": Meaning(
        "this home is in use twice, or an old copy of it was put back",
        "stop one of the two, join it anew in a fresh home, and mount the folder there",
    ),
    "suspect_file": Meaning(
        "a file has other bytes although nobody saved it: the synced version was put back",
        "look at what was found, in `.shoal/rescue`, and delete it there once you do not need it",
    ),
    "move_undone": Meaning("a move here was undone, since others moved the same thing", "move it again if you like"),
    "busy_file": Meaning("a program keeps the file in use", "close it there: it is tried again by itself"),
    "name_not_allowed": Meaning("a name cannot be synced, or this disk cannot hold it", "rename it"),
    "name_clash": Meaning("two names are one on this disk, or in Unicode", "rename one of them"),
    "special_file": Meaning(
        "sockets, pipes and devices are not synced", "move it elsewhere, or name it in .shoalignore"
    ),
    "old_client": Meaning("the coordinator needs a newer Shoal on this device", "upgrade it"),
}
"""Every code there is."""


def advised(code: str, message: str) -> str:
    """A problem's message with what to do: its own advice after a colon, or else the code's."""
    has_advice = any(sign in message for sign in (": ", "; ", "`shoal "))
    return message if has_advice or code not in MEANINGS else f"{message}: {MEANINGS[code].todo}"
