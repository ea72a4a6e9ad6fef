"""`device revoke`: another device of one's own is let in no more, and everybody sees it."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, Host, write


@pytest.mark.command("shoal device revoke")
@pytest.mark.command("shoal device")
def test_revoking_without_a_daemon_exits_3_and_without_a_name_2(place: Path) -> None:
    device = Device(place, "idle")
    assert device.run("device", "revoke", "phone").status == 3
    assert device.run("device", "revoke").status == 2


@pytest.mark.command("shoal device revoke")
@pytest.mark.command("shoal devices")
def test_a_revoked_device_is_let_in_no_more_and_the_others_go_on_with_new_keys(place: Path, host: Host) -> None:
    with ExitStack() as stack:
        first, second, third = (Device(place, name) for name in ("tower", "lost phone", "tablet"))
        first.join(host.invite("eva"))
        stack.enter_context(first.open_daemon())
        folder, lost = first.folder("Papers"), second.folder("Papers")
        write(folder / "before.txt", b"before\n")
        first.must("add", str(folder))

        alone = first.run("device", "revoke", "tower")
        assert alone.status == 1
        assert "the only one" in alone.err

        second.join(first.must("pair", "--json").document["code"])
        stack.enter_context(second.open_daemon())
        second.must("mount", "Papers", str(lost))
        second.must("wait", "--timeout", "60")
        code = second.must("pair", "--json").document["code"]  # left by whoever has the phone now

        assert first.run("device", "revoke", "nobody").status == 1
        itself = first.run("device", "revoke", "tower")
        assert itself.status == 1
        assert "this device" in itself.err

        said = first.must("device", "revoke", "lost phone", "--json")
        revoked = documents.read_document(said.out, documents.RevokedDevice)
        assert (revoked.name, revoked.entered, revoked.to_enter) == ("lost phone", ["Papers"], [])
        again = first.must("device", "revoke", revoked.id)
        assert "lost phone is revoked" in again.err
        listed = documents.read_document(first.must("devices", "--json").out, documents.Devices)
        assert {each.name: each.state for each in listed.devices} == {"tower": "active", "lost phone": "revoked"}

        # The revoked device: nothing goes, and it is said.
        waited = second.run("wait", "--timeout", "60")
        assert waited.status == 5, waited
        status = documents.read_document(second.run("status", "--json").out, documents.Status)
        (workspace,) = status.workspaces
        assert workspace.state == "error"
        assert [(each.path, each.code) for each in workspace.problems] == [("", "access_removed")]
        assert "revoked" in workspace.problems[0].message
        refused = second.run("devices")
        assert refused.status == 1
        assert "revoked" in refused.err
        write(lost / "unsent.txt", b"stays where it is\n")
        assert "revoked" in second.run("doctor").out

        # The others: what comes now is theirs alone, and whoever joins now reads all of it.
        write(folder / "after.txt", b"after\n")
        first.must("wait", "--timeout", "60")
        third.join(first.must("pair", "--json").document["code"])
        stack.enter_context(third.open_daemon())
        copy = third.folder("Papers")
        third.must("mount", "Papers", str(copy))
        third.must("wait", "--timeout", "60")
        assert sorted(path.name for path in copy.glob("*.txt")) == ["after.txt", "before.txt"]
        assert (copy / "before.txt").read_bytes() == b"before\n"
        assert (copy / "after.txt").read_bytes() == b"after\n"
        write(copy / "third.txt", b"with the new keys\n")
        third.must("wait", "--timeout", "60")
        first.must("wait", "--timeout", "60")
        assert (folder / "third.txt").read_bytes() == b"with the new keys\n"
        assert sorted(path.name for path in lost.glob("*.txt")) == ["before.txt", "unsent.txt"]

        thief = Device(place, "thief")
        assert thief.run("join", code).status == 1
