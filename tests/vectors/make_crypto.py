"""Makes `crypto.json`, the vectors that a second implementation checks itself against.

Run from the repository's root: `python -P -m tests.vectors.make_crypto`. Everything in it is
deterministic, zstd's output excepted: no vector is of a compressed block.
"""

import json
from pathlib import Path
from typing import Any

from crypto import journal_chain as chain
from crypto.beacon import RECORD_BODY_BYTES, hourly_keys, knock_tag, seal_record
from crypto.block_box import open_block, seal_block
from crypto.certificate import certificate_for, known_certificate
from crypto.digest import (
    FixedKeys,
    block_id,
    chunk_id,
    derive,
    derived_id,
    file_digest,
    link_digest,
    name_key,
)
from crypto.identity import DeviceKeys, coordinator_hash, seal_to, sign
from crypto.invitation import Code, CodeKind, InvitationKeys, encode_code
from crypto.keyring import WorkspaceKeyring
from crypto.labels import Label
from crypto.padding import padded_size
from crypto.recovery import RecoveryKeys
from crypto.sealing import seal

PATH = Path(__file__).with_name("crypto.json")

SALT = bytes(range(16))
FIXED = bytes(range(32))
EPOCH_1 = bytes(range(32, 64))
EPOCH_2 = bytes(range(64, 96))
SEED = bytes(range(96, 128))
RECOVERY = bytes(range(128, 160))
EPHEMERAL = bytes(range(160, 192))
NONCE = bytes(range(24))
CODE_SECRET = bytes(range(200, 216))
PARENT = b"\x22" * 16
KEYS = WorkspaceKeyring(SALT, FIXED, {1: EPOCH_1, 2: EPOCH_2})


def make() -> dict[str, Any]:
    """All vectors; bytes in lower-case hexadecimal."""
    return {
        "labels": {label.name: label.value.decode() for label in Label},
        "derive": _derive(),
        "keyring": _keyring(),
        "names": _names(),
        "padded_sizes": {str(n): padded_size(n) for n in (0, 64, 65, 257, 1000, 5000, 65_537)},
        "blocks": [_block(epoch, data) for epoch in (1, 2) for data in (b"", b"hello, chunk")],
        "identity": _identity(),
        "sealing": _sealing(),
        "journal": _journal(),
        "beacon": _beacon(),
        "codes": [_code(kind) for kind in CodeKind],
    }


def _derive() -> list[dict[str, Any]]:
    cases: list[tuple[bytes, tuple[bytes, ...], int]] = [
        (b"", (), 32),
        (b"", (b"", b"a"), 32),
        (FIXED, (b"ab", b"c"), 16),
    ]
    return [
        {
            "label": Label.COMMIT.value.decode(),
            "key": key.hex(),
            "context": [part.hex() for part in context],
            "size": size,
            "result": derive(Label.COMMIT, key, *context, size=size).hex(),
        }
        for key, context, size in cases
    ]


def _keyring() -> dict[str, Any]:
    epochs = {}
    for number in KEYS.epochs:
        keys = KEYS.epoch(number)
        assert keys is not None
        epochs[str(number)] = {
            "seal": keys.seal.hex(),
            "siv": keys.siv.hex(),
            "block": keys.block.hex(),
            "history": keys.history.hex(),
            "beacon": keys.beacon.hex(),
            "commitment": KEYS.commitment(number).hex(),
        }
    fixed = FixedKeys.of(FIXED, SALT)
    return {
        "salt": SALT.hex(),
        "fixed": FIXED.hex(),
        "roots": {"1": EPOCH_1.hex(), "2": EPOCH_2.hex()},
        "name_key": fixed.name.hex(),
        "chunk_key": fixed.chunk.hex(),
        "file_key": fixed.file.hex(),
        "link_key": fixed.link.hex(),
        "epochs": epochs,
        "packed": KEYS.pack().hex(),
    }


def _names() -> dict[str, Any]:
    keys = KEYS.fixed
    return {
        "data": b"hello, chunk".hex(),
        "chunk_id": chunk_id(keys, b"hello, chunk").hex(),
        "file_digest": file_digest(keys, b"hello, chunk").hex(),
        "link_digest": link_digest(keys, b"hello, chunk").hex(),
        "block_id": block_id(b"hello, chunk").hex(),
        "parent": PARENT.hex(),
        "name": "caf\u00e9.TXT",
        "name_key": name_key(keys, PARENT, "caf\u00e9.TXT").hex(),
        "derived_id": derived_id(Label.ID_COPY, PARENT, b"hello, chunk").hex(),
    }


def _block(epoch: int, data: bytes) -> dict[str, Any]:
    name, block = seal_block(KEYS, epoch, data)
    assert open_block(KEYS, block, len(data), len(data)) == data
    return {"epoch": epoch, "data": data.hex(), "block_id": name.hex(), "block": block.hex()}


def _identity() -> dict[str, Any]:
    device = DeviceKeys.from_seed(SEED)
    recovery = RecoveryKeys.from_seed(RECOVERY)
    return {
        "device_seed": SEED.hex(),
        "sign": device.public.sign.hex(),
        "box": device.public.box.hex(),
        "tls": device.public.tls.hex(),
        "device_id": device.public.device_id.hex(),
        "coordinator_hash": coordinator_hash(device.public.sign).hex(),
        "signature_label": Label.SIGN_COMMIT.value.decode(),
        "signature_message": b"message".hex(),
        "signature": sign(Label.SIGN_COMMIT, device.sign.secret, b"message").hex(),
        "certificate_der": certificate_for(device.tls.seed, "shoal").der.hex(),
        "recovery_seed": RECOVERY.hex(),
        "recovery_sign": recovery.public.sign.hex(),
        "recovery_box": recovery.public.box.hex(),
        "sealed_plaintext": b"keys".hex(),
        "sealed_context": b"context".hex(),
        "ephemeral_seed": EPHEMERAL.hex(),
        "sealed_to_box": seal_to(device.public.box, b"keys", EPHEMERAL, b"context").hex(),
    }


def _beacon() -> dict[str, Any]:
    device = DeviceKeys.from_seed(SEED).public
    key, hour = KEYS.newest.beacon, 498_000
    hourly = hourly_keys(key, hour, device.device_id)
    body = bytes(range(RECORD_BODY_BYTES))
    return {
        "key": key.hex(),
        "hour": hour,
        "device": device.device_id.hex(),
        "tag": hourly.tag.hex(),
        "record_key": hourly.key.hex(),
        "nonce": NONCE.hex(),
        "body": body.hex(),
        "record": seal_record(hourly, NONCE, body).hex(),
        "knock_nonce": SALT.hex(),
        "knock_address": "192.168.1.20",
        "knock": knock_tag(key, hour, device.device_id, SALT, "192.168.1.20").hex(),
        "certificate_der": known_certificate(device.tls).hex(),
    }


def _sealing() -> dict[str, Any]:
    return {
        "key": KEYS.newest.seal.hex(),
        "nonce": NONCE.hex(),
        "plaintext": b"body".hex(),
        "associated": b"bound".hex(),
        "sealed": seal(KEYS.newest.seal, NONCE, b"body", b"bound").hex(),
    }


def _journal() -> dict[str, Any]:
    workspace, clear = chain.commit_digest(b"genesis"), b"clear"
    sealed, lists = chain.sealed_hash(b"sealed"), chain.lists_hash(b"lists")
    first = chain.log_hash(chain.BEFORE_GENESIS, workspace)
    return {
        "commit_digest_of_genesis": workspace.hex(),
        "sealed_hash_of_sealed": sealed.hex(),
        "lists_hash_of_lists": lists.hex(),
        "change_id_with_clear": chain.change_id(workspace, clear, sealed, lists).hex(),
        "log_hash_1": first.hex(),
        "log_hash_2": chain.log_hash(first, chain.commit_digest(b"second")).hex(),
        "state_hash_of_state": chain.state_hash(b"state").hex(),
        "statement_digest_of_statement": chain.statement_digest(b"statement").hex(),
        "link_hash_of_link": chain.link_hash(b"link").hex(),
    }


def _code(kind: CodeKind) -> dict[str, Any]:
    addresses = ("192.168.1.20:7440", "https://shoal.example:8443")
    identity = coordinator_hash(DeviceKeys.from_seed(SEED).public.sign)
    keys = InvitationKeys.of(CODE_SECRET)
    return {
        "kind": kind.value,
        "secret": CODE_SECRET.hex(),
        "identity_hash": identity.hex(),
        "addresses": list(addresses),
        "word": encode_code(Code(kind, CODE_SECRET, identity, addresses)),
        "lookup_id": keys.lookup_id.hex(),
        "sign": keys.sign.public.hex(),
        "box": keys.box.public.hex(),
        "bundle": keys.bundle.hex(),
    }


def as_text() -> str:
    """The file's content."""
    return json.dumps(make(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(as_text(), encoding="ascii")
