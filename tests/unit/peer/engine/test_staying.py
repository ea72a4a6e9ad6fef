"""What a failing disk put in place, and would neither keep for certain nor give back, is known for what it is."""

import errno

import pytest

from peer.disk.private import inodes_inside
from peer.engine import placing
from peer.engine.context import Context
from peer.engine.executor import Ready
from peer.planner.operations import Agreed, WriteContent
from peer.planner.trees import Attributes, Content
from protocol.ids import ROOT, ChangeId
from protocol.model import FlatManifest, Kind
from simulations.disk import SimDisk
from tests.common.disks import MTIME_NS, make_temp
from tests.common.journals import entry_id, seed
from tests.common.simulated_disks import sim_disk
from tests.unit.peer.engine.test_executor import at_work, opened

ENTRY = entry_id("d")
BOOT = "a run of the system"
DATA = b"as the journal has it"
VERSION = ChangeId(seed("version"))
_CONTENT, _MARKS = Content(seed("digest"), len(DATA)), Attributes(False, MTIME_NS)
_AGREED = Agreed((ROOT, "new"), _CONTENT, VERSION, _MARKS)
FILE = WriteContent(ENTRY, ROOT, "new", Kind.FILE, VERSION, _CONTENT, _MARKS, None, _AGREED)


async def put_without_a_row(context: Context, disk: SimDisk) -> None:
    """A file is put in place, which may not last, and cannot be taken back."""
    executor, _ = at_work(context)
    disk.fail(errno.EIO, skip=1, calls=["sync"])
    disk.fail(errno.EIO, skip=1, calls=["rename_new"])
    with pytest.raises(OSError, match="may not last"):
        await executor.write([Ready(FILE, make_temp(context.root, DATA), FlatManifest(()))])
    assert context.trees.local(ENTRY) is None


def start_anew(context: Context) -> None:
    unplaced = inodes_inside(context.root)
    placing.make_good(context.machine.database, context.record.w, context.root, context.trees, unplaced, BOOT)


@pytest.mark.parametrize("is_there", [True, False], ids=["as it was put", "deleted since"])
async def test_what_stayed_in_place_when_the_disk_failed_has_its_row_first(is_there: bool) -> None:
    disk = sim_disk()
    with opened(disk.filesystem(), "/folder") as context:
        await put_without_a_row(context, disk)
        if not is_there:
            context.root.fs.unlink(context.root.handle, "new")
        start_anew(context)
        local, synced = context.trees.local(ENTRY), context.trees.synced(ENTRY)
        assert local is not None
        assert synced is not None
        assert local.node.content == synced.base.content == FILE.content


async def test_what_stayed_in_place_has_no_row_before_it_lasts() -> None:
    disk = sim_disk()
    with opened(disk.filesystem(), "/folder") as context:
        await put_without_a_row(context, disk)
        disk.fail(errno.EIO, calls=["sync_all"])
        with pytest.raises(OSError, match="Input/output"):
            start_anew(context)
        assert context.trees.local(ENTRY) is None
        start_anew(context)
        assert context.trees.local(ENTRY) is not None


async def test_what_was_not_put_in_place_has_no_row_when_all_begins_anew() -> None:
    disk = sim_disk()
    with opened(disk.filesystem(), "/folder") as context:
        executor, _ = at_work(context)
        disk.fail(errno.EIO, calls=["sync"])
        await executor.write([Ready(FILE, make_temp(context.root, DATA), FlatManifest(()))])
        start_anew(context)
        assert context.trees.local(ENTRY) is None
