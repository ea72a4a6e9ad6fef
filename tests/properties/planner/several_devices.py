"""Two to four devices and one journal that takes a commit only if it is legal there: edits, stale plans, half-done
plans, then rest. Everybody must reach the journal's tree in few rounds (P9), and no content that was seen may be lost
(P4)."""

from collections import Counter

from peer.planner.effects import accept
from peer.planner.memory import MemoryTrees, RemoteRows
from peer.planner.operations import Plan, Policy, ProposeChange
from peer.planner.plan import plan
from peer.planner.trees import Content, RemoteNode
from tests.properties.planner.edits import Editor, change_id, derive, edit_disk
from tests.properties.planner.judging import Judge
from tests.properties.planner.playing import Illegal, judge, live_nodes, local_nodes, paths, play, steps_of
from tests.properties.planner.tape import Tape

ROUNDS = 6
"""Rounds, in each of which every device takes one turn, that may pass before all are at rest."""


class Journal:
    def __init__(self) -> None:
        self.rows = RemoteRows()
        self.length = 0
        self.contents: set[Content] = set()
        self.judge = Judge()

    def take(self, proposals: list[ProposeChange], device: int, cursor: int) -> None:
        """Raises `Illegal` where it refuses."""
        refused = self.judge.take(proposals, device, cursor)
        if refused:
            raise Illegal(refused)
        judge(self.rows, proposals)
        self.length += 1
        for one in proposals:
            copy_of = None if one.copy_of is None else one.copy_of[0]
            head = change_id(one.node, one.base)
            self.rows.put(RemoteNode(one.node, head, self.length, True, copy_of))
            if one.node.content is not None:
                self.contents.add(one.node.content)


class Device:
    def __init__(self, number: int, tape: Tape, journal: Journal) -> None:
        self.trees = MemoryTrees()
        self.number = number
        self.journal = journal
        self.cursor = 0
        self.editor = Editor(tape, f"d{number}-", contents=100)
        self.policy = Policy(True, f"D{number}", derive, "2026-01-02", brake_entries=10**6)
        self.unsaved: set[Content] = set()
        """What its person wrote and the journal does not have."""

    def here(self) -> set[Content]:
        return {row.node.content for row in self.trees.local_rows if row.node.content is not None}

    def edit(self) -> None:
        edit_disk(self.trees, self.editor)
        here = self.here()
        self.unsaved = here - self.journal.contents

    def fetch(self) -> None:
        self.trees.remote_rows = self.journal.rows.copy()
        self.cursor = self.journal.length

    def carry_out(self, made: Plan, tape: Tape, part: bool) -> None:
        """The plan's steps, in any order within a wave; up to a crash, a refusal, or news from others."""
        steps = steps_of(made, tape)
        for step in steps[: tape.below(len(steps) + 1)] if part else steps:
            proposals = [one for one in step if isinstance(one, ProposeChange)]
            if not proposals:
                play(self.trees, step)
                self.check_unsaved()
                continue
            news = self.cursor != self.journal.length
            try:
                self.journal.take(proposals, self.number, self.cursor)
            except Illegal:
                assert news, "a commit on the journal's head was refused"
                return
            for one in proposals:
                accept(self.trees, one, change_id(one.node, one.base), self.journal.length)
            self.fetch()
            self.check_unsaved()
            if news:
                return

    def check_unsaved(self) -> None:
        lost = self.unsaved - self.here() - self.journal.contents
        assert not lost, f"P4: {lost} is lost"

    def turn(self, tape: Tape, part: bool = False) -> bool:
        """Fetch, plan, carry out. Whether there was anything to do."""
        self.fetch()
        made = plan(self.trees, self.policy)
        self.carry_out(made, tape, part)
        return bool(made.waves)


def check(tape: Tape, counts: Counter[str]) -> None:
    journal = Journal()
    devices = [Device(number, tape, journal) for number in range(2 + tape.below(3))]
    for _ in range(tape.below(8)):
        devices[0].edit()
    for device in (*devices, devices[0]):
        device.turn(tape)
    for _ in range(tape.below(4)):
        for device in devices:
            for _ in range(tape.below(4)):
                device.edit()
        turbulence(devices, tape)
    settle(devices, journal, tape)
    counts["P9"] += 1
    counts["P4"] += 1


def turbulence(devices: list[Device], tape: Tape) -> None:
    for _ in range(tape.below(4)):
        device, other = tape.pick(devices), tape.pick(devices)
        choice = tape.below(4)
        if choice == 0:
            device.turn(tape, part=True)
        elif choice == 1:
            device.turn(tape)
        elif choice == 2 and device is not other:
            device.fetch()
            made = plan(device.trees, device.policy)
            other.turn(tape)
            device.carry_out(made, tape, part=tape.one_in(2))
        else:
            device.fetch()
            device.edit()


def settle(devices: list[Device], journal: Journal, tape: Tape) -> None:
    rounds = 0
    while sum(device.turn(tape) for device in tape.shuffled(devices)):
        rounds += 1
        assert rounds <= ROUNDS, f"P9: not at rest after {rounds} rounds"
    wanted = live_nodes({row.node.entry: row.node for row in journal.rows})
    paths(wanted)
    for device in devices:
        assert local_nodes(device.trees.local_rows) == wanted, "P9: a device is not at the journal's tree"
        device.check_unsaved()
