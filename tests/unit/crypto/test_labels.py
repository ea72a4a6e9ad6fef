"""The label registry."""

import ast
from pathlib import Path

from crypto.labels import LABEL_BYTES, Label

ROOT = Path(__file__).parents[3]


def test_no_two_purposes_share_a_label() -> None:
    # `Label` members with equal values would become aliases, which iteration leaves out.
    assert len(Label.__members__) == len(list(Label)) == len({label.value for label in Label})


def test_padding_does_not_make_two_labels_equal() -> None:
    padded = {label.value.ljust(LABEL_BYTES, b"\0") for label in Label}
    assert len(padded) == len(list(Label))


def test_labels_are_short_ascii_words_of_shoal() -> None:
    for label in Label:
        assert label.value.isascii()
        assert label.value.startswith(b"shoal.")
        assert len(label.value) <= LABEL_BYTES
        assert b"\0" not in label.value


def test_no_other_module_spells_a_label() -> None:
    spelled = {label.value for label in Label} | {label.value.decode() for label in Label}
    for package in ("chunking", "crypto", "protocol", "peer", "coordinator", "simulations"):
        for path in (ROOT / package).rglob("*.py"):
            if path == ROOT / "crypto" / "labels.py":
                continue
            for node in ast.walk(ast.parse(path.read_bytes())):
                assert not (isinstance(node, ast.Constant) and node.value in spelled), path
