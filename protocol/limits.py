"""Every bound of the protocol, one constant each. Owns numbers only.

A sender keeps them, a receiver refuses what exceeds them before doing any work on it.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# names and trees
NAME_BYTES: Final = 255
"""Longest name, in bytes of its NFC UTF-8 form."""
PATH_DEPTH: Final = 128
"""Deepest entry, counted in names below the root."""
PATH_BYTES: Final = 4096
LINK_TARGET_BYTES: Final = 4095

# commits and journal
COMMIT_CHANGES: Final = 1_000
COMMIT_BYTES: Final = 32 * MIB
SEALED_BYTES: Final = 24 * MIB
"""Longest sealed part of one change."""
CHANGE_BLOCKS: Final = 400_000
"""Most blocks that one change may add or remove."""
SEEN_COMMITS: Final = 1_000
PAGE_COMMITS: Final = 1_000
PAGE_BYTES: Final = 2 * MIB
"""A journal page holds at least one commit, and stops before the one that would exceed this."""
KNOWN_HEADS: Final = 65_536
"""So many past log hashes a party keeps to recognise a head."""
CLOCK_MS: Final = 2**53
"""Times are milliseconds since 1970 and below this."""

# chunks and blocks
CHUNK_BYTES: Final = 4 * MIB
"""Longest chunk that any workspace's chunker may be set to make."""
BLOCK_BYTES: Final = CHUNK_BYTES + CHUNK_BYTES // 8 + 4 * KIB
"""Longest block: a chunk, its padding, and what sealing adds."""
UPLOAD_BYTES: Final = 64 * MIB
"""Where a sender ends one upload body and begins another; a receiver takes longer ones as a stream."""
HAVE_BLOCKS: Final = 20_000
"""Most block ids in one question."""
GET_BLOCKS: Final = 4_000
OFFERED_MARKS: Final = 4_000
"""Most changes of the set of versions that are not durable in one page of it."""
HOLDINGS: Final = 4_000
"""Most versions that one message says to be held, and to be held no more."""

# people and devices
USER_NAME_CHARS: Final = 64
DEVICE_NAME_CHARS: Final = 40
WORKSPACE_NAME_BYTES: Final = 255
CHAIN_LINKS: Final = 10_000
DEVICES_PER_USER: Final = 200
SEALED_KEYS: Final = 2_000
BUNDLE_BYTES: Final = 4 * MIB
CODE_CHARS: Final = 2_000
ADDRESSES: Final = 32

# transport
REQUEST_BYTES: Final = COMMIT_BYTES + MIB
"""Longest body of an ordinary request."""
REPLY_BYTES: Final = PAGE_BYTES + COMMIT_BYTES + MIB
POKE_BYTES: Final = 256 * KIB
INLINE_BYTES: Final = 64 * KIB
"""A poke carries commits inline up to this size."""
POKES: Final = 10_000
TOKEN_S: Final = 900
"""Lifetime of a login token, in seconds."""
CHALLENGE_S: Final = 60
POLL_S: Final = 55
"""Longest time that a long poll is held open, in seconds."""

# address hints
NEARBY: Final = 32
"""Most devices in one answer: as many as there are links."""
NEARBY_HOSTS: Final = 8
"""Most addresses of one device."""
NEARBY_A_MINUTE: Final = 12
"""So often a minute a device tells its own and asks for others'."""

# links on the LAN
LAN_CONTROL_BYTES: Final = 64 * KIB
"""Longest message of a link; a chunk is none."""
LAN_WORKSPACES: Final = 500
"""Most workspaces that one message names."""
LAN_VERSIONS: Final = 64
"""Most versions that one side of a link may need at a time."""
LAN_MORE: Final = 4_000
LAN_REQUESTS: Final = 256
"""Most requests of one side of a link that are not answered yet."""
LAN_REQUESTED_BYTES: Final = 16 * MIB
"""So many bytes these may ask for together."""
LAN_KEPT: Final = 1_000
"""So many commits that wait for the coordinator a device tells others of, and keeps of each of them."""
LAN_KEPT_BYTES: Final = 64 * MIB
"""So many bytes of other devices' commits are kept for one workspace."""
LAN_PART_BYTES: Final = 48 * KIB
"""A commit comes in parts of at most this size."""
