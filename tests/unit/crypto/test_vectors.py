"""The published vectors, recomputed, and checked again with nothing of this package."""

import hashlib
import json
from typing import Any

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_decrypt
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

from crypto.block_box import open_block
from crypto.identity import DeviceKeys, open_sealed
from crypto.invitation import decode_code
from crypto.keyring import WorkspaceKeyring
from crypto.sealing import unseal
from tests.vectors.make_crypto import PATH, as_text

VECTORS: dict[str, Any] = json.loads(PATH.read_text(encoding="ascii"))


def raw(*path: str | int) -> bytes:
    value: Any = VECTORS
    for key in path:
        value = value[key]
    return bytes.fromhex(value)


def blake2b(label: str, key: bytes, *parts: bytes, size: int = 32) -> bytes:
    """The derivation, written down a second time."""
    message = b"\1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.blake2b(message, key=key, person=label.encode(), digest_size=size).digest()


def test_the_vectors_are_what_this_version_makes() -> None:
    assert PATH.read_text(encoding="ascii") == as_text()


def test_derivations_follow_the_written_rule() -> None:
    for case in VECTORS["derive"]:
        parts = [bytes.fromhex(part) for part in case["context"]]
        made = blake2b(case["label"], bytes.fromhex(case["key"]), *parts, size=case["size"])
        assert made.hex() == case["result"]


def test_sub_keys_and_names_follow_the_written_rule() -> None:
    salt, fixed = raw("keyring", "salt"), raw("keyring", "fixed")
    assert blake2b("shoal.key.chunk", fixed, salt) == raw("keyring", "chunk_key")
    for number, keys in VECTORS["keyring"]["epochs"].items():
        epoch, root = int(number).to_bytes(4, "big"), raw("keyring", "roots", number)
        assert blake2b("shoal.key.seal", root, salt, epoch).hex() == keys["seal"]
        promise = blake2b("shoal.key.commit", root, salt, epoch, fixed)
        assert promise.hex() == keys["commitment"]
    data = raw("names", "data")
    assert blake3(data, key=raw("keyring", "chunk_key")).digest() == raw("names", "chunk_id")
    assert blake3(data, key=raw("keyring", "file_key")).digest() == raw("names", "file_digest")
    name = VECTORS["names"]["name"].encode()
    key = blake2b("shoal.name", raw("keyring", "name_key"), raw("names", "parent"), name, size=16)
    assert key == raw("names", "name_key")


def test_a_block_opens_by_the_written_rule() -> None:
    for case in VECTORS["blocks"]:
        block, data = bytes.fromhex(case["block"]), bytes.fromhex(case["data"])
        keys = VECTORS["keyring"]["epochs"][str(case["epoch"])]
        header, siv = block[:9], block[9:41]
        assert header == b"SHB1\1" + case["epoch"].to_bytes(4, "big")
        content_key = blake2b("shoal.block.key", bytes.fromhex(keys["block"]), siv)
        padded = aead_decrypt(block[41:], header + siv, siv[:24], content_key)
        size = len(data).to_bytes(4, "big")
        assert padded == (b"\0" + size + size + data).ljust(64, b"\0")
        assert blake3(header + padded, key=bytes.fromhex(keys["siv"])).digest() == siv
        assert blake3(block).hexdigest() == case["block_id"]


def test_a_box_opens_by_the_written_rule() -> None:
    box, context = raw("identity", "sealed_to_box"), raw("identity", "sealed_context")
    secret = blake2b("shoal.dev.box", raw("identity", "device_seed"))
    public = crypto_scalarmult_base(secret)
    assert public == raw("identity", "box")
    shared = crypto_scalarmult(secret, box[1:33])
    both = blake2b("shoal.box.key", shared, box[1:33], public, context, size=56)
    padded = aead_decrypt(box[33:], b"\1", both[32:], both[:32])
    assert padded == (b"\0\0\0\4" + raw("identity", "sealed_plaintext")).ljust(64, b"\0")


def test_a_signature_holds_in_another_library() -> None:
    label = VECTORS["identity"]["signature_label"].encode().ljust(16, b"\0")
    message = label + b"\1" + raw("identity", "signature_message")
    public = Ed25519PublicKey.from_public_bytes(raw("identity", "sign"))
    public.verify(raw("identity", "signature"), message)


def test_everything_sealed_in_the_vectors_opens() -> None:
    keys = WorkspaceKeyring.unpack(raw("keyring", "packed"))
    for case in VECTORS["blocks"]:
        data = bytes.fromhex(case["data"])
        assert open_block(keys, bytes.fromhex(case["block"]), 100, len(data)) == data
    sealed, bound = raw("sealing", "sealed"), raw("sealing", "associated")
    assert unseal(keys.newest.seal, sealed, bound) == raw("sealing", "plaintext")
    device = DeviceKeys.from_seed(raw("identity", "device_seed"))
    opened = open_sealed(device.box, raw("identity", "sealed_to_box"), raw("identity", "sealed_context"))
    assert opened == raw("identity", "sealed_plaintext")
    for case in VECTORS["codes"]:
        assert decode_code(case["word"]).secret.hex() == case["secret"]
