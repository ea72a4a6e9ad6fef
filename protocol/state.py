"""The judge's state in memory. Owns the reference implementation of `StateView`, used by tests and simulations.

It is also the definition that a stored state is checked against: a store that gives other answers is wrong.
"""

from collections.abc import Iterable

from protocol import limits
from protocol.ids import NO_LOG, NO_WORKSPACE, CommitDigest, DeviceId, EntryId, LogHash, NameKey, UserId
from protocol.model import Role
from protocol.view import ChainState, Delta, DeviceState, EntryState, WorkspaceState


class MemoryState:
    """Everything the judge knows of one workspace. Starts as the empty journal; changes only by `apply`.

    `known_heads` is how many past log hashes it compares; older heads are taken as known.
    """

    def __init__(self, known_heads: int = limits.KNOWN_HEADS) -> None:
        self.workspace = WorkspaceState(NO_WORKSPACE, 0, NO_LOG, 1, CommitDigest(bytes(32)))
        self.entries: dict[EntryId, EntryState] = {}
        self.known_devices: dict[DeviceId, DeviceState] = {}
        self.roles: dict[UserId, Role] = {}
        self.chains: dict[UserId, ChainState] = {}
        self._known_heads = known_heads
        self._places: dict[tuple[EntryId, NameKey], dict[EntryId, None]] = {}
        self._log: list[tuple[CommitDigest, LogHash, tuple[EntryId, ...]]] = []
        self._seqs: dict[CommitDigest, int] = {}

    def entry(self, entry: EntryId) -> EntryState | None:
        """See `StateView`."""
        return self.entries.get(entry)

    def children(self, parent: EntryId, name_key: NameKey) -> Iterable[EntryId]:
        """See `StateView`."""
        return tuple(self._places.get((parent, name_key), ()))

    def device(self, device: DeviceId) -> DeviceState | None:
        """See `StateView`."""
        return self.known_devices.get(device)

    def devices(self) -> Iterable[tuple[DeviceId, DeviceState]]:
        """See `StateView`."""
        return tuple(self.known_devices.items())

    def role(self, user: UserId) -> Role | None:
        """See `StateView`."""
        return self.roles.get(user)

    def chain(self, user: UserId) -> ChainState | None:
        """See `StateView`."""
        return self.chains.get(user)

    def head_known(self, seq: int, log_hash: LogHash) -> bool:
        """See `StateView`."""
        if not 0 < seq <= len(self._log):
            return False
        return seq <= len(self._log) - self._known_heads or self._log[seq - 1][1] == log_hash

    def entries_since(self, seq: int) -> Iterable[tuple[EntryId, EntryState, CommitDigest]]:
        """See `StateView`."""
        for at in range(seq, len(self._log)):
            digest, _, changed = self._log[at]
            for entry in changed:
                state = self.entries[entry]
                if state.seq == at + 1:
                    yield entry, state, digest

    def accepted(self, digest: CommitDigest) -> tuple[int, LogHash] | None:
        """See `StateView`."""
        seq = self._seqs.get(digest)
        return None if seq is None else (seq, self._log[seq - 1][1])

    def digests(self) -> Iterable[CommitDigest]:
        """The digests of the journal's commits in order."""
        return (digest for digest, _, _ in self._log)

    def apply(self, delta: Delta) -> None:
        """Take an accepted commit, which must be the next one."""
        assert delta.workspace.seq == self.workspace.seq + 1 == len(self._log) + 1
        self.workspace = delta.workspace
        for entry, state in delta.entries:
            before = self.entries.get(entry)
            if before is not None and not before.deleted:
                self._leave(entry, before)
            self.entries[entry] = state
            if not state.deleted:
                self._places.setdefault((state.parent, state.name_key), {})[entry] = None
        self.known_devices.update(delta.devices)
        self.chains.update(delta.chains)
        for user, role in delta.roles:
            if role is None:
                self.roles.pop(user, None)
            else:
                self.roles[user] = role
        self._log.append((delta.digest, delta.workspace.log_hash, tuple(entry for entry, _ in delta.entries)))
        self._seqs[delta.digest] = delta.workspace.seq

    def _leave(self, entry: EntryId, state: EntryState) -> None:
        place = (state.parent, state.name_key)
        holders = self._places[place]
        del holders[entry]
        if not holders:
            del self._places[place]
