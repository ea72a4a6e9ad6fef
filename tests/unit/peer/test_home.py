"""A home: its identity, its seeds, its lock."""

import os
import stat
from pathlib import Path

import pytest

from peer.home import (
    Home,
    HomeError,
    HomeLocked,
    Identity,
    NotJoined,
    Seeds,
    open_lock,
    pack_bundled,
    pack_links,
    running_pid,
)
from protocol.ids import LogHash, WorkspaceId
from protocol.model import BundledWorkspace

BUNDLED = (BundledWorkspace(WorkspaceId(b"w" * 32), b"keys", 7, LogHash(b"h" * 32)),)


def identity(**changes: object) -> Identity:
    fields: dict[str, object] = {
        "device_seed": b"\x01" * 32,
        "recovery_seed": b"\x02" * 32,
        "device_id": b"d" * 16,
        "device_name": "laptop",
        "user_id": b"u" * 16,
        "user_name": "ana",
        "coordinator": b"c" * 32,
        "addresses": ("https://example.org:8440",),
        "chain": pack_links(()),
        "bundle": pack_bundled(BUNDLED),
    }
    return Identity(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.at(tmp_path / "home")
    made.prepare()
    return made


def test_an_identity_is_read_as_it_was_written(home: Home) -> None:
    assert not home.has_joined()
    home.write_identity(identity())
    assert home.has_joined()
    assert home.read_identity() == identity()
    assert home.read_identity().bundled == BUNDLED


def test_all_that_is_private_is_for_its_user_alone(home: Home) -> None:
    home.write_identity(identity())
    home.write_seeds(Seeds(code=b"c", device=b"d" * 32, recovery=b"r" * 32))
    with open_lock(home):
        for path in home.path.rglob("*"):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_writing_leaves_nothing_else_behind(home: Home) -> None:
    home.write_identity(identity())
    home.write_identity(identity(device_name="desk"))
    assert sorted(each.name for each in home.path.iterdir()) == ["identity", "log"]


def test_a_home_that_has_not_joined_says_so(home: Home) -> None:
    with pytest.raises(NotJoined, match="shoal join"):
        home.read_identity()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe"])
def test_a_damaged_identity_is_one_clear_error(home: Home, content: bytes) -> None:
    home.identity.write_bytes(content)
    with pytest.raises(HomeError, match="damaged"):
        home.read_identity()


def test_an_identity_of_another_format_is_not_guessed_at(home: Home) -> None:
    home.write_identity(identity(format=2))
    with pytest.raises(HomeError, match="another version"):
        home.read_identity()


def test_secrets_are_not_shown() -> None:
    shown = repr(identity()) + repr(Seeds(code=b"c", device=b"\x01" * 32, recovery=b"\x02" * 32))
    assert "x01" not in shown
    assert "x02" not in shown


def test_seeds_are_found_again_for_the_same_code_alone(home: Home) -> None:
    assert home.read_seeds(b"one") is None
    seeds = Seeds(code=b"one", device=b"d" * 32, recovery=b"r" * 32)
    home.write_seeds(seeds)
    assert home.read_seeds(b"one") == seeds
    assert home.read_seeds(b"two") is None
    home.drop_seeds()
    assert home.read_seeds(b"one") is None


def test_a_second_lock_is_refused_with_the_first_ones_pid(home: Home) -> None:
    assert running_pid(home) is None
    with open_lock(home):
        assert running_pid(home) == os.getpid()
        with pytest.raises(HomeLocked) as refused, open_lock(home):
            pass
        assert refused.value.pid == os.getpid()
        assert str(os.getpid()) in str(refused.value)
    assert running_pid(home) is None
    with open_lock(home):
        pass


def test_a_home_is_the_given_one_else_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path / "from-environment"))
    assert Home.at(None).path == tmp_path / "from-environment"
    assert Home.at(tmp_path / "given").path == tmp_path / "given"
    monkeypatch.delenv("SHOAL_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Home.at(None).path == tmp_path / "data" / "shoal"


def test_a_home_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="choose another"):
        Home.at(tmp_path / "file" / "home").prepare()
