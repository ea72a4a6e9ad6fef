"""What a world's journal says, entry by entry, for people who look for the reason of a failure. Only reads."""

from collections.abc import Iterable

from crypto.digest import file_digest
from peer.home import Home
from peer.store import workspaces
from peer.store.database import Database, open_database
from protocol.codec import decode_exact
from protocol.limits import SEALED_BYTES
from protocol.model import Body


def told_lives(home: Home, contents: Iterable[tuple[str, bytes]], names: dict[bytes, str]) -> list[str]:
    """The life of every entry that ever had one of these contents (what to call it, its bytes), as a device's home has
    it: a line for each version. `names` are those of devices, by their ids."""
    with open_database(home.database) as database:
        (record,) = workspaces.records(database)
        fixed = record.keyring.fixed
        called = {file_digest(fixed, data): label for label, data in contents}
        rows = database.all(
            "SELECT v.entry, v.seq, v.device, v.parent, v.deleted, v.body FROM versions AS v ORDER BY v.seq"
        )
        found: dict[bytes, list[str]] = {}
        wanted: set[bytes] = set()
        labels = _first_names(database)
        for entry, seq, device, parent, deleted, packed in rows:
            body = None if packed is None else decode_exact(Body, bytes(packed), SEALED_BYTES)
            what = "" if body is None else f"{labels.get(parent, parent.hex()[:6])}/{body.name}"
            if body is not None and body.digest is not None:
                what += f": {called.get(body.digest, 'another content')}"
                if body.digest in called:
                    wanted.add(entry)
            if body is not None and body.copy_of is not None:
                what += f", a copy of {body.copy_of.entry.hex()[:6]}"
            line = f"  {seq:5} by {names.get(device, device.hex()[:6]):8}{' deleted' if deleted else ''} {what}"
            found.setdefault(entry, []).append(line)
        wanted |= {row[3] for row in rows if row[0] in wanted} & found.keys()
    told: list[str] = []
    for entry in sorted(wanted, key=lambda one: found[one][0]):
        told.append(f"entry {entry.hex()[:6]}:")
        told += found[entry]
    return told


def _first_names(database: Database) -> dict[bytes, str]:
    """What each directory was called first."""
    found: dict[bytes, str] = {bytes(16): ""}
    for entry, packed in database.all("SELECT entry, body FROM versions WHERE body IS NOT NULL ORDER BY seq"):
        found.setdefault(entry, decode_exact(Body, bytes(packed), SEALED_BYTES).name)
    return found
