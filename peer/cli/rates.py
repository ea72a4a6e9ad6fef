"""How fast a pile of work shrinks, and when it will be gone. Pure: times are arguments."""

import math

WINDOW_S = 5.0
"""The time constant of the smoothing: what is older hardly counts."""


class Pace:
    """Watches how much is left. The pile may grow while it is worked on."""

    def __init__(self) -> None:
        self.total_bytes = 0
        """All that there was to do since there was last nothing."""
        self.left_bytes = 0
        self.left_files = 0
        self.rate_bytes_s = 0.0
        """Bytes done a second, smoothed; 0 until something was done."""
        self._seen_s: float | None = None

    def see(self, left_bytes: int, left_files: int, now_s: float) -> None:
        """What is left now, by a monotonic clock."""
        done = self.left_bytes - left_bytes
        if self._seen_s is not None and now_s > self._seen_s:
            passed_s = now_s - self._seen_s
            kept = math.exp(-passed_s / WINDOW_S) if self.rate_bytes_s else 0.0
            self.rate_bytes_s = kept * self.rate_bytes_s + (1 - kept) * max(done, 0) / passed_s
        if left_bytes == 0:
            self.total_bytes, self.rate_bytes_s = 0, 0.0
        elif self._seen_s is None or self.total_bytes == 0:
            self.total_bytes = left_bytes
        elif done < 0:
            self.total_bytes -= done
        self.left_bytes, self.left_files, self._seen_s = left_bytes, left_files, now_s

    @property
    def done_bytes(self) -> int:
        """How much of the total has been done."""
        return max(0, self.total_bytes - self.left_bytes)

    @property
    def left_s(self) -> float | None:
        """When it will be done at this pace; None where there is none yet."""
        return self.left_bytes / self.rate_bytes_s if self.rate_bytes_s >= 1 else None
