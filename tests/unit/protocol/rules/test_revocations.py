"""Revoked devices and new keys: who may enter what, and what no longer counts afterwards."""

import msgspec
import pytest

from protocol.messages import CommitReason
from protocol.model import Role
from protocol.rules import Delta, Refused, Verdict
from tests.common.journals import TestJournal, TestUser, make_device
from tests.unit.protocol.rules.scene import Scene


def refused(verdict: Verdict) -> CommitReason:
    assert isinstance(verdict, Refused), verdict
    return verdict.reason


def test_a_revoked_device_is_valid_no_more_and_the_next_epoch_begins(scene: Scene) -> None:
    journal, ana = scene.journal, scene.ana
    journal.put(scene.phone, journal.change("a"))
    ana.revoke(scene.phone)
    journal.accept(journal.revoke_device(scene.laptop, ana, journal.rotation(scene.phone)))
    assert journal.state.workspace.epoch == 2
    known = journal.state.device(scene.phone.id)
    assert known is not None
    assert (known.active, known.last_number) == (False, 1)
    assert refused(journal.judge(journal.commit(scene.phone, journal.change("b")))) is CommitReason.DENIED
    old = journal.commit(scene.laptop, journal.change("b", epoch=1))
    assert refused(journal.judge(old)) is CommitReason.OLD_EPOCH
    journal.put(scene.laptop, journal.change("b"))


def test_it_is_never_added_again(scene: Scene) -> None:
    journal, ana = scene.journal, scene.ana
    ana.revoke(scene.phone)
    journal.accept(journal.revoke_device(scene.laptop, ana, journal.rotation(scene.phone)))
    assert refused(journal.judge(journal.add_device(ana, scene.phone))) is CommitReason.DENIED
    late = ana.pair("late")
    ana.revoke(late)
    assert refused(journal.judge(journal.add_device(ana, late))) is CommitReason.DENIED
    before = tuple(ana.links[:-1])
    shorter = TestJournal(ana)
    assert late.id not in dict(shorter.state.devices())
    assert refused(shorter.judge(shorter.add_device(ana, late, chain=before))) is CommitReason.DENIED


def test_of_two_that_revoke_at_once_one_comes_first_and_nothing_is_left_for_the_other(scene: Scene) -> None:
    journal, ana = scene.journal, scene.ana
    tablet = ana.pair("tablet")
    journal.accept(journal.add_device(ana, tablet))
    ana.revoke(scene.phone)
    rotation = journal.rotation(scene.phone)
    one = journal.revoke_device(scene.laptop, ana, rotation)
    other = journal.revoke_device(tablet, ana, rotation)
    journal.accept(one)
    assert refused(journal.judge(other)) is CommitReason.CONTROL_MOVED
    again = journal.revoke_device(tablet, ana, journal.rotation())
    assert refused(journal.judge(again)) is CommitReason.DENIED  # the chain brings nothing new


def test_a_device_that_was_never_added_is_revoked_all_the_same(scene: Scene) -> None:
    journal, ana = scene.journal, scene.ana
    never = ana.pair("never")
    ana.revoke(never)
    journal.accept(journal.revoke_device(scene.laptop, ana, journal.rotation()))
    assert journal.state.device(never.id) is None
    seen = journal.state.chain(ana.id)
    assert seen is not None
    assert seen.length == len(ana.links)
    assert refused(journal.judge(journal.add_device(ana, never))) is CommitReason.DENIED


def test_whoever_may_not_manage_revokes_without_new_keys_and_a_manager_makes_them(scene: Scene) -> None:
    journal, ana = scene.journal, scene.ana
    ana.revoke(scene.phone)
    journal.state.roles[ana.id] = Role.VIEWER
    with_keys = journal.revoke_device(scene.laptop, ana, journal.rotation(scene.phone))
    assert refused(journal.judge(with_keys)) is CommitReason.DENIED
    journal.accept(journal.revoke_device(scene.laptop, ana, None))
    assert journal.state.workspace.epoch == 1
    assert refused(journal.judge(journal.rotate(scene.laptop, journal.rotation()))) is CommitReason.DENIED
    journal.state.roles[ana.id] = Role.MANAGER
    journal.accept(journal.rotate(scene.laptop, journal.rotation()))
    assert journal.state.workspace.epoch == 2


def test_a_managers_revocation_brings_new_keys(scene: Scene) -> None:
    scene.ana.revoke(scene.phone)
    commit = scene.journal.revoke_device(scene.laptop, scene.ana, None)
    assert refused(scene.journal.judge(commit)) is CommitReason.DENIED


def test_strangers_and_the_revoked_device_itself_enter_nothing(scene: Scene) -> None:
    journal, ana = scene.journal, scene.ana
    ana.revoke(scene.phone)
    rotation = journal.rotation(scene.phone)
    by_itself = journal.revoke_device(scene.phone, ana, rotation)
    assert refused(journal.judge(by_itself)) is CommitReason.DENIED
    by_a_stranger = journal.revoke_device(make_device("stranger"), ana, rotation)
    assert refused(journal.judge(by_a_stranger)) is CommitReason.DENIED
    of_another = TestUser("ben")
    other = of_another.pair("other")
    of_another.revoke(other)
    assert refused(journal.judge(journal.revoke_device(scene.laptop, of_another, rotation))) is CommitReason.DENIED


def test_a_chain_that_contradicts_the_one_seen_here_is_denied(scene: Scene) -> None:
    journal, ana = scene.journal, scene.ana
    fork = TestUser("ana")
    fork.admit("another")
    fork.use(fork.admit("other"), "other")
    fork.revoke(fork.devices[-1])
    assert fork.id == ana.id
    commit = journal.revoke_device(scene.laptop, fork, journal.rotation(), user=ana.id)
    assert refused(journal.judge(commit)) is CommitReason.DENIED


def test_a_device_that_comes_with_a_longer_chain_ends_who_is_revoked_in_it(scene: Scene) -> None:
    journal, ana = scene.journal, scene.ana
    ana.revoke(scene.phone)
    late = ana.pair("late")
    journal.accept(journal.add_device(ana, late))
    known = journal.state.device(scene.phone.id)
    assert known is not None
    assert not known.active
    assert refused(journal.judge(journal.commit(scene.phone))) is CommitReason.DENIED
    journal.accept(journal.rotate(late, journal.rotation()))


@pytest.mark.parametrize("wrong", ["epoch", "twice", "left out", "revoked"])
def test_new_keys_are_of_the_next_epoch_and_for_all_who_stay_and_no_one_else(scene: Scene, wrong: str) -> None:
    journal, ana = scene.journal, scene.ana
    ana.revoke(scene.phone)
    good = journal.rotation(scene.phone)
    bad = {
        "epoch": msgspec.structs.replace(good, epoch=3),
        "twice": msgspec.structs.replace(good, keys=good.keys * 2),
        "left out": msgspec.structs.replace(good, keys=()),
        "revoked": journal.rotation(),
    }[wrong]
    assert refused(journal.judge(journal.revoke_device(scene.laptop, ana, bad))) is CommitReason.MALFORMED
    assert isinstance(journal.judge(journal.revoke_device(scene.laptop, ana, good)), Delta)
