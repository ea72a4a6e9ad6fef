"""When a changed file is at rest, so that it is proposed at once and never in the middle of a save.

Owns the waiting times. Pure: time is an argument, in seconds of any clock that never goes back.

A file that was closed after writing, or renamed into place, is due after a few milliseconds, in
which its neighbours of the same burst gather. Saved again and again at short intervals it waits
twice as long each time, but never over `SAVES_S` in all, since every save is whole. A file that is
written to waits for a quiet time that grows with how long the writing has lasted; one that is
never quiet is due after `LONGEST_S` all the same, so that it is looked at and can be said to be
busy. One that changed while it was read waits longer each time.
"""

import heapq
from collections.abc import Callable, Container, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar, assert_never

from peer.scan.findings import Touch

SAVED_S = 0.003
"""Rest after a file was closed, moved into place, removed, or its attributes set."""
CREATED_S = 0.02
"""Rest after a name appeared of whose content nothing is known yet."""
WRITING_S = 0.25
"""The shortest quiet time after a write that was not followed by a close."""
WRITING_SHARE = 0.25
"""The quiet time as a share of the time for which the file has been written to."""
LONGEST_S = 30.0
"""The longest that anything waits."""
SAVES_S = 5.0
"""The longest that a file waits which is saved all the time."""
CALM_S = 0.5
"""Saves further apart than this are each taken at once."""
FREE_SAVES = 3
"""So many saves closer together than that are taken at once too."""
RESTED_S = 60.0
"""After so long without an event nothing is remembered of a file."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _State:
    due_s: float
    since_s: float
    last_s: float
    saves: int = 0
    failures: int = 0
    waiting: bool = False


class Settling(Generic[Key]):
    """The files that changed and were not looked at yet, and how restless each has been."""

    def __init__(self) -> None:
        self._states: dict[Key, _State] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._count = 0
        self._next_sweep = 1024

    def touched(self, key: Key, touch: Touch, now_s: float) -> None:
        """Note an event about a file."""
        state = self._state(key, now_s)
        gap_s = now_s - state.last_s
        state.last_s = now_s
        match touch:
            case Touch.SAVED:
                state.saves = 1 if gap_s > CALM_S else state.saves + 1
                rest_s = SAVED_S * _doubled(state.saves - FREE_SAVES)
                self._wait(key, state, now_s, rest_s, SAVES_S)
            case Touch.WRITING:
                rest_s = max(WRITING_S, WRITING_SHARE * (now_s - state.since_s))
                self._wait(key, state, now_s, rest_s, LONGEST_S)
            case Touch.CREATED:
                self._wait(key, state, now_s, CREATED_S, LONGEST_S)
            case Touch.GONE:
                self._wait(key, state, now_s, SAVED_S, LONGEST_S)
            case Touch.ATTRIBUTES:
                # Says nothing about whether a writer has finished.
                if not state.waiting:
                    self._wait(key, state, now_s, SAVED_S, LONGEST_S)
            case _ as never:
                assert_never(never)

    def missing(self, key: Key, now_s: float, rest_s: float) -> None:
        """Note that a file was not found; it is due again after `rest_s`."""
        self._wait(key, self._state(key, now_s), now_s, rest_s, LONGEST_S)

    def rename(self, new: Callable[[Key], Key]) -> None:
        """Give files the names that `new` returns; what is known of them goes with them."""
        for key, state in list(self._states.items()):
            other = new(key)
            if other == key:
                continue
            del self._states[key]
            self._states[other] = state
            if state.waiting:
                self._count += 1
                heapq.heappush(self._heap, (state.due_s, self._count, other))

    def unstable(self, key: Key, now_s: float) -> None:
        """Note that a file changed while it was read; it is due again, later each time.

        One that waits already stays due when it is: somebody who asks again and again would put it off for ever.
        """
        state = self._state(key, now_s)
        if now_s - state.last_s > RESTED_S:
            state.failures = 0
        state.failures += 1
        state.last_s = now_s
        if state.waiting:
            return
        state.since_s = now_s
        self._wait(key, state, now_s, WRITING_S * _doubled(state.failures - 1), LONGEST_S)

    def failures(self, key: Key) -> int:
        """Return how often in a row a file changed while it was read, or was not read since it was being written."""
        state = self._states.get(key)
        return 0 if state is None else state.failures

    def forget(self, key: Key) -> None:
        """Drop what is known of a file."""
        self._states.pop(key, None)

    def next_due_s(self) -> float | None:
        """Return when `take_due` next has something to give; None if nothing waits."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now_s: float) -> list[Key]:
        """Return the files that are at rest, the longest due first; they no longer wait."""
        due = []
        self._drop_stale()
        while self._heap and self._heap[0][0] <= now_s:
            key = heapq.heappop(self._heap)[2]
            self._states[key].waiting = False
            due.append(key)
            self._drop_stale()
        self._sweep(now_s)
        return due

    def waits_for(self, key: Key) -> bool:
        """Return whether the file changed and was not taken yet."""
        state = self._states.get(key)
        return state is not None and state.waiting

    def waits_besides(self, keys: Container[Key]) -> bool:
        """Return whether any file but these changed and was not taken yet."""
        return any(state.waiting and key not in keys for key, state in self._states.items())

    def __len__(self) -> int:
        return sum(state.waiting for state in self._states.values())

    def _state(self, key: Key, now_s: float) -> _State:
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State(now_s, now_s, now_s)
        elif not state.waiting:
            state.since_s = now_s
        return state

    def _wait(self, key: Key, state: _State, now_s: float, rest_s: float, longest_s: float) -> None:
        latest_s = max(now_s, state.since_s + longest_s)
        state.due_s = min(now_s + rest_s, latest_s)
        state.waiting = True
        self._count += 1
        heapq.heappush(self._heap, (state.due_s, self._count, key))

    def _drop_stale(self) -> None:
        while self._heap:
            due_s, _, key = self._heap[0]
            state = self._states.get(key)
            if state is not None and state.waiting and state.due_s == due_s:
                return
            heapq.heappop(self._heap)

    def _sweep(self, now_s: float) -> None:
        """Forget files that have long been calm, so that memory follows the restless ones."""
        if len(self._states) < self._next_sweep:
            return
        self._states = {
            key: state for key, state in self._states.items() if state.waiting or now_s - state.last_s <= RESTED_S
        }
        self._next_sweep = max(1024, 2 * len(self._states))


def _doubled(steps: int) -> float:
    return float(2 ** min(max(steps, 0), 14))
