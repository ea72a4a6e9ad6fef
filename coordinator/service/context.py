"""What every use case stands on. Owns the bundle of ports; never acts."""

from collections.abc import Callable
from dataclasses import dataclass, field

from coordinator.domain.offers import Leases
from coordinator.ports import Clock, Entropy, Identity, MetadataStore, Notifier
from coordinator.service.continuity import Continuity
from coordinator.service.tokens import Session, Tokens
from protocol.rules import Hashes

__all__ = ["Context", "Session"]


@dataclass(frozen=True, slots=True)
class Context:
    """The ports and the little memory of one process. Made once in `app`.

    `addresses` gives the URLs under which devices may reach this coordinator, at the moment. `tokens` is made with a
    fresh secret: `Tokens(entropy.bytes(32))`. `continuity` comes from `continuity.open_continuity` at the start.
    """

    metadata: MetadataStore
    notifier: Notifier
    clock: Clock
    entropy: Entropy
    identity: Identity
    hashes: Hashes
    addresses: Callable[[], tuple[str, ...]]
    tokens: Tokens
    continuity: Continuity = field(default_factory=Continuity)
    leases: Leases = field(default_factory=Leases)
