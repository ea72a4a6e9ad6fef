"""Who may do what, at this moment. Pure: the facts are handed in. Never remembers an answer."""

from protocol.model import Role


def may_read(active: bool, role: Role | None) -> bool:
    """Journal rows, keys and blocks: an active device of a member, of whatever role."""
    return active and role is not None


def may_write(active: bool, role: Role | None) -> bool:
    """Blocks, for commits to come: an active device of a member who may change entries."""
    return active and role is not None and role >= Role.EDITOR
