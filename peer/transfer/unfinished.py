"""Files whose transfer broke off: what was written of them stays, so that the next attempt fetches only the rest.

Owns which temporary files stay between two attempts, how many, and that they go. All of their bytes were checked before
they were written, and the digest of the whole file is still taken. They live as long as the program: a start clears
`.shoal/tmp`. Never touches a user's file, and never keeps room that another file needs.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from blake3 import blake3

from peer.disk.root import Root
from peer.disk.temporary import discard_temp
from peer.fingerprint import Fingerprint
from protocol import limits
from protocol.ids import ChangeId, ChunkId
from protocol.model import FlatManifest

UNFINISHED_FILES: Final = 8
UNFINISHED_BYTES: Final = 1024 * limits.MIB
"""What stays of several files at most, the oldest go first; the newest stays whatever its size."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A version's content to be put into a temporary file."""

    version: ChangeId
    manifest: FlatManifest
    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Begun:
    """What there is of a version in a temporary file: its first `chunks` chunks in `whole_bytes`, and `early` ones.

    `hasher` has seen the whole beginning; `fingerprint` is the file's: one that somebody touched is not gone on with.
    """

    version: ChangeId
    digest: bytes
    temp: str
    chunks: int
    whole_bytes: int
    hasher: blake3
    fingerprint: Fingerprint
    early: tuple[tuple[ChunkId, int], ...] = ()
    """Chunks further on that are there too, with their offsets."""
    end_bytes: int = 0
    """Where the last of these ends."""

    @property
    def room_bytes(self) -> int:
        """How long the file is."""
        return max(self.whole_bytes, self.end_bytes)

    def fits(self, request: FetchRequest) -> bool:
        """Whether this is the beginning of what is asked for."""
        refs = request.manifest.chunks[: self.chunks]
        return sum(ref.length for ref in refs) == self.whole_bytes < request.size


class Unfinished:
    """What stays of one workspace's broken transfers. Any number of threads may use it."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._lock = Lock()
        self._begun: dict[tuple[ChangeId, bytes], Begun] = {}
        self._unwanted: list[str] = []

    def take(self, requests: Sequence[FetchRequest]) -> dict[int, Begun]:
        """Hand over what there is of these, by their index: whoever takes it puts it back or removes it."""
        taken: dict[int, Begun] = {}
        with self._lock:
            for index, request in enumerate(requests if self._begun else ()):
                begun = self._begun.pop((request.version, request.digest), None)
                if begun is not None:
                    taken[index] = begun
        return taken

    def put(self, begun: Iterable[Begun]) -> None:
        """Keep these for the next attempt. Blocks: what is too much is removed."""
        with self._lock:
            for one in begun:
                key = (one.version, one.digest)
                if (known := self._begun.pop(key, None)) is not None:
                    self._unwanted.append(known.temp)
                self._begun[key] = one
            while len(self._begun) > 1 and self._is_too_much():
                self._unwanted.append(self._begun.pop(next(iter(self._begun))).temp)
        self.clear_up()

    def _is_too_much(self) -> bool:
        return len(self._begun) > UNFINISHED_FILES or self._bytes() > UNFINISHED_BYTES

    @property
    def kept_bytes(self) -> int:
        """How much there is of all of them."""
        with self._lock:
            return self._bytes()

    def _bytes(self) -> int:
        return sum(one.room_bytes for one in self._begun.values())

    def keep_only(self, versions: Collection[ChangeId]) -> bool:
        """Want nothing but these any more; True where `clear_up` has something to remove."""
        with self._lock:
            for key in [key for key in self._begun if key[0] not in versions]:
                self._unwanted.append(self._begun.pop(key).temp)
            return bool(self._unwanted)

    def remove_all(self) -> None:
        """Keep nothing, since there is no room or no next attempt. Blocks; raises OSError."""
        self.keep_only(())
        self.clear_up()

    def clear_up(self) -> None:
        """Remove what is not wanted. Blocks; raises OSError, and what is left then is removed the next time."""
        while True:
            with self._lock:
                if not self._unwanted:
                    return
                name = self._unwanted.pop()
            try:
                discard_temp(self._root, name)
            except OSError:
                with self._lock:
                    self._unwanted.append(name)
                raise
