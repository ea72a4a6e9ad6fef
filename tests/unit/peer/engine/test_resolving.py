"""Whose version is whose."""

import pytest

from peer.engine.resolving import Author, decide_mine
from protocol.ids import DeviceId, UserId
from protocol.names import conflict_name, is_conflict_name, resolved_name

LAPTOP = Author(DeviceId(b"laptop"), UserId(b"ana"))
DESK = Author(DeviceId(b"desk"), UserId(b"ana"))
BENS = Author(DeviceId(b"bens"), UserId(b"ben"))
CYS = Author(DeviceId(b"cys"), UserId(b"cy"))


@pytest.mark.parametrize(
    ("copy", "original", "mine"),
    [
        (LAPTOP, DESK, "copy"),
        (DESK, LAPTOP, "original"),
        (DESK, BENS, "copy"),
        (BENS, DESK, "original"),
        (LAPTOP, LAPTOP, None),
        (DESK, DESK, None),
        (BENS, CYS, None),
    ],
)
def test_mine_is_what_this_device_wrote_else_what_its_user_did(
    copy: Author, original: Author, mine: str | None
) -> None:
    assert decide_mine(LAPTOP, copy, original) == mine


def test_a_copy_that_stays_is_not_called_conflicted_any_more() -> None:
    name = conflict_name("plan.txt", "ana's laptop", "2026-11-17", 2)
    assert is_conflict_name(name)
    assert resolved_name(name) == "plan (ana's laptop's copy 2026-11-17)-2.txt"
    assert resolved_name(name, 2) == "plan (ana's laptop's copy 2026-11-17)-2-2.txt"
    assert not is_conflict_name(resolved_name(name))
    assert not is_conflict_name("my conflicted copy.txt")
