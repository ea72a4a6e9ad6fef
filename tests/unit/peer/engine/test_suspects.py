from dataclasses import replace

import pytest
from msgspec import structs

from peer.engine.suspects import is_suspect
from peer.fingerprint import Fingerprint
from peer.planner.trees import Attributes, Content, LocalNode, Node
from peer.transfer.ingest import Ingested, IngestRequest
from protocol.ids import ROOT, EntryId
from protocol.model import Kind

KNOWN = Fingerprint(device=1, inode=2, size=10, mtime_ns=3, ctime_ns=4, executable=False)
NODE = Node(EntryId(b"e" * 16), Kind.FILE, ROOT, "f", Content(b"old", 10), Attributes(False, 3))
BEFORE = LocalNode(NODE, "f", KNOWN)


def read(found: Fingerprint, digest: bytes = b"new") -> Ingested:
    return Ingested(IngestRequest(("f",), found), digest, found.size, found, (), None)


@pytest.mark.parametrize("size", [10, 0], ids=["other bytes", "cut to zero"])
def test_the_same_file_of_the_same_time_with_other_bytes_is_suspect(size: int) -> None:
    assert is_suspect(BEFORE, read(structs.replace(KNOWN, size=size, ctime_ns=9)))


@pytest.mark.parametrize(
    "found",
    [
        structs.replace(KNOWN, mtime_ns=5),
        structs.replace(KNOWN, inode=7),
        structs.replace(KNOWN, size=11),
        structs.replace(KNOWN, size=0, inode=7),
    ],
    ids=["saved", "put in its place", "longer", "an empty one put in its place"],
)
def test_what_somebody_did_is_not(found: Fingerprint) -> None:
    assert not is_suspect(BEFORE, read(found))


def test_the_same_bytes_are_not() -> None:
    assert not is_suspect(BEFORE, read(structs.replace(KNOWN, ctime_ns=9), b"old"))


def test_what_was_never_read_is_not() -> None:
    assert not is_suspect(replace(BEFORE, fingerprint=None), read(KNOWN))
