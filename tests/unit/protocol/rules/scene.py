"""A journal with a person and two devices, and how a verdict is read."""

from dataclasses import dataclass

import msgspec

from protocol.ids import EntryId
from protocol.messages import ChangeReason, CommitReason
from protocol.model import Commit, Entries, PurgedChange, lists_bytes
from protocol.rules import Refused, Verdict
from tests.common.journals import (
    HASHES,
    TestDevice,
    TestJournal,
    TestUser,
)


@dataclass
class Scene:
    journal: TestJournal
    ana: TestUser
    laptop: TestDevice
    phone: TestDevice


def refused(verdict: Verdict) -> Refused:
    assert isinstance(verdict, Refused), verdict
    return verdict


def change_reasons(verdict: Verdict) -> dict[EntryId, ChangeReason]:
    assert refused(verdict).reason is CommitReason.CHANGES
    return {EntryId(change.entry): change.reason for change in refused(verdict).changes}


def purged(commit: Commit) -> Commit:
    """The commit as it is kept once all its changes are purged."""
    assert isinstance(commit.body, Entries)
    changes = tuple(
        PurgedChange(
            change.clear,
            HASHES.sealed_hash(change.sealed),
            HASHES.lists_hash(lists_bytes(change.added, change.removed)),
        )
        for change in commit.body.changes
        if not isinstance(change, PurgedChange)
    )
    return msgspec.structs.replace(commit, body=Entries(changes))


@dataclass
class Below(Scene):
    """dir/sub/file, seen by both at `seen`."""

    seen: int
