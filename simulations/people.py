"""A person at a device who works at random, all of it in the ledger.

Below a directory with the device's name only this person writes; `shared` is everybody's. In `shared` files are
replaced by an exchange and deleted by a move out of the folder, so that what was replaced or deleted is known for
sure, whatever the engine does in the same instant. No name is ever used twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Final

import trio

from peer.fingerprint import DiskKind
from simulations.folder import Folder
from simulations.ledger import Content, Ledger
from simulations.trace import Trace

SHARED: Final = "shared"
MANY: Final = 25
"""With so many files in a place, people begin to delete."""
SLOW_S: Final = 0.5
"""The longest that writing in place takes."""

Deed = Callable[[], Awaitable[None]]


class Person:
    """Works at one device."""

    def __init__(
        self,
        name: str,
        folder: Folder,
        drafts: Folder,
        ledger: Ledger,
        draw: Random,
        trace: Trace,
        sizes: Sequence[int],
        dropped: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.events: list[str] = []
        """What was done, by names that stay the same while earlier ones are dropped."""
        self._dropped = dropped
        self.folder = folder
        self.is_twin = False
        """Whether this person's machine and another one are one device by now."""
        self.actions = 0
        self._drafts = drafts
        self._ledger = ledger
        self._draw = draw
        self._trace = trace
        self._sizes = sizes
        self._count = 0

    def begin(self) -> None:
        """Make the directory that is only this person's."""
        self.folder.make_directory(self.name)

    async def act(self) -> None:
        """Do one thing; nothing where what it was about has just gone."""
        top = self.name if self._draw.random() < 0.5 else SHARED
        dropped = self._is_dropped("")
        try:
            files, directories = self._listed(top)
        except OSError:
            return  # the directory has not come yet
        deed = self._choose(top, files, directories)
        if not dropped:
            await self._try(deed)

    def act_now(self) -> None:
        """Do one thing that takes no time, in the middle of whatever somebody else does."""
        try:
            files, directories = self._listed(SHARED)
        except OSError:
            return
        place = self._draw.choice([SHARED, *directories])
        deeds: list[Callable[[], None]] = [lambda: self._make(place)]
        if files:
            file = self._draw.choice(files)
            deeds += [
                lambda: self._save(file),
                lambda: self._save(file),
                lambda: self._move_file(file, place),
                lambda: self._delete_file(file),
            ]
        deed = self._draw.choice(deeds)
        if self._is_dropped(" in between"):
            return
        try:
            deed()
        except OSError:
            return

    def _is_dropped(self, kind: str) -> bool:
        """Count one more deed; whether it is to be left out."""
        self.actions += 1
        event = f"{self.name}{kind} {self.actions}"
        if event in self._dropped:
            return True
        self.events.append(event)
        return False

    def delete_copies(self) -> int:
        """Delete the conflicted copies that are shared; how many."""
        copies = [path for path in self._listed(SHARED)[0] if "conflicted copy" in path]
        for path in copies:
            self._delete_file(path)
        return len(copies)

    # --- choosing -----------------------------------------------------------------------------------------

    def _choose(self, top: str, files: list[str], directories: list[str]) -> Deed:
        delete = 6.0 if len(files) > MANY else 1.0
        place = self._draw.choice([top, *directories])
        deeds: list[tuple[float, Deed]] = [
            (5.0, _at_once(lambda: self._make(place))),
            (1.0, _at_once(lambda: self._make_directory(place))),
        ]
        if files:
            file = self._draw.choice(files)
            deeds += [
                (6.0, _at_once(lambda: self._save(file))),
                (2.0, _at_once(lambda: self._move_file(file, place))),
                (delete, _at_once(lambda: self._delete_file(file))),
                (1.0, _at_once(lambda: self._set_executable(file))),
            ]
            if top != SHARED:
                deeds.append((2.0, lambda: self._write_in_place(file)))
        if directories:
            directory = self._draw.choice(directories)
            deeds += [
                (1.0, _at_once(lambda: self._move_directory(directory, top))),
                (delete / 3, _at_once(lambda: self._delete_directory(directory))),
            ]
        (deed,) = self._draw.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])
        return deed

    async def _try(self, deed: Deed) -> None:
        try:
            await deed()
        except (FileNotFoundError, FileExistsError, NotADirectoryError):
            return  # the engine was faster

    def _listed(self, top: str) -> tuple[list[str], list[str]]:
        found = self.folder.walk(top)
        files = [path for path, status in found if status.kind is DiskKind.FILE and not self._is_half_of_one(path)]
        return files, [path for path, status in found if status.kind is DiskKind.DIRECTORY]

    def _is_half_of_one(self, path: str) -> bool:
        """Whether it is what somebody was still writing when it was taken for another version and moved aside, as an
        old copy of a disk may have it: people leave that alone. With two machines that are one device the half may
        have stayed in place, and the whole be the conflicted copy."""
        maybe = self.is_twin or "conflicted copy" in path
        return maybe and self._ledger.whole(self.folder.read(path)) is None

    # --- deeds --------------------------------------------------------------------------------------------

    def _fresh(self, kind: str, suffix: str = "") -> str:
        self._count += 1
        return f"{kind}{self.name}-{self._count}{suffix}"

    def _tell(self, what: str) -> None:
        self._trace.deed(self.name, what)

    def _draft(self, line: int | None = None) -> tuple[str, bytes]:
        draft = self._fresh("draft")
        data = self._ledger.new(self.name, self._draw.choice(self._sizes), line)
        self._drafts.create(draft, data)
        return draft, data

    def _read(self, path: str, folder: Folder | None = None) -> Content:
        content = self._ledger.whole((folder or self.folder).read(path))
        assert content is not None, f"not a whole content: {path}"
        return content

    def _throw_away(self, draft: str, above: Sequence[str] = ()) -> None:
        self._ledger.gone(self._read(draft, self._drafts), self.name, above)
        self._drafts.delete(draft)

    def _make(self, directory: str) -> None:
        draft, data = self._draft()
        path = f"{directory}/{self._fresh('file', self._draw.choice(('', '.txt')))}"
        try:
            self._drafts.move(draft, path, to=self.folder)
        except OSError:
            self._throw_away(draft)
            raise
        self._tell(f"makes {path}: {self._shown(data)}")

    def _shown(self, data: bytes) -> str:
        content = self._ledger.whole(data)
        assert content is not None
        return f"content {content.serial} of {content.line}, {content.size} bytes"

    def _make_directory(self, directory: str) -> None:
        path = f"{directory}/{self._fresh('directory')}"
        self.folder.make_directory(path)
        self._tell(f"makes the directory {path}")

    def _save(self, path: str) -> None:
        old = self._read(path)
        draft, data = self._draft(old.line)
        try:
            if self.folder.status(path).fingerprint.executable:
                self._drafts.flip_executable(draft)
            self._drafts.exchange(draft, path, in_folder=self.folder)
        except OSError:
            self._throw_away(draft)
            raise
        was = self._read(draft, self._drafts)
        self._tell(f"saves {path}: {self._shown(data)} over {was.serial}")
        self._throw_away(draft)

    async def _write_in_place(self, path: str) -> None:
        old = self._read(path)
        data = self._ledger.new(self.name, self._draw.choice(self._sizes), old.line)
        half = len(data) // 2
        self._tell(f"writes in place {path}: {self._shown(data)} over {old.serial}")
        self.folder.overwrite(path, data[:half], 0, cut=False)
        with trio.CancelScope(shield=True):  # a person finishes what they write
            await trio.sleep(self._draw.random() * SLOW_S)
        try:
            self.folder.overwrite(path, data, 0, cut=True)  # all of it: power may have been lost meanwhile
        except FileNotFoundError:  # half of it was taken for another version, and moved out of the way
            self.folder.create(path, data)
        self._ledger.gone(old, self.name)

    def _move_file(self, path: str, directory: str) -> None:
        content = self._read(path)
        new = f"{directory}/{self._fresh('file', '.txt' if path.endswith('.txt') else '')}"
        self.folder.move(path, new)
        self._ledger.moved(content, self.name, path.split("/")[:-1])
        self._tell(f"moves {path} to {new}")

    def _set_executable(self, path: str) -> None:
        self.folder.flip_executable(path)
        self._tell(f"changes the executable bit of {path}")

    def _delete_file(self, path: str) -> None:
        taken = self._fresh("taken")
        self.folder.move(path, taken, to=self._drafts)
        self._tell(f"deletes {path}: content {self._read(taken, self._drafts).serial}")
        self._throw_away(taken, path.split("/")[:-1])

    def _move_directory(self, directory: str, top: str) -> None:
        new = f"{top}/{self._fresh('directory')}"
        self.folder.move(directory, new)
        self._ledger.directory_moved(directory.rpartition("/")[2], new.rpartition("/")[2], self.name)
        for path in self._listed(new)[0]:
            above = [*directory.split("/")[:-1], *path.split("/")[:-1]]
            self._ledger.moved(self._read(path), self.name, above)
        self._tell(f"moves the directory {directory} to {new}")

    def _delete_directory(self, directory: str) -> None:
        files, directories = self._listed(directory)
        for path in files:
            self._delete_file(path)
        for path in [*sorted(directories, reverse=True), directory]:
            self._ledger.directory_gone(path.rpartition("/")[2], self.name)
            try:
                self.folder.delete_directory(path)
            except OSError:
                return  # something has just arrived in it
            self._tell(f"deletes the directory {path}")


def _at_once(deed: Callable[[], None]) -> Deed:
    async def do() -> None:
        deed()

    return do
