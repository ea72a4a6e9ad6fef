"""How long to wait between attempts. Owns the arithmetic; pure, the randomness is handed in."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full-range jitter between half and all of a ceiling that doubles with every failure, in seconds.

    The floor of a half keeps a crowd of devices from coming back in the same instant as well as from hammering
    (compare "decorrelated" and "equal" jitter, M. Brooker, Exponential Backoff And Jitter, 2015). `cap_s` bounds
    every wait, so that a device is back soon after its network is.
    """

    first_s: float = 0.25
    cap_s: float = 12.0
    failures: int = 0

    def failed(self) -> "Backoff":
        """After one more failure."""
        return Backoff(self.first_s, self.cap_s, self.failures + 1)

    def succeeded(self) -> "Backoff":
        """After a success: the next failure waits little again."""
        return Backoff(self.first_s, self.cap_s)

    @property
    def ceiling_s(self) -> float:
        """The longest wait after the failures so far; 0 before the first."""
        if not self.failures:
            return 0.0
        return min(self.cap_s, self.first_s * 2.0 ** min(self.failures - 1, 60))

    def delay_s(self, jitter: Callable[[float, float], float]) -> float:
        """How long to wait now. `jitter(low, high)` picks a number between the two."""
        ceiling = self.ceiling_s
        return jitter(ceiling / 2, ceiling) if ceiling else 0.0
