"""Takes stock of a folder, or of parts of it: looks, and says which entry each thing is.

Owns the going back and forth between looking and identifying until nothing is left to be looked at. Blocks: run it in
one piece inside `Offload`, with a `KnownTree` that may be read there. Never changes the disk or a tree.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from peer.disk.root import Root
from peer.fingerprint import Path
from peer.scan.findings import Absent, Finding, Special, Unreadable
from peer.scan.identity import Identified, KnownTree, identify
from peer.scan.ignore import IgnoreRules
from peer.scan.walker import look, walk
from protocol.ids import EntryId

_ROUNDS = 200
"""More than a path is deep; each round looks at least one name further."""
_LOOKS = 4
"""A walk is taken so often before it is believed about what vanished although more vanishes each time."""


@dataclass(frozen=True)
class Stock:
    """What is there. `unreadable` and below is unknown; `special` is only shown."""

    identified: Identified
    unreadable: tuple[Unreadable, ...]
    special: tuple[Path, ...]
    absent: frozenset[Path]
    """Where it was looked and nothing was, or no directory on the way."""


def take_stock(
    root: Root,
    known: KnownTree,
    rules: IgnoreRules,
    fresh: Callable[[], EntryId],
    *,
    paths: Iterable[Path] = (),
    subtrees: Iterable[Path] = (),
    moved_to: frozenset[Path] = frozenset(),
) -> Stock:
    """Look at single `paths` and at everything in `subtrees` (`()` is the whole folder), and identify it.

    Where that takes a look elsewhere, at the old place of something renamed or into a directory that turned out to be
    new, it is taken. `look_at` and `unwalked` of the result are therefore empty, unless the folder keeps changing.
    What is renamed during a walk may be seen at neither name: what a walk did not find has vanished only if another
    one does not find it either. Raises OSError only where the root itself fails.
    """
    paths, subtrees = list(paths), _outermost(subtrees)
    stock = _take_once(root, known, rules, fresh, paths, subtrees, moved_to)
    for _ in range(_LOOKS if subtrees else 0):
        missed = {one.entry for one in stock.identified.vanished}
        if not missed:
            break
        stock = _take_once(root, known, rules, fresh, paths, subtrees, moved_to)
        if missed.issuperset(one.entry for one in stock.identified.vanished):
            break
    return stock


def _take_once(
    root: Root,
    known: KnownTree,
    rules: IgnoreRules,
    fresh: Callable[[], EntryId],
    paths: list[Path],
    roots: list[Path],
    moved_to: frozenset[Path],
) -> Stock:
    findings: list[Finding] = []
    for subtree in roots:
        findings += walk(root, subtree, rules)
    with root.open_directories() as directories:
        inside = [path for path in paths if not any(path[: len(above)] == above for above in roots)]
        findings += look(root, directories, inside, rules)
    identified = identify(known, findings, fresh, moved_to, rules.ignores)
    for _ in range(_ROUNDS):
        if not identified.look_at and not identified.unwalked:
            break
        with root.open_directories() as directories:
            findings += look(root, directories, sorted(identified.look_at), rules)
        for subtree in _outermost(identified.unwalked):
            findings += walk(root, subtree, rules)
        identified = identify(known, findings, fresh, moved_to, rules.ignores)
    return Stock(
        identified,
        (
            *(finding for finding in findings if isinstance(finding, Unreadable)),
            *(Unreadable(path, "its_former_place") for path in sorted(identified.unclear)),
        ),
        tuple(finding.path for finding in findings if isinstance(finding, Special)),
        frozenset(finding.path for finding in findings if isinstance(finding, Absent)),
    )


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return those of `paths` that lie below no other one of them."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not kept or path[: len(kept[-1])] != kept[-1]:
            kept.append(path)
    return kept
