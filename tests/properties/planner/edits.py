"""Random edits of the journal and of a disk, as people make them. Every edit leaves a legal tree."""

import hashlib
from dataclasses import replace

from peer.fingerprint import Fingerprint
from peer.planner.memory import MemoryTrees, Rows
from peer.planner.trees import Attributes, Content, LocalNode, Node, RemoteNode
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Kind
from tests.properties.planner.tape import Tape

NAMES = ("x", "y", "z", "w.txt")
FILE, DIRECTORY, SYMLINK = Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK


def derive(label: str, parts: tuple[bytes, ...]) -> EntryId:
    hasher = hashlib.blake2b(label.encode(), digest_size=16)
    for part in parts:
        hasher.update(len(part).to_bytes(2, "big") + part)
    return EntryId(hasher.digest())


def change_id(node: Node, base: ChangeId | None) -> ChangeId:
    return ChangeId(hashlib.blake2b(repr((node, base)).encode(), digest_size=32).digest())


def content(number: int) -> Content:
    return Content(number.to_bytes(32, "big"), number)


def fingerprint(node: Node) -> Fingerprint | None:
    if node.kind is DIRECTORY:
        return None
    mark = node.attributes or Attributes(executable=False, mtime_ns=0)
    size = 0 if node.content is None else node.content.size
    return Fingerprint(1, int.from_bytes(node.entry[-4:], "big"), size, mark.mtime_ns, 0, mark.executable)


def below(rows: Rows[LocalNode] | Rows[RemoteNode], entry: EntryId) -> set[EntryId]:
    """The entry and all that is below it."""
    found, stack = set(), [entry]
    while stack:
        one = stack.pop()
        found.add(one)
        stack.extend(rows.children(one))
    return found


class Editor:
    """Makes new ids, contents and times, each from the tape."""

    def __init__(self, tape: Tape, label: str, contents: int = 4) -> None:
        self.tape = tape
        self.label = label
        self.made = 0
        self.contents = contents

    def new_entry(self) -> EntryId:
        self.made += 1
        return EntryId(f"{self.label}{self.made:04}".encode().ljust(16, b"."))

    def new_content(self) -> Content:
        return content(1 + self.tape.below(self.contents))

    def new_attributes(self) -> Attributes:
        return Attributes(self.tape.one_in(4), 1_700_000_000_000_000_000 + self.tape.below(4))

    def new_node(self, parent: EntryId, name: str) -> Node:
        kind = (FILE, DIRECTORY, FILE, DIRECTORY, SYMLINK)[self.tape.below(5)]
        has_content = None if kind is DIRECTORY else self.new_content()
        return Node(self.new_entry(), kind, parent, name, has_content, self.new_attributes() if kind is FILE else None)

    def edited(self, node: Node, directories: list[EntryId]) -> Node:
        """The node with one thing changed. `directories`: where it may be moved to."""
        choice = self.tape.below(6)
        if choice == 0:
            return replace(node, name=self.tape.pick(NAMES))
        if choice == 1 or node.kind is DIRECTORY:
            return replace(node, parent=self.tape.pick(directories), name=self.tape.pick((node.name, *NAMES)))
        if choice in (2, 3) or node.kind is SYMLINK:
            marks = self.new_attributes() if node.kind is FILE else None
            return replace(node, content=self.new_content(), attributes=marks)
        return replace(node, attributes=self.new_attributes())


def live_in_journal(rows: Rows[RemoteNode]) -> list[EntryId]:
    return sorted(below(rows, ROOT) - {ROOT})


def put_remote(trees: MemoryTrees, node: Node) -> None:
    old = trees.remote(node.entry)
    base = None if old is None else old.head
    copy_of = None if old is None else old.copy_of
    seq = 1 if old is None else old.seq + 1
    trees.remote_rows.put(RemoteNode(node, change_id(node, base), seq, True, copy_of))


def create_remote(trees: MemoryTrees, editor: Editor, directories: list[EntryId]) -> None:
    node = editor.new_node(editor.tape.pick(directories), editor.tape.pick(NAMES))
    if trees.remote_rows.named(node.parent, node.name) is None:
        put_remote(trees, node)


def edit_journal(trees: MemoryTrees, editor: Editor) -> None:
    """One legal change of the journal, by somebody else."""
    tape, rows = editor.tape, trees.remote_rows
    live = live_in_journal(rows)
    directories = [ROOT, *(one for one in live if rows.rows[one].node.kind is DIRECTORY)]
    choice = tape.below(10)
    if choice <= 1 or not live:
        create_remote(trees, editor, directories)
        return
    if choice == 2:
        ended = sorted(set(rows.rows) - set(live))
        if ended:
            entry = tape.pick(ended)
            row = rows.rows[entry]
            known = trees.synced(entry)
            inside = below(rows, entry)
            places = [one for one in directories if one not in inside]
            node = replace(row.node, parent=tape.pick(places), name=tape.pick(NAMES), deleted=False)
            if node.kind is not DIRECTORY and node.content is None:
                node = replace(node, content=editor.new_content())
                marks = known.base.attributes if known is not None else editor.new_attributes()
                node = replace(node, attributes=marks if node.kind is FILE else None)
            if rows.named(node.parent, node.name) is None:
                put_remote(trees, node)
        return
    entry = tape.pick(live)
    node = rows.rows[entry].node
    if choice <= 4:
        put_remote(trees, replace(node, deleted=True, content=None, attributes=None))
        return
    inside = below(rows, entry)
    new = editor.edited(node, [one for one in directories if one not in inside])
    if rows.named(new.parent, new.name) in (None, entry) and new != node:
        put_remote(trees, new)


def put_local(trees: MemoryTrees, node: Node) -> None:
    old = trees.local(node.entry)
    copy_of = None if old is None else old.copy_of
    trees.local_rows.put(LocalNode(node, node.name, fingerprint(node), None, copy_of))


def edit_disk(trees: MemoryTrees, editor: Editor) -> None:
    """One thing that a person does in the folder."""
    tape, rows = editor.tape, trees.local_rows
    here = sorted(rows.rows)
    directories = [ROOT, *(one for one in here if rows.rows[one].node.kind is DIRECTORY)]
    choice = tape.below(10)
    if choice <= 1 or not here:
        node = editor.new_node(tape.pick(directories), tape.pick(NAMES))
        if rows.named(node.parent, node.name) is None:
            put_local(trees, node)
        return
    entry = tape.pick(here)
    if choice <= 3:
        for gone in below(rows, entry):
            rows.drop(gone)
        return
    node = rows.rows[entry].node
    inside = below(rows, entry)
    new = editor.edited(node, [one for one in directories if one not in inside])
    if new == node:
        return
    taken = rows.named(new.parent, new.name)
    if taken not in (None, entry) and (choice == 7 or (taken in inside) or entry in below(rows, taken)):
        return
    if taken not in (None, entry):
        for gone in below(rows, taken):  # overwritten, as `mv` does
            rows.drop(gone)
    put_local(trees, new)
