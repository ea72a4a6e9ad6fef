"""`docs/protocol.md` says what the code does: every type, path, label, reason and bound."""

import enum
import re
from pathlib import Path

import pytest

from crypto.labels import Label
from protocol import lan, limits, messages, model, nearby, offered, version
from tests.vectors.notation import line, structs

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
STRUCTS = [*structs(model), *structs(messages), *structs(offered), *structs(nearby), *structs(lan)]
REASONS = [messages.RefusalCode, messages.CommitReason, messages.ChangeReason, lan.GoneReason, lan.ByeReason]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: str(struct.__name__))
def test_every_type_is_written_down_as_it_is(struct: type) -> None:
    assert line(struct) in DOCUMENT.splitlines()


def test_nothing_is_written_down_that_is_not_there() -> None:
    written = set(re.findall(r"^(\w+) = \[", DOCUMENT, re.MULTILINE))
    assert written == {struct.__name__ for struct in STRUCTS}


def test_every_path_is_written_down() -> None:
    for path, (request, _) in messages.ENDPOINTS.items():
        assert re.search(rf"^\| `{path}` \| `{request.__name__}` \|", DOCUMENT, re.MULTILINE), path
    for path in (messages.UPLOAD_PATH, messages.DOWNLOAD_PATH, messages.NOTIFY_PATH):
        assert f"`{path}`" in DOCUMENT


@pytest.mark.parametrize("kind", REASONS)
def test_every_reason_is_written_down(kind: type[enum.StrEnum]) -> None:
    for reason in kind:
        assert f"`{reason.value}`" in DOCUMENT, reason


def test_every_label_is_written_down() -> None:
    for label in Label:
        assert f"`{label.value.decode()}`" in DOCUMENT, label


def test_every_bound_is_written_down() -> None:
    for name, value in vars(limits).items():
        if name.isupper() and name not in ("KIB", "MIB"):
            assert f"| `{name}` | {value} |" in DOCUMENT, name


def test_the_version_is_written_down() -> None:
    assert f"major version {version.MAJOR}, revision {version.REVISION}" in DOCUMENT
    for capability in version.CAPABILITIES:
        assert f"`{capability}`" in DOCUMENT
