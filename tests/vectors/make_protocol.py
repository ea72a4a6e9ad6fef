"""Writes `protocol.json`: every type's encoding, and hashes and signatures made from fixed keys.

Run as `python -P -m tests.vectors.make_protocol`. The tests compare the file with what this makes, and check every
encoding with an independent MessagePack implementation; another client can check itself against the file alone.
"""

import enum
import json
from pathlib import Path
from typing import Any

import msgspec

from crypto.identity import sign
from crypto.labels import Label
from protocol import codec, frames, lan, lan_frames, model
from protocol.ids import NO_LOG, BlockId
from protocol.model import Change, Entries
from protocol.rules import digest_of
from tests.common.examples import Story, lan_examples, message_examples, model_examples
from tests.common.journals import HASHES, block_id

FILE = Path(__file__).with_name("protocol.json")


def plain(value: object) -> Any:
    """A value as JSON: structs as objects by field name, bytes as `{"hex": …}`."""
    if isinstance(value, msgspec.Struct):
        named = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        tag = value.__struct_config__.tag
        return named if tag is None else {"tag": tag, **named}
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def encodings() -> list[dict[str, Any]]:
    """One vector an example."""
    story = Story()
    return [
        {
            "what": what,
            "type": type(value).__name__,
            "value": plain(value),
            "encoding": codec.encode(value).hex(),
        }
        for what, _, value in [*model_examples(story), *message_examples(story), *lan_examples(story)]
    ]


def commits() -> list[dict[str, Any]]:
    """Skeleton, digest, signature, change ids and log hash of each commit of a small journal."""
    story = Story()
    vectors = []
    previous: bytes = NO_LOG
    for seq, commit in enumerate(story.journal.commits, 1):
        changes, pairs = [], []
        if isinstance(commit.body, Entries):
            for change in commit.body.changes:
                assert isinstance(change, Change)
                vector, pair = change_vector(commit.header.workspace, change)
                changes.append(vector)
                pairs.append(pair)
        skeleton = model.skeleton_bytes(commit.header, commit.body, tuple(pairs))
        digest = digest_of(commit, HASHES)
        author = story.laptop if commit.header.device == story.laptop.id else story.phone
        previous = HASHES.log_hash(previous, digest)
        vectors.append(
            {
                "seq": seq,
                "commit": codec.encode(commit).hex(),
                "changes": changes,
                "skeleton": skeleton.hex(),
                "digest": digest.hex(),
                "author": author.name,
                "signature": sign(Label.SIGN_COMMIT, author.secret.sign.secret, digest).hex(),
                "log_hash": previous.hex(),
            }
        )
    return vectors


def change_vector(workspace: bytes, change: Change) -> tuple[dict[str, str], tuple[bytes, bytes]]:
    """The hashes of one change."""
    clear, lists = model.clear_bytes(change.clear), model.lists_bytes(change.added, change.removed)
    sealed_hash, lists_hash = HASHES.sealed_hash(change.sealed), HASHES.lists_hash(lists)
    vector = {
        "clear": clear.hex(),
        "sealed_hash": sealed_hash.hex(),
        "lists": lists.hex(),
        "lists_hash": lists_hash.hex(),
        "change_id": HASHES.change_id(workspace, clear, sealed_hash, lists_hash).hex(),
        "sealed_context": model.sealed_context(workspace, change.clear, lists_hash).hex(),
    }
    return vector, (sealed_hash, lists_hash)


def chain() -> dict[str, Any]:
    """A user's chain: the bytes and the hash of each link, and the ids that follow."""
    story = Story()
    return {
        "user": story.ana.id.hex(),
        "devices": {device.name: device.id.hex() for device in (story.laptop, story.phone)},
        "links": [
            {
                "link": model.link_bytes(signed.link).hex(),
                "hash": HASHES.link_hash(model.link_bytes(signed.link)).hex(),
                "signatures": [signature.hex() for signature in signed.signatures],
            }
            for signed in story.ana.links
        ],
    }


def secrets() -> dict[str, Any]:
    """The Ed25519 seeds that the signatures were made with. For tests only."""
    story = Story()
    return {device.name: device.secret.sign.seed.hex() for device in (story.laptop, story.phone)}


def frame_stream() -> dict[str, Any]:
    """A body of three frames."""
    held, missing = BlockId(block_id(1)), BlockId(block_id(2))
    stream = frames.block_head(held, 5) + b"block" + frames.absent_frame(missing) + frames.end_frame(2)
    return {
        "frames": [["block", held.hex(), b"block".hex()], ["absent", missing.hex()], ["end", 2]],
        "hex": stream.hex(),
    }


def lan_frame_stream() -> dict[str, Any]:
    """A message and a chunk, as they follow each other on a link."""
    ping = lan.LanPing(7)
    return {
        "frames": [plain(ping), ["chunk", 3, b"chunk".hex()]],
        "hex": (lan_frames.message_frame(ping) + lan_frames.chunk_head(3, 5) + b"chunk").hex(),
    }


def vectors() -> dict[str, Any]:
    """All of the file."""
    return {
        "encodings": encodings(),
        "signing_seeds": secrets(),
        "chain": chain(),
        "commits": commits(),
        "frames": frame_stream(),
        "lan_frames": lan_frame_stream(),
    }


def text() -> str:
    """The file as it is written."""
    return json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
