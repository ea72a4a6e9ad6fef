import pathlib
import subprocess
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peer.fingerprint import Path
from peer.scan.ignore import IgnoreRules


def rules_of(*files: tuple[Path, str]) -> IgnoreRules:
    rules = IgnoreRules()
    for directory, text in files:
        rules.put(directory, text)
    return rules


def path(text: str) -> Path:
    return tuple(text.split("/"))


@pytest.mark.parametrize(
    ("text", "ignored", "not_ignored"),
    [
        ("*.pyc", ["a.pyc", "d/a.pyc"], ["a.py", "pyc"]),
        ("/build", ["build", "build/x"], ["d/build"]),
        ("node_modules/", ["d/node_modules/x"], ["node_modules"]),
        ("a/*\n!a/keep", ["a/x"], ["a/keep", "a/keep/y"]),
        ("keep/\n!keep/x", ["keep/x"], []),
        ("*.log\n!keep/", ["keep/a.log"], ["keep/a"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["z"]),
        ("a/**", ["a/b"], ["a"]),
        ("# note\n\n\\#x\n", ["#x"], ["# note"]),
        ("*\n!*.txt", ["a", "d/a.txt"], ["a.txt"]),
        ("[ab].c", ["a.c"], ["c.c"]),
    ],
)
def test_patterns_mean_what_they_mean_to_git(text: str, ignored: list[str], not_ignored: list[str]) -> None:
    rules = rules_of(((), text))
    assert [name for name in ignored if not rules.ignores(path(name), False)] == []
    assert [name for name in not_ignored if rules.ignores(path(name), False)] == []


def test_a_deeper_file_overrules_one_above_but_not_an_ignored_directory() -> None:
    rules = rules_of(((), "*.log\n/gone"), (("d",), "!a.log\nx"), (("gone",), "!a"))
    assert not rules.ignores(("d", "a.log"), False)
    assert rules.ignores(("d", "b.log"), False)
    assert rules.ignores(("d", "e", "x"), False)
    assert not rules.ignores(("x",), False)
    assert rules.ignores(("gone", "a"), False)


def test_the_private_directory_is_ignored_in_the_root_only_and_cannot_be_taken_back() -> None:
    rules = rules_of(((), "!.shoal\n!.shoal/**"))
    assert rules.ignores((".shoal",), True)
    assert rules.ignores((".shoal", "tmp", "x"), False)
    assert not rules.ignores(("d", ".shoal"), True)


def test_a_changed_file_takes_effect_and_an_unchanged_one_is_said_to_be() -> None:
    rules = rules_of(((), "a"))
    assert rules.ignores(("a",), False)
    assert not rules.put((), "a")
    assert rules.put((), "b")
    assert not rules.ignores(("a",), False)
    rules.put(("d",), "c")
    rules.forget_below(("d",))
    assert not rules.ignores(("d", "c"), False)
    assert rules.known_files() == ((),)


def test_a_file_may_take_back_what_one_above_it_rules_out() -> None:
    for above in ("a/x", "x"):
        rules = rules_of(((), above), (("a",), "!x"))
        assert not rules.ignores(("a", "x"), False)
        assert rules.ignores(("x",), False) is (above == "x")


NAMES = st.sampled_from(["a", "b", "ab", "a.b", "b.a", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
ATOMS = st.sampled_from(["a", "b", "ab", "a.b", "*", "*.b", "a*", "?", "[ab]", "**", "c"])


@st.composite
def patterns(draw: st.DrawFn) -> str:
    body = "/".join(draw(st.lists(ATOMS, min_size=1, max_size=3)))
    return (
        ("!" if draw(st.booleans()) and draw(st.booleans()) else "")
        + ("/" if draw(st.booleans()) else "")
        + body
        + ("/" if draw(st.booleans()) else "")
    )


FILES = st.dictionaries(st.sampled_from(["", "a", "a/b", "b"]), st.lists(patterns(), max_size=5), max_size=3)


@given(FILES, st.sets(PATHS, min_size=1, max_size=12))
@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_is_ignored_is_what_git_ignores(
    tmp_path: pathlib.Path, files: dict[str, list[str]], paths: set[str]
) -> None:
    repository = pathlib.Path(tempfile.mkdtemp(dir=tmp_path))
    subprocess.run(["git", "init", "-q", "--template=", repository], check=True)
    rules = IgnoreRules()
    directories = {parent for name in paths for parent in parents(name)}
    directories |= {parent for name in files for parent in parents(name + "/x")}
    for directory in sorted(directories):
        (repository / directory).mkdir(exist_ok=True, parents=True)
    names = sorted((paths - directories) | (directories - {""}))
    for name in paths - directories:
        (repository / name).touch()
    for directory, lines in files.items():
        text = "\n".join(lines) + "\n"
        (repository / directory / ".gitignore").write_text(text)
        rules.put(path(directory) if directory else (), text)
    answer = subprocess.run(
        ["git", "-C", repository, "check-ignore", "--stdin"],
        input="\n".join(names),
        text=True,
        capture_output=True,
        check=False,
    )
    expected = answer.stdout.split()
    assert [name for name in names if rules.ignores(path(name), name in directories)] == expected


def parents(name: str) -> list[str]:
    parts = name.strip("/").split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
