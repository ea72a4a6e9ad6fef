"""The one registry of labels that keep purposes apart.

Owns every label that enters a hash, a key derivation or a signature. Nothing else spells one;
a new purpose is a new member here. Never holds a key and never hashes.

A label is 1 to 16 ASCII bytes: it is BLAKE2b's personalisation (RFC 7693, section 2.8), and the
first 16 bytes, padded with zeros, of what is signed. One label has one purpose for ever.
"""

from enum import Enum, unique
from typing import Final

LABEL_BYTES: Final = 16


@unique
class Label(Enum):
    """What a hash, a key or a signature is for."""

    # Sub-keys of a workspace's fixed key.
    KEY_NAME = b"shoal.key.name"
    KEY_CHUNK = b"shoal.key.chunk"
    KEY_FILE = b"shoal.key.file"
    KEY_LINK = b"shoal.key.link"
    KEY_PIECE = b"shoal.key.piece"
    # Sub-keys of an epoch key, and the promise of one.
    KEY_SEAL = b"shoal.key.seal"
    KEY_SIV = b"shoal.key.siv"
    KEY_BLOCK = b"shoal.key.block"
    KEY_HISTORY = b"shoal.key.old"
    KEY_BEACON = b"shoal.key.beacon"
    KEY_COMMITMENT = b"shoal.key.commit"
    # Within blocks and workspaces.
    BLOCK_CONTENT = b"shoal.block.key"
    NAME_KEY = b"shoal.name"
    LINK_DIGEST = b"shoal.link"
    # A device's or a user's seed to its key pairs.
    DEVICE_SIGN = b"shoal.dev.sign"
    DEVICE_BOX = b"shoal.dev.box"
    DEVICE_TLS = b"shoal.dev.tls"
    RECOVERY_SIGN = b"shoal.rec.sign"
    RECOVERY_BOX = b"shoal.rec.box"
    # Boxes for one receiver.
    BOX_EPHEMERAL = b"shoal.box.eph"
    BOX_KEY = b"shoal.box.key"
    # Identifiers that are hashes.
    ID_DEVICE = b"shoal.id.device"
    ID_COORDINATOR = b"shoal.id.coord"
    ID_COPY = b"shoal.id.copy"
    ID_AGAIN = b"shoal.id.again"
    ID_SERIAL = b"shoal.id.serial"
    # The journal and users' chains.
    CHANGE_ID = b"shoal.change"
    CHANGE_SEALED = b"shoal.sealed"
    CHANGE_LISTS = b"shoal.lists"
    COMMIT = b"shoal.commit"
    LOG = b"shoal.log"
    STATE = b"shoal.state"
    STATEMENT = b"shoal.statement"
    USER_LINK = b"shoal.user.link"
    # On the LAN.
    BEACON = b"shoal.beacon"
    KNOCK = b"shoal.knock"
    LAN_ISSUER = b"shoal.lan.issuer"
    # Signatures.
    SIGN_COMMIT = b"shoal.sign.commt"
    SIGN_LINK = b"shoal.sign.link"
    SIGN_STATEMENT = b"shoal.sign.state"
    SIGN_LOGIN = b"shoal.sign.login"
    SIGN_COORDINATOR = b"shoal.sign.coord"
    SIGN_INVITE = b"shoal.sign.invit"
    # Codes, tokens, links.
    INVITE_SIGN = b"shoal.inv.sign"
    INVITE_BOX = b"shoal.inv.box"
    INVITE_LOOKUP = b"shoal.inv.id"
    INVITE_BUNDLE = b"shoal.inv.bundle"
    TOKEN = b"shoal.token"
