"""What members show each other on the LAN."""

import struct

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_decrypt

from crypto import beacon
from crypto.beacon import hourly_keys, knock_tag, open_record, seal_record
from crypto.certificate import certificate_key, known_certificate
from crypto.identity import SigningKey
from tests.unit.crypto.test_vectors import VECTORS, blake2b, raw

KEY, OTHER, DEVICE, NONCE = b"k" * 32, b"o" * 32, b"d" * 16, b"n" * 24
BODY = bytes(beacon.RECORD_BODY_BYTES)


def test_a_record_opens_with_the_keys_of_its_workspace_device_and_hour_alone() -> None:
    record = seal_record(hourly_keys(KEY, 7, DEVICE), NONCE, BODY)
    assert len(record) == beacon.RECORD_BYTES
    assert open_record(hourly_keys(KEY, 7, DEVICE), NONCE, record) == BODY
    for keys in (hourly_keys(OTHER, 7, DEVICE), hourly_keys(KEY, 8, DEVICE), hourly_keys(KEY, 7, b"e" * 16)):
        assert keys.tag != record[:8]
        assert open_record(keys, NONCE, record) is None


def test_no_bit_of_a_record_or_its_nonce_may_change() -> None:
    keys = hourly_keys(KEY, 7, DEVICE)
    record = seal_record(keys, NONCE, BODY)
    for at in range(len(record)):
        spoiled = record[:at] + bytes([record[at] ^ 1]) + record[at + 1 :]
        assert open_record(keys, NONCE, spoiled) is None
    assert open_record(keys, b"m" * 24, record) is None
    assert open_record(keys, NONCE, record + b"x") is None
    assert open_record(keys, b"", record) is None


def test_keys_are_not_shown() -> None:
    assert "key" not in repr(hourly_keys(KEY, 7, DEVICE))


def test_beacons_follow_the_written_rule() -> None:
    case = VECTORS["beacon"]
    key, device, hour = raw("beacon", "key"), raw("beacon", "device"), struct.pack(">Q", case["hour"])
    both = blake2b("shoal.beacon", key, hour, device, size=40)
    assert (both[:8].hex(), both[8:].hex()) == (case["tag"], case["record_key"])
    record = raw("beacon", "record")
    assert record[:8] == both[:8]
    assert aead_decrypt(record[8:], b"\1" + both[:8], raw("beacon", "nonce"), both[8:]) == raw("beacon", "body")
    nonce, address = raw("beacon", "knock_nonce"), case["knock_address"]
    knock = blake2b("shoal.knock", key, hour, device, nonce, address.encode(), size=16)
    assert knock == raw("beacon", "knock") == knock_tag(key, case["hour"], device, nonce, address)
    assert knock_tag(KEY, 1, device, nonce, "fe80::1%3") == knock_tag(KEY, 1, device, nonce, "fe80::1")


def test_everybody_makes_the_same_certificate_of_a_devices_key() -> None:
    one, other = (SigningKey.from_seed(bytes([number]) * 32).public for number in (1, 2))
    assert known_certificate(one) == known_certificate(one) != known_certificate(other)
    assert certificate_key(known_certificate(one)) == one
