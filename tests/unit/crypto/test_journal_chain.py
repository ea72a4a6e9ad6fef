"""Digests of changes, commits and the journal."""

from collections.abc import Callable

import pytest

from crypto import journal_chain as chain
from crypto.identity import DeviceKeys, sign
from crypto.labels import Label
from protocol.rules import Hashes


def test_no_two_kinds_of_digest_agree_on_the_same_bytes() -> None:
    of_one: list[Callable[[bytes], bytes]] = [
        chain.sealed_hash,
        chain.lists_hash,
        chain.commit_digest,
        chain.state_hash,
        chain.statement_digest,
        chain.link_hash,
    ]
    assert len({hashed(b"same") for hashed in of_one}) == len(of_one)


@pytest.mark.parametrize("part", range(4))
def test_a_change_is_named_by_all_of_its_parts(part: int) -> None:
    parts = [b"w" * 32, b"clear", b"s" * 32, b"l" * 32]
    name = chain.change_id(*parts)
    parts[part] = parts[part][:-1] + b"!"
    assert chain.change_id(*parts) != name


def test_the_journal_depends_on_every_commit_and_their_order() -> None:
    one, two = chain.commit_digest(b"one"), chain.commit_digest(b"two")
    start = chain.BEFORE_GENESIS
    assert chain.log_hash(chain.log_hash(start, one), two) != chain.log_hash(chain.log_hash(start, two), one)


def test_one_object_hands_all_of_it_to_the_rules() -> None:
    handed: Hashes = chain.JournalHashes()
    assert handed.sealed_hash(b"x") == chain.sealed_hash(b"x")
    assert handed.lists_hash(b"x") == chain.lists_hash(b"x")
    assert handed.commit_digest(b"x") == chain.commit_digest(b"x")
    assert handed.link_hash(b"x") == chain.link_hash(b"x")
    assert handed.log_hash(b"x", b"y") == chain.log_hash(b"x", b"y")
    assert handed.change_id(b"w", b"c", b"s", b"l") == chain.change_id(b"w", b"c", b"s", b"l")


def test_the_rules_tell_a_signed_commit_from_a_signed_link() -> None:
    handed = chain.JournalHashes()
    keys = DeviceKeys.from_seed(b"d" * 32)
    public = keys.public
    assert handed.device_id(public.sign, public.box, public.tls) == public.device_id
    over_commit = sign(Label.SIGN_COMMIT, keys.sign.secret, b"h" * 32)
    over_link = sign(Label.SIGN_LINK, keys.sign.secret, b"h" * 32)
    assert handed.verify_commit(public.sign, b"h" * 32, over_commit)
    assert handed.verify_link(public.sign, b"h" * 32, over_link)
    assert not handed.verify_commit(public.sign, b"h" * 32, over_link)
    assert not handed.verify_link(public.sign, b"h" * 32, over_commit)
