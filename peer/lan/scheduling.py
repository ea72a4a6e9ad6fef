"""Which chunk is asked of whom. Owns that decision for one version's missing chunks; pure, time is an argument.

Each chunk goes to the source that is expected to deliver it soonest, the rarest first. Of several takers each has its
share of the chunks, which it alone fetches from those that have everything; the rest it gets from its fellows, as they
get them. So a new file leaves its author about once, however many take it. A single taker goes through it in order, so
that it is read, written and hashed as it comes, and asks sources elsewhere for its end. Who is slow or silent is asked
for less and then for nothing; the last chunks are asked for twice; whoever delivers something wrong is asked no more.
The coordinator is one source among others.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

SourceId: TypeAlias = bytes
"""A device's id, or any other bytes that name a source."""

WINDOW_S: Final = 0.25
"""A source is asked for as much at a time as it delivers in so long,"""
LEAST_WINDOW_BYTES: Final = 1024 * 1024
"""at least for so much, or for one chunk that is longer,"""
FIRST_WINDOW_BYTES: Final = 512 * 1024
"""but at first, when it is not known yet who else takes the version, for no more than so much,"""
MOST_WINDOW_BYTES: Final = 16 * 1024 * 1024
MOST_ASKED: Final = 256
"""and never for more than that;"""
MOST_TOGETHER_BYTES: Final = 32 * 1024 * 1024
"""nor all of them together for more than that and a chunk."""
TWICE_S: Final = 0.2
"""A chunk that is due within so long is not asked for twice."""
SILENT_S: Final = 2.0
"""A source that owes something and delivers nothing for so long, and for three times what it should take, is given up
for a while:"""
PAUSE_S: Final = 5.0
"""so long the first time, twice as long each further time."""
FELLOW_S: Final = 2.0
"""So long a fellow taker may bring no news, and three times as long as all of them wait for a chunk each from one
source, before its share is fetched by others."""
SPARE_S: Final = 1.0
"""Those that have everything are spared where a fellow delivers within so long."""
NEAR_RATE_S: Final = 50e6
FAR_RATE_S: Final = 2e6
"""Bytes a second that a source on the LAN, or elsewhere, is expected to deliver before it has delivered anything."""
LACKING_S: Final = 1.0
"""A source elsewhere that lacks a chunk is left alone for so long, while somebody on the LAN has everything."""
SORT_S: Final = 0.2
"""So often at most the order of what is still to be asked for follows what came to be known of holders;"""
MOST_SKIPPED: Final = 100
"""and so many chunks at its beginning may have to wait before the rest is left for the next time."""
_SAMPLE_S: Final = 0.05
_WEIGHT: Final = 0.3


class Ask(NamedTuple):
    """Ask this source for the chunk with this index."""

    source: SourceId
    chunk: int


class Withdraw(NamedTuple):
    """A chunk that this source owes is no longer needed."""

    source: SourceId
    chunk: int


@dataclass(slots=True)
class _Source:
    """What is known of a source."""

    near: bool
    holds: set[int]
    complete: bool
    rate_s: float
    news_s: float
    asked: dict[int, float] = field(default_factory=dict)
    asked_bytes: int = 0
    last_s: float = 0.0
    sampled_bytes: int = 0
    sampled_s: float = 0.0
    measured: bool = False
    paused_until_s: float = 0.0
    pauses: int = 0


class Scheduler:
    """Chooses sources for chunks 0 to n-1 of these lengths.

    `own` and the fellows' ids decide which share is whose; all takers of a version have to be given the same `version`
    bytes. Whoever drives it tells what happens, then carries out what `plan` returns. An index is asked for until
    `arrived` says that it is there; a chunk that was not right is `wrong` instead.
    """

    def __init__(self, own: SourceId, version: bytes, lengths: Sequence[int], wanted: Collection[int]) -> None:
        self._own = own
        self._version = version
        self._lengths = lengths
        self._shortest = min((lengths[index] for index in wanted), default=0)
        self._missing = set(wanted)
        self._open = set(wanted)
        self._sources: dict[SourceId, _Source] = {}
        self._banned: set[SourceId] = set()
        self._fellows: set[SourceId] = set()
        self._owners: dict[int, SourceId] = {}
        self._order = {index: self._weight(own, index) for index in wanted}
        self._askers: dict[int, set[SourceId]] = {}
        self._own_queue: list[int] = []
        self._fellows_queue: list[int] = []
        self._sorted_s = -SORT_S
        self._is_sorted = False

    # --- what happens -----------------------------------------------------------------------------------

    def has(self, source: SourceId, indexes: Iterable[int], now_s: float, *, near: bool = True) -> None:
        """A source says that it holds these, besides what it said before."""
        if source in self._banned:
            return
        known = self._sources.get(source)
        if known is None:
            rate_s = NEAR_RATE_S if near else FAR_RATE_S
            known = self._sources[source] = _Source(near, set(), False, rate_s, now_s)
        known.holds |= self._missing.intersection(indexes)
        self._is_sorted = False
        known.news_s = now_s
        known.complete = source not in self._fellows and known.holds >= self._missing

    def needs(self, fellow: SourceId, now_s: float) -> None:
        """Another device takes the same version: it will have what we have not, and the reverse."""
        if fellow != self._own and fellow not in self._banned and fellow not in self._fellows:
            self._fellows.add(fellow)
            self._forget_shares()
            self.has(fellow, (), now_s)

    def left(self, source: SourceId) -> None:
        """A source is gone, and what it owes does not come."""
        known = self._sources.pop(source, None)
        if known is not None:
            for index in known.asked:
                self._reopen(index, source)
        if source in self._fellows:
            self._fellows.discard(source)
            self._forget_shares()

    def arrived(self, source: SourceId, index: int, now_s: float) -> list[Withdraw]:
        """A chunk came and is right. Returns whom to tell that theirs is not needed any more."""
        known = self._sources.get(source)
        if known is not None:
            self._measure(known, index, now_s)
        self._missing.discard(index)
        self._open.discard(index)
        others = self._askers.pop(index, set()) - {source}
        for other in others:
            self._drop(self._sources[other], index)
        return [Withdraw(other, index) for other in sorted(others)]

    def wrong(self, source: SourceId) -> None:
        """A source delivered something else than was asked for: it is asked no more."""
        self._banned.add(source)
        self.left(source)

    def not_coming(self, source: SourceId, index: int, now_s: float, *, busy: bool = False) -> None:
        """A source does not deliver a chunk: it has it no longer, or has no time for us now."""
        known = self._sources.get(source)
        if known is None or index not in known.asked:
            return
        self._drop(known, index)
        self._reopen(index, source)
        if busy:
            known.paused_until_s = max(known.paused_until_s, now_s + PAUSE_S / 5)
        else:
            known.holds.discard(index)
            if not known.near and self._is_whole_nearby():
                known.paused_until_s = max(known.paused_until_s, now_s + LACKING_S)

    # --- what to do -------------------------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether every chunk is there."""
        return not self._missing

    @property
    def has_neighbours(self) -> bool:
        """Whether anybody on the LAN has, or takes, any of what is missing."""
        return bool(self._fellows) or any(
            each.near and not self._missing.isdisjoint(each.holds) for each in self._sources.values()
        )

    def idle_fellows(self, now_s: float) -> frozenset[SourceId]:
        """The fellow takers that bring no news, for whose shares it was waited."""
        return frozenset(self._late_owners(now_s) - {self._own})

    @property
    def banned(self) -> frozenset[SourceId]:
        """Who delivered something wrong."""
        return frozenset(self._banned)

    def unobtainable(self) -> frozenset[int]:
        """The missing chunks that nobody is known to hold."""
        held = set[int]().union(*(source.holds for source in self._sources.values()))
        return frozenset(self._missing - held)

    def plan(self, now_s: float) -> list[Ask | Withdraw]:
        """What to ask for now, and of whom nothing is expected any more. To be called soon after what happened, once
        for all of it, and every so often: silence is noticed here."""
        withdrawn = self._give_up_the_silent(now_s)
        ready = {name: each for name, each in self._sources.items() if each.paused_until_s <= now_s}
        roomy = {name for name, each in ready.items() if self._has_room(each, self._shortest)}
        asks: list[Ask] = []
        if roomy:
            late = self._late_owners(now_s)
            budget = MOST_TOGETHER_BYTES - sum(each.asked_bytes for each in self._sources.values())
            self._sort(now_s)
            for queue in (self._own_queue, self._fellows_queue):
                budget = self._ask_from(queue, ready, roomy, late, budget, asks, now_s)
            if not self._open:
                asks += self._ask_twice(ready, now_s)
        return [*withdrawn, *asks]

    def _ask_from(
        self,
        queue: list[int],
        ready: dict[SourceId, _Source],
        roomy: set[SourceId],
        late: set[SourceId],
        budget: int,
        asks: list[Ask],
        now_s: float,
    ) -> int:
        """Ask for what can be asked for now, from the end of a queue; what is left of the budget.

        What is in the queue twice, or was asked for since, is open no more.
        """
        skipped: list[int] = []
        while queue and budget > 0 and roomy and len(skipped) < MOST_SKIPPED:
            index = queue.pop()
            if index not in self._open:
                continue
            name = self._soonest(index, ready, may_ask_the_complete=self._owner(index) in late)
            if name is not None and not ready[name].near:
                index = self._last_instead(queue, index, ready[name])
            if name is None or not self._has_room(ready[name], self._lengths[index]):
                skipped.append(index)
                continue
            asks.append(self._ask(name, index, now_s))
            budget -= self._lengths[index]
            if not self._has_room(ready[name], self._shortest):
                roomy.discard(name)
        queue += reversed(skipped)
        return budget

    def _last_instead(self, queue: list[int], index: int, source: _Source) -> int:
        """What a source elsewhere is asked for instead of the next chunk, which is put back: the last one, where
        somebody nearby has both sooner than it is needed."""
        if self._fellows or not queue or not self._is_whole_nearby():
            return index
        last = queue.pop(0)
        if last not in self._open or last not in source.holds or not self._has_room(source, self._lengths[last]):
            queue.insert(0, last)
            return index
        queue.append(index)
        return last

    def _is_whole_nearby(self) -> bool:
        return any(each.near and each.complete for each in self._sources.values())

    def _sort(self, now_s: float) -> None:
        """Put what is to be asked for in order, the first last: the rarest before the rest; and of the shares of others
        what they have got before what they have not. Without others: as it is in the file."""
        is_due = not self._is_sorted and now_s - self._sorted_s >= SORT_S
        if is_due or not (self._own_queue or self._fellows_queue):
            held = self._count_holders()
            own = {one for one in self._open if self._owner(one) == self._own}
            if self._fellows:
                self._own_queue = sorted(own, key=lambda one: (-held.get(one, 0), self._order[one]))
            else:
                self._own_queue = sorted(own, key=lambda one: (-held.get(one, 0), -one))
            self._fellows_queue = sorted(
                self._open - own, key=lambda one: (held.get(one, 0) > 1, -held.get(one, 0), self._order[one])
            )
            self._sorted_s, self._is_sorted = now_s, True

    def _soonest(self, index: int, ready: dict[SourceId, _Source], *, may_ask_the_complete: bool) -> SourceId | None:
        """Who would deliver a chunk soonest; None where it is better to wait."""
        length = self._lengths[index]
        holders = [(self._due_s(each, length), name) for name, each in ready.items() if index in each.holds]
        partial = [one for one in holders if not ready[one[1]].complete]
        if (partial and min(partial)[0] < SPARE_S) or not may_ask_the_complete:
            holders = partial
        return min(holders)[1] if holders else None

    def _late_owners(self, now_s: float) -> set[SourceId]:
        """The takers whose share may be fetched from those that have everything: we, and fellows that bring no news."""
        if not self._fellows:
            return {self._own}
        rate_s = max(
            (each.rate_s for each in self._sources.values() if each.complete and each.near), default=FAR_RATE_S
        )
        longest = max(map(self._lengths.__getitem__, self._open), default=0)
        patience_s = max(FELLOW_S, 3 * longest * (1 + len(self._fellows)) / rate_s)
        news_s = {fellow: self._sources[fellow].news_s for fellow in self._fellows if fellow in self._sources}
        return {self._own} | {each for each in self._fellows if now_s - news_s.get(each, -patience_s) >= patience_s}

    def _ask(self, name: SourceId, index: int, now_s: float) -> Ask:
        source = self._sources[name]
        if not source.asked:
            source.last_s = now_s
        source.asked[index] = now_s
        source.asked_bytes += self._lengths[index]
        self._open.discard(index)
        self._askers.setdefault(index, set()).add(name)
        return Ask(name, index)

    def _ask_twice(self, ready: dict[SourceId, _Source], now_s: float) -> list[Ask]:
        """For what is still owed when nothing else is left to ask for: a second source, where it should be sooner."""
        asks = []
        for index, askers in sorted(self._askers.items()):
            if len(askers) != 1:
                continue
            (owing,) = askers
            first = self._sources[owing]
            due_s = max(first.asked_bytes / first.rate_s, now_s - first.last_s)
            others = [
                (self._due_s(each, self._lengths[index]), name)
                for name, each in ready.items()
                if name != owing and index in each.holds and self._has_room(each, self._lengths[index])
            ]
            if due_s > TWICE_S and others and min(others)[0] < due_s / 2:
                asks.append(self._ask(min(others)[1], index, now_s))
        return asks

    def _give_up_the_silent(self, now_s: float) -> list[Withdraw]:
        withdrawn: list[Withdraw] = []
        for name, source in self._sources.items():
            if not source.asked:
                continue
            longest = max(map(self._lengths.__getitem__, source.asked))
            if now_s - source.last_s < max(SILENT_S, 3 * longest / source.rate_s):
                continue
            for index in list(source.asked):
                withdrawn.append(Withdraw(name, index))
                self._drop(source, index)
                self._reopen(index, name)
            source.paused_until_s = now_s + PAUSE_S * 2.0 ** min(source.pauses, 10)
            source.pauses += 1
            source.rate_s /= 4
        return withdrawn

    # --- sums -------------------------------------------------------------------------------------------

    def _due_s(self, source: _Source, length: int) -> float:
        """In how long a source would deliver one more chunk."""
        return (source.asked_bytes + length) / source.rate_s

    def _has_room(self, source: _Source, length: int) -> bool:
        window: float = FIRST_WINDOW_BYTES
        if source.measured:
            window = min(max(source.rate_s * WINDOW_S, LEAST_WINDOW_BYTES), MOST_WINDOW_BYTES)
        return not source.asked or (source.asked_bytes + length <= window and len(source.asked) < MOST_ASKED)

    def _measure(self, source: _Source, index: int, now_s: float) -> None:
        asked_s = source.asked.get(index)
        source.news_s = now_s
        source.pauses = 0
        if asked_s is not None:
            source.sampled_bytes += self._lengths[index]
            source.sampled_s += max(0.0, now_s - max(source.last_s, asked_s))
            if source.sampled_s >= _SAMPLE_S or not source.measured:
                sample_s = source.sampled_bytes / max(source.sampled_s, 1e-4)
                source.rate_s += (sample_s - source.rate_s) * (_WEIGHT if source.measured else 1.0)
                source.measured, source.sampled_bytes, source.sampled_s = True, 0, 0.0
            self._drop(source, index)
        source.last_s = now_s

    def _drop(self, source: _Source, index: int) -> None:
        if source.asked.pop(index, None) is not None:
            source.asked_bytes -= self._lengths[index]

    def _reopen(self, index: int, source: SourceId) -> None:
        askers = self._askers.get(index, set())
        askers.discard(source)
        if not askers:
            self._askers.pop(index, None)
            if index in self._missing:
                self._open.add(index)
                (self._own_queue if self._owner(index) == self._own else self._fellows_queue).append(index)

    def _count_holders(self) -> dict[int, int]:
        counts: dict[int, int] = {}
        for source in self._sources.values():
            if source.near:
                for index in source.holds & self._open:
                    counts[index] = counts.get(index, 0) + 1
        return counts

    # --- shares -----------------------------------------------------------------------------------------

    def _forget_shares(self) -> None:
        self._owners.clear()
        self._is_sorted = False

    def _owner(self, index: int) -> SourceId:
        """Whose share a chunk is in: rendezvous hashing (Thaler and Ravishankar, 1998), the same for every taker."""
        owner = self._owners.get(index)
        if owner is None:
            owner = max((self._own, *self._fellows), key=lambda taker: self._weight(taker, index))
            self._owners[index] = owner
        return owner

    def _weight(self, taker: SourceId, index: int) -> bytes:
        return hashlib.blake2b(taker + index.to_bytes(4, "big"), key=self._version[:64], digest_size=8).digest()
