"""Every command that a console script lists works, has an example in its help, and is tested."""

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.common.processes import run_program

TESTS = Path(__file__).parent
SCRIPTS = ("shoal", "shoal-coordinator")


@functools.cache
def help_of(*command: str) -> str:
    """A command's help text."""
    status, text, _ = run_program([*command, "--help"])
    assert status == 0
    return text


def listed(*command: str) -> list[str]:
    """The commands that a help text lists, those below groups too."""
    names = re.findall(
        r"^  ([a-z][a-z-]*)(?:  |$)", help_of(*command).partition("\nCommands:\n")[2].split("\n\n")[0], re.MULTILINE
    )
    return [" ".join((*command, name)) for name in names] + [
        below for name in names for below in listed(*command, name)
    ]


def commands_tested() -> set[str]:
    """The commands that tests in this directory say they are about."""
    found: set[str] = set()
    for path in TESTS.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "command":
                found |= {str(each.value) for each in node.args if isinstance(each, ast.Constant)}
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_listed_command_has_a_test_and_an_example(script: str) -> None:
    commands = listed(script)
    assert commands
    assert set(commands) <= commands_tested(), "a command without a test in this directory"
    for command in commands:
        assert f"Example: {command}" in help_of(*command.split()), command


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_documents_have_every_command_and_no_other(script: str) -> None:
    text = (TESTS.parents[2] / "docs" / "commands.md").read_text()
    named = set(re.findall(rf"`({script} [a-z][a-z -]*)`", text))
    assert named == set(listed(script))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_command_that_is_not_there_is_wrong_usage(script: str) -> None:
    status, out, err = run_program([script, "frobnicate"])
    assert (status, out) == (2, "")
    assert "frobnicate" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_shells_are_told_how_to_complete(script: str, shell: str) -> None:
    variable = f"_{script.replace('-', '_').upper()}_COMPLETE"
    status, out, _ = run_program([script], {variable: f"{shell}_source"})
    assert status == 0
    assert f"{shell}_complete" in out
    typed = {"COMP_WORDS": f"{script} work", "COMP_CWORD": "work" if shell == "fish" else "1"}
    _, out, _ = run_program([script], {variable: f"{shell}_complete", **typed})
    assert "workspaces" in out
