"""What lines do to what passes over them. Devices notice by themselves and come back; nothing is lost or doubled."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from simulations.noise import noise
from tests.common.clocks import hurried
from tests.common.fleet import Fleet, Peer, as_their_user, open_fleet
from tests.common.wire import Wire, open_wire

TIMES = 4
"""How much faster time passes for the programs, where it can."""
_TRICKLE_TIMES = 2
"""A machine that is busy stands still for seconds now and then, and these seconds are multiplied too."""


@dataclass
class Lined:
    """Two devices in step that reach the coordinator over one line."""

    wire: Wire
    fleet: Fleet
    red: Peer
    blue: Peer

    def away(self) -> None:
        for peer in (self.red, self.blue):
            peer.until(lambda status: status.coordinator.state != "connected")

    def connected(self) -> None:
        for peer in (self.red, self.blue):
            peer.until(lambda status: status.coordinator.state == "connected")

    def edit_both(self, word: str) -> None:
        """A file by each; they have to arrive."""
        for peer in (self.red, self.blue):
            (peer.folder / f"{word} by {peer.name}").write_bytes(noise(20_000, f"{word} {peer.name}".encode()))

    def settle(self) -> None:
        self.fleet.settle()
        for peer in (self.red, self.blue):
            assert not peer.conflicts()
            assert not peer.problems()


def open_lined(wire: Wire, *, plain: bool = False, times: int = TIMES) -> Iterator[Lined]:
    with as_their_user(), open_fleet(wire, plain=plain, env=hurried(times)) as fleet:
        yield Lined(wire, fleet, *fleet.pair_of("red", "blue"))


@pytest.fixture(scope="module")
def lined() -> Iterator[Lined]:
    with open_wire() as wire:
        yield from open_lined(wire)


@pytest.fixture(scope="module")
def clear() -> Iterator[Lined]:
    """Without TLS, so that the line may look into it."""
    with open_wire() as wire:
        yield from open_lined(wire, plain=True)


@pytest.fixture
def narrow() -> Iterator[Lined]:
    with open_wire(narrow=True) as wire:
        yield from open_lined(wire, times=_TRICKLE_TIMES)


def test_connections_that_are_half_open_are_noticed_and_replaced(lined: Lined) -> None:
    lined.wire.go_dead()
    lined.edit_both("while half open")
    lined.settle()
    lined.connected()


def test_a_line_that_swallows_holds_back_or_refuses_is_offline_until_it_is_well_again(lined: Lined) -> None:
    for ill in (lined.wire.silence, lined.wire.refuse, lined.wire.hold):
        ill()
        lined.away()
        lined.edit_both(ill.__name__)
        lined.wire.restore()
        lined.settle()


def test_a_line_that_breaks_in_the_middle_of_files_goes_on_where_it_was(lined: Lined) -> None:
    for number, down in enumerate((False, True, False)):
        lined.wire.cut_after(70_000 + 31_111 * number, down=down)
        (lined.red.folder / f"large {number}").write_bytes(noise(400_000, b"%d" % number))
        lined.settle()
    assert lined.wire.cuts == 3


def test_a_download_whose_line_was_gone_for_long_fetches_only_the_rest(lined: Lined) -> None:
    def came() -> int:
        return sum(map(len, lined.wire.sent_down()))

    def was_given_up() -> bool:
        """What stays of a file has no more room than it takes."""
        found = [one.stat() for one in (lined.blue.folder / ".shoal" / "tmp").iterdir()]
        return any(0 < one.st_blocks * 512 <= one.st_size + 4096 for one in found)

    size, before = 3_000_000, came()
    lined.wire.cut_after(size // 2, down=True, for_long=True)
    (lined.red.folder / "film").write_bytes(noise(size, b"film"))
    lined.away()
    lined.blue.until(lambda status: was_given_up())
    lined.wire.restore()
    lined.settle()
    assert size < came() - before < 1.2 * size


@pytest.mark.parametrize("request_head", [b"POST /v1/commit", b"POST /v1/blocks/", b"POST /v1/journal"])
def test_an_answer_that_is_lost_after_the_deed_doubles_nothing(clear: Lined, request_head: bytes) -> None:
    head = clear.red.workspace.head
    clear.wire.lose_answer_to(request_head)
    data = noise(300_000, request_head)
    (clear.red.folder / "once").write_bytes(data)
    clear.settle()
    clear.wire.wait_lost()
    clear.settle()
    assert clear.red.workspace.head == clear.blue.workspace.head == head + 1
    assert (clear.blue.folder / "once").read_bytes() == data


def test_a_device_that_slept_past_every_time_out_is_back_and_in_step(lined: Lined) -> None:
    red, blue = lined.red, lined.blue
    ended = lined.wire.ended
    red.program.signal(signal.SIGSTOP)
    (red.folder / "beside the sleeper").write_bytes(b"red")
    (blue.folder / "meanwhile").write_bytes(b"blue")
    blue.wait()
    lined.wire.wait_ended(ended + 2)
    red.program.signal(signal.SIGCONT)
    lined.settle()
    lined.connected()


def test_a_coordinator_that_slept_past_every_time_out_goes_on_where_it_was(lined: Lined) -> None:
    lined.fleet.host.program.signal(signal.SIGSTOP)
    lined.away()
    lined.edit_both("while it sleeps")
    lined.fleet.host.program.signal(signal.SIGCONT)
    lined.settle()
    lined.connected()


def test_a_trickle_is_slow_and_not_dead(narrow: Lined) -> None:
    """80 kB at 4 kB/s: longer than anything may stand still."""
    before = sum(map(len, narrow.wire.sent_up()))
    narrow.wire.slow(4_000 * (_TRICKLE_TIMES if hurried(_TRICKLE_TIMES) else 1))
    (narrow.red.folder / "large").write_bytes(noise(80_000))
    narrow.settle()
    assert sum(map(len, narrow.wire.sent_up())) - before < 130_000
