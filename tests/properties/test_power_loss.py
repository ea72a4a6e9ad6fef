"""A power loss after any call of the disk layer, whatever of the unsynced it takes, loses no byte of anybody's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from peer.disk.apply import apply
from peer.disk.private import Marker, open_new_root, open_root, read_age, recover, write_age
from peer.disk.root import Root
from peer.disk.steps import (
    Applied,
    MakeDirectory,
    Move,
    PutFile,
    PutLink,
    RemoveDirectory,
    RemoveFile,
    RemoveLink,
    SetAttributes,
    Step,
    StepResult,
)
from peer.ports import Handle
from simulations.disk import Kind, Loss, SimDisk
from tests.common.disks import KNOWN, WORKSPACE, CountingEntropy, Crashed, fingerprint, make_temp
from tests.common.simulated_disks import sim_disk

OLD, OTHER, NEW = b"what was there before", b"another file", b"what is to be there"
SEEDS = 2
"""Power losses with different draws at each call."""
Tree = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """`before` is lasting when `steps` are carried out; `after` is what must last once they are said to be done.

    A directory's path ends in `/`, a link's content begins with `->`. `gone`: contents that may cease to be.
    """

    steps: Callable[[Root], list[Step]]
    after: Tree
    before: Tree = field(default_factory=lambda: {"a": OLD})
    gone: frozenset[bytes] = frozenset()


def put(root: Root, name: str, *, known: bool = True, hold: str | None = None, fresh: bool = False) -> Step:
    path = tuple(name.split("/"))
    found = None if fresh else fingerprint(root, path)
    return PutFile(path, make_temp(root, NEW), found, 5, False, KNOWN if known else None, hold)


def ignores(path: tuple[str, ...], _: bool) -> bool:
    return path[-1] == "ignored"


CASES = {
    "a new file": Case(lambda root: [put(root, "b", fresh=True)], {"a": OLD, "b": NEW}),
    "a new link": Case(lambda root: [PutLink(("b",), "x", None)], {"a": OLD, "b": b"-> x"}),
    "a replaced file": Case(lambda root: [put(root, "a")], {"a": NEW}, gone=frozenset({OLD})),
    "a replaced file, held": Case(
        lambda root: [put(root, "a", known=False, hold="h")], {"a": NEW, ".shoal/held/h": OLD}
    ),
    "a link in the place of a file": Case(
        lambda root: [PutLink(("a",), "x", fingerprint(root, ("a",)), KNOWN)], {"a": b"-> x"}, gone=frozenset({OLD})
    ),
    "a file in the place of a link": Case(
        lambda root: [put(root, "a")], {"a": NEW}, {"a": b"-> x"}, frozenset({b"-> x"})
    ),
    "a moved file": Case(lambda root: [Move(("a",), ("b",), fingerprint(root, ("a",)))], {"b": OLD}),
    "a file moved to another directory": Case(
        lambda root: [Move(("a",), ("d", "a"), fingerprint(root, ("a",)))],
        {"d/": b"", "d/a": OLD},
        {"a": OLD, "d/": b""},
    ),
    "a moved directory": Case(
        lambda root: [Move(("d",), ("e",), None)], {"e/": b"", "e/a": OLD}, {"d/": b"", "d/a": OLD}
    ),
    "a directory moved into a new one": Case(
        lambda root: [MakeDirectory(("n",)), Move(("d",), ("n", "d"), None)],
        {"n/": b"", "n/d/": b"", "n/d/a": OLD},
        {"d/": b"", "d/a": OLD},
    ),
    "two names swapped": Case(
        lambda root: [
            Move(("a",), ("c",), fingerprint(root, ("a",))),
            Move(("b",), ("a",), fingerprint(root, ("b",))),
            Move(("c",), ("b",), None),
        ],
        {"a": OTHER, "b": OLD},
        {"a": OLD, "b": OTHER},
    ),
    "a move and another file at the old name": Case(
        lambda root: [Move(("a",), ("b",), fingerprint(root, ("a",))), put(root, "a", fresh=True)], {"a": NEW, "b": OLD}
    ),
    "new directories and files in them": Case(
        lambda root: [MakeDirectory(("d",)), MakeDirectory(("d", "e")), put(root, "d/e/f", fresh=True)],
        {"a": OLD, "d/": b"", "d/e/": b"", "d/e/f": NEW},
    ),
    "a removed file": Case(
        lambda root: [RemoveFile(("a",), fingerprint(root, ("a",)), KNOWN)], {}, gone=frozenset({OLD})
    ),
    "a removed file, held": Case(
        lambda root: [RemoveFile(("a",), fingerprint(root, ("a",)), hold="h")], {".shoal/held/h": OLD}
    ),
    "a removed link": Case(
        lambda root: [RemoveLink(("a",), fingerprint(root, ("a",)), KNOWN)], {}, {"a": b"-> x"}, frozenset({b"-> x"})
    ),
    "a removed directory": Case(lambda root: [RemoveDirectory(("d",), ignores)], {"a": OLD}, {"a": OLD, "d/": b""}),
    "a removed directory with something ignored in it": Case(
        lambda root: [RemoveDirectory(("d",), ignores)], {}, {"d/": b"", "d/ignored": OLD}
    ),
    "a directory emptied and removed": Case(
        lambda root: [
            RemoveFile(("d", "a"), fingerprint(root, ("d", "a")), hold="h"),
            RemoveDirectory(("d",), ignores),
        ],
        {".shoal/held/h": OLD},
        {"d/": b"", "d/a": OLD},
    ),
    "attributes": Case(lambda root: [SetAttributes(("a",), fingerprint(root, ("a",)), True, 77)], {"a": OLD}),
    "many files replaced": Case(
        lambda root: [put(root, f"d{n}/f", known=n % 2 == 0, hold=f"h{n}" if n % 2 else None) for n in range(6)],
        {f"d{n}/": b"" for n in range(6)}
        | {f"d{n}/f": NEW for n in range(6)}
        | {f".shoal/held/h{n}": b"%d" % n for n in (1, 3, 5)},
        {f"d{n}/": b"" for n in range(6)} | {f"d{n}/f": b"%d" % n for n in range(6)},
        gone=frozenset({b"0", b"2", b"4"}),
    ),
}
KINDS = {"": Kind(), "without exchange, numbers used again": Kind(exchanges=False, reuses_inodes=True)}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_power_loss_after_any_call_leaves_the_old_or_the_new_whole(case: Case, kind: Kind) -> None:
    at = 0
    while crash_at(case, kind, at):
        at += 1
    assert at > 3


def crash_at(case: Case, kind: Kind, at: int) -> bool:
    """Lose power before call number `at`, in all ways; returns whether there was one."""
    ways = [(Loss.ALL, 0), (Loss.NONE, 0), *((Loss.DRAWN, seed) for seed in range(SEEDS))]
    reached = False
    for loss, seed in ways:
        disk, marker = prepared(case.before, kind, seed)
        results, before = carry_out(disk, marker, case, at)
        reached = results is None
        disk.crash(power=True, loss=loss)
        check(case, tree(disk), before, done=results is not None, note=f"call {at}, {loss}, {seed}")
        # Another power loss while what was left is cleared up.
        disk.before_call = raising_at((at * 7 + seed * 13) % 60)
        with suppress(Crashed):
            clear_up(disk, marker)
        disk.before_call = None
        disk.crash(power=True, loss=loss)
        clear_up(disk, marker)
        check(case, tree(disk), before, done=results is not None, note=f"call {at}, {loss}, {seed}, cleared up")
        assert not [path for path in tree(disk) if path.startswith((".shoal/swap/", ".shoal/tmp/")) and path[-1] != "/"]
    return reached


def prepared(before: Tree, kind: Kind, seed: int) -> tuple[SimDisk, Marker]:
    disk = sim_disk(seed, kind)
    for path, content in before.items():
        if path.endswith("/"):
            disk.make_directory(f"/folder/{path}")
        elif content.startswith(b"-> "):
            with people_in(disk, path) as (handle, name):
                disk.people.make_link(handle, name, content[3:].decode())
        else:
            disk.put(f"/folder/{path}", content)
    with open_new_root(disk.filesystem(), CountingEntropy(), "/folder", WORKSPACE) as (_, marker):
        disk.volume.save_all()
    disk.crash(power=False)
    return disk, marker


@contextmanager
def people_in(disk: SimDisk, path: str) -> Iterator[tuple[Handle, str]]:
    above, _, name = path.rpartition("/")
    handle = disk.people.open_root(f"/folder/{above}")
    yield handle, name
    disk.people.close(handle)


def raising_at(number: int) -> Callable[[str, tuple[object, ...]], None]:
    left = [number]

    def before_call(call: str, arguments: tuple[object, ...]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crashed

    return before_call


def carry_out(disk: SimDisk, marker: Marker, case: Case, at: int) -> tuple[list[StepResult] | None, Tree]:
    """The results, or None where the power went before them; and what was there just before."""
    with suppress(Crashed), open_root(disk.filesystem(), entropy_of(disk), "/folder", marker) as root:
        assert isinstance(root, Root)
        steps = case.steps(root)
        before = tree(disk)
        disk.before_call = raising_at(at)
        results = apply(root, steps)
        disk.before_call = None
        assert all(isinstance(result, Applied) for result in results), results
        return results, before
    disk.before_call = None
    return None, before


def entropy_of(disk: SimDisk) -> CountingEntropy:
    """Chance that no earlier run had."""
    entropy = CountingEntropy()
    entropy.skip(disk.calls * 1000)
    return entropy


def clear_up(disk: SimDisk, marker: Marker) -> None:
    with open_root(disk.filesystem(), entropy_of(disk), "/folder", marker) as root:
        assert isinstance(root, Root), root
        recover(root)


def tree(disk: SimDisk, path: str = "") -> Tree:
    """All files and links by path, those in the private directory too; directories end in `/`."""
    found: Tree = {}
    people = disk.people
    handle = people.open_root(f"/folder/{path}")
    for name, is_directory in people.list_names(handle):
        below = path + name
        if is_directory:
            found[below + "/"] = b""
            found |= tree(disk, below + "/")
        else:
            try:
                found[below] = b"-> " + people.read_link(handle, name).encode()
            except OSError:
                found[below] = bytes(disk.content(f"/folder/{below}"))
    people.close(handle)
    return found


def users(found: Tree) -> Tree:
    return {path: content for path, content in found.items() if not path.startswith(".shoal/")}


def check(case: Case, found: Tree, before: Tree, *, done: bool, note: str) -> None:
    mine, wanted = users(found), users(case.after)
    for content in set(case.before.values()) - case.gone - {b""}:
        assert content in found.values(), f"{note}: {content!r} is lost: {found}"
    for path, content in mine.items():
        allowed = {users(before).get(path), wanted.get(path)} | ({OLD, OTHER} if len(case.before) > 1 else set())
        assert content in allowed, f"{note}: {path} has {content!r}"
    if done:
        assert mine == wanted, note
        for path, content in case.after.items():
            assert found.get(path) == content, f"{note}: {path}"


def test_a_power_loss_while_a_folder_gets_a_number_leaves_the_old_or_the_new_one() -> None:
    at, went = 0, True
    while went:
        for loss, seed in ((Loss.ALL, 0), (Loss.NONE, 0), (Loss.DRAWN, 1), (Loss.DRAWN, 2)):
            disk, marker = prepared({}, Kind(), seed)
            with open_root(disk.filesystem(), entropy_of(disk), "/folder", marker) as root:
                assert isinstance(root, Root)
                write_age(root, 7)
            went = True
            with suppress(Crashed), open_root(disk.filesystem(), entropy_of(disk), "/folder", marker) as root:
                assert isinstance(root, Root)
                disk.before_call = raising_at(at)
                write_age(root, 8)
                went = False
            disk.before_call = None
            disk.crash(power=True, loss=loss)
            with open_root(disk.filesystem(), entropy_of(disk), "/folder", marker) as root:
                assert isinstance(root, Root)
                assert read_age(root) in ((7, 8) if went else (8,)), f"call {at}, {loss}"
        at += 1
    assert at > 5
