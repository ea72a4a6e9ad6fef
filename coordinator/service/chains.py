"""Extending users' chains: reads one as stored and judges what follows. The rules are `protocol.chains`."""

from collections.abc import Sequence

from coordinator.ports import Transaction
from coordinator.records import Device
from protocol import limits
from protocol.chains import BadChain, UserChain, judge_chain
from protocol.ids import DeviceId, UserId
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


def put_back(
    transaction: Transaction, user: UserId, links: Sequence[SignedLink], hashes: Hashes, now_ms: int
) -> frozenset[DeviceId]:
    """Go on with a user's chain as a journal has it, where this database has less of it: a backup was put back.

    Its devices are known again, and those that it has revoked stay revoked; they are returned. A chain that does not go
    on from the one here changes nothing.
    """
    people = transaction.people
    known, chain = people.user(user), judge_chain(links, hashes)
    if known is None or isinstance(chain, BadChain) or chain.length <= known.chain.length:
        return frozenset()
    there = people.devices(user)
    lost = {device: its for device, its in chain.devices.items() if people.device(device) is None}
    names = [device.keys.name for device in there] + [its.keys.name for its in lost.values()]
    if not chain.extends(known.chain) or len(set(names)) < len(names):
        return frozenset()
    first = known.chain.length
    for signed, link_hash in zip(links[first:], chain.link_hashes[first:], strict=True):
        people.add_link(user, signed, link_hash)
    for device, its in lost.items():
        recipient = None if its.pairing is None else its.pairing.recipient
        people.add_device(Device(device, user, its.keys, recipient, its.active, now_ms, 0))
    ended = frozenset(each.device for each in there if each.active) & chain.revoked_devices
    for device in ended:
        people.revoke_device(device)
    withdraw_pairings(transaction, chain, now_ms)
    return ended


def withdraw_pairings(transaction: Transaction, chain: UserChain, now_ms: int) -> None:
    """Nobody is let in any more by a pairing that the chain does not keep open."""
    people = transaction.people
    for pairing in people.open_pairings(chain.user, now_ms):
        if pairing.sign not in chain.pairings:
            people.withdraw_pairing(pairing.lookup, now_ms)


def _refusal(bad: BadChain) -> Refusal:
    return Refusal(RefusalCode.MALFORMED, f"link {bad.index} of the chain: {bad.detail}")
