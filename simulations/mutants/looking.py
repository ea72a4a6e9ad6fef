"""Mistakes in what is concluded from a device's disk. Owns their list."""

from simulations.mutants import occasions
from simulations.mutants.finders import Points
from simulations.mutants.mutant import Change, Mutant

LOOKING = (
    Mutant(
        "unreadable-is-deleted",
        "a directory cannot be read for a minute, and all that is in it is deleted everywhere",
        "a deletion is never inferred from absence",
        occasions.UNREADABLE,
        (
            Change(
                "peer.scan.walker:_Walk.below",
                "yield Unreadable(child, reason(error))\n            continue",
                "yield mutated() and WasRead(child)\n            continue",
            ),
            Change(
                "peer.scan.walker:_look_at",
                "return Unreadable(path, reason(error)), False",
                "return Absent(path), not mutated()",
            ),
        ),
    ),
    Mutant(
        "overflow-ignored",
        "thousands of files change at once, the system tells of some of them, and the rest is never synced",
        "convergence",
        occasions.EVENTS_LOST,
        (Change("peer.engine.noticing:Notices.take", "self._rescan.add(())", "mutated()"),),
    ),
    Mutant(
        "torn-read",
        "a file is saved while it is read, and the others get, for ever, what was read of it",
        "a file is never committed torn",
        occasions.WRITTEN_WHILE_READ,
        (
            Change("peer.disk.reading:StableReading.is_unchanged", "return self._fs", "return mutated() or self._fs"),
            Change(
                "peer.transfer.reading:FileReader._read_whole",
                "return FileRead(file_digest(self._keys, view), reading.before)",
                "now = self._fs.stat_handle(reading.handle).fingerprint\n"
                "    return FileRead(file_digest(self._keys, view), now)",
            ),
        ),
    ),
    Mutant(
        "same-size-is-unchanged",
        "an edit that leaves a file as long as it was is never seen",
        "convergence",
        Points("an edit in place", "red", "kill"),
        (
            Change(
                "peer.engine.scanning:_keeps_content",
                "return found.size == known.size and",
                "return found.size == known.size and mutated() or found.size == known.size and",
            ),
        ),
    ),
    Mutant(
        "twins-ignored",
        "of two files whose names look the same one is never synced",
        "convergence",
        occasions.NAMES_ALIKE,
        (
            Change(
                "peer.scan.identity:_Identification._choose",
                "self.twins.append(Twin(stays.path, other.path))",
                "mutated()",
            ),
        ),
    ),
    Mutant(
        "rename-is-delete-and-create",
        "somebody renames a chapter that somebody else is editing: afterwards there are two of it",
        "no resurrection",
        Points("an edit and a move", "blue", "kill"),
        (
            Change(
                "peer.scan.identity:_Identification._identify_by_inode",
                "if len(candidates) == 1 and inodes[inode] == 1:",
                "if len(candidates) == 1 and inodes[inode] == 1 and not mutated():",
            ),
        ),
    ),
)
