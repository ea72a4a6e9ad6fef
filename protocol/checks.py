"""What only members can check of a change: its opened sealed part against its clear part. Owns the `bad_change` rules.

A breach is the author's fault and that change's own problem: the commit stands, and the entry keeps its last good
version. Never opens anything: body, name key and the base's blocks are handed in.
"""

from collections.abc import Collection

from protocol import limits
from protocol.ids import ROOT
from protocol.model import Body, Change, Chunker, ChunkRef, FlatManifest, Kind, split_ids
from protocol.names import name_problem


def body_problem(
    change: Change,
    body: Body,
    *,
    name_key: bytes,
    base_blocks: Collection[bytes] | None,
    chunker: Chunker,
) -> str | None:
    """Why the sealed part of a legal change is not to be believed, in a few words without content; None where it is.

    `name_key` is the keyed hash of the clear part's parent and the body's name. `base_blocks` are the distinct blocks
    of the base version's manifest, empty where there is none, None where they are no longer known: then only what the
    lists themselves say is checked.
    """
    clear = change.clear
    problem = name_problem(body.name, at_root=clear.parent == ROOT)
    if problem is not None:
        return f"the name {problem}"
    if name_key != clear.name_key:
        return "the name is not the one that its key was made of"
    if clear.deleted:
        return _empty_problem(body, "a deletion")
    match clear.kind:
        case Kind.FILE:
            return _file_problem(change, body, base_blocks, chunker)
        case Kind.SYMLINK:
            return _link_problem(body)
        case Kind.DIRECTORY:
            return _empty_problem(body, "a directory")
        case Kind.MOUNT:
            return "mounts are not known here"


def _empty_problem(body: Body, what: str) -> str | None:
    if body.manifest is not None or body.digest is not None or body.target is not None:
        return f"{what} has content"
    if body.size or body.executable:
        return f"{what} has a size or an executable bit"
    return None


def _link_problem(body: Body) -> str | None:
    if body.target is None or body.manifest is not None or body.digest is not None or body.executable:
        return "a link has a target and nothing else"
    if b"\0" in body.target:
        return "a link's target contains a zero byte"
    if body.size != len(body.target):
        return "a link's size is not its target's"
    return None


def _file_problem(change: Change, body: Body, base_blocks: Collection[bytes] | None, chunker: Chunker) -> str | None:
    if body.target is not None or body.digest is None or body.manifest is None:
        return "a file has a manifest and a digest, and no target"
    return _manifest_problem(body.manifest, body.size, change.clear.epoch, chunker) or _lists_problem(
        change, body.manifest, base_blocks
    )


def _manifest_problem(manifest: FlatManifest, size: int, epoch: int, chunker: Chunker) -> str | None:
    by_block: dict[bytes, ChunkRef] = {}
    total = 0
    for ref in manifest.chunks:
        if ref.length > chunker.max_size:
            return "a chunk is longer than this workspace's may be"
        if ref.epoch > epoch:
            return "a block is of an epoch that is yet to come"
        if by_block.setdefault(ref.block, ref) != ref:
            return "one block stands for two chunks"
        total += ref.length
    return None if total == size else "the chunks do not add up to the size"


def _lists_problem(change: Change, manifest: FlatManifest, base_blocks: Collection[bytes] | None) -> str | None:
    blocks: set[bytes] = {ref.block for ref in manifest.chunks}
    added, removed = set(split_ids(change.added)), set(split_ids(change.removed))
    if base_blocks is None:
        holds = added <= blocks and blocks.isdisjoint(removed)
    else:
        base = set(base_blocks)
        holds = added.isdisjoint(base) and removed <= base and blocks == (base - removed) | added
    if not holds:
        return "the block lists are not the difference between the base and the manifest"
    if change.clear.padded_bytes > limits.BLOCK_BYTES * len(added):
        return "the added blocks are longer than blocks may be"
    return None
