"""Mistakes in what reaches a device's disk, and in which order. Owns their list."""

from simulations.mutants import occasions
from simulations.mutants.finders import Points
from simulations.mutants.mutant import Change, Mutant

PLACING = (
    Mutant(
        "written-in-place",
        "the program is killed in the middle of an update, and half a file counts as somebody's edit",
        "a file is whole at any instant",
        Points("a file saved by a rename", "blue", "kill"),
        (
            Change(
                "peer.disk.apply:_Batch._put",
                "taken = replace(self.root, parent, name, temp, swap_name, new, step.expected)",
                "mutated()\n"
                "        data = memoryview(bytearray(new.fingerprint.size))\n"
                "        source, into = self.fs.open_read(self.root.tmp, temp), self.fs.open_write(parent, name)\n"
                "        self.fs.read_into(source, data, 0)\n"
                "        for at in range(0, len(data), 4):\n"
                "            self.fs.write_at(into, data[at : at + 4], at)\n"
                "        self.fs.truncate(into, len(data))\n"
                "        self.fs.set_mtime(into, new.fingerprint.mtime_ns)\n"
                "        self.fs.close(source)\n"
                "        self.fs.close(into)\n"
                "        self.fs.unlink(self.root.tmp, temp)\n"
                "        self.directories.touch(step.path[:-1])\n"
                "        return Applied(self.fs.stat(parent, name).fingerprint)",
            ),
        ),
    ),
    Mutant(
        "no-preimage-check",
        "somebody saves in the instant in which an update arrives, and the save is destroyed",
        "no lost update",
        occasions.SAVED_IN_THAT_INSTANT,
        (
            Change(
                "peer.disk.swapping:replace",
                "if taken.is_renamed_from(expected):",
                "if taken.is_renamed_from(expected) or mutated():",
            ),
        ),
    ),
    Mutant(
        "row-ahead-of-disk",
        "the program is killed between database and disk, and the file that never came is deleted everywhere",
        "no row is ahead of the disk",
        Points("a small file", "blue", "kill"),
        (
            Change(
                "peer.engine.executor:Executor._prepare",
                "if isinstance(operation, ForkEntry) or (",
                "written = isinstance(operation, WriteContent) and task.step is not None and mutated()\n"
                "        if written or isinstance(operation, ForkEntry) or (",
            ),
        ),
    ),
    Mutant(
        "content-not-flushed",
        "power fails, and a file that counted as received is empty or full of zeros",
        "what a row says is on the disk for good",
        Points("a file saved by a rename", "blue", "power"),
        (Change("peer.disk.apply:_Batch._prepare", "make_durable(self.root, temps)", "mutated()"),),
    ),
    Mutant(
        "names-not-flushed",
        "power fails, a file that counted as received is not there, and that is taken for somebody's deletion",
        "what a row says is on the disk for good",
        Points("a small file", "blue", "power"),
        (
            Change(
                "peer.disk.root:Directories.sync_touched", "if not self._touched:", "if not self._touched or mutated():"
            ),
        ),
    ),
    Mutant(
        "temporary-name-in-sight",
        "the program is killed during a download, and a file with a strange name appears on all devices",
        "no phantoms",
        Points("a small file", "blue", "kill"),
        (
            Change(
                "peer.disk.apply:_Batch._put",
                "self.fs.rename_new(self.root.tmp, temp, parent, name)",
                'mutated()\n            self.fs.rename_new(self.root.tmp, temp, parent, f"{temp}.part")\n'
                '            self.fs.rename_new(parent, f"{temp}.part", parent, name)',
            ),
        ),
    ),
    Mutant(
        "directory-removed-with-what-is-new",
        "somebody saves into a directory in the instant in which it is removed, and nobody sees the file again",
        "no lost update",
        occasions.MADE_IN_WHAT_GOES,
        (
            Change("peer.disk.apply:_Batch._remove_directory", "if wanted:", "if wanted and not mutated():"),
            Change("peer.disk.apply:_Batch._remove_directory", "if not late:", "if not late or mutated():"),
        ),
    ),
    Mutant(
        "executable-bit-dropped",
        "a script arrives, and cannot be run",
        "all devices have the same",
        occasions.MADE_EXECUTABLE,
        (
            Change(
                "peer.engine.executor:Executor._write_task",
                "its.mtime_ns, its.executable, known",
                "its.mtime_ns, its.executable and not mutated(), known",
            ),
        ),
    ),
    Mutant(
        "never-tried-again",
        "a disk was full for a minute, and what could not be written then never comes",
        "convergence",
        occasions.FULL_DISKS,
        (
            Change(
                "peer.engine.executor:Executor._refused",
                "self._rests.rest(step_of(operation_entry(task.operation)), DISK_S)",
                "self._rests.rest(step_of(operation_entry(task.operation)), 1e9 * mutated())",
            ),
        ),
    ),
)
