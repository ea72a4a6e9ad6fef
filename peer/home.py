"""A device's home: where its private things are, who it is, and who is at work in it.

Owns the paths below a home, the identity file and the process lock. Never touches the database, the control socket or
a synced folder, and never shows a secret: the identity's repr leaves them out.
"""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import platformdirs

from peer.control.client import socket_path
from protocol import codec, limits
from protocol.ids import DeviceId, UserId
from protocol.model import BundledWorkspace, Chain, SignedLink

IDENTITY_FORMAT: Final = 1
"""Written into the identity file; a file of another format is refused, not guessed at."""
_FILE_BYTES: Final = 256 * 1024 * 1024
_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_LOCK_ATTEMPTS: Final = 20
_LOCK_PAUSE_S: Final = 0.01
"""Somebody who asks whether the lock is held holds it for a moment: `running_pid`."""


class HomeError(Exception):
    """A home that cannot be used, said in one line fit to be shown."""


class NotJoined(HomeError):
    """The home has no identity yet."""


class HomeLocked(HomeError):
    """Another process is at work in the home. `pid` is 0 where it has not said who it is."""

    def __init__(self, home: Path, pid: int) -> None:
        super().__init__(f"process {pid or '(unknown)'} already runs for {home}: end it with `shoal stop`")
        self.pid = pid


class Seeds(msgspec.Struct, frozen=True, kw_only=True):
    """What a new device's keys come from, kept before its code is used. `code` is a hash of that code."""

    code: bytes
    device: bytes
    recovery: bytes

    def __repr__(self) -> str:
        return "Seeds(…)"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who this device is, and by whom it is served. Everything else that it knows can be fetched again."""

    device_seed: bytes
    """32 bytes: `crypto.identity.DeviceKeys.from_seed` makes all of the device's keys of it."""
    recovery_seed: bytes
    """The user's recovery seed where this device founded the user; empty on a device that was paired."""
    device_id: bytes
    device_name: str
    user_id: bytes
    user_name: str
    coordinator: bytes
    """The coordinator's pinned identity key, 32 bytes."""
    addresses: tuple[str, ...]
    """Where the coordinator was last said to be, best first."""
    chain: bytes
    """The user's chain as it was when this device joined; see `links`."""
    bundle: bytes
    """What the pairing left for this device; see `bundled`."""
    pairing_seed: bytes = b""
    """On a paired device, the seed of the box key of its pairing: workspaces made before anybody heard of this device
    have their keys sealed to that."""
    format: int = IDENTITY_FORMAT

    def __repr__(self) -> str:
        return f"Identity(device={self.device_name!r}, user={self.user_name!r})"

    @property
    def device(self) -> DeviceId:
        """This device's id."""
        return DeviceId(self.device_id)

    @property
    def user(self) -> UserId:
        """This device's user's id."""
        return UserId(self.user_id)

    @property
    def links(self) -> tuple[SignedLink, ...]:
        """The links of the user's chain. They were valid when they were kept; judge them to have the chain's state."""
        return codec.decode(Chain, self.chain, _FILE_BYTES)

    @property
    def bundled(self) -> tuple[BundledWorkspace, ...]:
        """The workspaces whose keys and verified heads another device of the user left for this one."""
        return codec.decode(tuple[BundledWorkspace, ...], self.bundle, limits.BUNDLE_BYTES)


def pack_links(links: tuple[SignedLink, ...]) -> bytes:
    """The form in which `Identity.chain` holds a chain's links."""
    return codec.encode(links)


def pack_bundled(workspaces: tuple[BundledWorkspace, ...]) -> bytes:
    """The form in which `Identity.bundle` holds the workspaces of a pairing."""
    return codec.encode(workspaces)


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one device's private directory, and what is kept in its small files. `path` is absolute."""

    path: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str] | None) -> "Home":
        """The home that is meant: the given one, else `$SHOAL_HOME`, else the platform's directory for user data."""
        chosen = path or os.environ.get("SHOAL_HOME") or platformdirs.user_data_path("shoal", appauthor=False)
        return cls(Path(os.path.abspath(Path(chosen).expanduser())))

    @property
    def identity(self) -> Path:
        """The identity file, 0600."""
        return self.path / "identity"

    @property
    def joining(self) -> Path:
        """The seeds of a join that has not been completed, 0600."""
        return self.path / "joining"

    @property
    def database(self) -> Path:
        """The local database."""
        return self.path / "state.db"

    @property
    def log(self) -> Path:
        """The directory of logs."""
        return self.path / "log"

    @property
    def daemon_log(self) -> Path:
        """Where the daemon's standard streams and its log go."""
        return self.log / "daemon.log"

    @property
    def socket(self) -> Path:
        """The control socket, not always below the home."""
        return socket_path(self.path)

    @property
    def lock(self) -> Path:
        """The file whose lock says that a daemon is at work here."""
        return self.path / "lock"

    def prepare(self) -> None:
        """Make the directories, private to their user. Raises `HomeError` where that is not possible."""
        try:
            self.path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            self.path.chmod(_PRIVATE_DIRECTORY)
            self.log.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
        except OSError as error:
            raise HomeError(f"{self.path} cannot be used as a home ({error.strerror}): choose another") from error

    def has_joined(self) -> bool:
        """Whether there is an identity."""
        return self.identity.exists()

    def read_identity(self) -> Identity:
        """Who this device is. Raises `NotJoined`, or `HomeError` for a file that cannot be read."""
        data = _read(self.identity)
        if data is None:
            raise NotJoined(f"{self.path} has not joined yet: use a code with `shoal join`")
        try:
            identity = msgspec.json.decode(data, type=Identity)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise HomeError(f"{self.identity} is damaged: put it back from a backup, or join anew in another") from None
        if identity.format != IDENTITY_FORMAT:
            raise HomeError(f"{self.identity} was written by another version of Shoal: use that version")
        return identity

    def write_identity(self, identity: Identity) -> None:
        """Keep who this device is; on return it is on the disk, and a crash leaves the old file or the new one."""
        _write(self.identity, msgspec.json.encode(identity))

    def read_note(self, name: str) -> bytes | None:
        """A small private file of some other part's, by its name in the home; None where there is none."""
        return _read(self.path / name)

    def write_note(self, name: str, data: bytes) -> None:
        """Replace such a file; on return it is on the disk. Raises `HomeError`."""
        _write(self.path / name, data)

    def read_seeds(self, code: bytes) -> Seeds | None:
        """The seeds that were kept for this code by a join that did not come to its end."""
        data = _read(self.joining)
        if data is None:
            return None
        try:
            seeds = msgspec.json.decode(data, type=Seeds)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return seeds if seeds.code == code else None

    def write_seeds(self, seeds: Seeds) -> None:
        """Keep the seeds of a join that is about to begin; on return they are on the disk."""
        _write(self.joining, msgspec.json.encode(seeds))

    def drop_seeds(self) -> None:
        """The join has been completed: its identity has the seeds."""
        self.joining.unlink(missing_ok=True)


@contextlib.contextmanager
def open_lock(home: Home) -> Iterator[None]:
    """Be the one process at work in a home until the context ends. Raises `HomeLocked` with the other's pid.

    The kernel lets go of the lock when the process ends, however it does; a stale file means nothing.
    """
    handle = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        for _ in range(_LOCK_ATTEMPTS):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
        else:
            raise HomeLocked(home.path, _pid_in(handle))
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def running_pid(home: Home) -> int | None:
    """The process that holds the home's lock now; 0 where it has not yet said who it is, None where nobody does."""
    try:
        handle = os.open(home.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(handle)
    finally:
        os.close(handle)
    return None


def _pid_in(handle: int) -> int:
    said = os.pread(handle, 32, 0).strip()
    return int(said) if said.isdigit() else 0


def _read(path: Path) -> bytes | None:
    """A whole private file; None where there is none. Raises `HomeError` where it cannot be read or is too long."""
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HomeError(f"{path} cannot be read ({error.strerror})") from error
    if len(data) > _FILE_BYTES:
        raise HomeError(f"{path} is too long to be what it should be")
    return data


def _write(path: Path, data: bytes) -> None:
    """Replace a private file as a whole, durably. Raises `HomeError`."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # made with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise HomeError(f"{path} cannot be written ({error.strerror})") from error
