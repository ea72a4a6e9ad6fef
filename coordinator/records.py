"""What a transaction offers: typed reads and writes of the coordinator's records.

Owns the row types and the protocols of the four groups. Never decides anything: a write here has been decided.
"""

from typing import Protocol


class People(Protocol):
    """Users, devices, invitations, pairings."""


class Journals(Protocol):
    """Workspaces, commits, entry heads, members, sealed keys."""


class BlockIndex(Protocol):
    """Which blocks are stored where, who uploaded them, which workspaces refer to them."""


class Facts(Protocol):
    """Small named values about this database itself."""
