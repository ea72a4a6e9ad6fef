"""The vectors: as the program makes them, and as independent implementations read them."""

import hashlib
import inspect
import json
from typing import Any

import msgpack
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol import codec, lan, limits, messages, model, nearby, offered
from protocol.frames import FrameReader
from protocol.lan_frames import ChunkFrame, LanFrameReader
from tests.common.examples import Story, lan_examples, message_examples, model_examples
from tests.vectors import make_protocol

VECTORS: dict[str, Any] = json.loads(make_protocol.FILE.read_text(encoding="utf-8"))
ENCODINGS: list[dict[str, Any]] = VECTORS["encodings"]
TYPES = {
    kind.__name__: kind
    for module in (model, messages, offered, nearby, lan)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, msgspec.Struct) and kind not in (codec.Array, codec.Message)
}


def array_of(value: Any) -> Any:
    """A vector's value as the array that MessagePack is to encode: fields in order, the tag first."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"]) if set(value) == {"hex"} else [array_of(item) for item in value.values()]
    return [array_of(item) for item in value] if isinstance(value, list) else value


def test_the_file_is_what_the_program_makes() -> None:
    assert make_protocol.FILE.read_text(encoding="utf-8") == make_protocol.text()


def types_in(value: object) -> set[str]:
    if isinstance(value, msgspec.Struct):
        inner = (types_in(getattr(value, name)) for name in value.__struct_fields__)
        return {type(value).__name__}.union(*inner)
    return set().union(*map(types_in, value)) if isinstance(value, tuple) else set()


def test_every_type_has_a_vector() -> None:
    story = Story()
    examples = [*model_examples(story), *message_examples(story), *lan_examples(story)]
    shown = set().union(*(types_in(value) for _, _, value in examples))
    assert shown == set(TYPES)


@pytest.mark.parametrize("vector", ENCODINGS, ids=[f"{vector['type']}: {vector['what']}" for vector in ENCODINGS])
def test_an_encoding_is_what_an_independent_implementation_makes_of_the_value(vector: dict[str, Any]) -> None:
    encoding = bytes.fromhex(vector["encoding"])
    assert msgpack.packb(array_of(vector["value"]), use_bin_type=True) == encoding
    assert msgpack.unpackb(encoding, use_list=True, strict_map_key=True) == array_of(vector["value"])


@pytest.mark.parametrize("vector", ENCODINGS, ids=[f"{vector['type']}: {vector['what']}" for vector in ENCODINGS])
def test_an_encoding_decodes_to_its_type_and_back(vector: dict[str, Any]) -> None:
    encoding = bytes.fromhex(vector["encoding"])
    value = codec.decode_exact(TYPES[vector["type"]], encoding, limits.REQUEST_BYTES)
    assert make_protocol.plain(value) == vector["value"]


def hashed(label: bytes, *parts: bytes, size: int = 32) -> bytes:
    """The hash of `docs/protocol.md`, written a second time."""
    state = hashlib.blake2b(b"\x01", digest_size=size, person=label)
    for part in parts:
        state.update(len(part).to_bytes(4, "big") + part)
    return state.digest()


def signed(seed_hex: str, label: bytes, message: bytes) -> str:
    """The signature of `docs/protocol.md`, by another implementation of Ed25519."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed_hex))
    return key.sign(label.ljust(16, b"\0") + b"\x01" + message).hex()


def test_hashes_and_signatures_of_commits_are_what_independent_implementations_make() -> None:
    previous, workspace = bytes(32), b""
    for vector in VECTORS["commits"]:
        pairs = []
        for change in vector["changes"]:
            clear, sealed_hash = bytes.fromhex(change["clear"]), bytes.fromhex(change["sealed_hash"])
            lists_hash = hashed(b"shoal.lists", bytes.fromhex(change["lists"]))
            assert lists_hash.hex() == change["lists_hash"]
            assert hashed(b"shoal.change", workspace, clear, sealed_hash, lists_hash).hex() == change["change_id"]
            context = [1, workspace, msgpack.unpackb(clear), lists_hash]
            assert msgpack.packb(context, use_bin_type=True).hex() == change["sealed_context"]
            pairs.append([msgpack.unpackb(clear), sealed_hash, lists_hash])
        header, body, signature = msgpack.unpackb(bytes.fromhex(vector["commit"]))
        if body[0] == 0:
            assert [hashed(b"shoal.sealed", change[2]) for change in body[1]] == [pair[1] for pair in pairs]
        skeleton = msgpack.packb([header, [0, pairs] if body[0] == 0 else body], use_bin_type=True)
        assert skeleton.hex() == vector["skeleton"]
        digest = hashed(b"shoal.commit", skeleton)
        assert digest.hex() == vector["digest"]
        seed_hex = VECTORS["signing_seeds"][vector["author"]]
        assert signed(seed_hex, b"shoal.sign.commt", digest) == vector["signature"] == signature.hex()
        previous = hashed(b"shoal.log", previous, digest)
        assert previous.hex() == vector["log_hash"]
        workspace = workspace or digest


def test_a_users_chain_is_what_independent_implementations_make() -> None:
    chain, previous = VECTORS["chain"], bytes(32)
    for index, vector in enumerate(chain["links"]):
        link = msgpack.unpackb(bytes.fromhex(vector["link"]))
        assert link[:4] == [1, bytes.fromhex(chain["user"]) if index else bytes(16), index, previous]
        previous = hashed(b"shoal.user.link", bytes.fromhex(vector["link"]))
        assert previous.hex() == vector["hash"]
        if index == 0:
            assert previous[:16].hex() == chain["user"]
        _, sign, box, tls = link[5][2] if link[5][0] != 1 else (None, b"", b"", b"")
        if sign:
            assert hashed(b"shoal.id.device", sign, box, tls, size=16).hex() in chain["devices"].values()
    by_phone = signed(VECTORS["signing_seeds"]["phone"], b"shoal.sign.link", bytes.fromhex(chain["links"][2]["hash"]))
    assert chain["links"][2]["signatures"][1] == by_phone


def test_the_frames_read_back() -> None:
    reader = FrameReader()
    frames = list(reader.receive(bytes.fromhex(VECTORS["frames"]["hex"])))
    assert [frame.kind.name.lower() for frame in frames] == [frame[0] for frame in VECTORS["frames"]["frames"]]
    assert reader.ended


def test_the_frames_of_a_link_read_back() -> None:
    reader = LanFrameReader({3: 5}.get)
    items = list(reader.receive(bytes.fromhex(VECTORS["lan_frames"]["hex"])))
    chunk = items[1]
    assert isinstance(chunk, ChunkFrame)
    assert [make_protocol.plain(items[0]), ["chunk", chunk.number, chunk.data.hex()]] == VECTORS["lan_frames"]["frames"]
