import os
import pathlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, TypeVarTuple

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inotify_simple import Event, INotify, flags

from peer.disk.real import LinuxFilesystem
from peer.fingerprint import Path
from peer.ports import Watch
from peer.scan.findings import Changed, Overflow, Renamed, RootGone, Touch, WatchEvent, WatchLimit
from peer.scan.watch_tree import WatchTree
from peer.scan.watcher import InotifyWatching

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Threads:
    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        return await trio.to_thread.run_sync(fn, *args)


def skips_nothing(path: Path) -> bool:
    return False


@asynccontextmanager
async def watching(folder: pathlib.Path, skips: Callable[[Path], bool] = skips_nothing) -> AsyncIterator[Watch]:
    with trio.fail_after(20):
        async with InotifyWatching(LinuxFilesystem(), Threads()).open_watch(os.fspath(folder), skips) as events:
            yield events


async def collect(events: AsyncIterator[WatchEvent], until: Path) -> Changed:
    """Merge batches until `until` was touched."""
    touched: dict[Path, Touch] = {}
    rescan: set[Path] = set()
    moved: list[Renamed] = []
    while until not in touched:
        event = await anext(events)
        assert isinstance(event, Changed)
        touched |= event.touched
        rescan |= event.rescan
        moved += event.moved
    return Changed(touched, frozenset(rescan), tuple(moved))


async def test_a_save_a_write_and_a_removal_are_told_apart(tmp_path: pathlib.Path) -> None:
    (tmp_path / "gone").touch()
    async with watching(tmp_path) as events:
        (tmp_path / "saved").write_bytes(b"x")
        (tmp_path / "gone").unlink()
        (tmp_path / "link").symlink_to("x")
        writer = os.open(tmp_path / "writing", os.O_WRONLY | os.O_CREAT)
        os.write(writer, b"x")
        changed = await collect(events, ("writing",))
        os.close(writer)
    assert changed.touched[("saved",)] is Touch.SAVED
    assert changed.touched[("gone",)] is Touch.GONE
    assert changed.touched[("link",)] is Touch.CREATED
    assert changed.touched[("writing",)] is Touch.WRITING


async def test_a_rename_is_one_pair_and_what_is_below_keeps_being_watched(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "a").touch()
    async with watching(tmp_path) as events:
        (tmp_path / "a").rename(tmp_path / "d/b")
        (tmp_path / "d").rename(tmp_path / "n")
        (tmp_path / "n/e/f").write_bytes(b"x")
        changed = await collect(events, ("n", "e", "f"))
    assert changed.moved == (Renamed(("a",), ("d", "b"), False), Renamed(("d",), ("n",), True))
    assert changed.rescan == frozenset()


async def test_what_left_a_directory_that_was_then_renamed_is_gone_from_its_new_name(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "folder"
    (folder / "d").mkdir(parents=True)
    (folder / "d/a").touch()
    async with watching(folder) as events:
        (folder / "d/a").rename(tmp_path / "a")
        (folder / "d").rename(folder / "n")
        (folder / "mark").touch()
        changed = await collect(events, ("mark",))
    assert changed.touched[("n", "a")] is Touch.GONE


async def test_it_is_behind_until_all_that_happened_was_told(tmp_path: pathlib.Path) -> None:
    async with watching(tmp_path) as events:
        assert not events.is_behind()
        (tmp_path / "a").write_bytes(b"x")
        assert events.is_behind()
        await collect(events, ("a",))
        with trio.move_on_after(20):
            while events.is_behind():
                with trio.move_on_after(0.01):
                    await anext(events)
        assert not events.is_behind()


async def test_a_new_directory_is_watched_before_it_is_to_be_scanned(
    tmp_path: pathlib.Path,
) -> None:
    async with watching(tmp_path) as events:
        (tmp_path / "d/e/f").mkdir(parents=True)
        (tmp_path / "d/e/f/early").touch()
        while True:
            event = await anext(events)
            assert isinstance(event, Changed)
            if ("d",) in event.rescan:
                break
        (tmp_path / "d/e/f/late").write_bytes(b"x")
        await collect(events, ("d", "e", "f", "late"))


async def test_what_moves_in_from_outside_is_scanned_and_what_moves_out_is_gone(
    tmp_path: pathlib.Path,
) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    (outside / "in/deep").mkdir(parents=True)
    (folder / "out/deep").mkdir(parents=True)
    async with watching(folder) as events:
        (folder / "out").rename(outside / "out")
        (outside / "in").rename(folder / "in")
        (outside / "out/deep/unseen").touch()
        (folder / "mark").touch()
        changed = await collect(events, ("mark",))
        (folder / "in/deep/x").write_bytes(b"x")
        later = await collect(events, ("in", "deep", "x"))
    assert changed.touched[("out",)] is Touch.GONE
    assert ("in",) in changed.rescan
    assert not any(path[0] == "out" for path in later.touched)


async def test_skipped_directories_and_the_private_one_make_no_events(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / ".shoal/tmp").mkdir(parents=True)
    (tmp_path / "skipped").mkdir()
    async with watching(tmp_path, lambda path: path == ("skipped",)) as events:
        (tmp_path / ".shoal/tmp/x").touch()
        (tmp_path / "skipped/x").touch()
        (tmp_path / ".shoal/tmp/x").rename(tmp_path / "arrived")
        changed = await collect(events, ("arrived",))
    assert changed.touched == {("arrived",): Touch.SAVED}


async def test_the_end_of_the_folder_ends_the_events(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "folder"
    (folder / ".shoal").mkdir(parents=True)
    async with watching(folder) as events:
        folder.rename(tmp_path / "elsewhere")
        assert await anext(events) == RootGone()
        with pytest.raises(StopAsyncIteration):
            await anext(events)
    async with watching(tmp_path / "elsewhere") as events:
        shutil.rmtree(tmp_path / "elsewhere")
        assert [event async for event in events][-1] == RootGone()


async def test_too_many_watches_are_said_and_the_rest_goes_on(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    real = INotify.add_watch
    count = 0

    def limited(self: INotify, path: str, mask: int) -> int:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "no watches left")
        return int(real(self, path, mask))

    monkeypatch.setattr(INotify, "add_watch", limited)
    async with watching(tmp_path) as events:
        first = await anext(events)
        assert isinstance(first, WatchLimit)
        assert len(first.path) == 1
        (tmp_path / "mark").touch()
        await collect(events, ("mark",))


async def test_lost_events_lead_to_an_overflow_and_new_directories_are_watched_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = INotify.read
    lose = True

    def lossy(self: INotify, timeout: int | None = None) -> list[Event]:
        nonlocal lose
        events = list(real(self, timeout))
        if lose and events:
            lose = False
            return [Event(-1, int(flags.Q_OVERFLOW), 0, "")]
        return events

    monkeypatch.setattr(INotify, "read", lossy)
    async with watching(tmp_path) as events:
        (tmp_path / "d").mkdir()
        event = await anext(events)
        assert event == Overflow()
        (tmp_path / "d/x").write_bytes(b"x")
        await collect(events, ("d", "x"))


async def test_a_cancelled_wait_loses_no_event(tmp_path: pathlib.Path) -> None:
    async with watching(tmp_path) as events:
        for number in range(50):
            (tmp_path / f"d{number}").mkdir()
            with trio.move_on_after(0) as scope:
                scope.cancel()
                await anext(events)
        (tmp_path / "d49/x").touch()
        seen: set[Path] = set()
        while len(seen) < 50:
            event = await anext(events)
            assert isinstance(event, Changed)
            seen |= event.rescan
    assert seen == {(f"d{number}",) for number in range(50)}


def test_events_of_unknown_watches_are_passed_over() -> None:
    tree = WatchTree(skips_nothing)
    tree.added((), 1)
    tree.take([Event(7, int(flags.CREATE), 0, "x"), Event(1, int(flags.IGNORED), 0, "")])
    tree.take([Event(1, int(flags.CREATE), 0, "x")])
    assert tree.finish() is None
    assert len(tree) == 0


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("mkdir"), PATHS, PATHS),
        st.tuples(st.just("write"), PATHS, PATHS),
        st.tuples(st.just("rename"), PATHS, PATHS),
        st.tuples(st.just("rename"), PATHS, PATHS),
        st.tuples(st.just("remove"), PATHS, PATHS),
    ),
    min_size=1,
    max_size=40,
)


def operate(folder: pathlib.Path, what: str, one: str, two: str) -> None:
    path = folder / one
    try:
        if what == "mkdir":
            path.mkdir(parents=True)
        elif what == "write":
            path.write_text(two)
        elif what == "rename":
            path.rename(folder / two)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return


def snapshot(folder: pathlib.Path, below: Path = ()) -> dict[Path, str | None]:
    """What is at `below` and below it: text of files, None for directories."""
    at = folder.joinpath(*below)
    if not at.exists():
        return {}
    found: dict[Path, str | None] = {}
    for path in [at, *at.rglob("*")]:
        key = path.relative_to(folder).parts
        if key:
            found[key] = None if path.is_dir() else path.read_text()
    return found


def forget(shadow: dict[Path, str | None], path: Path) -> None:
    for known in [known for known in shadow if known[: len(path)] == path]:
        del shadow[known]


def follow(folder: pathlib.Path, shadow: dict[Path, str | None], changed: Changed) -> None:
    """Do what an engine does with a batch: follow renames, look at paths, scan directories."""
    for source, target, _ in changed.moved:
        below = {known: text for known, text in shadow.items() if known[: len(source)] == source}
        forget(shadow, source)
        forget(shadow, target)
        for known, text in below.items():
            shadow[target + known[len(source) :]] = text
    for path in changed.touched:
        at = folder.joinpath(*path)
        if at.is_dir():
            shadow[path] = None
        elif at.exists():
            forget(shadow, path)
            shadow[path] = at.read_text()
        else:
            forget(shadow, path)
    for path in changed.rescan:
        forget(shadow, path)
        shadow.update(snapshot(folder, path))


@given(before=OPERATIONS, batches=st.lists(OPERATIONS, min_size=1, max_size=4))
@settings(
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whoever_follows_the_events_knows_what_is_on_the_disk(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[str, str, str]],
    batches: list[list[tuple[str, str, str]]],
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for operation in before:
        operate(folder, *operation)

    async def main() -> None:
        async with watching(folder) as events:
            shadow = snapshot(folder)
            for number, batch in enumerate(batches):
                for operation in batch:
                    operate(folder, *operation)
                mark = (f"mark{number}",)
                (folder / mark[0]).write_text("")
                while mark not in shadow:
                    event = await anext(events)
                    assert isinstance(event, Changed)
                    follow(folder, shadow, event)
            assert shadow == snapshot(folder)

    trio.run(main)


@pytest.mark.parametrize("is_told_before", [False, True])
def test_a_directory_that_was_made_where_it_is_no_more_is_watched_once_its_rename_is_told(is_told_before: bool) -> None:
    tree = WatchTree(skips_nothing)
    tree.added((), 1)
    tree.added(("d",), 2)
    tree.take([Event(2, int(flags.CREATE | flags.ISDIR), 0, "e")])
    assert tree.to_add == [("d", "e")]
    tree.to_add.clear()
    tree.not_reached(("d", "e"))
    tree.finish()
    if is_told_before:
        tree.has_told_all()
    moved = int(flags.ISDIR)
    tree.take(
        [Event(1, int(flags.MOVED_FROM) | moved, 7, "d"), Event(1, int(flags.MOVED_TO) | moved, 7, "n")],
    )
    changed = tree.finish()
    assert changed is not None
    assert tree.to_add == ([] if is_told_before else [("n", "e")])
    assert changed.rescan == frozenset(tree.to_add)


def test_a_watch_that_was_given_up_and_is_asked_for_anew_stays() -> None:
    tree = WatchTree(skips_nothing)
    tree.added((), 1)
    tree.added(("n",), 2)  # where it was found after an overflow, before its rename to there was told
    moved = int(flags.ISDIR)
    tree.take([Event(1, int(flags.MOVED_FROM) | moved, 7, "d"), Event(1, int(flags.MOVED_TO) | moved, 7, "n")])
    assert tree.to_add == [("n",)]
    tree.added(("n",), 2)
    assert tree.to_remove == []
    tree.take([Event(2, int(flags.CLOSE_WRITE), 0, "file")])
    changed = tree.finish()
    assert changed is not None
    assert ("n", "file") in changed.touched
