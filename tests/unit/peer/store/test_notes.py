"""Notes for the log: in order, for one workspace each, and not ever more."""

import pytest
import sqlalchemy as sa

from peer.store import notes, schema
from peer.store.database import Database, open_database
from peer.store.notes import add_note, notes_after


def add(database: Database, w: int, path: str) -> None:
    with database.transaction():
        add_note(database, w, 1_700_000_000_000, "move_undone", path, "it was moved")


def workspace(database: Database, w: int, seq: int) -> None:
    """A row of which only these count here."""
    blank: dict[type, object] = {sa.Integer: 0, sa.Boolean: 0, sa.LargeBinary: b"", sa.Text: ""}
    values = {each.name: blank[type(each.type)] for each in schema.workspaces.columns}
    with database.transaction():
        database.insert(schema.workspaces, [tuple((values | {"w": w, "id": bytes([w]), "seq": seq}).values())])


def test_notes_are_told_in_order_and_old_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "KEPT", 3)
    with open_database(None) as database:
        workspace(database, 1, 7)
        workspace(database, 2, 9)
        for number in range(5):
            add(database, 1, f"file {number}")
        add(database, 2, "elsewhere")
        assert [one.path for one in notes_after(database, 1, 0, 10)] == ["file 2", "file 3", "file 4"]
        (first,) = notes_after(database, 1, 0, 1)
        assert [one.path for one in notes_after(database, 1, first.number, 10)] == ["file 3", "file 4"]
        assert [(one.path, one.seq) for one in notes_after(database, 2, 0, 10)] == [("elsewhere", 9)]
