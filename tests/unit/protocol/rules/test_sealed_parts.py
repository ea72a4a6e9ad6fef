"""The judge: everybody's part of rule 7, and what is not supported yet."""

import msgspec
import pytest

from protocol.messages import ChangeReason, CommitReason
from protocol.model import (
    Kind,
)
from protocol.rules import Delta, judge
from tests.common.journals import (
    HASHES,
    block_id,
    entry_id,
)
from tests.unit.protocol.rules.scene import Scene, change_reasons, purged, refused

# --- rule 7, everybody's part --------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [2, 7])
def test_a_sealed_part_of_another_epoch_is_refused(scene: Scene, epoch: int) -> None:
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, scene.journal.change("a", epoch=epoch)))
    assert refused(verdict).reason is CommitReason.OLD_EPOCH


ONE, TWO = block_id(1), block_id(2)


@pytest.mark.parametrize(
    "parts",
    [
        {"added": [ONE[:31]]},
        {"removed": [ONE, b"x"]},
        {"added": [ONE, ONE]},
        {"removed": [TWO, TWO]},
        {"added": [ONE], "removed": [ONE]},
        {"added": [ONE], "padded_bytes": 0},
        {"padded_bytes": 10},
        {"added": [ONE], "kind": Kind.DIRECTORY},
        {"removed": [ONE], "kind": Kind.SYMLINK},
    ],
    ids=[
        "a piece of an id",
        "an id and a piece",
        "added twice",
        "removed twice",
        "added and removed",
        "blocks without bytes",
        "bytes without blocks",
        "blocks of a directory",
        "blocks of a link",
    ],
)
def test_block_lists_that_cannot_be_right_are_malformed(scene: Scene, parts: dict[str, object]) -> None:
    change = scene.journal.change("a", **parts)  # type: ignore[arg-type]
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, change))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.MALFORMED}


def test_a_deletion_lists_no_blocks(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("a", added=[ONE]))
    deletion = msgspec.structs.replace(scene.journal.deletion("a"), removed=ONE)
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, deletion))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.MALFORMED}


# --- what is not supported yet, and purged rows --------------------------------------------------------


def test_mounts_are_refused_as_not_supported(scene: Scene) -> None:
    mount = scene.journal.commit(scene.laptop, scene.journal.change("a", kind=Kind.MOUNT))
    assert refused(scene.journal.judge(mount)).reason is CommitReason.NOT_SUPPORTED


def test_an_offered_version_is_legal_where_it_brings_blocks(scene: Scene) -> None:
    idle = scene.journal.commit(scene.laptop, scene.journal.change("a", offered=True))
    assert refused(scene.journal.judge(idle)).reason is CommitReason.MALFORMED
    change = scene.journal.change("a", added=[block_id(1)], offered=True)
    assert isinstance(scene.journal.judge(scene.journal.commit(scene.laptop, change)), Delta)


def test_a_purged_change_is_no_proposal_but_replays_to_the_same_state(scene: Scene) -> None:
    commit = scene.journal.commit(scene.laptop, scene.journal.change("a", added=[ONE]))
    whole = scene.journal.judge(commit)
    assert isinstance(whole, Delta)
    assert refused(scene.journal.judge(purged(commit))).reason is CommitReason.MALFORMED
    assert judge(scene.journal.state, purged(commit), HASHES, replay=True) == whole
