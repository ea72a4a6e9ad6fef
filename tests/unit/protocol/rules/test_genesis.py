"""The judge: how a journal begins."""

from dataclasses import replace

import pytest

from protocol.ids import NO_LOG, NO_WORKSPACE
from protocol.messages import CommitReason
from protocol.model import (
    Chunker,
    Commit,
    Header,
    Role,
    SealedKey,
)
from protocol.rules import Delta, judge
from protocol.state import MemoryState
from tests.common.journals import (
    HASHES,
    TestUser,
    genesis_of,
    make_device,
    signed_commit,
)
from tests.unit.protocol.rules.scene import Scene, refused


def genesis_commit(user: TestUser, **overrides: object) -> Commit:
    device = user.devices[0]
    return signed_commit(device, Header(1, NO_WORKSPACE, device.id, 1, 0, 0, NO_LOG, 0), genesis_of(user, **overrides))


def test_a_genesis_makes_a_workspace_named_by_its_digest_and_owned_by_its_author() -> None:
    ana = TestUser("ana")
    phone = ana.pair("phone")
    verdict = judge(MemoryState(), genesis_commit(ana), HASHES)
    assert isinstance(verdict, Delta)
    assert bytes(verdict.workspace.workspace) == bytes(verdict.digest) == verdict.workspace.last_control
    assert verdict.workspace.log_hash == HASHES.log_hash(NO_LOG, verdict.digest)
    assert (verdict.workspace.seq, verdict.workspace.epoch) == (1, 1)
    assert verdict.roles == ((ana.id, Role.OWNER),)
    assert {device: known.last_number for device, known in verdict.devices} == {ana.devices[0].id: 1, phone.id: 0}


def test_a_second_genesis_is_denied(scene: Scene) -> None:
    ben = TestUser("ben")
    assert refused(scene.journal.judge(genesis_commit(ben))).reason is CommitReason.DENIED


def test_a_genesis_of_another_workspace_is_denied_where_one_is_expected(scene: Scene) -> None:
    state = MemoryState()
    state.workspace = replace(state.workspace, workspace=scene.journal.id)
    assert refused(judge(state, genesis_commit(TestUser("ben")), HASHES)).reason is CommitReason.DENIED
    assert isinstance(judge(state, scene.journal.commits[0], HASHES), Delta)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"owner": bytes(16)}, CommitReason.DENIED),
        ({"chunker": Chunker("fastcdc2020", 4096, 1024, 8192)}, CommitReason.MALFORMED),
        ({"keys": ()}, CommitReason.MALFORMED),
        ({"keys": (SealedKey(make_device("ana-1").id, bytes(64)),) * 2}, CommitReason.MALFORMED),
        (
            {"keys": (SealedKey(make_device("ana-1").id, bytes(64)), SealedKey(bytes(16), bytes(64)))},
            CommitReason.MALFORMED,
        ),
    ],
    ids=["not the owner's chain", "chunker out of order", "no keys", "keys twice", "keys for a stranger"],
)
def test_a_genesis_that_contradicts_itself_is_refused(overrides: dict[str, object], reason: CommitReason) -> None:
    commit = genesis_commit(TestUser("ana"), **overrides)
    assert refused(judge(MemoryState(), commit, HASHES)).reason is reason


def test_a_genesis_may_seal_keys_to_an_unused_pairing() -> None:
    ana = TestUser("ana")
    pairing = ana.admit("later")
    keys = (SealedKey(ana.devices[0].id, bytes(64)), SealedKey(pairing.box.public[:16], bytes(64)))
    assert isinstance(judge(MemoryState(), genesis_commit(ana, keys=keys), HASHES), Delta)


def test_a_genesis_by_a_device_outside_the_chain_is_denied() -> None:
    ana, stranger = TestUser("ana"), make_device("stranger")
    commit = signed_commit(stranger, Header(1, NO_WORKSPACE, stranger.id, 1, 0, 0, NO_LOG, 0), genesis_of(ana))
    assert refused(judge(MemoryState(), commit, HASHES)).reason is CommitReason.DENIED


def test_a_genesis_that_names_a_head_is_malformed() -> None:
    ana = TestUser("ana")
    device = ana.devices[0]
    commit = signed_commit(device, Header(1, NO_WORKSPACE, device.id, 1, 0, 1, NO_LOG, 0), genesis_of(ana))
    assert refused(judge(MemoryState(), commit, HASHES)).reason is CommitReason.MALFORMED


def test_nothing_but_a_genesis_begins_a_journal(scene: Scene) -> None:
    commit = scene.journal.commit(scene.laptop)
    assert refused(judge(MemoryState(), commit, HASHES)).reason in (CommitReason.DENIED, CommitReason.NOT_NEXT)
    assert not isinstance(judge(MemoryState(), scene.journal.add_device(scene.ana, scene.phone), HASHES), Delta)
