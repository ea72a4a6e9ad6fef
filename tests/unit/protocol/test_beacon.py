"""The beacon's layout."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.beacon import (
    BEACON_BYTES,
    RECORD_BYTES,
    RECORDS,
    Called,
    Datagram,
    pack_beacon,
    pack_body,
    record_count,
    unpack_beacon,
    unpack_body,
)

RECORD = st.binary(min_size=RECORD_BYTES, max_size=RECORD_BYTES)
NONCE = bytes(range(24))


@given(st.sampled_from(RECORDS).flatmap(lambda n: st.lists(RECORD, min_size=n, max_size=n, unique=True)))
def test_a_beacon_says_its_records_in_an_order_that_says_nothing(records: list[bytes]) -> None:
    packed = pack_beacon(NONCE, records)
    assert len(packed) <= BEACON_BYTES < 1_232  # of every packet that IPv6 carries so much is left
    assert unpack_beacon(packed) == Datagram(NONCE, tuple(sorted(records)))
    assert packed == pack_beacon(NONCE, records[::-1])


@given(st.binary(max_size=1_500) | st.binary(max_size=1_200).map(lambda rest: b"SHL1" + rest))
def test_any_bytes_are_a_beacon_or_nothing(data: bytes) -> None:
    datagram = unpack_beacon(data)
    assert datagram is None or pack_beacon(*datagram) == data


@pytest.mark.parametrize("count", [0, 1, 3, 5, 33, 64])
def test_no_other_number_of_records_is_taken(count: int) -> None:
    assert unpack_beacon(b"SHL1" + NONCE + b"".join(bytes([n]) * RECORD_BYTES for n in range(count))) is None


def test_records_out_of_order_or_doubled_are_not_taken() -> None:
    records = [bytes([n]) * RECORD_BYTES for n in range(4)]
    assert unpack_beacon(b"SHL1" + NONCE + b"".join(records[::-1])) is None
    assert unpack_beacon(b"SHL1" + NONCE + records[0] * 4) is None


def test_a_body_says_port_and_time() -> None:
    assert unpack_body(pack_body(Called(50_123, 1_795_500_000_000))) == Called(50_123, 1_795_500_000_000)
    assert unpack_body(pack_body(Called(0, 1))) is None
    assert unpack_body(b"short") is None


def test_how_many_workspaces_there_are_is_blurred() -> None:
    assert [record_count(count) for count in (0, 1, 4, 5, 9, 17, 32)] == [4, 4, 4, 8, 16, 32, 32]
