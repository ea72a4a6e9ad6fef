"""Random histories in a simulated world: they hold, they are repeatable, and what is wrong in one is found."""

import logging
from collections import Counter
from dataclasses import replace
from random import Random  # noqa: TID251 - seeded, for tests

import pytest
import trio

from simulations.faults import KINDS
from simulations.histories import ALONE_SEEDS, History, Shape, is_alone, run_history
from simulations.images import PARTS
from simulations.machine import Host
from simulations.network.line import Quality
from simulations.world import Outcome, World, run_world


def run_faulty(seed: str) -> tuple[Outcome, Counter[str]]:
    """A history in which all kinds of faults may be, and what was in it."""
    figures = Counter[str]()

    async def story(world: World) -> None:
        history = History(world, replace(Shape.draw(world.draw("shape")), faults=KINDS, fault_s=1.0, phases=2))
        await history.run()
        figures.update(history.figures)

    return run_world(seed, story), figures


@pytest.mark.parametrize("seed", ["2", "7"])
def test_a_history_with_faults_holds_and_is_the_same_in_a_second_run(seed: str) -> None:
    (first, figures), (second, figures_again) = run_faulty(seed), run_faulty(seed)
    assert not first.failures
    assert figures["deeds"] >= 30
    assert set(figures) & set(KINDS), "something went wrong in it"
    assert (first.digest, first.virtual_s, figures) == (second.digest, second.virtual_s, figures_again)


def test_a_seed_makes_of_two_to_five_devices_thirty_to_two_hundred_deeds() -> None:
    shapes = [Shape.draw(Random(seed)) for seed in range(300)]
    assert {shape.devices for shape in shapes} == {2, 3, 4, 5}
    deeds = [shape.deeds for shape in shapes]
    assert min(deeds) == 30
    assert max(deeds) > 180
    assert sum(deeds) / len(deeds) < 50, "most are short"
    assert max(shape.deeds + shape.most_in_between for shape in shapes) <= 200
    for shape in shapes:
        shares = [shape.share(phase, person) for phase in range(shape.phases) for person in range(shape.devices)]
        assert sum(shares) == shape.deeds
        assert max(shares) - min(shares) <= 1


def test_each_history_has_a_fault_among_its_deeds_however_soon_they_are_done() -> None:
    assert all(Shape.draw(Random(seed)).faults for seed in range(300))

    async def story(world: World) -> None:
        shape = replace(Shape.draw(world.draw("shape")), deeds=2, pause_s=0.0, fault_s=8.0, phases=1, images=0.0)
        history = History(world, shape)
        await history.run()
        faults.append([event for event in history.events if event.startswith("fault")])

    faults: list[list[str]] = []
    for seed in range(3):
        assert not run_world(f"hasty {seed}", story).failures
    assert all(faults)


def test_old_copies_of_disks_are_put_back_and_machines_are_brought_to_life_twice() -> None:
    async def story(world: World) -> None:
        shape = replace(Shape.draw(world.draw("shape")), phases=3, images=1.0, twin=1.0, faults=())
        history = History(world, shape)
        await history.run()
        figures.update(history.figures)

    figures = Counter[str]()
    assert not run_world("images", story).failures
    assert figures["twins"] == 1
    assert any(figures[f"{part} put back"] for part in PARTS)


def test_a_device_that_was_killed_goes_on_where_it_was() -> None:
    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.01))
        red, blue = world.device("red", home), world.device("blue", home)
        await world.found(red, "ana")
        await world.pair(blue, red)
        await blue.kill()
        world.folder(red).create("plan.txt", b"by red")
        world.folder(blue).create("other.txt", b"by blue")
        await blue.start()
        tree = await world.converged(60)
        assert tree == {"other.txt": b"by blue", "plan.txt": b"by red"}

    assert not run_world("killed", story).failures


def test_a_world_in_which_devices_cannot_meet_says_so() -> None:
    async def story(world: World) -> None:
        home, train = world.site("home", Quality()), world.site("train", Quality())
        red, blue = world.device("red", home), world.device("blue", train)
        await world.found(red, "ana")
        await world.pair(blue, red)
        train.cut()
        world.folder(red).create("plan.txt", b"by red")
        assert await world.converged(300) is None

    outcome = run_world("cut", story)
    assert outcome.failures[0] == "no convergence"
    assert any("plan.txt" in failure and "absent" in failure for failure in outcome.failures)
    assert outcome.virtual_s >= 300


def test_a_world_that_never_waits_is_given_up_and_says_what_it_was_doing() -> None:
    async def story(world: World) -> None:
        while True:
            await trio.lowlevel.checkpoint()

    outcome = run_world("spinning", story, wall_s=1.0)
    assert any("every task waits for" in failure and "checkpoint" in failure for failure in outcome.failures)


def test_an_error_in_the_log_is_a_failure(no_unexpected_errors: list[logging.LogRecord]) -> None:
    async def story(world: World) -> None:
        logging.getLogger("coordinator.app").error("something broke")

    assert run_world("error", story).failures == ["logged as an error: something broke"]
    no_unexpected_errors.clear()


def test_names_resolve_to_hosts_and_to_nothing_else() -> None:
    async def story(world: World) -> None:
        host = Host("lonely")
        world.net.add_host(host, world.site("hill", Quality()))
        with pytest.raises(OSError, match="No route to host"):
            await world.net.connect(world.coordinator.life, "nowhere", 1)
        with pytest.raises(OSError, match="refused"):
            await world.net.connect(world.coordinator.life, "lonely", 1)

    assert not run_world("names", story).failures


def test_seeds_of_one_range_are_all_of_histories_without_the_coordinator() -> None:
    numbers = [ALONE_SEEDS.start, ALONE_SEEDS.stop - 1]
    assert all(Shape.draw(Random(seed), alone=is_alone(seed)).are_alone for seed in numbers * 20)
    assert not any(is_alone(seed) for seed in (0, ALONE_SEEDS.start - 1, ALONE_SEEDS.stop, "shape"))
    assert run_history(ALONE_SEEDS.start + 3).figures["alone"] == 1
