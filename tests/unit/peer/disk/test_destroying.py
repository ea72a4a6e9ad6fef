"""Nothing at a user path is destroyed unless it is known to be stored elsewhere, whoever asks for it and however."""

import ast
import logging
import os
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from peer.disk import destroying
from peer.disk.apply import apply
from peer.disk.private import open_root, recover
from peer.disk.real import LinuxFilesystem
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
)
from tests.common.disks import (
    KNOWN,
    CountingEntropy,
    Crashed,
    all_contents,
    fingerprint,
    hooked,
    make_temp,
    new_root,
)

ROOT = Path(__file__).parents[4]
NAMES = ("a", "b", "c")


def test_a_step_on_what_nobody_else_is_known_to_have_is_refused(
    tmp_path: Path, no_unexpected_errors: list[logging.LogRecord]
) -> None:
    with new_root(tmp_path / "folder") as (root, _):
        (tmp_path / "folder" / "a").write_bytes(b"mine")
        (tmp_path / "folder" / "l").symlink_to("target")
        at, link = fingerprint(root, ("a",)), fingerprint(root, ("l",))
        steps: list[Step] = [
            PutFile(("a",), make_temp(root, b"new"), at, 5, False),
            PutLink(("a",), "x", at),
            RemoveFile(("a",), at),
            RemoveLink(("l",), link),
            PutLink(("l",), "x", link),
        ]
        assert apply(root, steps) == [destroying.REFUSED] * len(steps)
        assert fingerprint(root, ("a",)) == at
        assert fingerprint(root, ("l",)) == link
        assert os.listdir(tmp_path / "folder" / ".shoal" / "swap") == []
    assert len(no_unexpected_errors) == len(steps)
    no_unexpected_errors.clear()


def test_what_is_to_be_held_needs_nobody_else(tmp_path: Path) -> None:
    with new_root(tmp_path / "folder") as (root, _):
        (tmp_path / "folder" / "a").write_bytes(b"mine")
        step = PutFile(("a",), make_temp(root, b"new"), fingerprint(root, ("a",)), 5, False, hold="kept")
        [result] = apply(root, [step])
        assert isinstance(result, Applied)
    assert (tmp_path / "folder" / ".shoal" / "held" / "kept").read_bytes() == b"mine"


@st.composite
def tapes(draw: st.DrawFn) -> list[tuple[str, str, str, bool, int]]:
    """Steps to be (kind, name, other name, whether known), and the number of a call before which somebody saves."""
    kinds = ("put", "link", "remove", "move", "directory", "rmdir", "attributes")
    one = st.tuples(
        st.sampled_from(kinds), st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans(), st.integers(0, 60)
    )
    return draw(st.lists(one, min_size=1, max_size=6))


def step_of(root: Root, folder: Path, play: tuple[str, str, str, bool, int], at: int) -> Step:
    kind, name, other, known, _ = play
    path, digest = (name,), KNOWN if known else None
    found = fingerprint(root, path) if os.path.lexists(folder / name) else None
    match kind:
        case "put":
            return PutFile(path, make_temp(root, b"engine %d" % at), found, 5, False, digest)
        case "link":
            return PutLink(path, f"engine {at}", found, digest)
        case "move":
            return Move(path, (other,), found)
        case "directory":
            return MakeDirectory(path)
        case "rmdir":
            return RemoveDirectory(path, lambda path, _: path[-1] == "ignored")
        case "attributes" if found is not None:
            return SetAttributes(path, found, True, 7)
        case _ if found is not None and (folder / name).is_symlink():
            return RemoveLink(path, found, digest)
        case _ if found is not None:
            return RemoveFile(path, found, digest)
        case _:
            return MakeDirectory((name, "below"))


@settings(deadline=None, max_examples=150)
@given(tape=tapes(), crash=st.none() | st.integers(0, 80))
def test_no_sequence_of_steps_edits_and_crashes_destroys_what_is_not_known(
    tmp_path_factory: pytest.TempPathFactory, tape: list[tuple[str, str, str, bool, int]], crash: int | None
) -> None:
    folder = tmp_path_factory.mktemp("case") / "folder"
    precious: set[bytes] = set()
    calls, saves = -(10**6), {play[4] for play in tape}
    forgotten = logging.getLogger("shoal.disk")
    forgotten.disabled = True

    def before_call(_number: int, _name: str, _arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls in saves:
            saves.discard(calls)
            target = folder / NAMES[calls % len(NAMES)]
            data = b"saved at %d" % calls
            draft = folder / f"draft {len(saves)}~"
            draft.write_bytes(data)
            try:
                if target.is_file() and not target.is_symlink():
                    precious.discard(target.read_bytes())  # its owner writes over it
                draft.replace(target)
            except OSError:
                pass  # a directory is there by now; the draft stays
            precious.add(data)
        if crash is not None and calls == crash:
            raise Crashed

    try:
        with new_root(folder, hooked(before_call)) as (root, marker):
            for name in NAMES[:2]:
                (folder / name).write_bytes(f"user {name}".encode())
                precious.add(f"user {name}".encode())
            for at, play in enumerate(tape):
                step = step_of(root, folder, play, at)
                target = folder / play[1]
                if play[3] and play[0] in ("put", "link", "remove") and target.is_file() and not target.is_symlink():
                    precious.discard(target.read_bytes())  # the journal has it
                calls = 0
                try:
                    apply(root, [step])
                except Crashed:
                    break
                finally:
                    calls = -(10**6)
        with open_root(LinuxFilesystem(), CountingEntropy(), os.fspath(folder), marker) as root_again:
            assert isinstance(root_again, Root)
            recover(root_again)
    finally:
        forgotten.disabled = False
    assert precious <= all_contents(folder)


def test_only_one_place_unlinks_what_was_taken_from_a_user_path() -> None:
    """Everything else that unlinks names the directory of temporary files, or a file of Shoal's own."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "peer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                what, args = node.func.attr, [ast.unparse(one) for one in node.args]
                if what in ("unlink", "remove_dir", "exchange", "truncate", "rmtree", "ftruncate", "replace_file"):
                    found.setdefault(str(path.relative_to(ROOT / "peer")), set()).add(f"{what} {' '.join(args[:1])}")
    assert {at: calls for at, calls in found.items() if at.startswith(("disk/", "scan/", "transfer/", "engine/"))} == {
        "disk/apply.py": {"unlink self.root.tmp", "remove_dir parent"},
        "disk/destroying.py": {"unlink root.swap", "unlink root.held"},
        "disk/private.py": {
            "unlink root.tmp",
            "unlink root.swap",
            "unlink private",
            "unlink tmp",
            "exchange tmp",
            "exchange private",
        },
        "disk/real.py": {"unlink name", "ftruncate handle"},
        "disk/swapping.py": {"exchange root.swap"},
        "disk/temporary.py": {"truncate self._handle", "unlink root.tmp"},
        "engine/folders.py": {"unlink "},
    }
