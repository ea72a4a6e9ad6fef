"""One file that everybody reads, writes and deletes, under one name for ever, and all that they saw of it.

Owns the observations, which `checkers.l11_agreement` has to explain. Who writes learns in the same step what was there.
"""

from collections.abc import Callable, Mapping
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Final

import trio

from simulations.checkers.l11_agreement import START, Observation, Read, Stable, Value, Write, disagreement
from simulations.folder import Folder
from simulations.ledger import Ledger

BOARD: Final = "board"
PAGE: Final = f"{BOARD}/page-1.txt"
_SIZES: Final = (120, 700, 3_000)


class Board:
    """What was seen of the file on all devices."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.seen: list[Observation] = []
        """Since the last rest."""
        self._start: Stable | None = START
        self._nodes: list[str] = []

    def reader(
        self, name: str, folder: Folder, drafts: Folder, draw: Random, tell: Callable[[str], None]
    ) -> "BoardReader":
        """Somebody at a device. All come before anything is seen."""
        self._nodes.append(name)
        return BoardReader(self, name, folder, drafts, draw, tell)

    def rest(self, tree: Mapping[str, bytes | None]) -> str | None:
        """All have this tree. The broken promise, if there is no explanation for what was seen."""
        if not self._nodes:
            return None
        found = {path: data for path, data in tree.items() if data is not None and path.startswith(f"{BOARD}/")}
        numbers = {path: self.number(data) for path, data in found.items()}
        copies = frozenset(number for path, number in numbers.items() if path != PAGE and number is not None)
        start, seen, now = self._start, [*self.seen], Stable(numbers.get(PAGE), copies)
        self._start, self.seen = now, []
        return None if start is None else disagreement(PAGE, self._nodes, [*seen, now], start)

    def forget(self) -> None:
        """A device is not what it was: an old copy of its disk was put back, say. It begins anew with the next rest."""
        self._start = None

    def number(self, data: bytes) -> int | None:
        """Which content this is; 0 for one that nobody wrote."""
        content = self.ledger.whole(data)
        return 0 if content is None else content.serial


class BoardReader:
    """One person at the board."""

    def __init__(
        self, board: Board, name: str, folder: Folder, drafts: Folder, draw: Random, tell: Callable[[str], None]
    ) -> None:
        self.name = name
        self._board = board
        self._folder = folder
        self._drafts = drafts
        self._draw = draw
        self._tell = tell
        self._count = 0

    async def stay(self, deeds: int, pause_s: float, dropped: frozenset[str], events: list[str]) -> None:
        """Act so often, with pauses of at most so long; what is not `dropped` is added to `events`."""
        for _ in range(deeds):
            await trio.sleep(self._draw.random() ** 2 * pause_s)
            event = f"{self.name} at the board {self._count + 1}"
            self.act(dropped=event in dropped)
            if event not in dropped:
                events.append(event)

    def act(self, *, dropped: bool = False) -> None:
        """Read, write or delete; nothing where the board has not come yet. What is `dropped` only draws."""
        drawn, size = self._draw.random(), self._draw.choice(_SIZES)
        self._count += 1
        if dropped or not self._is_here():
            return
        if drawn < 0.3:
            self._saw(Read(self.name, self._there()))
        elif drawn < 0.85:
            self._write(size)
        else:
            self._delete()

    def _is_here(self) -> bool:
        try:
            self._folder.status(BOARD)
        except FileNotFoundError:
            return False
        return True

    def _saw(self, seen: Observation) -> None:
        self._board.seen.append(seen)
        self._tell(str(seen))

    def _there(self) -> Value:
        try:
            return self._board.number(self._folder.read(PAGE))
        except FileNotFoundError:
            return None

    def _write(self, size: int) -> None:
        ledger, draft = self._board.ledger, f"board{self.name}-{self._count}"
        old = ledger.contents.get(self._there() or 0)
        data = ledger.new(self.name, size, None if old is None else old.line)
        self._drafts.create(draft, data)
        if old is None:
            self._drafts.move(draft, PAGE, to=self._folder)
        else:
            self._drafts.exchange(draft, PAGE, in_folder=self._folder)
            ledger.gone(old, self.name)
            self._drafts.delete(draft)
        self._saw(Write(self.name, self._board.number(data), None if old is None else old.serial))

    def _delete(self) -> None:
        old = self._board.ledger.contents.get(self._there() or 0)
        if old is None:
            self._saw(Read(self.name, None))
            return
        self._folder.delete(PAGE)
        self._board.ledger.gone(old, self.name, [BOARD])
        self._saw(Write(self.name, None, old.serial))
