"""Every command that a console script lists works, has an example in its help, and is tested."""

import ast
import functools
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from coordinator.__main__ import commands as hosting
from peer.__main__ import shoal
from tests.common.processes import run_program

TESTS = Path(__file__).parent
GROUPS = {"shoal": shoal, "shoal-coordinator": hosting}
SCRIPTS = tuple(GROUPS)


@functools.cache
def help_of(script: str, *command: str) -> str:
    """A command's help text. The programs say it in `test_a_program_helps_as_its_commands_do`."""
    said = CliRunner().invoke(GROUPS[script], [*command, "--help"], prog_name=script)
    assert said.exit_code == 0
    return said.stdout


def listed(script: str, *command: str) -> list[str]:
    """The commands that a help text lists, those below groups too."""
    commands = help_of(script, *command).partition("\nCommands:\n")[2].split("\n\n")[0]
    names = re.findall(r"^  ([a-z][a-z-]*)(?:  |$)", commands, re.MULTILINE)
    return [" ".join((script, *command, name)) for name in names] + [
        below for name in names for below in listed(script, *command, name)
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
def test_a_program_helps_as_its_commands_do(script: str) -> None:
    status, text, _ = run_program([script, "--help"])
    assert status == 0
    assert text.split() == help_of(script).split()


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
