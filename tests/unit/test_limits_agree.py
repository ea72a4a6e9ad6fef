"""Bounds that packages which may not import each other have in common."""

from chunking import params
from crypto import block_box, invitation
from protocol import limits


def test_chunks_have_one_bound_everywhere() -> None:
    assert block_box.MAX_CHUNK_BYTES == params.LARGEST_MAX_BYTES == limits.CHUNK_BYTES


def test_every_block_that_can_be_sealed_may_travel() -> None:
    assert block_box.MAX_BLOCK_BYTES <= limits.BLOCK_BYTES


def test_every_code_that_can_be_made_may_be_entered() -> None:
    assert invitation.MAX_CODE_CHARACTERS <= limits.CODE_CHARS
    assert invitation.MAX_ADDRESSES <= limits.ADDRESSES
