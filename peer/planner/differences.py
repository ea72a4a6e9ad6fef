"""What a plan looks at. Owns the entries under consideration, the closure of those that differ, and liveness.

Never decides an outcome. An entry that is not looked at is live in the journal and on disk as it was last synced (or
absent by design), and so are its ancestors, unless one of them is looked at.
"""

from collections.abc import Set
from dataclasses import replace

from peer.planner.operations import Policy
from peer.planner.trees import Attributes, Content, LocalNode, Node, RemoteNode, SyncedNode, Trees
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Kind

Place = tuple[EntryId, str]


class Item:
    """One entry while its plan is made: its value in each tree, then its place and content in the target.

    `r`, `b`, `l` are the remote value (None unless the entry lives in the target by what the journal says alone), the
    synced base, and the local value (a parked entry where it is meant to be; the base where the disk says nothing).
    `came_out`: it went here with its directory, out of which the journal had moved it; it has no base any more.
    `place` is where the entry is on disk now. `from_local`: the target's location is the local one. `forks`: both sides
    changed the content, so that the local one becomes the item `fork`, unless the copy `kept_as` has it already.
    `waits`: nothing is done with it until the journal's content can be had. `version`: the one that the remote content
    is of, which is the head, or the earlier one that is shown in its place.
    """

    __slots__ = (
        "absent", "adopted_from", "alive", "attributes", "b", "came_out", "content", "copy_of", "entry", "fork",
        "fork_of", "forks", "from_local", "frozen", "kept_as", "kind", "l", "lasting", "live", "local", "name",
        "parent", "place", "r", "remote", "synced", "undone", "version", "waits",
    )  # fmt: skip

    def __init__(
        self, entry: EntryId, remote: RemoteNode | None, synced: SyncedNode | None, local: LocalNode | None
    ) -> None:
        self.entry = entry
        self.remote = remote
        self.synced = synced
        self.local = local
        self.live = False
        self.lasting = False
        self.r: Node | None = None
        self.version: ChangeId | None = None if remote is None else remote.head
        self.b: Node | None = None if synced is None or synced.base.deleted else synced.base
        self.l: Node | None = None
        self.place: Place | None = None
        self.absent = False
        self.came_out = False
        self.frozen = False
        self.waits = False
        if local is not None:
            node = local.node
            self.place = (node.parent, node.name)
            if local.intended is not None:
                node = replace(node, parent=local.intended[0], name=local.intended[1])
            self.l = node
        first = self.l or self.b or (remote.node if remote is not None else None)
        self.kind: Kind = Kind.DIRECTORY if first is None else first.kind
        self.copy_of = local.copy_of if local is not None else None
        self.adopted_from: EntryId | None = None
        self.forks = False
        self.fork: Item | None = None
        self.fork_of: Item | None = None
        self.kept_as: EntryId | None = None
        self.undone = ""
        # the target
        self.alive = False
        self.from_local = False
        self.parent: EntryId = ROOT
        self.name = ""
        self.content: Content | None = None
        self.attributes: Attributes | None = None

    def take(self, node: Node, *, from_local: bool) -> None:
        """Make `node` the target."""
        self.alive = True
        self.from_local = from_local
        self.parent = node.parent
        self.name = node.name
        self.content = node.content
        self.attributes = node.attributes

    def target(self) -> Node:
        """The target's node; for one that is not live there, a deleted one."""
        if self.alive:
            return Node(self.entry, self.kind, self.parent, self.name, self.content, self.attributes)
        last = self.r or self.b or self.l or (self.remote.node if self.remote is not None else None)
        assert last is not None
        return Node(self.entry, self.kind, last.parent, last.name, None, None, deleted=True)


class Differences:
    """The entries that a plan looks at, by id.

    `undone`: those that are taken as if they had not been moved here; those of `rooted` as if moved to the root.
    """

    def __init__(self, trees: Trees, policy: Policy, undone: Set[EntryId], rooted: Set[EntryId]) -> None:
        self.trees = trees
        self.policy = policy
        self.rooted = rooted
        self._undone = undone
        self.items: dict[EntryId, Item] = {}
        self.differing: tuple[EntryId, ...] = tuple(trees.differing())
        self.adopted: dict[EntryId, EntryId] = {}
        self._live: dict[EntryId, bool] = {ROOT: True}
        self._lasting: dict[EntryId, bool] = {ROOT: True}
        self._came_out: dict[EntryId, bool] = {}
        self._gather()

    def _gather(self) -> None:
        items, trees = self.items, self.trees
        stack = [entry for entry in self.differing if entry != ROOT]
        while stack:
            entry = stack.pop()
            if entry in items:
                continue
            item = items[entry] = self.load(entry)
            if item.kind is not Kind.DIRECTORY:
                continue
            if not item.live:
                if item.remote is not None or item.b is not None:
                    stack.extend(trees.synced_children(entry))
                    stack.extend(trees.local_children(entry))
                    if item.lasting:
                        stack.extend(trees.remote_children(entry))
            elif item.b is None or item.l is None:
                stack.extend(trees.remote_children(entry))

    def load(self, entry: EntryId) -> Item:
        """The entry with its values in the three trees and its liveness. The caller adds it to `items`."""
        trees = self.trees
        item = self._item(entry)
        if item.remote is not None:
            item.live = self.live(entry)
            item.lasting = item.live or self.lasting(entry)
            if item.lasting:
                item.r = item.remote.node
        if item.b is not None and item.l is None and item.synced is not None and item.synced.absent_by_design:
            if _has_become_good(item.b, item.remote):
                item.b = None
            else:
                item.l, item.absent = item.b, True
        if trees.unknown(entry) or entry in self.policy.untold:
            item.frozen = True
            if item.l is None and item.b is not None:
                item.l, item.place = item.b, (item.b.parent, item.b.name)
        if item.b is not None and item.l is None and item.r is not None and self.came_out(entry):
            item.b, item.came_out, item.undone = None, True, "deleted"
        if item.remote is not None and not item.remote.usable:
            self._without_bad_content(item)
        self._show_earlier(item)
        self._fast_forward(item)
        if entry in self.policy.waiting and _is_edited(item):
            self._wait(item)
        return item

    def _show_earlier(self, item: Item) -> None:
        """Where nothing of an entry is here, and nobody has deleted it here, an earlier version may stand for its head.
        Once it is here, the head takes its place as it takes that of any older version. Only of what lives by the
        journal alone: nothing is proposed of that, so an earlier version is never proposed anew."""
        earlier = self.policy.earlier.get(item.entry)
        if earlier is None or item.r is None or not item.live or item.l is not None or item.b is not None:
            return
        item.r = replace(item.r, content=earlier.content, attributes=earlier.attributes)
        item.version = earlier.version

    def _wait(self, item: Item) -> None:
        """Leave the entry as it is until the journal's content can be had, which until then counts as not there."""
        assert item.r is not None
        assert item.b is not None
        item.r = replace(item.r, content=item.b.content, attributes=item.b.attributes)
        item.frozen = item.waits = True

    def _fast_forward(self, item: Item) -> None:
        """Content that came to the journal after the base is no edit of this disk: it is that version, whatever kept
        its row from being written, and the base is as if that version had been heard of by itself."""
        base, here = item.b, item.l
        if item.remote is None or base is None or base.content is None or here is None or here.content is None:
            return
        if here.content == base.content or (item.r is not None and item.r.content == base.content):
            return
        later = self.trees.later_with(item.entry, base.content, here.content)
        if later:
            marks = here.attributes if here.attributes in later else base.attributes
            item.b = replace(base, content=here.content, attributes=marks)

    def _item(self, entry: EntryId) -> Item:
        trees = self.trees
        item = Item(entry, trees.remote(entry), trees.synced(entry), trees.local(entry))
        if entry in self._undone and item.l is not None:
            parent, name = self._undone_place(item)
            item.l, item.undone = replace(item.l, parent=parent, name=name), "moved"
        return item

    def _undone_place(self, item: Item) -> Place:
        """Where an entry is taken to be whose move here is undone: where it was, as long as it lives there; else in the
        root. If it was there before, where the journal had it last: the next plan would find it unmoved, and ended."""
        assert item.l is not None
        base, row, root = item.b, item.remote, (ROOT, item.l.name)
        if base is None or row is None or item.entry in self.rooted:
            return root
        if self.live(item.entry):
            return base.parent, base.name
        if (base.parent, base.name) == root and not row.node.deleted:
            return row.node.parent, row.node.name
        return root

    def _without_bad_content(self, item: Item) -> None:
        """Where no version of an entry was ever good, its content counts as what is here."""
        known = item.b or item.l
        if item.r is not None and item.r.content is None and item.kind is not Kind.DIRECTORY and known is not None:
            item.r = replace(item.r, content=known.content, attributes=known.attributes)

    def live(self, entry: EntryId) -> bool:
        """Whether the entry is live in the journal now."""
        memo, path = self._live, []
        while entry not in memo:
            row = self.trees.remote(entry)
            if row is None or row.node.deleted:
                memo[entry] = False
                break
            path.append(entry)
            entry = row.node.parent
        value = memo[entry]
        for passed in path:
            memo[passed] = value
        return value

    def lasting(self, entry: EntryId) -> bool:
        """Whether the entry is live, or will be because a directory above it outlives its deletion."""
        memo, path = self._lasting, []
        while entry not in memo:
            if self.live(entry):
                memo[entry] = True
                break
            row = self.trees.remote(entry)
            if row is None or row.node.deleted:
                memo[entry] = False
                break
            path.append(entry)
            entry = row.node.parent
        value = memo[entry]
        for passed in reversed(path):
            value = value or self._outlives_as_directory(entry)
            memo[passed] = value
            entry = passed
        return value

    def came_out(self, entry: EntryId) -> bool:
        """Whether an entry went here together with its directory, out of which the journal had moved it, or what it is
        in: then the deletion was not meant for it. So it is of one that the journal lets live and this disk forgot."""
        memo, value = self._came_out, False
        path: dict[EntryId, None] = {}
        while entry not in memo and entry not in path:
            path[entry] = None
            row = self.trees.remote(entry)
            if row is None or not self.lasting(entry) or not self._is_gone(entry):
                break
            base = self._base(entry)
            if base is None or (row.node.parent, row.node.name) != (base.parent, base.name):
                value = base is None or self._goes_along(base.parent)
                break
            entry = base.parent
        value = memo.get(entry, value)
        for passed in path:
            memo[passed] = value
        return value

    def _goes_along(self, parent: EntryId) -> bool:
        """Whether a directory went here, rather than only what was in it. What the journal ended and this disk forgot
        says nothing: then it went here because the journal said so."""
        return self._is_gone(parent) and (self._base(parent) is not None or self.lasting(parent))

    def _base(self, entry: EntryId) -> Node | None:
        row = self.trees.synced(entry)
        return None if row is None or row.base.deleted else row.base

    def _is_gone(self, entry: EntryId) -> bool:
        """Whether an entry is not on disk, and not by design."""
        if entry == ROOT or self.trees.local(entry) is not None:
            return False
        row = self.trees.synced(entry)
        return row is None or not row.absent_by_design

    def _outlives_as_directory(self, entry: EntryId) -> bool:
        item = self._item(entry)
        return item.l is not None and self.outlives(item)

    def outlives(self, item: Item) -> bool:
        """Whether an entry that is here lives on although the journal's has ended: edited, new, or moved elsewhere."""
        row, base, here = item.remote, item.b, item.l
        assert here is not None
        is_new = row is None and item.entry not in self.policy.given_up
        if is_new or base is None or self.policy.rejected_deletions or here.content != base.content:
            return True
        return row is not None and not row.node.deleted and (here.parent, here.name) != (base.parent, base.name)


def _has_become_good(base: Node, remote: RemoteNode | None) -> bool:
    """Whether an entry that was absent because no version of it had a content has one now."""
    return (
        base.kind is not Kind.DIRECTORY
        and base.content is None
        and remote is not None
        and remote.usable
        and remote.node.content is not None
    )


def _is_edited(item: Item) -> bool:
    """Whether both sides have changed the content."""
    if item.r is None or item.b is None or item.l is None:
        return False
    return item.l.content not in (item.b.content, item.r.content) and item.r.content != item.b.content
