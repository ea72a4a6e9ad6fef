"""Fleets of real programs for the tests of this directory, which act as the user that those run as."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.common.fleet import Fleet, Peer, as_their_user, open_fleet


@pytest.fixture(autouse=True)
def _their_user() -> Iterator[None]:
    with as_their_user():
        yield


@pytest.fixture
def fleet(_their_user: None) -> Iterator[Fleet]:
    """A coordinator of one's own."""
    with open_fleet() as made:
        yield made


@dataclass(frozen=True)
class Duo:
    """Two devices of one user in step, for a module's tests; each test has a directory of its own."""

    fleet: Fleet
    red: Peer
    blue: Peer


@pytest.fixture(scope="module")
def duo() -> Iterator[Duo]:
    """Shared by the tests of a module."""
    with open_fleet() as made:
        yield Duo(made, *made.pair_of("red", "blue"))
