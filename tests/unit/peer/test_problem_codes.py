"""The codes of problems: the program, the documents and the schema have the same list, and each is given somewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from peer.engine.problems import Problems
from peer.machine import SystemClock
from peer.problem_codes import MEANINGS, advised
from protocol.messages import RefusalCode
from tests.common import documents

ROOT = Path(__file__).parents[3]
LATER = {
    "no_recovery_key": "comes with the recovery words",
    "cloned_home": "comes with starting over after a lost home",
    "move_undone": "comes with what the planner tells of undone moves",
}
"""Codes that may have no place yet that gives them, and what brings it."""
LOOKS = {"clear", "clear_code", "has", "get"}
"""Calls that ask for a code or end it, but give none."""


def given(node: ast.AST) -> Iterator[str]:
    """The strings below a node that may be given as a code: not those that are only compared or asked for."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOOKS:
        return
    if isinstance(node, ast.Compare | ast.Subscript):
        return
    if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Tuple):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from given(child)


def test_every_code_is_given_somewhere_or_known_to_come_later() -> None:
    modules = [path for path in (ROOT / "peer").rglob("*.py") if path.name != "problem_codes.py"]
    found = {text for path in modules for text in given(ast.parse(path.read_bytes()))}
    found |= {refusal.value for refusal in RefusalCode}  # handed on as they are
    assert MEANINGS.keys() - found <= LATER.keys()


def test_the_documents_have_the_same_codes_and_words() -> None:
    text = (ROOT / "docs" / "problems.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert {code: (what, todo) for code, what, todo in rows} == {
        code: (meaning.what, meaning.todo) for code, meaning in MEANINGS.items()
    }
    assert set(get_args(documents.ProblemCode)) == MEANINGS.keys()


def test_a_message_without_advice_gets_that_of_its_code() -> None:
    assert advised("disk_full", "no space left: free some") == "no space left: free some"
    assert advised("special_file", "pipes are not synced").endswith(f": {MEANINGS['special_file'].todo}")


def test_no_other_code_can_be_given() -> None:
    problems = Problems(SystemClock())
    problems.put("a", "unreadable", "no permission: check it")
    assert [each.code for each in problems.all()] == ["unreadable"]
    with pytest.raises(AssertionError, match="io_error"):
        problems.put("a", "io_error", "a code of the disk layer's own")
