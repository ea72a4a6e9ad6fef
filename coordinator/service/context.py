"""What every use case stands on. Owns the bundle of ports and who is asking; never acts."""

from collections.abc import Callable
from dataclasses import dataclass, field

from coordinator.ports import Clock, Entropy, Identity, MetadataStore, Notifier
from coordinator.service.continuity import Continuity
from coordinator.service.tokens import Tokens
from protocol.ids import DeviceId, UserId
from protocol.rules import Hashes


@dataclass(frozen=True, slots=True)
class Session:
    """A device that has signed in. Whether it may do a thing is looked up anew each time."""

    device: DeviceId
    user: UserId


@dataclass(frozen=True, slots=True)
class Context:
    """The ports and the little memory of one process. Made once in `app`.

    `addresses` gives the URLs under which devices may reach this coordinator, at the moment.
    """

    metadata: MetadataStore
    notifier: Notifier
    clock: Clock
    entropy: Entropy
    identity: Identity
    hashes: Hashes
    addresses: Callable[[], tuple[str, ...]]
    tokens: Tokens = field(default_factory=Tokens)
    continuity: Continuity = field(default_factory=Continuity)
