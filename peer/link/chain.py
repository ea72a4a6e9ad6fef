"""A user's chain over the link. Owns fetching it and adding links; what is fetched is judged before anybody sees it."""

from dataclasses import dataclass

from crypto.identity import DeviceKeys, SigningKey, sign
from crypto.journal_chain import JournalHashes
from crypto.labels import Label
from peer.link.coordinator import CoordinatorClient
from peer.link.errors import BadReply
from protocol.chains import BadChain, UserChain, judge_chain
from protocol.ids import NO_LINK, NO_USER, LinkHash, UserId
from protocol.messages import ChainRequest, Refusal
from protocol.model import SUITE, Link, LinkBody, SignedLink, link_bytes
from protocol.model import DeviceKeys as NamedKeys

HASHES = JournalHashes()


@dataclass(frozen=True, slots=True)
class KnownChain:
    """A valid chain and the links that it was judged from."""

    links: tuple[SignedLink, ...]
    chain: UserChain


def named_keys(keys: DeviceKeys, name: str) -> NamedKeys:
    """A device's public keys as a chain records them."""
    public = keys.public
    return NamedKeys(name, public.sign, public.box, public.tls)


def link_hash(link: Link) -> LinkHash:
    """What is signed of a link, and what the next one names."""
    return LinkHash(HASHES.link_hash(link_bytes(link)))


def sign_link(link: Link, *signers: SigningKey) -> SignedLink:
    """A link with the signatures of all its signers, in order."""
    digest = link_hash(link)
    return SignedLink(link, tuple(sign(Label.SIGN_LINK, signer.secret, digest) for signer in signers))


def next_link(chain: UserChain | None, body: LinkBody, time_ms: int) -> Link:
    """The link that comes after `chain`, or founds one."""
    if chain is None:
        return Link(SUITE, NO_USER, 0, NO_LINK, time_ms, body)
    return Link(SUITE, chain.user, chain.length, chain.last, time_ms, body)


def judge_received(links: tuple[SignedLink, ...], known: KnownChain | None = None) -> KnownChain:
    """The chain that `links` make, going on from `known`. Raises `BadReply` where they do not."""
    verdict = judge_chain(links, HASHES, known.chain if known else None)
    if isinstance(verdict, BadChain):
        raise BadReply(f"link {verdict.index} of a user's chain is not valid: {verdict.detail}")
    return KnownChain((*known.links, *links) if known else links, verdict)


async def read_chain(client: CoordinatorClient, user: UserId, known: KnownChain | None = None) -> KnownChain | Refusal:
    """A user's whole chain, going on from what is known of it.

    Raises `BadReply` for a chain that is not valid, not this user's, or contradicts the known one, `LinkError` as
    `request` does.
    """
    while True:
        start = known.chain.length if known else 0
        reply = await client.request(ChainRequest(user, start))
        if isinstance(reply, Refusal):
            return reply
        if reply.links or known is None:
            known = judge_received(reply.links, known)
            if known.chain.user != user:
                raise BadReply("the chain of another user")
        if not reply.links or len(reply.links) + start >= known.chain.length:
            return known
