"""Which addresses are told, which are tried, and what is one network."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.nearby import host_text, is_worth_trying, may_be_told, network_of


def packed(*addresses: str) -> list[bytes]:
    return [ip_address(each).packed for each in addresses]


@pytest.mark.parametrize("host", packed("10.1.2.3", "172.31.0.1", "192.168.0.2", "fd00::1", "2a00:1450::1"))
def test_what_a_host_of_a_local_network_has_is_told(host: bytes) -> None:
    assert may_be_told(host)


@pytest.mark.parametrize(
    "host",
    [
        *packed("127.0.0.1", "0.0.0.0", "224.0.0.1", "239.255.84.41", "255.255.255.255", "169.254.169.254", "9.9.9.9"),
        *packed("::1", "::", "ff12::1", "fe80::1", "::ffff:192.168.0.2", "::192.168.0.2", "172.32.0.1"),
        b"\x0a\x00\x00\x01\x00",
        bytes(15),
    ],
)
def test_what_no_other_host_could_use_is_not_told(host: bytes) -> None:
    assert not may_be_told(host)
    assert not is_worth_trying(host, [host])


def test_a_public_address_is_tried_only_in_a_network_that_we_are_in() -> None:
    own, beside, elsewhere, private = packed("2a00:1450:1:2::3", "2a00:1450:1:2::4", "2a00:1450:1:3::4", "10.7.7.7")
    assert is_worth_trying(beside, [own])
    assert not is_worth_trying(elsewhere, [own])
    assert not is_worth_trying(beside, [])
    assert is_worth_trying(private, [])


@settings(deadline=None)
@given(st.binary(max_size=20), st.lists(st.binary(min_size=4, max_size=16), max_size=3))
def test_whatever_is_said_what_is_tried_may_be_told_and_can_be_read(host: bytes, own: list[bytes]) -> None:
    if is_worth_trying(host, own):
        assert may_be_told(host)
        assert ip_address(host_text(host)).packed == host


def test_one_network_is_one_public_address_or_one_subnet() -> None:
    assert network_of("9.9.9.9") != network_of("9.9.9.8")
    assert network_of("192.168.1.7") == network_of("192.168.1.200") == network_of("::ffff:192.168.1.1")
    assert network_of("192.168.1.7") != network_of("192.168.2.7")
    assert network_of("2a00:1450:1:2::3") == network_of("2a00:1450:1:2:9::4") != network_of("2a00:1450:1:3::3")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")


@pytest.mark.parametrize("seen_from", ["", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "ff02::1", "a host"])
def test_what_says_nothing_of_where_somebody_is_is_no_network(seen_from: str) -> None:
    assert network_of(seen_from) is None
