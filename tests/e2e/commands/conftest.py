"""A coordinator and two devices of one user, one folder in step between them, shared by a module's tests."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.common.devices import Device, Host, open_host, write
from tests.common.processes import Program, work_directory


@dataclass(frozen=True)
class Pair:
    """Two devices in step. `folder` is mounted on `first`, `copy` on `second`; the workspace is called Documents."""

    host: Host
    first: Device
    second: Device
    first_daemon: Program
    folder: Path
    copy: Path


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with work_directory() as path:
        yield path


@pytest.fixture(scope="module")
def host(place: Path) -> Iterator[Host]:
    with open_host(place) as running:
        yield running


@pytest.fixture(scope="module")
def pair(place: Path, host: Host) -> Iterator[Pair]:
    with ExitStack() as stack:
        first, second = Device(place, "laptop"), Device(place, "desk")
        first.join(host.invite("ana"))
        daemon = stack.enter_context(first.open_daemon())
        folder, copy = first.folder("Documents"), second.folder("copy")
        write(folder / "notes.txt", b"one\n")
        (folder / "link").symlink_to("notes.txt")
        first.must("add", str(folder))
        second.join(first.must("pair", "--json").document["code"])
        stack.enter_context(second.open_daemon())
        second.must("mount", "Documents", str(copy))
        first.must("wait", "--timeout", "60")
        second.must("wait", "--timeout", "60")
        yield Pair(host, first, second, daemon, folder, copy)
