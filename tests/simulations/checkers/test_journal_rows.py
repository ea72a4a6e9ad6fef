"""What looks at the rows of the journal, and at devices' cursors, finds what it is there to find, and nothing else."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from coordinator.storage.metadata_sql import sqlite_engine
from coordinator.storage.tables import metadata
from protocol.ids import ChangeId, LogHash
from protocol.model import Body, Change, Entries, JournalRow, clear_bytes, lists_bytes
from protocol.offered import Standing
from simulations.checkers.a03_evidence import Evidence
from simulations.checkers.a06_order import Cursors, Order
from simulations.checkers.a07_chain import Chain
from simulations.checkers.a08_compare_and_swap import Heads
from simulations.checkers.a09_references import References
from simulations.checkers.a13_tree import Trees
from simulations.checkers.journal import HASHES, Committed, Version
from simulations.disk import SimDisk
from simulations.ledger import Ledger
from tests.common.journals import TestJournal, TestUser, entry_id, key_of
from tests.common.simulated_disks import sim_disk


def rows_of(journal: TestJournal) -> list[Committed]:
    """Its rows as a checker gets them, unopened."""
    found: list[Committed] = []
    for seq, commit in enumerate(journal.commits, 1):
        changes = commit.body.changes if isinstance(commit.body, Entries) else ()
        row = JournalRow(seq, journal.log_hashes[seq - 1], seq, commit)
        versions = tuple(_version(journal, seq, change) for change in changes if isinstance(change, Change))
        found.append(Committed(journal.id, row, versions))
    return found


def _version(journal: TestJournal, seq: int, change: Change) -> Version:
    lists = HASHES.lists_hash(lists_bytes(change.added, change.removed))
    name = HASHES.change_id(journal.id, clear_bytes(change.clear), HASHES.sealed_hash(change.sealed), lists)
    return Version(ChangeId(name), change.clear, None, change.added)


@pytest.fixture
def journal() -> TestJournal:
    user = TestUser("ana")
    made = TestJournal(user)
    (red,) = user.devices
    made.put(red, made.directory("d"), made.change("a"))
    made.put(red, made.change("a", parent=entry_id("d")))
    made.put(red, made.change("b"))
    made.put(red, made.deletion("d"))
    return made


def test_a_sound_journal_breaks_nothing(journal: TestJournal) -> None:
    for check in (Order(), Chain(), Heads(), Trees()):
        assert [check(committed) for committed in rows_of(journal)] == [None] * 5


def test_rows_with_a_gap_or_out_of_time_are_found(journal: TestJournal) -> None:
    rows = rows_of(journal)
    order = Order()
    assert order(rows[0]) is None
    assert "comes after" in str(order(rows[2]))
    back = replace(rows[3], row=msgspec.structs.replace(rows[3].row, received=0))
    assert "before the one before it" in str(order(back))


def test_a_cursor_that_goes_back_or_leaves_the_journal_is_found(journal: TestJournal) -> None:
    order = Order()
    for row in rows_of(journal):
        order(row)
    cursors = Cursors("red", order)
    at = [(bytes(journal.id), seq, bytes(log_hash)) for seq, log_hash in enumerate(journal.log_hashes, 1)]
    assert cursors([at[1]]) is None
    assert cursors([at[3]]) is None
    assert "back to 1" in str(cursors([at[0]]))
    assert "not on the journal" in str(cursors([(bytes(journal.id), 4, bytes(32))]))
    cursors.forget()
    assert cursors([at[0]]) is None, "its home is a copy that was put back"


def test_a_row_that_does_not_follow_or_whose_author_did_not_sign_it_is_found(journal: TestJournal) -> None:
    rows = rows_of(journal)
    chain = Chain()
    assert chain(rows[0]) is None
    assert "A7" in str(chain(replace(rows[1], row=msgspec.structs.replace(rows[1].row, log_hash=LogHash(bytes(32))))))
    unsigned = msgspec.structs.replace(rows[1].row.commit, signature=bytes(64))
    assert "A7" in str(chain(replace(rows[1], row=msgspec.structs.replace(rows[1].row, commit=unsigned))))
    assert chain(rows[1]) is None


def test_a_change_of_what_is_not_the_last_version_is_found(journal: TestJournal) -> None:
    rows = rows_of(journal)
    heads = Heads()
    assert heads(rows[1]) is None
    assert "A8" in str(heads(rows[1]))


def _with(committed: Committed, **clear: object) -> Committed:
    (version, *others) = committed.versions
    changed = replace(version, clear=msgspec.structs.replace(version.clear, **clear))
    return replace(committed, versions=(changed, *others))


def test_two_live_entries_of_one_name_are_found(journal: TestJournal) -> None:
    rows = rows_of(journal)
    trees = Trees()
    assert trees(rows[1]) is None
    twin = _with(rows[3], name_key=key_of(rows[3].versions[0].clear.parent, "a"))
    assert "name of another" in str(trees(twin))


def test_an_entry_in_itself_or_in_a_file_is_found(journal: TestJournal) -> None:
    rows = rows_of(journal)
    for parent, what in (("d", "in itself"), ("a", "no directory"), ("nothing", "no directory")):
        trees = Trees()
        trees(rows[1])
        trees(rows[2])
        entry = entry_id("d") if what == "in itself" else entry_id("b")
        wrong = _with(_with(rows[3], entry=entry, parent=entry_id(parent)), kind=rows[1].versions[0].clear.kind)
        assert what in str(trees(wrong))


# --- blocks -----------------------------------------------------------------------------------------------


class Stored:
    """A coordinator's index and disk with one block in a segment."""

    def __init__(self, place: Path) -> None:
        self.disk: SimDisk = sim_disk(directories=("/blocks",))
        data = b"head" + b"the block"
        self.block = blake3(data[4:]).digest()
        self.disk.put("/blocks/1.seg", data)
        engine = sqlite_engine(place / "metadata.db")
        metadata.create_all(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("INSERT INTO segments VALUES (1, '1.seg')")
            connection.exec_driver_sql("INSERT INTO blocks VALUES (?, 1, 4, 9, 0)", (self.block,))
        engine.dispose()
        self.references = References(place / "metadata.db", self.disk, "/blocks")

    def again(self, place: Path) -> References:
        """As somebody sees it who has not looked yet."""
        return References(place / "metadata.db", self.disk, "/blocks")

    def row(self, journal: TestJournal) -> Committed:
        """A row that lists the block."""
        committed = rows_of(journal)[3]
        return replace(committed, versions=(replace(committed.versions[0], added=self.block),))


def test_a_version_whose_block_would_not_survive_a_loss_of_power_is_found(journal: TestJournal, tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    assert "A11" in str(stored.references(stored.row(journal))), "the segment was never synced"


def test_a_version_whose_block_is_durable_is_fine_until_the_block_is_damaged(
    journal: TestJournal, tmp_path: Path
) -> None:
    stored = Stored(tmp_path)
    stored.disk.volume.save_all()
    assert stored.references(stored.row(journal)) is None
    assert stored.references.all_there() is None
    stored.disk.put("/blocks/1.seg", b"headthe clock")
    stored.disk.volume.save_all()
    assert "A9" in str(stored.references.all_there())


def test_an_offered_version_needs_its_blocks_when_it_is_called_durable_and_not_before(
    journal: TestJournal, tmp_path: Path
) -> None:
    stored = Stored(tmp_path)
    row = stored.row(journal)
    with closing(sqlite3.connect(tmp_path / "metadata.db")) as connection:

        def stand(standing: Standing) -> None:
            mark = (row.versions[0].change, int(standing), b"author")
            connection.execute("INSERT OR REPLACE INTO offers VALUES (1, ?, 1, ?, ?, 1)", mark)
            connection.commit()

        workspace = (1, row.workspace, *(b"",) * 10)
        connection.execute(f"INSERT INTO workspaces VALUES ({', '.join('?' * len(workspace))})", workspace)
        stand(Standing.OFFERED)
        assert stored.references(row) is None
        assert stored.references.all_there() is None
        stand(Standing.DURABLE)
        assert "A9" in str(stored.references.all_there())
        assert "A11" in str(stored.again(tmp_path)(row))
        stand(Standing.NOT_KEPT)
        assert stored.again(tmp_path)(row) is None


# --- deletions --------------------------------------------------------------------------------------------


def test_a_deletion_that_no_person_made_there_is_found(journal: TestJournal) -> None:
    ledger = Ledger()
    data = ledger.new("red", 200)
    content = ledger.whole(data)
    assert content is not None
    made, deleted = rows_of(journal)[3], rows_of(journal)[4]
    body = Body("file-1", 200, 0, False, b"d" * 32, None, None, None)
    made = replace(made, versions=(replace(made.versions[0], body=body),))
    clear = msgspec.structs.replace(made.versions[0].clear, deleted=True)
    deleted = replace(deleted, versions=(replace(deleted.versions[0], clear=clear),))
    for deeds, device in ((0, None), (1, "blue"), (2, "red")):
        evidence = Evidence(ledger, lambda _: "red", lambda _, data: b"d" * 32)
        if deeds:
            ledger.gone(content, str(device), ["shared"])
        assert evidence(made) is None
        wrong = evidence(deleted)
        assert (wrong is None) == (device == "red"), wrong
