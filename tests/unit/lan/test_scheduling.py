"""Which chunk is asked of whom, in virtual time."""

import random  # noqa: TID251 - seeded

import pytest

from peer.lan.scheduling import LACKING_S, MOST_WINDOW_BYTES, Ask, Scheduler
from tests.unit.lan.swarm import CHUNK, VERSION, Source, Taker, World

MB = 1e6


def asked(scheduler: Scheduler, now_s: float) -> list[Ask]:
    return [each for each in scheduler.plan(now_s) if isinstance(each, Ask)]


def author(chunks: int, up_s: float = 100 * MB) -> Source:
    return Source(b"author", up_s, set(range(chunks)))


def coordinator(chunks: int, up_s: float = 1 * MB) -> Source:
    return Source(b"coordinator", up_s, set(range(chunks)), near=False)


def takers(count: int, up_s: float = 100 * MB, down_s: float = 100 * MB) -> list[Taker]:
    return [Taker(b"taker%d" % number, up_s, set(), down_s=down_s) for number in range(count)]


@pytest.mark.parametrize("chunks", [5, 20, 256])
@pytest.mark.parametrize("up_s", [1 * MB, 10 * MB, 100 * MB])
def test_a_new_file_leaves_its_author_at_most_one_and_a_half_times_for_five_takers(chunks: int, up_s: float) -> None:
    source, five = author(chunks, up_s), takers(5)
    world = World(chunks, [source], five)
    world.run()
    assert source.sent.total() <= 1.5 * chunks
    assert world.now_s <= 1.6 * chunks * CHUNK / up_s + 1.0, "and not much later than it takes to send it once"
    assert sum(taker.got.total() for taker in five) <= 5.2 * chunks


def test_equal_links_are_used_side_by_side() -> None:
    chunks, five = 400, takers(5)
    world = World(chunks, [author(chunks)], five)
    world.run()
    one_after_the_other_s = 5 * chunks * CHUNK / (100 * MB)
    assert world.now_s < one_after_the_other_s / 2.5


def test_of_two_sources_each_sends_what_it_can() -> None:
    chunks, (taker,) = 400, takers(1, down_s=1_000 * MB)
    fast, slow = Source(b"fast", 80 * MB, set(range(chunks))), Source(b"slow", 20 * MB, set(range(chunks)))
    world = World(chunks, [fast, slow], [taker])
    world.run()
    assert world.now_s < 1.2 * chunks * CHUNK / (100 * MB)
    assert fast.sent.total() > 2.5 * slow.sent.total()


def test_the_coordinator_is_one_more_source_and_not_asked_for_much_where_the_lan_is_fast() -> None:
    chunks, (taker,) = 400, takers(1)
    far = coordinator(chunks)
    world = World(chunks, [author(chunks), far], [taker])
    world.run()
    assert far.sent.total() < chunks * 0.05
    assert world.now_s < 1.3 * chunks * CHUNK / (100 * MB)


@pytest.mark.parametrize("answer", ["never", "gone", "wrong"])
def test_who_claims_to_have_everything_and_delivers_nothing_costs_little_time(answer: str) -> None:
    chunks, (taker,) = 400, takers(1)
    liar = Source(b"liar", 100 * MB, set(range(chunks)), answers=lambda chunk: answer)
    world = World(chunks, [liar, coordinator(chunks, 10 * MB)], [taker])
    world.run()
    alone = World(chunks, [coordinator(chunks, 10 * MB)], takers(1))
    alone.run()
    assert world.now_s < 1.25 * alone.now_s
    assert (liar.name in taker.scheduler.banned) == (answer == "wrong")


def test_who_alternates_good_and_bad_is_dropped_at_the_first_bad_one() -> None:
    chunks, (taker,) = 100, takers(1)
    moody = Source(b"moody", 100 * MB, set(range(chunks)), answers=lambda chunk: "wrong" if chunk % 2 else "right")
    world = World(chunks, [moody, author(chunks, 10 * MB)], [taker])
    world.run()
    assert taker.scheduler.banned == {b"moody"}
    assert all(taker.got[chunk] >= 1 for chunk in range(chunks))


def test_who_drips_is_asked_less_and_does_not_hold_up_the_end() -> None:
    chunks, (taker,) = 200, takers(1)
    drip = Source(b"drip", 10_000, set(range(chunks)))
    world = World(chunks, [drip, author(chunks, 20 * MB)], [taker])
    world.run()
    assert world.now_s < 1.5 * chunks * CHUNK / (20 * MB) + 1


def test_a_source_that_goes_away_takes_nothing_with_it() -> None:
    chunks, four = 400, takers(4)
    source = author(chunks)
    world = World(chunks, [source, coordinator(chunks, 5 * MB)], four)
    world.later(0.5, lambda: world.leave(source))
    world.later(0.7, lambda: world.leave(four[3]))
    world.takers = four[:3]
    world.run()
    assert all(set(taker.got) == set(range(chunks)) for taker in four[:3])


def test_a_fellow_that_stands_still_does_not_keep_its_share_from_the_others() -> None:
    chunks, three = 200, takers(3)
    three[2].answers = lambda chunk: "never"
    world = World(chunks, [author(chunks)], three)
    world.takers = three[:2]
    three[2].is_gone = True
    world.run()
    assert world.now_s < 2 * chunks * CHUNK / (100 * MB) + 10


def slow_author(scheduler: Scheduler, holds: int) -> list[int]:
    """What a single source was asked for at first, and delivered after a second."""
    scheduler.has(b"author", range(holds), 0.0)
    first = [ask.chunk for ask in asked(scheduler, 0.0)]
    for chunk in first:
        scheduler.arrived(b"author", chunk, 1.0)
    return first


def test_a_single_taker_goes_through_a_file_in_order_and_asks_elsewhere_for_its_end() -> None:
    chunks = 100
    scheduler = Scheduler(b"own", VERSION, [CHUNK] * chunks, range(chunks))
    order: dict[bytes, list[int]] = {b"author": slow_author(scheduler, chunks), b"far": []}
    assert order[b"author"]
    scheduler.has(b"far", range(chunks), 1.0, near=False)
    for tenth in range(10, 40):
        for ask in asked(scheduler, tenth / 10):
            order[ask.source].append(ask.chunk)
            scheduler.arrived(ask.source, ask.chunk, tenth / 10 + 0.1)
    assert order[b"author"] == list(range(len(order[b"author"])))
    assert order[b"far"]
    assert order[b"far"] == [chunks - 1 - at for at in range(len(order[b"far"]))]


def test_of_several_takers_each_begins_elsewhere() -> None:
    chunks = 100
    firsts = []
    for own, fellow in ((b"one", b"two"), (b"two", b"one")):
        scheduler = Scheduler(own, VERSION, [CHUNK] * chunks, range(chunks))
        scheduler.has(b"author", range(chunks), 0.0)
        scheduler.needs(fellow, 0.0)
        firsts.append({ask.chunk for ask in asked(scheduler, 0.0)})
        assert firsts[-1]
    assert firsts[0].isdisjoint(firsts[1])


@pytest.mark.parametrize("is_all_nearby", [True, False])
def test_a_source_elsewhere_that_lacks_a_chunk_is_left_alone_only_while_somebody_nearby_has_everything(
    is_all_nearby: bool,
) -> None:
    chunks = 100
    scheduler = Scheduler(b"own", VERSION, [CHUNK] * chunks, range(chunks))
    slow_author(scheduler, chunks if is_all_nearby else 50)
    scheduler.has(b"far", range(chunks), 1.0, near=False)
    first = [ask.chunk for ask in asked(scheduler, 1.0) if ask.source == b"far"]
    assert first
    for chunk in first:
        scheduler.not_coming(b"far", chunk, 1.01)
    again = [ask.chunk for ask in asked(scheduler, 1.02) if ask.source == b"far"]
    assert bool(again) is not is_all_nearby
    for chunk in again:
        scheduler.not_coming(b"far", chunk, 1.02)
    scheduler.left(b"author")
    assert [ask for ask in asked(scheduler, 1.01 + LACKING_S) if ask.source == b"far"]


def test_what_nobody_holds_is_said() -> None:
    scheduler = Scheduler(b"own", VERSION, [CHUNK] * 4, range(4))
    scheduler.has(b"one", (0, 1), 0.0)
    assert scheduler.unobtainable() == {2, 3}
    assert {ask.chunk for ask in asked(scheduler, 0.0)} == {0, 1}
    scheduler.has(b"two", (2, 3), 0.0)
    assert not scheduler.unobtainable()
    scheduler.left(b"one")
    assert scheduler.unobtainable() == {0, 1}


def test_the_last_chunk_is_asked_for_twice_and_the_later_one_withdrawn() -> None:
    scheduler = Scheduler(b"own", VERSION, [CHUNK], range(1))
    scheduler.has(b"slow", (0,), 0.0)
    assert [ask.source for ask in asked(scheduler, 0.0)] == [b"slow"]
    scheduler.has(b"fast", (0,), 0.5)
    assert [ask.source for ask in asked(scheduler, 0.6)] == [b"fast"]
    assert scheduler.plan(0.7) == [], "not three times"
    withdrawn = scheduler.arrived(b"fast", 0, 0.8)
    assert [(each.source, each.chunk) for each in withdrawn] == [(b"slow", 0)]
    assert scheduler.arrived(b"slow", 0, 0.9) == []
    assert scheduler.is_done


@pytest.mark.parametrize("seed", range(25))
def test_whatever_sources_do_everything_comes_and_the_bounds_hold(seed: int) -> None:
    draw = random.Random(seed)
    chunks = draw.randint(1, 120)
    some = takers(draw.randint(1, 4), up_s=draw.choice((5, 50)) * MB, down_s=draw.choice((5, 50)) * MB)
    sources = [coordinator(chunks, 2 * MB)]
    for number in range(draw.randint(0, 4)):
        kinds = draw.choice(
            (["right"], ["right", "gone"], ["right", "wrong"], ["never"], ["right", "never"], ["wrong"])
        )
        holds = set(draw.sample(range(chunks), draw.randint(0, chunks)))
        salt = draw.random()

        def answers(chunk: int, kinds: list[str] = kinds, salt: float = salt) -> str:
            return random.Random(f"{salt} {chunk}").choice(kinds)

        sources.append(Source(b"source%d" % number, draw.choice((0.05, 2, 100)) * MB, holds, answers=answers))
    world = World(chunks, list(sources), some)
    for source in sources[1:]:
        if draw.random() < 0.3:
            world.later(draw.uniform(0, 5), lambda source=source: world.leave(source))  # type: ignore[misc]

    def look() -> None:
        for taker in some:
            for name, each in taker.scheduler._sources.items():
                assert name not in taker.scheduler.banned
                assert each.asked_bytes == CHUNK * len(each.asked) <= MOST_WINDOW_BYTES
                assert each.asked.keys() <= taker.scheduler._missing
            assert all(1 <= len(askers) <= 2 for askers in taker.scheduler._askers.values())
            assert taker.scheduler._open | taker.scheduler._askers.keys() == taker.scheduler._missing
        world.later(0.05, look)

    world.later(0.0, look)
    world.run()
    assert all(set(taker.got) == set(range(chunks)) for taker in some)
