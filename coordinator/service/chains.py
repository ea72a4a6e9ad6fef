"""Extending users' chains: reads one as stored and judges what follows. The rules are `protocol.chains`."""

from coordinator.ports import Transaction
from protocol import limits
from protocol.chains import BadChain, UserChain, judge_chain
from protocol.ids import UserId
from protocol.messages import Refusal, RefusalCode
from protocol.model import Founded, SignedLink
from protocol.rules import Hashes


class _Verified:
    """Hashes for links whose signatures were checked when they were stored."""

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes
        self.link_hash = hashes.link_hash
        self.device_id = hashes.device_id
        self.sealed_hash = hashes.sealed_hash
        self.lists_hash = hashes.lists_hash
        self.change_id = hashes.change_id
        self.commit_digest = hashes.commit_digest
        self.log_hash = hashes.log_hash
        self.verify_commit = hashes.verify_commit

    def verify_link(self, public: bytes, link_hash: bytes, signature: bytes) -> bool:
        return True


def founded(link: SignedLink, hashes: Hashes) -> UserChain | Refusal:
    """The chain that a first link makes; `malformed` where it breaks a rule."""
    if not isinstance(link.link.body, Founded):
        return Refusal(RefusalCode.MALFORMED, "a chain begins with the link that founds it")
    chain = judge_chain([link], hashes)
    return _refusal(chain) if isinstance(chain, BadChain) else chain


def extend(transaction: Transaction, user: UserId, link: SignedLink, hashes: Hashes) -> UserChain | Refusal:
    """A user's chain with one more link, not stored yet.

    Refuses `conflict` where the link follows an earlier end (the chain has moved on), `malformed` for a broken rule.
    """
    known = transaction.people.user(user)
    if known is None or not known.active:
        return Refusal(RefusalCode.NOT_FOUND, "no such user")
    if link.link.index != known.chain.length or link.link.previous != known.chain.last:
        return Refusal(RefusalCode.CONFLICT, "the user's chain has moved on")
    stored = judge_chain(transaction.people.links(user, 0, limits.CHAIN_LINKS), _Verified(hashes))
    assert isinstance(stored, UserChain), "a stored chain is valid"
    chain = judge_chain([link], hashes, stored)
    return _refusal(chain) if isinstance(chain, BadChain) else chain


def _refusal(bad: BadChain) -> Refusal:
    return Refusal(RefusalCode.MALFORMED, f"link {bad.index} of the chain: {bad.detail}")
