"""The coordinator is away for a whole working session: three devices on a LAN go on, and then it is back.

They create, edit, rename, move and delete, each in its turn, and each waits for what the others did; one of them is
killed and started again; they conflict. When the coordinator is there again all is ordered: nothing lost or doubled.
"""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from crypto.digest import file_digest
from peer.control.messages import Status
from peer.home import Home
from peer.store import workspaces
from peer.store.database import open_database
from protocol.codec import decode_exact
from protocol.limits import SEALED_BYTES
from protocol.model import Body
from simulations.noise import noise
from tests.acceptance.rooms import in_own_network, open_room
from tests.acceptance.telling import demand, tell
from tests.common import documents
from tests.common.fleet import File, Peer, Tree

WITHIN_S: Final = 120.0
KB: Final = 1_000
MB: Final = 1_000_000
TOGETHER: Final = ("plan", "budget")
"""What two edit at once."""
MET: Final = ("plan by red", "budget by blue")
"""Of each two contents that met, the one that was saved first."""
DELETED: Final = ("first", "old/page", "old/note")
MOVED: Final = "project/part 2/page 3"


class Session:
    """What three people do, and all that they ever saved."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        self.peers = peers
        self.saved: dict[bytes, str] = {}
        self.events: Counter[tuple[str, str, str]] = Counter()
        """What the log has to have of what followed one after the other: action, path, device."""
        self.took_s: list[float] = []

    def save(self, peer: Peer, path: str, size: int, *, follows: bool = True) -> bytes:
        """Save a new content there, as editors do: aside, then in one step. The content."""
        data = noise(size, f"{peer.name} {path} {len(self.saved)}".encode())
        self.saved[data] = f"{path} by {peer.name}"
        if follows:
            self.note("edited" if (peer.folder / path).exists() else "added", path, peer)
        (peer.place / "aside").write_bytes(data)
        (peer.place / "aside").replace(peer.folder / path)
        return data

    def note(self, action: str, path: str, peer: Peer) -> None:
        """Something that is in the log once."""
        self.events[action, path, peer.name] += 1

    def move(self, peer: Peer, path: str, new_path: str) -> None:
        """Rename a file or directory, or move it into another directory."""
        self.note("renamed" if os.path.dirname(path) == os.path.dirname(new_path) else "moved", new_path, peer)
        (peer.folder / path).rename(peer.folder / new_path)

    def delete(self, peer: Peer, path: str) -> None:
        """Delete a file."""
        self.note("deleted", path, peer)
        (peer.folder / path).unlink()

    def until_same(self, what: str, by: Peer) -> None:
        """Until all others show exactly what this one does."""
        begun_s = time.monotonic()
        tree = by.tree()
        for peer in self.peers:
            if peer is not by and peer.program.process.poll() is None:
                peer.until(lambda _, peer=peer: shows(peer, tree), WITHIN_S)  # type: ignore[misc]
        took_s = time.monotonic() - begun_s
        self.took_s.append(took_s)
        tell(f"  {what}, by {by.name}: beside after", f"{took_s:.1f} s")


def run(arguments: Sequence[str]) -> None:
    """Raises `NotShown`."""
    if not in_own_network("tests.acceptance", "alone", *arguments):
        return
    with open_room(("red", "blue", "green"), None) as peers:
        red, host = peers[0], peers[0].host
        assert host is not None
        session = Session(peers)
        _begin(session)
        head = red.workspace.head
        host.stop()
        for peer in peers:
            peer.until(lambda status: status.coordinator.state != "connected")
        tell("the coordinator is away from here on")
        _work(session)
        _one_is_killed(session)
        _conflict(session)
        demand(red.workspace.head == head, "the journal went on: the coordinator cannot have been away")
        pending = ", ".join(str(_left(peer.status())) for peer in peers)
        tell("left to tell the coordinator, by each device's status", pending)
        begun_s = time.monotonic()
        host.start()
        for peer in peers:
            peer.until(lambda status: status.coordinator.state == "connected", WITHIN_S)
        tell("all had found it again after", f"{time.monotonic() - begun_s:.1f} s")
        tree = _in_step(peers)
        tell("in step after the coordinator was started", f"{time.monotonic() - begun_s:.1f} s")
        for peer in peers:
            peer.must("wait", "--durable", "--timeout", str(WITHIN_S))
        tell("durable after", f"{time.monotonic() - begun_s:.1f} s")
        tell("commits in the journal since it went away", red.workspace.head - head)
        _check_tree(session, tree)
        _check_log(session)
        red.stop()
        _check_history(session, red)
        tell("each thing was beside after, at most, on average", _figures(session.took_s))


def shows(peer: Peer, tree: Tree) -> bool:
    """Whether a device has exactly this in its folder."""
    try:
        return peer.tree() == tree
    except FileNotFoundError:
        return False


def _figures(took_s: Sequence[float]) -> str:
    return f"{max(took_s):.1f} s, {sum(took_s) / len(took_s):.1f} s, in {len(took_s)} steps"


def _in_step(peers: Sequence[Peer]) -> Tree:
    """Wait until all are at one place of the journal with equal folders; the tree."""
    ends = time.monotonic() + WITHIN_S
    while True:
        for peer in peers:
            peer.must("wait", "--timeout", str(WITHIN_S))
        places = {(peer.workspace.cursor, peer.workspace.head) for peer in peers}
        if len({each for place in places for each in place}) == 1:
            tree = peers[0].tree()
            if all(shows(peer, tree) for peer in peers):
                return tree
        demand(time.monotonic() < ends, f"never in step: {places}")


def _begin(session: Session) -> None:
    """What is there before."""
    (red, *_), names = session.peers, ("plan", "budget", "letter", "minutes")
    (red.folder / "old").mkdir()
    for name in (*names, "old/page", "old/note"):
        session.save(red, name, 20 * KB, follows=False)
    _in_step(session.peers)


def _work(session: Session) -> None:
    """One thing after the other, at each device in turn."""
    red, blue, green = session.peers
    steps: tuple[tuple[str, Peer, Callable[[], object]], ...] = (
        ("a file of 3 KB", red, lambda: session.save(red, "first", 3 * KB)),
        ("a file of 30 MB", blue, lambda: session.save(blue, "film", 30 * MB)),
        ("a directory tree of 40 files", green, lambda: _plant(session, green)),
        ("an edit", blue, lambda: session.save(blue, "first", 5 * KB)),
        ("an edit of what was there before", red, lambda: session.save(red, "letter", 30 * KB)),
        ("an edit of that edit", green, lambda: session.save(green, "letter", 40 * KB)),
        ("a file renamed", red, lambda: session.move(red, "film", "the film")),
        ("a directory renamed", blue, lambda: session.move(blue, "project", "work")),
        ("a file moved into it", green, lambda: session.move(green, "the film", "work/the film")),
        ("a directory moved", red, lambda: session.move(red, "work/part 2", "part 2")),
        ("an edit of what was moved", blue, lambda: session.save(blue, "part 2/page 3", 60 * KB)),
        ("a file deleted", green, lambda: session.delete(green, "first")),
        ("a directory of files deleted", red, lambda: _fell(session, red, "work/part 1")),
    )
    for what, by, step in steps:
        step()
        session.until_same(what, by)


def _plant(session: Session, peer: Peer) -> None:
    for part in range(4):
        path = f"project/part {part}"
        (peer.folder / path).mkdir(parents=True)
        session.note("added", path, peer)
        for page in range(10):
            session.save(peer, f"{path}/page {page}", (part + 1) * (page + 1) * 2 * KB)
    session.note("added", "project", peer)


def _fell(session: Session, peer: Peer, path: str) -> None:
    session.note("deleted", path, peer)
    shutil.rmtree(peer.folder / path)


def _one_is_killed(session: Session) -> None:
    """At once, and the others go on; it starts again without the coordinator."""
    red, blue, green = session.peers
    session.save(green, "by green before", 2 * MB)
    session.until_same("a file, just before it is killed", green)
    green.kill()
    session.save(red, "while green was away", 1 * MB)
    session.save(red, "by green before", 1 * MB)
    session.until_same("a file and an edit while green is dead", red)
    green.start()
    session.until_same("the same, once green is there again", blue)
    session.save(green, "by green after", 100 * KB)
    session.until_same("a file, killed and started since", green)


def _conflict(session: Session) -> None:
    """What only the coordinator can order: every device has the others' commits, and they wait."""
    red, blue, green = session.peers
    kept = [_left(peer.status()) for peer in session.peers]
    for name, (one, other) in zip(TOGETHER, ((red, blue), (blue, green)), strict=True):
        session.save(one, name, 10 * KB, follows=False)
        session.save(other, name, 11 * KB, follows=False)
    shutil.rmtree(red.folder / "old")
    session.save(blue, "old/new", 12 * KB, follows=False)
    (blue.folder / "minutes").unlink()
    session.save(green, "minutes", 13 * KB, follows=False)
    for peer in session.peers:
        session.save(peer, f"last by {peer.name}", 14 * KB)
    for peer, before in zip(session.peers, kept, strict=True):
        peer.until(lambda status, least=before + 3: _left(status) >= least, WITHIN_S)  # type: ignore[misc]


def _left(status: Status) -> int:
    """How many commits and changes the coordinator is still to be told of, as a device says."""
    return status.workspaces[0].pending.up_files


def _check_tree(session: Session, tree: Tree) -> None:
    """Equal already: all that nobody replaced or deleted is there, once, and no copy but the two of what met."""
    files = {path: one for path, one in tree.items() if isinstance(one, File)}
    twice = {digest: n for digest, n in Counter(one.digest for one in files.values()).items() if n > 1}
    demand(not twice, f"contents are there twice: {[path for path, one in files.items() if one.digest in twice]}")
    red = session.peers[0]
    present = {(red.folder / path).read_bytes() for path in files}
    missing = sorted(said for said, data in _left_alone(session).items() if data not in present)
    demand(not missing, f"not in the tree: {missing}")
    last = {"old/new", "minutes", *TOGETHER}
    demand(last <= files.keys(), f"gone: {sorted(last - files.keys())}")
    for peer in session.peers:
        copies = peer.conflicts()
        demand(sorted(of or "" for _, of, _ in copies) == sorted(TOGETHER), f"{peer.name} has copies: {copies}")
        demand(not peer.problems(), f"{peer.name} has problems: {peer.problems()}")
    copied = sum("conflicted copy" in path for path in files)
    demand(copied == len(TOGETHER), f"{copied} conflicted copies are in the tree")
    tell("files, equal on all three; conflicted copies, all of edits that met", f"{len(files)}, {copied}")


def _left_alone(session: Session) -> dict[str, bytes]:
    """The contents that nobody replaced or deleted, by what they were saved as: both of those that met."""
    ends = {said.rpartition(" by ")[0]: said for said in session.saved.values()}
    wanted = {said for path, said in ends.items() if path not in DELETED and not path.startswith("project/part 1/")}
    wanted |= {said for said in session.saved.values() if said in MET}
    wanted -= {f"{MOVED} by green"}  # it was edited where it was moved to
    return {said: data for data, said in session.saved.items() if said in wanted}


def _check_log(session: Session) -> None:
    """All three tell the same, and what followed is in it exactly once."""
    found = []
    for peer in session.peers:
        events = documents.read_lines(peer.must("log", "--json"), documents.Event)
        found.append([(each.seq, each.action, each.path, each.device, each.detail) for each in events])
    demand(found[0] == found[1] == found[2], "the devices' logs differ")
    counted: Counter[tuple[str, str, str]] = Counter((action, path, device) for _, action, path, device, _ in found[0])
    wrong = [(each, counted[each], times) for each, times in session.events.items() if counted[each] != times]
    demand(not wrong, f"in the log so often, not so often: {wrong[:8]}")
    tell("events in the log of each, of them of the session's steps", f"{len(found[0])}, {session.events.total()}")


def _check_history(session: Session, stopped: Peer) -> None:
    """Every content ever saved is a version of some file, and no version is there twice."""
    with open_database(Home.at(stopped.home).database) as database:
        (record,) = workspaces.records(database)
        rows = database.all("SELECT entry, parent, deleted, body FROM versions WHERE body IS NOT NULL ORDER BY seq")
    latest: dict[bytes, tuple[object, ...]] = {}
    digests: dict[bytes, set[bytes]] = {}
    doubled = 0
    for entry, parent, deleted, packed in rows:
        body = decode_exact(Body, bytes(packed), SEALED_BYTES)
        value = (parent, deleted, body.name, body.digest, body.mtime_ns, body.executable, body.target)
        doubled += latest.get(entry) == value
        latest[entry] = value
        if body.digest is not None:
            digests.setdefault(body.digest, set()).add(entry)
    lost = [said for data, said in session.saved.items() if file_digest(record.keyring.fixed, data) not in digests]
    demand(not lost, f"not in the history: {lost}")
    demand(not doubled, f"{doubled} versions are there twice")
    tell("contents ever saved, not in the history", f"{len(session.saved)}, 0")
    tell("versions, of these equal to the one before", f"{len(rows)}, {doubled}")
    tell("contents in the history of more than one file", sum(len(each) > 1 for each in digests.values()))
