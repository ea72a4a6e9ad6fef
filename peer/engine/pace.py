"""How fast it goes. Owns the estimate of when what is under way will be done."""

from collections import deque
from typing import Final

from peer.ports import Clock

WINDOW_S: Final = 10.0


class Pace:
    """The rate of the last seconds, in bytes of plaintext."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._points: deque[tuple[float, int]] = deque()
        self._left = 0

    def note(self, done_bytes: int, left_bytes: int) -> None:
        """So many bytes were done since the start, so many are left."""
        now_s = self._clock.monotonic_s()
        if not self._points or now_s - self._points[-1][0] >= 0.1:
            self._points.append((now_s, done_bytes))
        while len(self._points) > 2 and now_s - self._points[0][0] > WINDOW_S:
            self._points.popleft()
        self._left = left_bytes

    def eta_s(self) -> float | None:
        """Seconds to go; 0 where nothing is left, None where there is no rate yet."""
        if self._left == 0:
            return 0.0
        if len(self._points) < 2:
            return None
        (first_s, first), (last_s, last) = self._points[0], self._points[-1]
        if last <= first or last_s <= first_s:
            return None
        return round(self._left * (last_s - first_s) / (last - first), 1)
