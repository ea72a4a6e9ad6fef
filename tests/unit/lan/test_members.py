"""Who recognises whom."""

import pytest

from crypto.beacon import HOUR_MS
from peer.lan.members import KNOCKS, MOST_PAIRS, Members, Membership
from protocol.beacon import BEACON_BYTES, RECORD_BYTES, Called, pack_beacon, unpack_beacon
from protocol.ids import DeviceId, WorkspaceId
from tests.common.link_server import SeededEntropy

ANA, BEN, EVE = (DeviceId(name * 16) for name in (b"a", b"b", b"e"))
HERE, THERE = WorkspaceId(b"h" * 32), WorkspaceId(b"t" * 32)
NOW_MS = 498_000 * HOUR_MS + 1_000
CALLED = Called(4_000, NOW_MS)
AT = "192.0.2.7"


def membership(workspace: WorkspaceId, *devices: DeviceId, keys: tuple[bytes, ...] = ()) -> Membership:
    return Membership(workspace, keys or (workspace[:32],), frozenset(devices))


def test_members_of_a_workspace_recognise_each_other() -> None:
    ana = Members(ANA, [membership(HERE, ANA, BEN)])
    ben = Members(BEN, [membership(THERE, BEN, EVE), membership(HERE, ANA, BEN)])
    data = ana.beacon(CALLED, SeededEntropy())
    found = ben.recognise(data, NOW_MS)
    assert found is not None
    assert (found.device, found.workspaces, found.called) == (ANA, frozenset({HERE}), CALLED)
    assert ana.recognise(data, NOW_MS) is None, "one's own beacon comes back, and is nobody's"


def test_all_workspaces_in_common_are_shown() -> None:
    both = [membership(HERE, ANA, BEN), membership(THERE, ANA, BEN)]
    found = Members(BEN, both).recognise(Members(ANA, both).beacon(CALLED, SeededEntropy()), NOW_MS)
    assert found is not None
    assert found.workspaces == {HERE, THERE}


def test_strangers_recognise_nobody_and_nobody_recognises_them() -> None:
    ana, eve = Members(ANA, [membership(HERE, ANA, BEN)]), Members(EVE, [membership(THERE, EVE, BEN)])
    assert eve.recognise(ana.beacon(CALLED, SeededEntropy()), NOW_MS) is None
    assert ana.recognise(eve.beacon(CALLED, SeededEntropy()), NOW_MS) is None
    forger = Members(BEN, [membership(HERE, ANA, BEN, keys=(b"guess" + bytes(27),))])
    assert ana.recognise(forger.beacon(CALLED, SeededEntropy()), NOW_MS) is None


def test_who_was_removed_recognises_nobody_after_the_rotation_and_is_recognised_no_more() -> None:
    old, new = b"1" * 32, b"2" * 32
    ana = Members(ANA, [membership(HERE, ANA, BEN, keys=(new, old))])
    eve = Members(EVE, [membership(HERE, ANA, BEN, EVE, keys=(old,))])
    assert eve.recognise(ana.beacon(CALLED, SeededEntropy()), NOW_MS) is None
    assert ana.recognise(eve.beacon(CALLED, SeededEntropy()), NOW_MS) is None
    behind = Members(BEN, [membership(HERE, ANA, BEN, EVE, keys=(old,))])
    assert ana.recognise(behind.beacon(CALLED, SeededEntropy()), NOW_MS) is not None


@pytest.mark.parametrize(("hours", "known"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_an_hour(hours: int, known: bool) -> None:
    ana, ben = (Members(device, [membership(HERE, ANA, BEN)]) for device in (ANA, BEN))
    assert (ben.recognise(ana.beacon(CALLED, SeededEntropy()), NOW_MS + hours * HOUR_MS) is not None) is known


def test_no_bit_of_a_recognised_record_may_change() -> None:
    ana, ben = (Members(device, [membership(HERE, ANA, BEN)]) for device in (ANA, BEN))
    data = ana.beacon(CALLED, SeededEntropy())
    recognised = [
        ben.recognise(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], NOW_MS) is not None for at in range(len(data))
    ]
    # What is random filling may change as long as the order stays; the head and the one record may not.
    assert not any(recognised[:28])
    assert recognised.count(False) >= 28 + RECORD_BYTES


def test_records_of_two_devices_in_one_datagram_are_nobodys() -> None:
    everybody = [membership(HERE, ANA, BEN, EVE)]
    first, second = (unpack_beacon(Members(device, everybody).beacon(CALLED, SeededEntropy())) for device in (ANA, EVE))
    assert first is not None
    assert second is not None
    assert first.nonce == second.nonce, "the same chance"
    ben = Members(BEN, everybody)
    records = [*real(first.records, ben), *real(second.records, ben)]
    assert ben.recognise(pack_beacon(first.nonce, [records[0], *filling(3)]), NOW_MS) is not None
    assert ben.recognise(pack_beacon(first.nonce, [*records, *filling(2)]), NOW_MS) is None


def real(records: tuple[bytes, ...], members: Members) -> list[bytes]:
    return [record for record in records if record[:8] in members._tags_about(NOW_MS // HOUR_MS)]


def filling(count: int) -> list[bytes]:
    return [bytes([200 + number]) * RECORD_BYTES for number in range(count)]


def test_a_tag_is_never_shown_in_two_hours_nor_for_two_workspaces() -> None:
    workspaces = [WorkspaceId(bytes([number]) * 32) for number in range(1, 10)]
    ana = Members(ANA, [membership(workspace, ANA, BEN) for workspace in workspaces])
    entropy, seen = SeededEntropy(), list[bytes]()
    for hour in range(48):
        datagram = unpack_beacon(ana.beacon(Called(4_000, NOW_MS + hour * HOUR_MS), entropy))
        assert datagram is not None
        assert len(datagram.records) == 16
        seen += [record[:8] for record in datagram.records]
    assert len(set(seen)) == len(seen)


def test_of_more_workspaces_than_fit_all_are_shown_in_turn() -> None:
    workspaces = [WorkspaceId(bytes([number]) * 32) for number in range(1, 80)]
    memberships = [membership(workspace, ANA, BEN) for workspace in workspaces]
    ana, ben = Members(ANA, memberships), Members(BEN, memberships)
    shown: set[WorkspaceId] = set()
    for _ in range(3):
        data = ana.beacon(CALLED, SeededEntropy())
        assert len(data) == BEACON_BYTES
        found = ben.recognise(data, NOW_MS)
        assert found is not None
        shown |= found.workspaces
    assert shown == set(workspaces)


def test_no_more_than_so_many_devices_are_recognised() -> None:
    crowd = frozenset(DeviceId(number.to_bytes(16, "big")) for number in range(MOST_PAIRS + 50))
    members = Members(ANA, [Membership(HERE, (b"k" * 32,), crowd), membership(THERE, ANA, BEN)])
    assert len(members._pairs(1)) == 3 * MOST_PAIRS


def test_who_is_alone_has_nobody_to_find() -> None:
    assert Members(ANA, [membership(HERE, ANA)]).is_alone
    assert not Members(ANA, [membership(HERE, ANA, BEN)]).is_alone
    assert Members(ANA).recognise(Members(BEN).beacon(CALLED, SeededEntropy()), NOW_MS) is None


def test_a_knock_is_admitted_once_and_by_the_one_it_was_made_for() -> None:
    everybody = [membership(HERE, ANA, BEN, EVE)]
    ana, ben, eve = (Members(device, everybody) for device in (ANA, BEN, EVE))
    knock = ana.knock(BEN, AT, NOW_MS, SeededEntropy())
    assert knock is not None
    assert not eve.admits(knock, AT, NOW_MS)
    assert not ben.admits(knock, AT, NOW_MS + 2 * HOUR_MS)
    assert ben.admits(knock, AT, NOW_MS)
    assert not ben.admits(knock, AT, NOW_MS)


def test_a_knock_that_somebody_got_at_another_address_is_worth_nothing() -> None:
    ana, ben = Members(ANA, [membership(HERE, ANA, BEN)]), Members(BEN, [membership(HERE, ANA, BEN)])
    knock = ana.knock(BEN, "192.0.2.66", NOW_MS, SeededEntropy())
    assert knock is not None
    assert not ben.admits(knock, AT, NOW_MS)
    knock = ana.knock(BEN, "fe80::1%2", NOW_MS, SeededEntropy())
    assert knock is not None
    assert ben.admits(knock, "fe80::1%7", NOW_MS), "each side numbers its interfaces itself"


def test_strangers_cannot_knock() -> None:
    ana, ben = Members(ANA, [membership(HERE, ANA, BEN)]), Members(BEN, [membership(HERE, ANA, BEN)])
    stranger = Members(EVE, [membership(HERE, EVE, BEN, keys=(b"guess" + bytes(27),))])
    knock = stranger.knock(BEN, AT, NOW_MS, SeededEntropy())
    assert knock is not None
    assert not ben.admits(knock, AT, NOW_MS)
    assert ana.knock(EVE, AT, NOW_MS, SeededEntropy()) is None, "we share nothing with them"
    for word in ("", ".", "zz.zz", "00" * 16, "00" * 16 + "." + "00" * 16, "é" * 40, "00" * 100_000):
        assert not ben.admits(word, AT, NOW_MS)


def test_knocks_are_remembered_within_bounds() -> None:
    ana, ben = (Members(device, [membership(HERE, ANA, BEN)]) for device in (ANA, BEN))
    entropy = SeededEntropy()
    for _ in range(KNOCKS + 10):
        knock = ana.knock(BEN, AT, NOW_MS, entropy)
        assert knock is not None
        assert ben.admits(knock, AT, NOW_MS)
    assert len(ben._knocks) == KNOCKS


def test_memberships_are_replaced_at_once() -> None:
    ana, ben = Members(ANA, [membership(HERE, ANA, BEN)]), Members(BEN, [membership(HERE, ANA, BEN)])
    data = ana.beacon(CALLED, SeededEntropy())
    assert ben.recognise(data, NOW_MS) is not None
    assert ben.shared_with(ANA) == {HERE}
    assert ben.replace([membership(HERE, BEN)])
    assert not ben.replace([membership(HERE, BEN)])
    assert ben.recognise(data, NOW_MS) is None
    assert not ben.shared_with(ANA)
