"""Two people read, write and delete the same few files at their real devices, and all that they see has an explanation.

The work is drawn from a seed; what a moment meets depends on the machine. The model is in `l11_agreement`.
"""

import random  # noqa: TID251 - drawn from a seed
import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from simulations.checkers.l11_agreement import START, Observation, Read, Stable, Value, Write, disagreement
from tests.common.editing import EXCHANGE, NOREPLACE, rename
from tests.common.fleet import Peer
from tests.e2e.sync.conftest import Duo

RESTS = 4
DEEDS = 14
"""Between two rests, of both people together."""
PAUSE_S = 0.5
"""The longest between two deeds: about as long as a change takes to the other device."""


class Page:
    """One file on all devices, and what was seen of it since the last rest."""

    def __init__(self, directory: str, name: str, numbers: "count[int]") -> None:
        self.name = name
        self.seen: list[Observation] = []
        self._start: Stable = START
        self._directory = directory
        self._numbers = numbers

    def read(self, peer: Peer) -> None:
        """Somebody looks at it."""
        self.seen.append(Read(peer.name, _there(self._path(peer))))

    def write(self, peer: Peer) -> None:
        """Somebody puts a new content in its place, and sees in the same step what was there."""
        number, draft = next(self._numbers), self._draft(peer)
        draft.write_text(f"value {number}\n" * number)
        while True:
            try:
                rename(draft, self._path(peer), NOREPLACE)
            except FileExistsError:
                try:
                    rename(draft, self._path(peer), EXCHANGE)
                except FileNotFoundError:
                    continue
                self.seen.append(Write(peer.name, number, _value(draft)))
                draft.unlink()
            else:
                self.seen.append(Write(peer.name, number, None))
            return

    def delete(self, peer: Peer) -> None:
        """Somebody takes it out of the folder."""
        draft = self._draft(peer)
        try:
            rename(self._path(peer), draft, NOREPLACE)
        except FileNotFoundError:
            self.seen.append(Read(peer.name, None))
        else:
            self.seen.append(Write(peer.name, None, _value(draft)))
            draft.unlink()

    def rest(self, peers: Sequence[Peer]) -> str | None:
        """All have the same. What has no explanation, if anything."""
        path = self._path(peers[0])
        copies = frozenset(_value(one) for one in path.parent.glob(f"{self.name} (*"))
        start, seen = self._start, [*self.seen]
        self._start, self.seen = Stable(_there(path), copies), []
        return disagreement(self.name, [peer.name for peer in peers], [*seen, self._start], start)

    def _path(self, peer: Peer) -> Path:
        return peer.folder / self._directory / self.name

    def _draft(self, peer: Peer) -> Path:
        return peer.place / f"{self.name} draft"


def _there(path: Path) -> Value:
    try:
        return _value(path)
    except FileNotFoundError:
        return None


def _value(path: Path) -> int:
    text = path.read_text().split("\n")
    assert text[:-1], f"{path} is empty"
    assert text[:-1] == text[:1] * int(text[0].removeprefix("value ")), f"not whole: {path}: {text[:3]}"
    return int(text[0].removeprefix("value "))


@pytest.mark.parametrize("seed", [1, 2])
def test_what_two_people_see_of_a_file_has_an_explanation(duo: Duo, seed: int) -> None:
    draw, numbers, peers = random.Random(seed), count(1), (duo.red, duo.blue)
    directory = f"agreement {seed}"
    (duo.red.folder / directory).mkdir()
    duo.fleet.settle()
    pages = [Page(directory, "page", numbers), Page(directory, "other", numbers)]
    for _ in range(RESTS):
        for _ in range(DEEDS):
            threading.Event().wait(draw.random() ** 2 * PAUSE_S)  # people's pace, not a synchronisation
            page, peer = draw.choice(pages), draw.choice(peers)
            draw.choices([page.write, page.read, page.delete], [6, 3, 2])[0](peer)
        duo.fleet.settle()
        wrong = [wrong for page in pages if (wrong := page.rest(peers)) is not None]
        assert not wrong
