"""Users' chains: what makes one valid, and every way to break one."""

from dataclasses import replace

import msgspec
import pytest

from crypto.invitation import InvitationKeys
from protocol import limits
from protocol.chains import BadChain, UserChain, judge_chain
from protocol.ids import DeviceId, LinkHash
from protocol.model import DevicePaired, Founded, PairingAdmitted, Revocation, SignedLink
from protocol.view import ChainState
from tests.common.journals import HASHES, HOUR_MS, TestUser, make_device, seed


def bad(links: list[SignedLink], start: UserChain | None = None) -> BadChain:
    verdict = judge_chain(links, HASHES, start)
    assert isinstance(verdict, BadChain), verdict
    return verdict


def test_a_chain_says_whose_it_is_and_which_devices_are_active() -> None:
    ana = TestUser("ana")
    phone = ana.pair("phone")
    pairing = ana.admit("unused")
    chain = ana.chain
    assert (chain.user, chain.name, chain.length) == (ana.id, "ana", 4)
    assert chain.active_devices() == {ana.devices[0].id: ana.devices[0].keys, phone.id: phone.keys}
    assert chain.devices[ana.devices[0].id].pairing is None
    came_from = chain.devices[phone.id].pairing
    assert came_from is not None
    assert came_from.sign in chain.spent
    assert [left.recipient for left in chain.pairings.values()] == [pairing.box.public[:16]]
    assert chain.last == chain.link_hashes[-1]


def test_a_chain_judged_in_pieces_is_the_chain_judged_whole() -> None:
    ana = TestUser("ana")
    ana.pair("phone")
    ana.pair("tablet")
    for cut in range(1, len(ana.links)):
        start = judge_chain(ana.links[:cut], HASHES)
        assert isinstance(start, UserChain)
        assert judge_chain(ana.links[cut:], HASHES, start) == ana.chain
        assert ana.chain.extends(start.state)
        assert not start.extends(ana.chain.state)
    assert judge_chain([], HASHES, ana.chain) == ana.chain


def test_a_chain_does_not_extend_another() -> None:
    ana = TestUser("ana")
    assert not ana.chain.extends(ChainState(1, LinkHash(seed("other"))))


def test_no_links_are_no_chain() -> None:
    assert bad([]).index == 0


@pytest.mark.parametrize("at", range(3))
def test_a_signature_missing_doubled_or_wrong_breaks_the_chain_there(at: int) -> None:
    ana = TestUser("ana")
    ana.pair("phone")
    signatures = ana.links[at].signatures
    wrong = bytes([signatures[-1][0] ^ 1]) + signatures[-1][1:]
    for other in ((*signatures, *signatures)[: len(signatures) + 1], (*signatures[:-1], wrong), signatures[::-1][:1]):
        if other == signatures:
            continue
        links = [*ana.links]
        links[at] = msgspec.structs.replace(links[at], signatures=other)
        assert bad(links).index == at


@pytest.mark.parametrize(
    "parts", [{"index": 2}, {"previous": seed("other")}, {"user": bytes(16)}], ids=["number", "hash", "user"]
)
def test_a_link_out_of_place_breaks_the_chain(parts: dict[str, object]) -> None:
    ana = TestUser("ana")
    first = ana.devices[0]
    pairing = PairingAdmitted(first.id, seed("pairing"), seed("box"), HOUR_MS)
    ana.links.append(ana.link(pairing, first.secret.sign, **parts))  # type: ignore[arg-type]
    assert bad(ana.links).index == 1


def test_only_the_first_link_founds_and_only_founding_is_first() -> None:
    ana, ben = TestUser("ana"), TestUser("ben")
    founded = ben.links[0].link.body
    first = ana.devices[0]
    assert bad([*ana.links, ana.link(founded, first.secret.sign, first.secret.sign)]).index == 1
    ben.links.clear()
    pairing = PairingAdmitted(first.id, seed("pairing"), seed("box"), HOUR_MS)
    assert bad([ben.link(pairing, first.secret.sign)]).index == 0


def test_a_pairing_is_admitted_only_by_an_active_device_with_its_own_signature() -> None:
    ana, stranger = TestUser("ana"), make_device("stranger")
    first = ana.devices[0]
    by_stranger = PairingAdmitted(stranger.id, seed("pairing"), seed("box"), HOUR_MS)
    assert "not active" in bad([*ana.links, ana.link(by_stranger, stranger.secret.sign)]).detail
    forged = PairingAdmitted(first.id, seed("pairing"), seed("box"), HOUR_MS)
    assert "signature" in bad([*ana.links, ana.link(forged, stranger.secret.sign)]).detail
    chain = ana.chain
    gone = replace(chain, devices={first.id: replace(chain.devices[first.id], active=False)})
    assert "not active" in bad([ana.link(forged, first.secret.sign)], gone).detail


def test_a_pairing_key_adds_one_device_and_is_never_admitted_again() -> None:
    ana = TestUser("ana")
    pairing = ana.admit("code")
    phone, tablet = make_device("phone"), make_device("tablet")
    ana.append(DevicePaired(pairing.sign.public, phone.keys), pairing.sign, phone.secret.sign)
    again = ana.link(DevicePaired(pairing.sign.public, tablet.keys), pairing.sign, tablet.secret.sign)
    assert "used twice" in bad([*ana.links, again]).detail
    first = ana.devices[0]
    readmitted = PairingAdmitted(first.id, pairing.sign.public, pairing.box.public, HOUR_MS)
    assert "admitted twice" in bad([*ana.links, ana.link(readmitted, first.secret.sign)]).detail


def test_a_key_that_nobody_admitted_adds_nothing() -> None:
    ana, phone = TestUser("ana"), make_device("phone")
    link = ana.link(DevicePaired(phone.keys.sign, phone.keys), phone.secret.sign, phone.secret.sign)
    assert "nobody admitted" in bad([*ana.links, link]).detail


def test_a_pairing_is_used_up_to_its_expiry_and_not_after() -> None:
    ana, phone = TestUser("ana"), make_device("phone")
    pairing = ana.admit("code", expires=1_000)
    body = DevicePaired(pairing.sign.public, phone.keys)
    in_time = ana.link(body, pairing.sign, phone.secret.sign, time=1_000)
    late = ana.link(body, pairing.sign, phone.secret.sign, time=1_001)
    assert isinstance(judge_chain([*ana.links, in_time], HASHES), UserChain)
    assert "expired" in bad([*ana.links, late]).detail


def test_an_id_once_added_is_never_added_again() -> None:
    ana = TestUser("ana")
    ana.pair("phone")
    pairing, phone = ana.admit("again"), make_device("phone")
    renamed = msgspec.structs.replace(phone.keys, name="other")
    link = ana.link(DevicePaired(pairing.sign.public, renamed), pairing.sign, phone.secret.sign)
    assert "added twice" in bad([*ana.links, link]).detail


def test_two_devices_of_one_user_never_have_one_name() -> None:
    ana = TestUser("ana")
    ana.pair("phone")
    pairing, other = ana.admit("again"), make_device("other")
    named = msgspec.structs.replace(other.keys, name="phone")
    link = ana.link(DevicePaired(pairing.sign.public, named), pairing.sign, other.secret.sign)
    assert "one name" in bad([*ana.links, link]).detail


@pytest.mark.parametrize("name", ["", " x", "a/b", "x" * 41, "a\n"])
def test_names_that_are_not_allowed_break_the_chain(name: str) -> None:
    ana = TestUser("ana")
    pairing, other = ana.admit("again"), make_device("other")
    named = msgspec.structs.replace(other.keys, name=name)
    link = ana.link(DevicePaired(pairing.sign.public, named), pairing.sign, other.secret.sign)
    assert "name" in bad([*ana.links, link]).detail


def test_a_users_name_is_checked() -> None:
    ana = TestUser("ana")
    founded = ana.links[0].link.body
    assert isinstance(founded, Founded)
    ana.links.clear()
    renamed = msgspec.structs.replace(founded, name="ana\x07")
    assert "name" in bad([ana.link(renamed, ana.devices[0].secret.sign, ana.devices[0].secret.sign)]).detail


def test_a_user_has_a_bounded_number_of_devices() -> None:
    ana = TestUser("ana")
    chain = ana.chain
    one = chain.devices[ana.devices[0].id]
    many = {
        DeviceId(seed(n)[:16]): replace(one, keys=msgspec.structs.replace(one.keys, name=f"d{n}"))
        for n in range(limits.DEVICES_PER_USER - 1)
    }
    full = replace(chain, devices={**chain.devices, **many})
    pairing, phone = ana.admit("code"), make_device("phone")
    link = ana.link(DevicePaired(pairing.sign.public, phone.keys), pairing.sign, phone.secret.sign)
    assert "too many" in bad([ana.links[-1], link], full).detail


# --- revoking ------------------------------------------------------------------------------------------


def test_a_revoked_device_is_active_no_more_and_never_again() -> None:
    ana = TestUser("ana")
    phone = ana.pair("phone")
    ana.revoke(phone)
    chain = ana.chain
    assert chain.revoked_devices == {phone.id}
    assert phone.id not in chain.active_devices()
    admitted = PairingAdmitted(phone.id, seed("pairing"), seed("box"), HOUR_MS)
    assert "not active" in bad([*ana.links, ana.link(admitted, phone.secret.sign)]).detail
    back = ana.admit("back")
    again = ana.link(DevicePaired(back.sign.public, phone.keys), back.sign, phone.secret.sign)
    assert "added twice" in bad([*ana.links, again]).detail
    assert "not active is revoked" in bad([*ana.links, ana.revocation(phone)]).detail


def test_a_device_is_revoked_by_another_active_one_with_its_own_signature() -> None:
    ana = TestUser("ana")
    phone, tablet = ana.pair("phone"), ana.pair("tablet")
    assert "itself" in bad([*ana.links, ana.revocation(phone, by=phone)]).detail
    forged = ana.link(Revocation(tablet.id, phone.id), phone.secret.sign)
    assert "signature" in bad([*ana.links, forged]).detail
    stranger = make_device("stranger")
    assert "not active" in bad([*ana.links, ana.revocation(phone, by=stranger)]).detail
    assert "not active" in bad([*ana.links, ana.revocation(stranger)]).detail
    ana.revoke(phone, by=tablet)
    assert "not active" in bad([*ana.links, ana.revocation(tablet, by=phone)]).detail


def test_pairings_that_a_revoked_device_left_open_admit_nobody() -> None:
    ana = TestUser("ana")
    phone = ana.pair("phone")
    pairing = InvitationKeys.of(seed("thief")[:16])
    left = PairingAdmitted(phone.id, pairing.sign.public, pairing.box.public, HOUR_MS)
    ana.append(left, phone.secret.sign)
    kept = ana.admit("kept")
    ana.revoke(phone)
    thief = make_device("thief")
    link = ana.link(DevicePaired(pairing.sign.public, thief.keys), pairing.sign, thief.secret.sign)
    assert "used twice" in bad([*ana.links, link]).detail
    assert set(ana.chain.pairings) == {kept.sign.public}
