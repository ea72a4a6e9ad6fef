"""What members check of an opened body against its clear part."""

from collections.abc import Set

import msgspec
import pytest

from protocol.checks import body_problem
from protocol.ids import ROOT, BlockId, ChunkId
from protocol.model import Body, Change, ChunkRef, Clear, FlatManifest, Kind
from tests.common.journals import CHUNKER, block_id, entry_id, key_of, seed

A, B, C = block_id("a"), block_id("b"), block_id("c")


def ref(block: bytes, length: int = 10, epoch: int = 1, chunk: bytes | None = None) -> ChunkRef:
    return ChunkRef(ChunkId(chunk or seed("chunk", block)), BlockId(block), epoch, length)


def clear(kind: Kind = Kind.FILE, *, deleted: bool = False, padded: int = 0, name: str = "x") -> Clear:
    return Clear(entry_id("x"), ROOT, kind, None, key_of(ROOT, name), deleted, False, 1, padded, None)


def change(kind: Kind = Kind.FILE, added: bytes = b"", removed: bytes = b"", *, deleted: bool = False) -> Change:
    return Change(clear(kind, deleted=deleted, padded=len(added)), b"", added, removed)


def file_body(*refs: ChunkRef, **overrides: object) -> Body:
    size = sum(each.length for each in refs)
    body = Body("x", size, 0, False, seed("digest"), None, FlatManifest(refs), None)
    return msgspec.structs.replace(body, **overrides)


def problem(of: Change, body: Body, base: Set[bytes] | None = frozenset()) -> str | None:
    return body_problem(of, body, name_key=key_of(of.clear.parent, body.name), base_blocks=base, chunker=CHUNKER)


LINK = Body("x", 3, 0, False, None, b"a/b", None, None)
EMPTY = Body("x", 0, 0, False, None, None, None, None)


def test_honest_bodies_have_no_problem() -> None:
    assert problem(change(added=A + B), file_body(ref(A), ref(B), ref(A))) is None
    assert problem(change(added=C, removed=A), file_body(ref(B), ref(C)), {A, B}) is None
    assert problem(change(), file_body()) is None
    assert problem(change(removed=A), file_body(), {A}) is None
    assert problem(change(added=C, removed=A), file_body(ref(B), ref(C)), None) is None
    assert problem(change(Kind.SYMLINK), LINK) is None
    assert problem(change(Kind.DIRECTORY), EMPTY) is None
    assert problem(change(deleted=True), EMPTY) is None


@pytest.mark.parametrize("name", ["..", "a/b", "a\0", ".shoal", "a\u0308"])
def test_a_name_that_is_not_allowed_is_a_problem_whoever_sealed_it(name: str) -> None:
    assert problem(change(Kind.DIRECTORY), msgspec.structs.replace(EMPTY, name=name)) is not None


def test_a_name_must_be_the_one_its_key_was_made_of() -> None:
    assert body_problem(change(), file_body(), name_key=bytes(16), base_blocks=(), chunker=CHUNKER) is not None


@pytest.mark.parametrize(
    ("added", "removed", "blocks", "base"),
    [
        (A, b"", [], set()),
        (b"", b"", [A], set()),
        (A, b"", [A, B], set()),
        (A, b"", [A], {A}),
        (b"", A, [], set()),
        (b"", A, [A], {A}),
        (b"", b"", [], {A}),
        (A, b"", [], None),
        (b"", A, [A], None),
    ],
)
def test_lists_are_exactly_the_difference_between_base_and_manifest(
    added: bytes, removed: bytes, blocks: list[bytes], base: set[bytes] | None
) -> None:
    assert problem(change(added=added, removed=removed), file_body(*map(ref, blocks)), base) is not None


@pytest.mark.parametrize(
    "body",
    [
        file_body(ref(A), size=9),
        file_body(ref(A, length=CHUNKER.max_size + 1)),
        file_body(ref(A, epoch=2)),
        file_body(ref(A), ref(A, chunk=seed("other"))),
        file_body(ref(A), ref(A, length=11)),
        file_body(ref(A), digest=None),
        file_body(ref(A), target=b"x"),
        msgspec.structs.replace(EMPTY, digest=seed("digest")),
    ],
    ids=["size", "chunk too long", "epoch", "two chunks", "two lengths", "no digest", "a target", "no manifest"],
)
def test_a_file_that_contradicts_itself_is_a_problem(body: Body) -> None:
    assert problem(change(added=A), body) is not None


def test_more_bytes_than_blocks_can_have_are_a_problem() -> None:
    of = msgspec.structs.replace(change(added=A), clear=clear(padded=2**40))
    assert problem(of, file_body(ref(A))) is not None


@pytest.mark.parametrize(
    "parts",
    [{"target": None}, {"size": 4}, {"target": b"a\0b"}, {"executable": True}, {"digest": seed("digest")}],
    ids=["no target", "size", "zero byte", "executable", "digest"],
)
def test_a_link_has_a_target_and_nothing_else(parts: dict[str, object]) -> None:
    assert problem(change(Kind.SYMLINK), msgspec.structs.replace(LINK, **parts)) is not None


@pytest.mark.parametrize(
    "parts",
    [{"target": b"x"}, {"size": 1}, {"executable": True}, {"manifest": FlatManifest(())}, {"digest": seed("digest")}],
    ids=["target", "size", "executable", "manifest", "digest"],
)
def test_directories_and_deletions_have_no_content(parts: dict[str, object]) -> None:
    body = msgspec.structs.replace(EMPTY, **parts)
    assert problem(change(Kind.DIRECTORY), body) is not None
    assert problem(change(deleted=True), body) is not None


def test_a_mount_is_a_problem_until_mounts_are_known() -> None:
    assert problem(change(Kind.MOUNT), EMPTY) is not None
