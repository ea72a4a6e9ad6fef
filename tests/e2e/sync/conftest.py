"""Fleets of real programs for the tests of this directory, which act as the user that those run as."""

from collections.abc import Iterator

import pytest

from tests.common.fleet import Fleet, as_their_user, open_fleet


@pytest.fixture(autouse=True)
def _their_user() -> Iterator[None]:
    with as_their_user():
        yield


@pytest.fixture
def fleet(_their_user: None) -> Iterator[Fleet]:
    """A coordinator of one's own."""
    with open_fleet() as made:
        yield made
