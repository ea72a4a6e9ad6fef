"""What versions that are not durable mean for a file on this disk. Pure.

Owns three decisions: which version counts as an entry's head, which one is shown while that cannot be had, and what
becomes of an edit made meanwhile. All of it follows from an entry's versions, how they stand, and which contents are
to be had. Not used yet: no rule accepts an offered version so far.
"""

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from peer.planner.trees import Content
from protocol.ids import ChangeId
from protocol.offered import Standing


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file's life. `content` is None where it was a deletion."""

    change: ChangeId
    content: Content | None
    standing: Standing


Life = Sequence[Version]
"""An entry's versions in the journal, the newest first, as linked by their bases; never empty."""
Obtainable = Callable[[Version], bool]
"""Whether a version's bytes are on this disk, or to be had from somebody who can be reached."""


def head_of(life: Life) -> Version | None:
    """The version that merge and trees take for the head: the newest that is not given up.

    None where all were: then the entry is as if it had never had a content.
    """
    return next((version for version in life if version.standing is not Standing.NOT_KEPT), None)


def shown_of(life: Life, is_obtainable: Obtainable) -> Version | None:
    """The version whose content belongs under the true name here now: the newest that is kept and can be had.

    A deletion can always be had. None where nothing can, and the entry is absent by design.
    """
    kept = (version for version in life if version.standing is not Standing.NOT_KEPT)
    return next((version for version in kept if version.content is None or is_obtainable(version)), None)


def waits(life: Life, is_obtainable: Obtainable) -> bool:
    """Whether something newer than what is shown is still to come: `waiting_for_blocks`."""
    return head_of(life) != shown_of(life, is_obtainable)


class Edit(enum.Enum):
    """What becomes of an edit on this disk."""

    NONE = "none"
    """There is none: the bytes are those of a version."""
    PROPOSE = "propose"
    """It is based on the head."""
    WAIT = "wait"
    """It stays where it is, unproposed: the head is not here, so nobody can have meant to replace it."""
    MERGE = "merge"
    """The head can be had and is another one than that which was edited: the ordinary merge decides."""


def judge_edit(
    life: Life, base: Content | None, found: Content | None, is_obtainable: Obtainable, *, keep_mine: bool = False
) -> Edit:
    """What becomes of `found` on this disk, edited from the content `base`.

    `keep_mine`: a person said that theirs is to be proposed over the head at once, whether or not that can be had.
    """
    head = head_of(life)
    at_head = None if head is None else head.content
    if found in (base, at_head):
        return Edit.NONE
    if at_head == base or keep_mine:
        return Edit.PROPOSE
    if head is not None and head.content is not None and not is_obtainable(head):
        return Edit.WAIT
    return Edit.MERGE


def must_be_held(replaced: Content | None, lives: Collection[Life]) -> bool:
    """Whether bytes that the engine is about to replace or remove are those of an offered version of any entry: then
    they are moved aside first, and served and sent from there."""
    return replaced is not None and any(
        version.content == replaced and version.standing is Standing.OFFERED for life in lives for version in life
    )


def may_be_dropped(held: Content, lives: Collection[Life]) -> bool:
    """Whether bytes that were moved aside are needed no more: each version of them is durable or given up."""
    return not must_be_held(held, lives)
