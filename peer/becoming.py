"""Becoming a device, with what has to be kept on the way. Owns the order: seeds on the disk first, identity last.

Never asks a person anything and never starts a daemon.
"""

from crypto.invitation import Code, CodeKind, InvitationKeys
from peer.home import Home, Identity, Seeds, pack_bundled, pack_links
from peer.link import joining
from protocol.messages import Refusal


async def become(home: Home, code: Code, device_name: str, doors: joining.Doors) -> Identity | Refusal:
    """Use a code and keep the new identity in the home; an answer that got lost costs nothing, since the same code
    then goes on from the kept seeds. Raises as `peer.link.joining.join` does, and `HomeError`."""
    mark = InvitationKeys.of(code.secret).lookup_id + code.identity_hash
    kept = home.read_seeds(mark)
    drawn = joining.Seeds(kept.device, kept.recovery) if kept else joining.Seeds.draw(doors.entropy)
    if kept is None:
        home.write_seeds(Seeds(code=mark, device=drawn.device, recovery=drawn.recovery))
    asked = joining.join if code.kind is CodeKind.JOIN else joining.pair
    joined = await asked(code, device_name, drawn, doors)
    if isinstance(joined, Refusal):
        return joined
    identity = Identity(
        device_seed=drawn.device,
        recovery_seed=drawn.recovery if code.kind is CodeKind.JOIN else b"",
        device_id=joined.device,
        device_name=joined.device_name,
        user_id=joined.user,
        user_name=joined.user_name,
        coordinator=joined.identity,
        addresses=tuple(joined.addresses),
        chain=pack_links(joined.chain.links),
        bundle=pack_bundled(joined.workspaces),
        pairing_seed=InvitationKeys.of(code.secret).box.secret if code.kind is CodeKind.PAIR else b"",
    )
    home.write_identity(identity)
    home.drop_seeds()
    return identity
