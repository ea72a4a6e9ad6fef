"""The layer's own tests act as the user that programs run as."""

from collections.abc import Iterator

import pytest

from tests.common.fleet import as_their_user
from tests.faults.library import has_compiler


@pytest.fixture(autouse=True)
def _their_user() -> Iterator[None]:
    if not has_compiler():
        pytest.skip("no C compiler (on Debian: apt-get install gcc libc6-dev)")
    with as_their_user():
        yield
