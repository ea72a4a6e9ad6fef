"""A history is told with the three trees of its devices, step by step, and is the same history as without them."""

from collections.abc import Awaitable, Callable, Sequence
from math import inf

import pytest
import trio

from protocol.ids import ROOT
from protocol.model import Kind
from simulations.checkers.reading import read_only
from simulations.devices import SimDevice
from simulations.histories import run_history
from simulations.network.line import Quality
from simulations.steps import Changed, Steps, Table, Why
from simulations.trace import Trace
from simulations.tree_tables import Lines, document, told
from simulations.trees import Cell, Row, read_trees
from simulations.world import Outcome, World, run_world

MINUTES = 60.0
NEAR = Quality(latency_s=0.001)
DIGEST, OTHER = b"d" * 32, b"o" * 32
LABELS = {DIGEST: "#7", OTHER: "#8"}


def followed(story: Callable[[World], Awaitable[None]]) -> tuple[Outcome, Steps]:
    trace = Trace(keep_all=True)
    trace.stores = steps = Steps(lambda: len(trace.notes))
    return run_world("1", story, trace=trace), steps


async def pair_at_home(world: World, *, together: bool = True) -> tuple[SimDevice, SimDevice]:
    home = world.site("home", NEAR, NEAR)
    red = world.device("red", home)
    blue = world.device("blue", home if together else world.site("elsewhere", NEAR, NEAR))
    await world.found(red, "ana")
    await world.pair(blue, red)
    world.folder(red).create("text", b"first")
    assert await world.converged(MINUTES) is not None
    await trio.sleep(MINUTES)
    return red, blue


def tables_of(steps: Steps, *, from_s: float = 0.0, until_s: float = inf, whole: bool = False) -> list[Table]:
    return [table for _, table in steps.play(steps.devices, from_s, until_s, whole=whole)]


def changes(tables: Sequence[Table], device: str, path: str) -> list[list[str]]:
    """Which trees changed of what has this path, step by step."""
    rows = (one for table in tables if (table.device, table.why) == (device, Why.STEP) for one in table.rows)
    return [sorted(one.trees) for one in rows if one.path == path]


@pytest.mark.parametrize("seed", ["2", "5"])
def test_a_history_is_the_same_with_its_trees_followed(seed: str) -> None:
    plain, followed_ = Trace(keep_all=True), Trace(keep_all=True)
    followed_.stores = steps = Steps(lambda: len(followed_.notes))
    assert run_history(seed, trace=plain).digest == run_history(seed, trace=followed_).digest
    assert plain.notes == followed_.notes
    ends = [table for table in tables_of(steps) if table.why is Why.END]
    assert ends
    assert all(table.same and not table.rows for table in ends)
    labels = steps.labels().values()
    assert "#1" in labels


def test_each_step_shows_which_tree_it_changed() -> None:
    async def story(world: World) -> None:
        await pair_at_home(world)

    outcome, steps = followed(story)
    assert not outcome.failures
    tables = tables_of(steps)
    assert changes(tables, "red", "text") == [["local"], ["remote", "synced"]]
    assert changes(tables, "blue", "text") == [["remote"], ["local", "synced"]]


def test_played_back_trees_are_those_that_the_database_has() -> None:
    had: dict[str, dict[tuple[str, bytes], Row]] = {}

    async def story(world: World) -> None:
        red, blue = await pair_at_home(world)
        world.folder(red).make_directory("box")
        world.folder(red).create("box/thing", b"thing")
        assert await world.converged(MINUTES) is not None
        world.folder(blue).move("box", "chest")
        world.folder(red).delete("text")
        assert await world.converged(MINUTES) is not None
        for device in (red, blue):
            await device.stop()
            with read_only(device.home.database) as connection:
                had[device.name] = {key: row for key, row in read_trees(connection).items() if not row.is_gone}

    outcome, steps = followed(story)
    assert not outcome.failures
    ends = {table.device: table for table in tables_of(steps, whole=True) if table.why is Why.END}
    for name, rows in had.items():
        assert {(one.row.workspace, one.row.entry): one.row for one in ends[name].rows} == rows
        assert [one.path for one in ends[name].rows] == ["chest", "chest/thing"]


def test_a_failure_shows_what_the_trees_do_not_agree_about() -> None:
    async def story(world: World) -> None:
        red, blue = await pair_at_home(world)
        await world.coordinator.kill()
        await blue.kill()
        world.folder(red).overwrite("text", b"second", 0, cut=True)
        assert red.engine is not None
        with trio.move_on_after(2 * MINUTES):
            await red.wait(MINUTES)
        world.fail("made up")

    outcome, steps = followed(story)
    assert outcome.failures == ["made up"]
    shown = {table.device: table for table in tables_of(steps) if table.why is Why.FAILURE}
    assert [one.path for one in shown["red"].rows] == ["text"]
    assert (shown["blue"].rows, shown["blue"].same) == ((), 1)


def test_what_only_counts_here_is_marked() -> None:
    async def story(world: World) -> None:
        red, blue = await pair_at_home(world)
        await world.coordinator.kill()
        world.folder(red).overwrite("text", b"second", 0, cut=True)
        with trio.fail_after(2 * MINUTES):
            while world.folder(blue).read("text") != b"second":
                assert blue.engine is not None
                await blue.engine.wait_changed()
        await world.coordinator.start()
        assert await world.converged(60 * MINUTES) is not None

    outcome, steps = followed(story)
    assert not outcome.failures
    remotes = [one.row.remote for table in tables_of(steps) for one in table.rows if table.device == "blue"]
    assert any(cell is not None and cell.is_provisional for cell in remotes)
    assert any("~" in line for table in tables_of(steps) for line in Lines({}, None).of(table))
    whole = tables_of(steps, whole=True)
    assert not any(one.row.remote and one.row.remote.is_provisional for one in whole[-1].rows)


def test_a_part_of_a_history_begins_and_ends_with_whole_trees() -> None:
    async def story(world: World) -> None:
        red, _ = await pair_at_home(world)
        world.folder(red).create("late", b"late")
        assert await world.converged(MINUTES) is not None

    outcome, steps = followed(story)
    assert not outcome.failures
    late_s = next(one.at_s for one in tables_of(steps) if any(row.path == "late" for row in one.rows))
    tables = tables_of(steps, from_s=late_s - 1, until_s=late_s)
    assert [(one.device, one.why) for one in tables] == [
        ("red", Why.BEGINNING),
        ("blue", Why.BEGINNING),
        ("red", Why.STEP),
        ("red", Why.END),
        ("blue", Why.END),
    ]
    assert [(len(one.rows), one.same) for one in tables] == [(0, 1), (0, 1), (1, 1), (1, 1), (0, 1)]


# --- what it looks like -------------------------------------------------------------------------------------


def cell(path: str, digest: bytes | None = DIGEST, **more: object) -> Cell:
    kind = Kind.DIRECTORY if digest is None else Kind.FILE
    values = {"is_executable": False, "is_deleted": False, "mtime_ns": 0} | more
    size = 0 if digest is None else 3_000
    return Cell(bytes(ROOT), path.rpartition("/")[2], kind, digest, size, path=path, **values)  # type: ignore[arg-type]


def table(*rows: tuple[Cell | None, Cell | None, Cell | None], trees: frozenset[str] = frozenset()) -> Table:
    found = (Row("folder", bytes([number]) * 16, *cells) for number, cells in enumerate(rows))
    return Table(1.5, "red", Why.STEP, (4,), tuple(Changed(row, row.path, trees) for row in found), 3, 1)


def cells_of(*cells: Cell | None, trees: frozenset[str] = frozenset()) -> str:
    """The columns of the one line for these cells, with single spaces."""
    (_, line, _) = Lines(LABELS, None).of(table((cells[0], cells[1], cells[2]), trees=trees))
    return " ".join(line.split()[1:])


def test_a_table_has_a_line_for_each_entry_and_a_column_for_each_tree() -> None:
    shown = table((cell("a"), cell("a", OTHER), cell("a")), (None, cell("b", None), None), trees=frozenset({"local"}))
    assert Lines(LABELS, None).of(shown) == [
        "     1.500  red's trees, journal 4             remote           local            synced",
        "  000000 a                                     #7 3.0 kB      * #8 3.0 kB        =",
        "  010101 b                                     -              * directory        -",
        "         4 more as before, 1 of them not the same in all three",
    ]


def test_cells_say_what_is_special() -> None:
    here = cell("a")
    assert cells_of(here, cell("b"), here) == "a #7 3.0 kB at b ="
    assert cells_of(here, cell("b", OTHER), here) == "a #7 3.0 kB #8 3.0 kB at b ="
    assert cells_of(cell("a", is_deleted=True), here, here) == "a deleted #7 3.0 kB #7 3.0 kB"
    assert cells_of(cell("a", is_provisional=True), None, None) == "a ~#7 3.0 kB - -"
    assert cells_of(here, cell("a", is_executable=True), here) == "a #7 3.0 kB #7 3.0 kB x ="
    assert cells_of(here, cell("a", mtime_ns=61_005_000_000), here) == (
        "a #7 3.0 kB 00:00:00.000 #7 3.0 kB 00:01:01.005 ="
    )
    assert cells_of(here, cell("a", is_parked=True), here) == "a #7 3.0 kB = parked ="
    assert cells_of(here, None, cell("a", is_absent=True)) == "a #7 3.0 kB - = absent"
    assert cells_of(cell("a", b"n" * 32), None, None) == "a 6e6e6e 3.0 kB - -"


@pytest.mark.parametrize("width", [80, 100, 200])
def test_tables_fit_into_a_terminal(width: int) -> None:
    long = "shared/" + "/".join(["a directory with a long name"] * 6)
    shown = table((cell(long), cell(f"{long}/elsewhere"), cell(long)), (cell("a"), None, None))
    for one in (shown, table((None, cell(long), None)), table((cell("a"), cell("a"), cell("a")))):
        lines = Lines(LABELS, width).of(one)
        assert max(map(len, lines)) <= width
        assert all(tree in lines[0] for tree in ("remote", "local", "synced"))
    assert long in Lines(LABELS, None).of(shown)[1]


def test_rows_agree_by_what_the_planner_compares() -> None:
    here, gone = cell("a"), cell("a", is_deleted=True)
    assert Row("w", b"e", here, here, here).is_same
    assert Row("w", b"e", gone, None, None).is_same
    assert Row("w", b"e", here, None, cell("a", is_absent=True)).is_same
    for cells in ((here, None, here), (gone, here, here), (here, here, None), (here, cell("a", OTHER), here)):
        assert not Row("w", b"e", *cells).is_same
    assert not Row("w", b"e", here, cell("a", is_parked=True), here).is_same
    assert len(told(2.0, "red", [Row("w", b"e", here, here, here), Row("w", b"f", here, None, None)])) == 3


def test_as_data_a_table_says_the_same() -> None:
    shown = document(table((cell("a"), None, None), trees=frozenset({"remote"})), 5, LABELS)
    assert (shown["after"], shown["why"], shown["journal"], shown["same"], shown["differing"]) == (5, "step", [4], 3, 1)
    rows = shown["rows"]
    assert isinstance(rows, list)
    assert rows[0]["changed"] == ["remote"]
    assert (rows[0]["remote"]["content"], rows[0]["remote"]["digest"]) == ("#7", DIGEST.hex())
    assert (rows[0]["local"], rows[0]["synced"], rows[0]["same"]) == (None, None, False)


def test_a_world_that_does_not_come_to_rest_shows_the_trees_that_differ() -> None:
    async def story(world: World) -> None:
        red, _ = await pair_at_home(world, together=False)
        await world.coordinator.kill()
        world.folder(red).create("late", b"late")
        assert await world.converged(2 * MINUTES) is None

    outcome = run_world("1", story)
    (shown,) = (one for one in outcome.failures if one.startswith("red's trees differ:"))
    assert "late" in shown
