"""Looking a device over from outside: is its set-up as it has to be. Owns the checks; repairs nothing.

It works with a daemon and without one. What the daemon itself has to say is asked by the command.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
import trio

from crypto.identity import DeviceKeys
from peer.disk.private import Marker, read_marker
from peer.disk.real import LinuxFilesystem
from peer.engine.folders import claimed_by
from peer.home import Home, HomeError, Identity, running_pid
from peer.link.coordinator import CoordinatorClient
from peer.link.errors import LinkError, WrongIdentity
from peer.link.network import TrioNetwork
from peer.machine import SystemClock, SystemEntropy
from peer.store.inspecting import KnownFolder, inspect_database
from protocol.messages import Refusal, RefusalCode

CONNECT_S: Final = 15.0
CLOCK_S: Final = 120.0
"""A clock that is this far from the coordinator's is wrong."""
SCARCE_BYTES: Final = 1024**3
FULL_BYTES: Final = 64 * 1024**2
_LOG_TAIL_BYTES: Final = 256 * 1024
_WATCHES: Final = Path("/proc/sys/fs/inotify/max_user_watches")


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at: what was found, and what to do where that is not as it should be."""

    check: str
    state: Literal["ok", "warning", "problem"]
    message: str
    advice: str = ""


def look_over(home: Home) -> Iterator[Check]:
    """Every check, as it is made. Blocks, for the connection some seconds."""
    yield check_home(home)
    if not home.has_joined():
        return
    try:
        identity = home.read_identity()
    except HomeError as error:
        yield Check("identity", "problem", str(error))
        return
    yield Check("identity", "ok", f"{identity.device_name!r} of {identity.user_name}")
    yield check_daemon(home)
    yield from check_log(home)
    inspected = inspect_database(home.database) if home.database.exists() else None
    folders: Sequence[KnownFolder] = ()
    if inspected is None:
        yield Check("database", "warning", "there is none yet", "start the daemon with `shoal start`")
    elif inspected.problem is not None:
        advice = f"stop the daemon, move {home.path} away, join anew and mount the folders again: files are kept"
        yield Check("database", "problem", f"{home.database}: {inspected.problem}", advice)
    else:
        folders = inspected.folders
        yield Check("database", "ok", f"{home.database} is sound")
    yield from trio.run(check_connection, identity)
    for folder in folders:
        yield check_folder(home, folder)
    yield check_watches(sum(each.directories for each in folders), _watch_limit())
    yield from check_space([home.path, *(Path(each.folder) for each in folders)])


def check_home(home: Home) -> Check:
    """The private directory: there, private and writable."""
    path = home.path
    try:
        status = path.stat()
    except OSError as error:
        return Check(
            "home", "problem", f"{path}: {error.strerror}", "use a code with `shoal join`, or name another --home"
        )
    if not home.has_joined():
        return Check("home", "problem", f"{path} has not joined yet", "use a code with `shoal join`")
    if status.st_uid != os.geteuid():
        return Check("home", "problem", f"{path} belongs to another user", "run as that user, or name another --home")
    if stat.S_IMODE(status.st_mode) & 0o077:
        return Check("home", "problem", f"others may look into {path}, which holds keys", f"chmod 700 {path}")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Check("home", "problem", f"{path} cannot be written to", "check its permissions")
    return Check("home", "ok", f"{path} is there, and private")


def check_daemon(home: Home) -> Check:
    """Whether somebody is at work."""
    pid = running_pid(home)
    if pid is None:
        return Check("daemon", "problem", "no daemon is running: nothing is synced", "start one with `shoal start`")
    return Check("daemon", "ok", f"running as process {pid}")


def check_log(home: Home) -> Iterator[Check]:
    """Errors that the daemon logged lately."""
    try:
        with home.daemon_log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            errors = [line for line in file.read().splitlines() if b" ERROR " in line]
    except OSError:
        return
    if errors:
        last = errors[-1].decode("utf-8", "replace")
        yield Check("log", "warning", f"{len(errors)} errors lately, the last one: {last}", f"see {home.daemon_log}")


async def check_connection(identity: Identity) -> list[Check]:
    """Whether the coordinator answers, is the right one, and lets this device in; and whether the clocks agree."""
    clock = SystemClock()
    client = CoordinatorClient(
        addresses=identity.addresses,
        identity=identity.coordinator,
        keys=DeviceKeys.from_seed(identity.device_seed),
        network=TrioNetwork(),
        clock=clock,
        entropy=SystemEntropy(),
    )
    tried = ", ".join(identity.addresses) or "no address is known"
    with trio.move_on_after(CONNECT_S):
        try:
            asked_s = clock.wall_ns() / 1e9
            challenge = await client.prove()
            told_s = clock.wall_ns() / 1e9
            session = challenge if isinstance(challenge, Refusal) else await client.session()
            if isinstance(challenge, Refusal):
                return [_refused(challenge)]
            if isinstance(session, Refusal):
                return [_refused(session)]
            return [
                Check("connection", "ok", f"{client.url} answers, and is the coordinator that was joined"),
                judge_clock((asked_s + told_s) / 2, challenge.time / 1000),
            ]
        except WrongIdentity as error:
            return [Check("connection", "problem", f"{error} ({tried})", "somebody else answers there: ask who hosts")]
        except LinkError as error:
            advice = "check the network, and whether the coordinator runs"
            return [Check("connection", "problem", f"the coordinator cannot be reached: {error}", advice)]
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await client.aclose()
    advice = "check the network, a firewall, and whether the coordinator runs"
    return [Check("connection", "problem", f"no answer within {CONNECT_S:.0f} s ({tried})", advice)]


def _refused(refusal: Refusal) -> Check:
    message = f"the coordinator does not let this device in: {refusal.message}"
    advice = "ask whoever runs it why"
    if refusal.code is RefusalCode.DENIED:
        advice = (
            "its files stay here; join anew in a fresh home, with a code from `shoal pair` on another device of yours"
        )
    return Check("connection", "problem", message, advice)


def judge_clock(ours_s: float, theirs_s: float) -> Check:
    """Whether two clocks agree well enough."""
    off_s = ours_s - theirs_s
    if abs(off_s) <= CLOCK_S:
        return Check("clock", "ok", "agrees with the coordinator's")
    which = "ahead of" if off_s > 0 else "behind"
    return Check(
        "clock",
        "problem",
        f"{abs(off_s):,.0f} s {which} the coordinator's: times in names and lists are wrong",
        "set the clock, or have it set over the network",
    )


def check_folder(home: Home, folder: KnownFolder) -> Check:
    """One synced folder: there, the right one, ours, and writable."""
    name, path = f"folder {folder.workspace}", folder.folder
    if not os.path.isdir(path):
        return Check(name, "problem", f"{path} is not there", "bring it back (mount its disk), or `shoal unmount` it")
    try:
        found = read_marker(LinuxFilesystem(), path)
    except OSError as error:
        return Check(name, "problem", f"{path} cannot be read ({error.strerror})", "check its permissions")
    if found != Marker(folder.marker[:32], folder.marker[32:]):
        advice = "put the right folder back, or `shoal confirm` to take this one"
        return Check(name, "problem", f"{path} is not the folder that was synced", advice)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Check(name, "problem", f"{path} cannot be written to", "check its permissions")
    owner = claimed_by(Path(path))
    if owner not in (None, home.path):
        return Check(name, "problem", f"{path} is kept in step by the home {owner}", "unmount it there or here")
    if folder.paused:
        return Check(name, "warning", f"{path} is paused", "let it go on with `shoal resume`")
    return Check(name, "ok", f"{path} is the one that was synced, and can be written to")


def check_watches(directories: int, limit: int | None) -> Check:
    """Whether the system watches as many directories as there are; `limit` is None where it sets none."""
    if limit is None or directories <= limit * 0.8:
        return Check("watches", "ok", f"{directories:,} of {limit or directories:,} directories that may be watched")
    advice = f"raise it: sysctl fs.inotify.max_user_watches={max(2 * directories, 524_288)}"
    state: Literal["warning", "problem"] = "problem" if directories > limit else "warning"
    return Check("watches", state, f"{directories:,} directories are to be watched, and {limit:,} may be", advice)


def _watch_limit() -> int | None:
    try:
        return int(_WATCHES.read_text())
    except (OSError, ValueError):
        return None


def check_space(paths: Sequence[Path]) -> Iterator[Check]:
    """The room on each file system that these are on."""
    seen: set[int] = set()
    for path in paths:
        try:
            device, free = path.stat().st_dev, shutil.disk_usage(path).free
        except OSError:
            continue
        if device not in seen:
            seen.add(device)
            yield judge_space(path, free)


def judge_space(path: Path, free_bytes: int) -> Check:
    """Whether there is room enough to go on."""
    mib = free_bytes // 1024**2
    if free_bytes >= SCARCE_BYTES:
        return Check("space", "ok", f"{free_bytes / 1024**3:,.1f} GiB free at {path}")
    state: Literal["warning", "problem"] = "problem" if free_bytes < FULL_BYTES else "warning"
    return Check("space", state, f"only {mib:,} MiB free at {path}", "free some space there")
