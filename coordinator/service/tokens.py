"""Login challenges and tokens, in memory only. Owns their lifetimes and bounds; never talks to storage.

A challenge is not remembered: its nonce proves itself (time, randomness, and a keyed hash of both with the device), so
asking for many costs nothing. Only nonces that bought a token are kept, until they would have expired.
"""

import hmac
from typing import Final, NamedTuple

from crypto.digest import derive, digest
from crypto.labels import Label
from protocol import limits
from protocol.ids import DeviceId, UserId

DEVICE_TOKENS: Final = 4
"""Most valid tokens of one device; a further one ends the oldest."""
_RANDOM_BYTES: Final = 8
_MAC_BYTES: Final = 16


class Session(NamedTuple):
    """A device that has signed in. Whether it may do a thing is looked up anew each time."""

    device: DeviceId
    user: UserId


class Tokens:
    """Open challenges and valid tokens of one process. Times are monotonic seconds."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._used: dict[bytes, float] = {}
        self._tokens: dict[bytes, tuple[Session, float]] = {}
        self._of_device: dict[DeviceId, list[bytes]] = {}
        self._dropped: set[DeviceId] = set()

    def challenge(self, device: DeviceId, now_s: float, random: bytes) -> bytes:
        """A nonce of 32 bytes for this device, good for `limits.CHALLENGE_S`; `random` is at least 8 bytes."""
        head = int(now_s * 1000).to_bytes(8, "big") + random[:_RANDOM_BYTES]
        return head + self._mac(device, head)

    def is_open(self, device: DeviceId, nonce: bytes, now_s: float) -> bool:
        """Whether the nonce was made here for this device, lately, and not taken since."""
        head, mac = nonce[:-_MAC_BYTES], nonce[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(device, head)):
            return False
        age_s = now_s - int.from_bytes(head[:8], "big") / 1000
        return age_s <= limits.CHALLENGE_S and nonce not in self._used

    def take(self, device: DeviceId, nonce: bytes, now_s: float) -> bool:
        """Use an open nonce up; False where it is none."""
        if not self.is_open(device, nonce, now_s):
            return False
        for old in [old for old, until_s in self._used.items() if until_s < now_s]:
            del self._used[old]
        self._used[nonce] = now_s + limits.CHALLENGE_S
        return True

    def _mac(self, device: DeviceId, head: bytes) -> bytes:
        return derive(Label.TOKEN, self._secret, device, head, size=_MAC_BYTES)

    def add(self, token: bytes, session: Session, now_s: float) -> None:
        """The token is the device's for `limits.TOKEN_S`."""
        self._expire(now_s)
        name = digest(Label.TOKEN, token)
        self._tokens[name] = (session, now_s + limits.TOKEN_S)
        own = self._of_device.setdefault(session.device, [])
        own.append(name)
        for old in own[:-DEVICE_TOKENS]:
            self._tokens.pop(old, None)
        del own[:-DEVICE_TOKENS]

    def find(self, token: bytes, now_s: float) -> Session | None:
        """Whose token it is, while it is valid."""
        found = self._tokens.get(digest(Label.TOKEN, token))
        return None if found is None or found[1] < now_s else found[0]

    def drop(self, device: DeviceId) -> None:
        """End all tokens of a device, which was revoked, and what is still being sent to it."""
        self._dropped.add(device)
        for name in self._of_device.pop(device, ()):
            self._tokens.pop(name, None)

    def is_dropped(self, device: DeviceId) -> bool:
        """Whether the device was dropped while this process ran. Memory only, for what goes on for long."""
        return device in self._dropped

    def _expire(self, now_s: float) -> None:
        for name, (session, until_s) in list(self._tokens.items()):
            if until_s >= now_s:
                break  # they stand in the order made, and all live equally long
            del self._tokens[name]
            own = self._of_device.get(session.device, [])
            if name in own:
                own.remove(name)
            if not own:
                self._of_device.pop(session.device, None)
