"""A small folder and two who edit it: `here` on this disk, `there` through the journal. Makes tests read as stories."""

from collections.abc import Callable
from dataclasses import replace

from peer.planner.memory import MemoryTrees
from peer.planner.operations import Operation, Plan, Policy
from peer.planner.plan import plan
from peer.planner.trees import Attributes, LocalNode, Node, SyncedNode
from protocol.ids import ROOT, EntryId
from protocol.model import Kind
from tests.properties.planner.edits import below, content, derive, fingerprint, put_local, put_remote
from tests.properties.planner.playing import live_nodes, local_nodes, paths, play, steps_of

T0 = 1_700_000_000 * 10**9
"""2023-11-14."""
COPY = " (Ana's conflicted copy 2023-11-14)"
DIRECTORY_COPY = " (Ana's conflicted copy 2026-01-02)"


class Side:
    """One who edits. Paths are written with `/`."""

    def __init__(self, story: "Story", label: str, put: Callable[[MemoryTrees, Node], None]) -> None:
        self.story = story
        self.label = label
        self.put = put
        self.made = 0

    def nodes(self) -> dict[EntryId, Node]:
        trees = self.story.trees
        if self.label == "there":
            return live_nodes({row.node.entry: row.node for row in trees.remote_rows})
        return local_nodes(trees.local_rows)

    def find(self, path: str) -> Node:
        """The entry at a path; the root for an empty one."""
        at = Node(ROOT, Kind.DIRECTORY, ROOT, "", None, None)
        for name in path.split("/") if path else ():
            at = next(node for node in self.nodes().values() if (node.parent, node.name) == (at.entry, name))
        return at

    def _new(self, path: str, kind: Kind, number: int | None, attributes: Attributes | None) -> EntryId:
        above, _, name = path.rpartition("/")
        self.made += 1
        entry = EntryId(f"{self.label}{self.made}".encode().ljust(16, b"."))
        has = None if number is None else content(number)
        self.put(self.story.trees, Node(entry, kind, self.find(above).entry, name, has, attributes))
        return entry

    def file(self, path: str, number: int, *, executable: bool = False, mtime_ns: int = T0) -> EntryId:
        return self._new(path, Kind.FILE, number, Attributes(executable, mtime_ns))

    def directory(self, path: str) -> EntryId:
        return self._new(path, Kind.DIRECTORY, None, None)

    def edit(self, path: str, number: int, *, mtime_ns: int = T0) -> None:
        node = self.find(path)
        assert node.attributes is not None
        marks = replace(node.attributes, mtime_ns=mtime_ns)
        self.put(self.story.trees, replace(node, content=content(number), attributes=marks))

    def mark(self, path: str, *, executable: bool | None = None, mtime_ns: int | None = None) -> None:
        node = self.find(path)
        old = node.attributes
        assert old is not None
        marks = Attributes(
            old.executable if executable is None else executable, old.mtime_ns if mtime_ns is None else mtime_ns
        )
        self.put(self.story.trees, replace(node, attributes=marks))

    def move(self, path: str, to: str) -> None:
        above, _, name = to.rpartition("/")
        self.put(self.story.trees, replace(self.find(path), parent=self.find(above).entry, name=name))

    def delete(self, path: str) -> None:
        node = self.find(path)
        if self.label == "there":
            self.put(self.story.trees, replace(node, content=None, attributes=None, deleted=True))
        else:
            for entry in below(self.story.trees.local_rows, node.entry):
                self.story.trees.local_rows.drop(entry)


class Story:
    """Three trees, in step at the start."""

    def __init__(self, *, may_write: bool = True) -> None:
        self.trees = MemoryTrees()
        self.there = Side(self, "there", put_remote)
        self.here = Side(self, "here", put_local)
        self.policy = Policy(may_write, "Ana", derive, "2026-01-02")
        self.plans: list[Plan] = []

    def given(self, **kinds: int | None) -> "Story":
        """Entries that all trees have: a content number for a file, None for a directory. `__` stands for `/`."""
        for path, number in kinds.items():
            place = path.replace("__", "/")
            if number is None:
                self.there.directory(place)
            else:
                self.there.file(place, number)
        for entry, node in self.there.nodes().items():
            put_local(self.trees, node)
            row = self.trees.remote_rows.rows[entry]
            self.trees.synced_rows.put(SyncedNode(node, row.head, fingerprint(node)))
        return self

    def absent(self, path: str) -> None:
        """The entry is kept off this disk by design."""
        node = self.here.find(path)
        self.trees.local_rows.drop(node.entry)
        row = self.trees.synced_rows.rows[node.entry]
        self.trees.synced_rows.put(replace(row, shown=None, absent_by_design=True))

    def plan(self) -> Plan:
        return plan(self.trees, self.policy)

    def settle(self) -> dict[str, int | None]:
        """Plan and carry out until nothing is left to do; the folder as paths and content numbers."""
        for _ in range(5):
            made = self.plan()
            self.plans.append(made)
            if not made.waves:
                break
            for step in steps_of(made):
                play(self.trees, step)
        assert not self.plans[-1].waves, "it does not come to rest"
        if self.policy.may_write:
            assert self.folder("there") == self.folder("here"), "disk and journal differ"
        return self.folder("here")

    def folder(self, side: str) -> dict[str, int | None]:
        """What one side shows."""
        nodes = (self.here if side == "here" else self.there).nodes()
        sizes = {node.content: node.content.size for node in nodes.values() if node.content is not None}
        return {"/".join(path): sizes.get(has) for path, (_, has) in paths(nodes).items()}  # type: ignore[call-overload]

    def operations(self, *kinds: type[Operation]) -> list[Operation]:
        """All operations carried out so far, of the given kinds."""
        return [
            one for made in self.plans for wave in made.waves for one in wave if not kinds or isinstance(one, kinds)
        ]

    def local(self, path: str) -> LocalNode:
        return self.trees.local_rows.rows[self.here.find(path).entry]
