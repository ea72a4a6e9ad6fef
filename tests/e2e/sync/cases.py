"""One story of two devices that edit the same without knowing of each other, and what is there at last."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.common.fleet import copy_name
from tests.e2e.sync.edits import DAY_S, Edit

Contents = dict[str, bytes | None]
Outcome = Callable[[str], Contents]
"""What is there at last, given what the late device is called."""


@dataclass(frozen=True)
class Case:
    """One story. `otherwise`: what comes of it where the late device's edits are in the journal first, given what the
    early one is called; the same where it is None. `unseen`: what comes of it where nobody watched the early edits, in
    whichever order. `executable`: the files that are at last."""

    name: str
    base: Edit
    early: Edit
    late: Edit
    expected: Outcome
    otherwise: Outcome | None = None
    unseen: Outcome | None = None
    executable: frozenset[str] = frozenset()

    def outcomes(self, early: str, late: str, *, either: bool, watched: bool) -> list[Contents]:
        """What may be there at last; `either` of the two may be in the journal first."""
        if self.unseen is not None and not watched:
            return [self.unseen(late)]
        found = [self.expected(late)]
        if either:
            found.append((self.otherwise or self.expected)(early))
        return found


def just(contents: Contents) -> Outcome:
    """The same whoever is late."""
    return lambda late: contents


def both(name: str, early: bytes, late: bytes, time_s: int = DAY_S, **others: bytes) -> Outcome:
    """Both kept: the early one at the name, the late one as a conflicted copy."""
    return lambda device: {name: early, copy_name(name, device, time_s): late, **others}


def directories(name: str, early: Contents, late: Contents) -> Outcome:
    """Two directories: the early one at the name, the late one under the name of a conflicted copy of today."""

    def outcome(device: str) -> Contents:
        other = f"{name} ({device}'s conflicted copy {TODAY})"
        return {
            name: None,
            other: None,
            **{f"{name}/{path}": data for path, data in early.items()},
            **{f"{other}/{path}": data for path, data in late.items()},
        }

    return outcome


TODAY = "TODAY"
"""Stands for the date in the name of a directory's conflicted copy."""
