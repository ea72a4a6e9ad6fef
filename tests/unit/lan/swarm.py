"""Devices that exchange the chunks of one file, in virtual time: real schedulers, and senders that are pipes.

A sender's link carries one chunk after the other at its rate. Owns the world; decides nothing that the scheduler does.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from peer.lan.scheduling import Scheduler, Withdraw

CHUNK = 256 * 1024
LATENCY_S = 0.001
TICK_S = 0.1
SOON_S = 0.002
VERSION = b"v" * 32


@dataclass
class Source:
    """Somebody who sends: `up_s` bytes a second to all together."""

    name: bytes
    up_s: float
    holds: set[int]
    near: bool = True
    answers: Callable[[int], str] = lambda chunk: "right"
    queue: deque[tuple["Taker", int]] = field(default_factory=deque)
    is_sending: bool = False
    is_gone: bool = False
    sent: Counter[int] = field(default_factory=Counter)


@dataclass
class Taker(Source):
    """Somebody who wants everything, and serves what it has."""

    down_s: float = 1e9
    scheduler: Scheduler = None  # type: ignore[assignment]  # made with the world
    busy_until_s: float = 0.0
    done_s: float | None = None
    got: Counter[int] = field(default_factory=Counter)
    plans_soon: bool = False


class World:
    """Sources and takers around one file of `chunks` chunks."""

    def __init__(self, chunks: int, sources: list[Source], takers: list[Taker], length: int = CHUNK) -> None:
        self.chunks = chunks
        self.length = length
        self.now_s = 0.0
        self.sources = {each.name: each for each in [*sources, *takers]}
        self.takers = takers
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        for taker in takers:
            taker.scheduler = Scheduler(taker.name, VERSION, [length] * chunks, range(chunks))
            for other in takers:
                taker.scheduler.needs(other.name, 0.0)
            for source in sources:
                taker.scheduler.has(source.name, source.holds, 0.0, near=source.near)
            self.later(0.0, lambda taker=taker: self.tick(taker))  # type: ignore[misc]  # mypy and defaults of lambdas

    def later(self, after_s: float, what: Callable[[], None]) -> None:
        """Do something then."""
        self._count += 1
        heapq.heappush(self._events, (self.now_s + after_s, self._count, what))

    def run(self, until_s: float = 10_000.0) -> None:
        """Until all have everything."""
        while self._events and not all(taker.scheduler.is_done for taker in self.takers):
            self.now_s, _, what = heapq.heappop(self._events)
            assert self.now_s < until_s, "it does not end"
            what()

    def tick(self, taker: Taker) -> None:
        """Plan every so often."""
        if not taker.scheduler.is_done and not taker.is_gone:
            self.plan(taker)
            self.later(TICK_S, lambda: self.tick(taker))

    def plan_soon(self, taker: Taker) -> None:
        """Plan once for all that happens within a moment."""
        if not taker.plans_soon:
            taker.plans_soon = True
            self.later(SOON_S, lambda: self.plan(taker))

    def plan(self, taker: Taker) -> None:
        """Ask for what the scheduler says."""
        taker.plans_soon = False
        for ask in taker.scheduler.plan(self.now_s):
            source = self.sources[ask.source]
            if isinstance(ask, Withdraw):
                self.later(LATENCY_S, lambda ask=ask, source=source: self.withdraw(source, taker, ask.chunk))  # type: ignore[misc]
                continue
            assert ask.chunk in source.holds
            self.later(LATENCY_S, lambda ask=ask, source=source: self.receive_request(source, taker, ask.chunk))  # type: ignore[misc]

    def receive_request(self, source: Source, taker: Taker, chunk: int) -> None:
        """A request has come to a sender."""
        if source.is_gone:
            return
        source.queue.append((taker, chunk))
        if not source.is_sending:
            self.send_next(source)

    def withdraw(self, source: Source, taker: Taker, chunk: int) -> None:
        """A request is taken back, unless its chunk is on its way."""
        if (taker, chunk) in source.queue:
            source.queue.remove((taker, chunk))

    def send_next(self, source: Source) -> None:
        """Send one chunk, then the next."""
        if not source.queue or source.is_gone:
            source.is_sending = False
            return
        source.is_sending = True
        taker, chunk = source.queue.popleft()
        answer = source.answers(chunk)
        if answer == "never":
            self.later(0.0, lambda: self.send_next(source))
            return
        took_s = 0.0 if answer == "gone" else self.length / source.up_s

        def sent() -> None:
            if answer != "gone":
                source.sent[chunk] += 1
            self.later(LATENCY_S, lambda: self.deliver(source, taker, chunk, answer))
            self.send_next(source)

        self.later(took_s, sent)

    def deliver(self, source: Source, taker: Taker, chunk: int, answer: str) -> None:
        """Something has come to a taker."""
        if source.is_gone or taker.is_gone:
            return
        if answer == "gone":
            taker.scheduler.not_coming(source.name, chunk, self.now_s)
        elif answer == "wrong":
            taker.scheduler.wrong(source.name)
        else:
            taker.busy_until_s = max(taker.busy_until_s, self.now_s) + self.length / taker.down_s
            self.later(taker.busy_until_s - self.now_s, lambda: self.take(source, taker, chunk))
            return
        self.plan_soon(taker)

    def take(self, source: Source, taker: Taker, chunk: int) -> None:
        """A right chunk is there: it can be served from now on."""
        for withdraw in taker.scheduler.arrived(source.name, chunk, self.now_s):
            self.withdraw(self.sources[withdraw.source], taker, chunk)
        taker.got[chunk] += 1
        if chunk not in taker.holds:
            taker.holds.add(chunk)
            for other in self.takers:
                if other is not taker and not taker.is_gone:
                    self.later(LATENCY_S, lambda other=other: self.hear(other, taker, chunk))  # type: ignore[misc]
        if taker.scheduler.is_done and taker.done_s is None:
            taker.done_s = self.now_s
        self.plan_soon(taker)

    def hear(self, taker: Taker, holder: Taker, chunk: int) -> None:
        """A fellow has one more chunk."""
        if not holder.is_gone and not taker.is_gone:
            taker.scheduler.has(holder.name, (chunk,), self.now_s)
            self.plan_soon(taker)

    def leave(self, source: Source) -> None:
        """Somebody is gone."""
        source.is_gone = True
        for taker in self.takers:
            taker.scheduler.left(source.name)
