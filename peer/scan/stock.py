"""Takes stock of a folder, or of parts of it: looks, and says which entry each thing is.

Owns the going back and forth between looking and identifying until nothing is left to be looked at. Blocks: run it in
one piece inside `Offload`, with a `KnownTree` that may be read there. Never changes the disk or a tree.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from peer.disk.root import Root
from peer.fingerprint import Path
from peer.scan.findings import Finding, Special, Unreadable
from peer.scan.identity import Identified, KnownTree, identify
from peer.scan.ignore import IgnoreRules
from peer.scan.walker import look, walk
from protocol.ids import EntryId

_ROUNDS = 200
"""More than a path is deep; each round looks at least one name further."""


@dataclass(frozen=True)
class Stock:
    """What is there. `unreadable` and below is unknown; `special` is only shown."""

    identified: Identified
    unreadable: tuple[Unreadable, ...]
    special: tuple[Path, ...]


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
    Raises OSError only where the root itself fails.
    """
    findings: list[Finding] = []
    roots = _outermost(subtrees)
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
        tuple(finding for finding in findings if isinstance(finding, Unreadable)),
        tuple(finding.path for finding in findings if isinstance(finding, Special)),
    )


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return those of `paths` that lie below no other one of them."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not kept or path[: len(kept[-1])] != kept[-1]:
            kept.append(path)
    return kept
