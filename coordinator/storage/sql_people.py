"""Users, devices, invitations and pairings in SQL. Owns these statements; decides nothing."""

from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from coordinator.records import Device, Invitation, Pairing, User
from coordinator.storage import tables
from coordinator.storage.driver import Driver, Statement
from protocol import codec, limits
from protocol.ids import DeviceId, LinkHash, UserId
from protocol.model import DeviceKeys, SignedLink
from protocol.rules import ChainState

_users, _links, _devices = tables.users.c, tables.links.c, tables.devices.c
_invitations, _pairings = tables.invitations.c, tables.pairings.c

_USER: Final = Statement(select(tables.users).where(_users.user_id == bindparam("user")))
_USER_NAMED: Final = Statement(select(tables.users).where(_users.name == bindparam("name")))
_ADD_USER: Final = Statement(insert(tables.users))
_LINKS: Final = Statement(
    select(_links.link)
    .where(_links.user_id == bindparam("user"), _links.position >= bindparam("start"))
    .order_by(_links.position)
    .limit(bindparam("count"))
)
_LINK_HASH: Final = Statement(
    select(_links.hash).where(_links.user_id == bindparam("user"), _links.position == bindparam("position"))
)
_ADD_LINK: Final = Statement(insert(tables.links))
_EXTEND: Final = Statement(
    update(tables.users)
    .where(_users.user_id == bindparam("user"))
    .values(chain_length=bindparam("length"), chain_last=bindparam("last"))
)
_DEVICE: Final = Statement(select(tables.devices).where(_devices.device_id == bindparam("device")))
_DEVICES: Final = Statement(select(tables.devices).where(_devices.user_id == bindparam("user")).order_by(_devices.name))
_ADD_DEVICE: Final = Statement(insert(tables.devices))
_SEEN: Final = Statement(
    update(tables.devices).where(_devices.device_id == bindparam("device")).values(last_seen=bindparam("at"))
)
_REVOKE: Final = Statement(update(tables.devices).where(_devices.device_id == bindparam("device")).values(active=0))
_PAIRING: Final = Statement(select(tables.pairings).where(_pairings.lookup == bindparam("id")))
_OPEN_PAIRINGS: Final = Statement(
    select(tables.pairings).where(
        _pairings.user_id == bindparam("user"), _pairings.used_by.is_(None), _pairings.expires > bindparam("now")
    )
)
_ADD_PAIRING: Final = Statement(insert(tables.pairings))
_KEYS_BYTES: Final = 1024


class SqlPeople:
    """`records.People` over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = Driver(connection)

    def user(self, user: UserId) -> User | None:
        """By id."""
        row = self._driver.row(_USER, {"user": user})
        return None if row is None else _user(row)

    def user_named(self, name: str) -> User | None:
        """By exact name."""
        row = self._driver.row(_USER_NAMED, {"name": name})
        return None if row is None else _user(row)

    def users(self) -> list[User]:
        """All of them by name."""
        return [_user(row) for row in self._connection.execute(select(tables.users).order_by(_users.name))]

    def add_user(self, user: User) -> None:
        """A new one; links are added apart."""
        row = {
            "user_id": user.user,
            "name": user.name,
            "admin": int(user.admin),
            "active": int(user.active),
            "created": user.created,
            "chain_length": user.chain.length,
            "chain_last": user.chain.last,
        }
        self._driver.run(_ADD_USER, row)

    def links(self, user: UserId, start: int, count: int) -> tuple[SignedLink, ...]:
        """The chain's links from `start` on, at most `count`."""
        found = self._driver.rows(_LINKS, {"user": user, "start": start, "count": count})
        return tuple(codec.decode(SignedLink, link, limits.BUNDLE_BYTES) for (link,) in found)

    def link_hash(self, user: UserId, position: int) -> LinkHash | None:
        """Hash of one link."""
        value: LinkHash | None = self._driver.value(_LINK_HASH, {"user": user, "position": position})
        return value

    def add_link(self, user: UserId, link: SignedLink, link_hash: LinkHash) -> None:
        """Extend the chain by one; the user's end moves along."""
        position = link.link.index
        row = {"user_id": user, "position": position, "hash": link_hash, "link": codec.encode(link)}
        self._driver.run(_ADD_LINK, row)
        self._driver.run(_EXTEND, {"user": user, "length": position + 1, "last": link_hash})

    def device(self, device: DeviceId) -> Device | None:
        """By id."""
        row = self._driver.row(_DEVICE, {"device": device})
        return None if row is None else _device(row)

    def devices(self, user: UserId) -> list[Device]:
        """A user's, by name."""
        return [_device(row) for row in self._driver.rows(_DEVICES, {"user": user})]

    def all_devices(self) -> list[Device]:
        """Everybody's."""
        return [_device(row) for row in self._connection.execute(select(tables.devices).order_by(_devices.name))]

    def add_device(self, device: Device) -> None:
        """A new one."""
        row = {
            "device_id": device.device,
            "user_id": device.user,
            "name": device.keys.name,
            "keys": codec.encode(device.keys),
            "pairing": device.pairing,
            "active": int(device.active),
            "created": device.created,
            "last_seen": device.last_seen,
        }
        self._driver.run(_ADD_DEVICE, row)

    def seen(self, device: DeviceId, at: int) -> None:
        """The device was here."""
        self._driver.run(_SEEN, {"device": device, "at": at})

    def revoke_device(self, device: DeviceId) -> None:
        """It may do nothing any more, for good."""
        self._driver.run(_REVOKE, {"device": device})

    def invitation(self, public: bytes) -> Invitation | None:
        """By its public key."""
        found = select(tables.invitations).where(_invitations.public == public)
        row = self._connection.execute(found).one_or_none()
        return None if row is None else _invitation(row)

    def withdraw_invitations(self, name: str, now: int) -> None:
        """Unused ones for this name expire now."""
        unused = (_invitations.name == name, _invitations.used_by.is_(None), _invitations.expires > now)
        self._connection.execute(update(tables.invitations).where(*unused).values(expires=now))

    def add_invitation(self, invitation: Invitation) -> None:
        """A new one."""
        row = {
            "public": invitation.public,
            "name": invitation.name,
            "admin": int(invitation.admin),
            "created": invitation.created,
            "expires": invitation.expires,
            "used_by": invitation.used_by,
        }
        self._connection.execute(insert(tables.invitations), row)

    def use_invitation(self, public: bytes, user: UserId) -> None:
        """It has been used by this user."""
        used = update(tables.invitations).where(_invitations.public == public).values(used_by=user)
        self._connection.execute(used)

    def pairing(self, lookup: bytes) -> Pairing | None:
        """By its lookup id."""
        row = self._driver.row(_PAIRING, {"id": lookup})
        return None if row is None else _pairing(row)

    def open_pairings(self, user: UserId, now: int) -> list[Pairing]:
        """A user's unused and unexpired ones."""
        return [_pairing(row) for row in self._driver.rows(_OPEN_PAIRINGS, {"user": user, "now": now})]

    def forget_bundles(self, user: UserId, now: int) -> None:
        """What was left for a user's expired pairings."""
        expired = (_pairings.user_id == user, _pairings.expires <= now)
        self._connection.execute(update(tables.pairings).where(*expired).values(bundle=b""))

    def withdraw_pairing(self, lookup: bytes, now: int) -> None:
        """It expires now, and the bundle is forgotten."""
        withdrawn = update(tables.pairings).where(_pairings.lookup == lookup).values(expires=now, bundle=b"")
        self._connection.execute(withdrawn)

    def add_pairing(self, pairing: Pairing) -> None:
        """A new one."""
        row = {
            "lookup": pairing.lookup,
            "user_id": pairing.user,
            "sign": pairing.sign,
            "recipient": pairing.recipient,
            "expires": pairing.expires,
            "bundle": pairing.bundle,
            "used_by": pairing.used_by,
        }
        self._driver.run(_ADD_PAIRING, row)

    def use_pairing(self, lookup: bytes, device: DeviceId) -> None:
        """It has added this device; the bundle is forgotten."""
        used = update(tables.pairings).where(_pairings.lookup == lookup).values(used_by=device, bundle=b"")
        self._connection.execute(used)


def _user(row: Any) -> User:
    chain = ChainState(row.chain_length, LinkHash(row.chain_last))
    return User(UserId(row.user_id), row.name, bool(row.admin), bool(row.active), row.created, chain)


def _device(row: Any) -> Device:
    return Device(
        DeviceId(row.device_id),
        UserId(row.user_id),
        codec.decode(DeviceKeys, row.keys, _KEYS_BYTES),
        row.pairing,
        bool(row.active),
        row.created,
        row.last_seen,
    )


def _invitation(row: Any) -> Invitation:
    return Invitation(row.public, row.name, bool(row.admin), row.created, row.expires, row.used_by)


def _pairing(row: Any) -> Pairing:
    return Pairing(row.lookup, UserId(row.user_id), row.sign, row.recipient, row.expires, row.bundle, row.used_by)
