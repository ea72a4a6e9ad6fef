"""`verify` and `doctor`."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, open_host, write
from tests.common.processes import start_program
from tests.e2e.commands.conftest import Pair


def verified(device: Device, *args: str, status: int = 0) -> documents.VerifiedFolder:
    said = device.run("verify", "--json", *args)
    assert said.status == status, said
    (folder,) = documents.read_document(said.out, documents.Verified).folders
    return folder


def checks(device: Device, status: int = 0) -> dict[str, documents.Check]:
    said = device.run("doctor", "--json")
    assert (said.status, said.err) == (status, "")
    return {each.check: each for each in documents.read_document(said.out, documents.Checks).checks}


def problems(device: Device) -> dict[str, str]:
    return {name: each.message for name, each in checks(device, 5).items() if each.state == "problem"}


@pytest.mark.command("shoal verify")
def test_verify_reads_every_file_and_finds_nothing_where_nothing_is_wrong(pair: Pair) -> None:
    write(pair.folder / "long.bin", bytes(range(256)) * 20_000)
    write(pair.folder / "empty", b"")
    pair.first.must("wait", "--timeout", "60")
    pair.second.must("wait", "--timeout", "60")
    for device, folder in ((pair.first, pair.folder), (pair.second, pair.copy)):
        found = verified(device, str(folder))
        assert (found.workspace, found.folder) == ("Documents", str(folder))
        assert (found.files, found.bytes, found.not_in_step, found.findings) == (3, 4 + 5_120_000, 0, [])
    assert pair.first.must("verify").out == "Documents: 3 files, 4.88 MiB as they were synced"


@pytest.mark.command("shoal verify")
def test_verify_finds_a_file_whose_bytes_changed_under_it(pair: Pair) -> None:
    pair.second.must("wait", "--timeout", "60")
    pair.second.must("stop")
    # The file stays as it is, with its times: what was synced is made to be something else.
    with closing(sqlite3.connect(pair.second.home / "state.db")) as database, database:
        for table in ("local", "synced", "remote"):
            database.execute(f"UPDATE {table} SET digest = zeroblob(32) WHERE name = 'long.bin'")
    for each in pair.second.home.glob("state.db*"):
        os.chown(each, pair.second.home.stat().st_uid, pair.second.home.stat().st_gid)
    with pair.second.open_daemon():
        pair.second.must("wait", "--timeout", "60")
        said = pair.second.run("verify")
        assert said.status == 1
        assert said.out.splitlines()[0].startswith(f"damaged     {pair.copy}/long.bin: ")
        assert said.err.startswith("shoal: 1 file is not as it should be")
        found = verified(pair.second, status=1)
        assert [(each.path, each.what) for each in found.findings] == [("long.bin", "damaged")]
        assert found.files == 2


@pytest.mark.command("shoal verify")
def test_verify_of_what_is_not_synced_exits_1_and_without_a_daemon_3(pair: Pair, place: Path) -> None:
    said = pair.first.run("verify", str(place))
    assert (said.status, said.out, said.err.count("\n")) == (1, "", 0)
    assert Device(place, "blind").run("verify").status == 3


@pytest.mark.command("shoal doctor")
def test_doctor_finds_nothing_wrong_where_all_is_well(pair: Pair) -> None:
    found = checks(pair.first)
    assert {"home", "daemon", "database", "connection", "clock", "folder Documents", "watches", "space"} <= set(found)
    assert {each.state for name, each in found.items() if name != "space"} == {"ok"}
    said = pair.first.must("doctor")
    assert said.out.startswith(f"ok\thome\t{pair.first.home} is there, and private")


@pytest.mark.command("shoal doctor")
def test_doctor_says_what_is_wrong_and_what_to_do(place: Path) -> None:
    device = Device(place, "sick")
    assert "shoal join" in checks(device, 5)["home"].advice
    with open_host(place / "away") as host:
        device.join(host.invite("sick"))
        folder = device.folder("Papers")
        write(folder / "a", b"a")
        with device.open_daemon() as daemon:
            device.must("add", str(folder))
            os.mkfifo(folder / "pipe")
            device.run("wait", "--timeout", "60")
            complaint = problems(device)["problem in Papers"]
            assert complaint.endswith("[special_file]")
            assert "move it elsewhere" in complaint
            with start_program(["shoal", "--home", str(device.home), "status", "--watch", "--json"]) as watching:
                watching.line_with('"code":"special_file"')
                (folder / "pipe").unlink()
                watching.line_with('"problems":[]')
            assert daemon.stop() == 0
    os.chmod(device.home, 0o755)
    folder.rename(folder.with_name("Moved"))
    said = problems(device)
    assert set(said) == {"home", "daemon", "connection", "folder Papers"}
    assert "not there" in said["folder Papers"]
    assert "cannot be reached" in said["connection"]
    with (device.home / "state.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert "database" in problems(device)
