"""The user's chain as this device knows it. Owns keeping it, and following it as devices are added."""

import logging

from peer.link.chain import KnownChain, judge_received, read_chain
from peer.link.coordinator import CoordinatorClient
from peer.link.errors import BadReply, LinkError
from peer.store import schema
from peer.store.database import Database, StoreError
from protocol.codec import Malformed, decode_exact, encode
from protocol.ids import UserId
from protocol.messages import Refusal
from protocol.model import SignedLink

_LINK_BYTES = 64 * 1024

_log = logging.getLogger("shoal.engine")


def load_chain(database: Database, user: UserId, joined_with: tuple[SignedLink, ...]) -> KnownChain:
    """The longest chain that this device has seen. In the database's thread.

    What was kept and is damaged is read anew from the coordinator; `StoreError` where that with which it joined is.
    """
    rows = database.all('SELECT link FROM chain_links WHERE user = ? ORDER BY "index"', (user,))
    if len(rows) > len(joined_with):
        try:
            return judge_received(tuple(decode_exact(SignedLink, row[0], _LINK_BYTES) for row in rows))
        except (BadReply, Malformed):
            _log.warning("the kept chain of devices is damaged: it is read anew")
    try:
        return judge_received(joined_with)
    except BadReply as error:
        raise StoreError(f"this home is damaged ({error}): put it back from a backup, or join anew") from error


def save_chain(database: Database, known: KnownChain, kept: int = 0) -> None:
    """Keep a chain that goes on from the one of which so many links are kept. In the database's thread."""
    with database.transaction():
        rows = [(known.chain.user, kept + at, encode(link)) for at, link in enumerate(known.links[kept:])]
        database.insert(schema.chain_links, rows)


async def follow_chain(client: CoordinatorClient, known: KnownChain) -> KnownChain:
    """The chain with what was added since; the known one where the coordinator is away or contradicts it."""
    try:
        latest = await read_chain(client, known.chain.user, known)
    except LinkError:
        return known
    return known if isinstance(latest, Refusal) else latest
