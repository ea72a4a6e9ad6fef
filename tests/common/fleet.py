"""A coordinator and several devices of one user as separate programs, started, killed and compared at will.

Owns their processes. Requests go straight to the daemons' control sockets, and devices are invited and join by the
commands' own code in the test's process: starting a program for each would cost more than what it asks for, and
`tests/e2e/commands` does it. Nothing here sleeps: what is waited for is `wait`, a line of output, or the end of a
process.
"""

import contextlib
import datetime
import hashlib
import json
import os
import stat
import subprocess
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
from click.testing import CliRunner

from coordinator.__main__ import commands as hosting
from peer.__main__ import shoal
from peer.control import client, messages
from peer.control.messages import AnyReply, Request
from peer.control.upkeep import Peers, PeersRequest
from tests.common.processes import Program, give, run_program, start_program, user_for_programs, work_directory
from tests.common.wire import Wire

Reply = TypeVar("Reply", bound=messages.Reply)

WAIT_S = float(os.environ.get("SHOAL_TEST_WAIT_S", "180"))
"""How long devices may take to be in step; far beyond what a slow machine needs."""
ROUNDS = 30


@contextlib.contextmanager
def as_their_user() -> Iterator[None]:
    """Be the user that programs run as: what the tests write belongs to it, and what it may not read stays unread."""
    uid = user_for_programs()
    if uid is None or os.geteuid() == uid:
        yield
        return
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextlib.contextmanager
def as_ourselves() -> Iterator[None]:
    """Be again who the tests were started by, to start programs."""
    uid = os.geteuid()
    if uid == os.getuid():
        yield
        return
    gid = os.getegid()
    os.seteuid(os.getuid())
    os.setegid(os.getgid())
    try:
        yield
    finally:
        os.setegid(gid)
        os.seteuid(uid)


@dataclass(frozen=True)
class File:
    """A file as far as it is synced."""

    digest: str
    executable: bool
    mtime_ns: int


Tree = dict[str, File | str]
"""What is in a folder by path: a `File`, `-> TARGET` of a link, or `/` of a directory."""


def read_tree(folder: Path) -> Tree:
    """All of a folder but Shoal's own directory. Names are as in the journal (NFC)."""
    found: Tree = {}
    for key, path in _walk(folder):
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode):
            found[key] = "/"
        elif stat.S_ISLNK(status.st_mode):
            found[key] = "-> " + os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[key] = File(digest, bool(status.st_mode & 0o100), status.st_mtime_ns)
    return found


def read_contents(folder: Path) -> dict[str, bytes | None]:
    """The bytes of all files below a folder by path; None for a directory. Links count as `-> TARGET`."""
    found: dict[str, bytes | None] = {}
    for key, path in _walk(folder):
        if os.path.islink(path):
            found[key] = b"-> " + os.readlink(path).encode()
        else:
            found[key] = None if os.path.isdir(path) else Path(path).read_bytes()
    return found


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    top = os.fspath(folder)
    for at, directories, names in os.walk(top):
        if at == top and ".shoal" in directories:
            directories.remove(".shoal")
        for name in [*directories, *names]:
            path = os.path.join(at, name)
            yield unicodedata.normalize("NFC", os.path.relpath(path, top)), path


def copy_name(name: str, device: str, mtime_s: float, number: int = 1) -> str:
    """What the conflicted copy of a file is called whose losing edit is of that time."""
    date = datetime.datetime.fromtimestamp(mtime_s, datetime.UTC).date().isoformat()
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    return f"{stem} ({device}'s conflicted copy {date}){'' if number == 1 else f'-{number}'}{dot}{extension}"


def call_command(group: click.Group, *words: str) -> str:
    """A command in this process, as the user that programs run as; what it printed. It must succeed.

    Not for a thread in which an event loop runs: commands have their own.
    """
    with as_their_user():
        said = CliRunner().invoke(group, words)
    assert said.exit_code == 0, f"{words[:3]}: {said.exit_code}\n{said.output}\n{said.exception!r}"
    return said.stdout


def cpu_s(program: Program) -> float:
    """The processor time that a running program has used."""
    fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Host:
    """A coordinator that keeps its port over restarts."""

    def __init__(self, place: Path, wire: Wire | None = None, *, plain: bool = False) -> None:
        self.data = place / "coordinator"
        self.wire = wire
        """How devices reach it, where not directly."""
        self._plain = plain
        self.listen = "127.0.0.1:0"
        self.inside: tuple[str, ...] = ()
        """The command by which its programs run elsewhere."""
        self.programs: list[Program] = []
        self.env: dict[str, str] = {}
        """More of the environment for the next start."""

    @property
    def program(self) -> Program:
        """The one that runs, or ran last."""
        return self.programs[-1]

    def launch(self) -> Program:
        """Begin to run."""
        with as_ourselves():
            arguments = ["shoal-coordinator", "serve", "--data", str(self.data), "--listen", self.listen]
            if self._plain:
                arguments.append("--no-tls")
            if self.wire is not None:
                arguments += ["--public-url", f"http{'' if self._plain else 's'}://127.0.0.1:{self.wire.port}"]
            program = start_program(arguments, self.env, inside=self.inside)
            self.programs.append(program)
        return program

    def start(self) -> None:
        """Run, and answer."""
        url = self.launch().line("listening on ")
        self.listen = url.rpartition("://")[2].rstrip("/")
        if self.wire is not None:
            self.wire.server_port = int(self.listen.rpartition(":")[2])

    def stop(self) -> None:
        """End gracefully."""
        assert self.program.stop() == 0, self.program.stderr

    def kill(self) -> None:
        """End at once."""
        self.program.kill()

    def invite(self, user: str) -> str:
        """A join code."""
        return str(json.loads(call_command(hosting, "invite", user, "--json", "--data", str(self.data)))["code"])


class Peer:
    """One device: a home, a folder, and a daemon while it runs."""

    def __init__(self, place: Path, name: str) -> None:
        self.name = name
        self.place = place / name
        self.home = self.place / "home"
        self.folder = self.place / "folder"
        self.host: Host | None = None
        """Its coordinator, where the same fleet has it."""
        self.inside: tuple[str, ...] = ()
        """The command by which its programs run elsewhere."""
        self.programs: list[Program] = []
        self.env: dict[str, str] = {}
        """More of the environment for the next start."""
        with as_ourselves():
            for made in (self.place, self.folder):
                made.mkdir()
                give(made)

    # --- its processes ----------------------------------------------------------------------------------

    @property
    def program(self) -> Program:
        """The daemon that runs, or ran last."""
        return self.programs[-1]

    def launch(self) -> Program:
        """Begin to run its daemon."""
        with as_ourselves():
            command = ["shoal", "--home", str(self.home), "start", "--foreground"]
            self.programs.append(start_program(command, self.env, inside=self.inside))
        return self.program

    def start(self) -> None:
        """Run its daemon; returns when it answers."""
        self.launch().line("ready")

    def stop(self) -> None:
        """End its daemon gracefully."""
        assert self.program.stop() == 0, self.program.stderr

    def kill(self) -> None:
        """End its daemon at once."""
        self.program.kill()

    def run(self, *args: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """One of its commands: exit status, standard output, standard error. `env`: more of the environment."""
        with as_ourselves():
            command = ["shoal", "--home", str(self.home), *args]
            return run_program(command, env, deadline_s=WAIT_S, inside=self.inside)

    def must(self, *args: str) -> str:
        """A command that ends with status 0; what it printed."""
        status, out, err = self.run(*args)
        assert status == 0, f"{args}: {status}\n{out}\n{err}"
        return out

    def cpu_s(self) -> float:
        """The processor time that its daemon has used."""
        return cpu_s(self.program)

    # --- what is asked of the daemon --------------------------------------------------------------------

    def try_ask(self, request: Request) -> AnyReply:
        """The answer to a request, which may be a failure."""
        return client.ask(self.home, request, WAIT_S + 30)

    def ask(self, request: Request, kind: type[Reply]) -> Reply:
        """The answer to a request that must succeed."""
        reply = self.try_ask(request)
        assert isinstance(reply, kind), f"{self.name}: {request}: {reply}"
        return reply

    def join(self, code: str) -> None:
        """Become a device, with a code of either kind."""
        if self.inside:  # only a program can be there
            self.must("join", code, "--device", self.name)
        else:
            call_command(shoal, "--home", str(self.home), "join", code, "--device", self.name)

    def pair(self) -> str:
        """A code for another device."""
        return self.ask(messages.Pair(), messages.PairReply).code

    def add(self, folder: Path | None = None, name: str = "work") -> None:
        """Make a workspace of its folder (or another one)."""
        self.ask(messages.Add(folder=str(folder or self.folder), name=name), messages.Mounted)

    def mount(self, folder: Path | None = None, name: str = "work") -> None:
        """Mount a workspace at its folder (or another one)."""
        self.ask(messages.Mount(workspace=name, folder=str(folder or self.folder)), messages.Mounted)

    def unmount(self, folder: Path | None = None) -> None:
        """Stop syncing its folder."""
        self.ask(messages.Unmount(folder=str(folder or self.folder)), messages.Done)

    def wait(self, *, problems: bool = False, timeout_s: float = WAIT_S) -> messages.Waited:
        """Until everything is in step; fails where it is not, or (unless `problems`) where something is wrong."""
        waited = self.ask(messages.Wait(timeout_s=timeout_s), messages.Waited)
        fine = ("in_step", "problems") if problems else ("in_step",)
        assert waited.outcome in fine, f"{self.name}: {waited}\n{self.status()}\n{self.program.stderr}"
        return waited

    def status(self) -> messages.Status:
        """Its status."""
        return self.ask(messages.StatusRequest(), messages.Status)

    @property
    def workspace(self) -> messages.WorkspaceStatus:
        """The status of its one mounted workspace."""
        (one,) = self.status().workspaces
        return one

    def problems(self) -> set[tuple[str, str]]:
        """Its problems: path and code."""
        return {(each.path, each.code) for each in self.workspace.problems}

    def conflicts(self) -> set[tuple[str, str | None, str]]:
        """Its conflicted copies: path, what of, whose."""
        found = self.ask(messages.ConflictsRequest(), messages.Conflicts).conflicts

        return {(each.path, each.of, each.device) for each in found}

    def until(self, what: Callable[[messages.Status], bool], deadline_s: float = WAIT_S) -> messages.Status:
        """The first status, of all that the daemon tells from now on, of which that is true."""
        ends = time.monotonic() + deadline_s
        latest: AnyReply | None = None
        with client.converse(self.home, messages.Watch(), WAIT_S) as replies:
            for latest in replies:
                assert isinstance(latest, messages.Status)
                if what(latest):
                    return latest
                assert time.monotonic() < ends, f"{self.name}: never came about\n{latest}"
        raise AssertionError(f"{self.name}: the daemon ended\n{latest}\n{self.program.stderr}")

    def linked(self) -> set[str]:
        """The devices that it has links with on its networks."""
        return {each.device for each in self.ask(PeersRequest(), Peers).peers if each.state == "linked"}

    def until_linked(self, count: int) -> None:
        """Until it has links with so many."""
        self.until(lambda _: len(self.linked()) >= count)

    def come_to_rest(self) -> messages.WorkspaceStatus:
        """Until it says that all is up to date: it may have to look again at what it just put in place."""
        return self.until(lambda status: status.workspaces[0].state == "up_to_date").workspaces[0]

    def tree(self, but: str | None = None) -> Tree:
        """What is in its folder, but for what is in one directory."""
        found = read_tree(self.folder)
        return found if but is None else {path: one for path, one in found.items() if not path.startswith(f"{but}/")}


class Fleet:
    """A coordinator and devices. `open_fleet` makes one and ends it."""

    def __init__(
        self, place: Path, wire: Wire | None = None, *, plain: bool = False, env: Mapping[str, str] | None = None
    ) -> None:
        self.place = place
        self.host = Host(place, wire, plain=plain)
        self._env = dict(env or {})
        self.host.env.update(self._env)
        self.peers: list[Peer] = []

    def device(self, name: str) -> Peer:
        """A device that has not joined."""
        peer = Peer(self.place, name)
        peer.host = self.host
        peer.env.update(self._env)
        self.peers.append(peer)
        return peer

    def pair_of(self, *names: str, fill: Callable[[Path], None] | None = None) -> tuple[Peer, ...]:
        """Devices in step with one workspace `work`, made of the first one's folder, which `fill` fills before."""
        peers = tuple(self.device(name) for name in names)
        if fill is not None:
            fill(peers[0].folder)
        self.join_all("ana", peers)
        return peers

    def join_all(self, user: str, peers: Sequence[Peer]) -> None:
        """Make these devices of one user, in step with one workspace `work`, made of the first one's folder."""
        first, *others = peers
        first.join(self.host.invite(user))
        first.start()
        first.add()
        for other in others:
            other.join(first.pair())
            other.start()
            other.mount()
        self.settle()

    def settle(self, *, problems: bool = False, but: str | None = None) -> Tree:
        """Wait until all running devices are in step with each other and their folders are equal; the tree.

        `but`: a directory in which they may differ.
        """
        running = [peer for peer in self.peers if peer.programs and peer.program.process.poll() is None]
        states: list[messages.WorkspaceStatus] = []
        for _ in range(ROUNDS):
            for peer in running:
                peer.wait(problems=problems)
            states = [peer.workspace for peer in running]
            if len({state.cursor for state in states}) == 1 and all(state.cursor == state.head for state in states):
                try:
                    trees = [peer.tree(but) for peer in running]
                except FileNotFoundError:
                    continue  # one has just heard of what another has deleted
                if all(tree == trees[0] for tree in trees):
                    return trees[0]
        states_shown = "\n".join(str(peer.status()) for peer in running)
        assert len({state.cursor for state in states}) == 1, f"never in step:\n{states_shown}"
        for peer in running[1:]:
            check_equal(running[0], peer)
        raise AssertionError(f"equal only after all:\n{states_shown}")

    def check_logs(self) -> None:
        """Nobody met a bug."""
        for program in (*self.host.programs, *(each for peer in self.peers for each in peer.programs)):
            said = program.stderr
            assert "Traceback" not in said, said
            assert "unexpected:" not in said, said
            assert " ERROR " not in said, said
        for peer in self.peers:
            commands = peer.home / "log" / "commands.log"
            with as_ourselves():
                assert not commands.exists(), commands.read_text()

    def end(self) -> None:
        """Kill what still runs."""
        for program in (*self.host.programs, *(each for peer in self.peers for each in peer.programs)):
            program.kill()


def check_equal(one: Peer, other: Peer) -> None:
    """Fail with what differs between two folders."""
    first, second = one.tree(), other.tree()
    differing = {path for path in first.keys() | second.keys() if first.get(path) != second.get(path)}
    shown = "\n".join(f"{path}: {first.get(path)} | {second.get(path)}" for path in sorted(differing)[:40])
    assert not differing, f"{one.name} | {other.name}\n{shown}\n{one.status()}\n{other.status()}"


@contextlib.contextmanager
def open_fleet(
    wire: Wire | None = None,
    *,
    plain: bool = False,
    env: Mapping[str, str] | None = None,
    inside: tuple[str, ...] = (),
    listen: str | None = None,
) -> Iterator[Fleet]:
    """A running coordinator without devices, in a directory of its own. Checks all logs at the end.

    With a `wire` devices reach it through that alone; `plain` is without TLS, to look into what passes. `env`: what all
    daemons have more in their environment. `inside` and `listen`: how and where it runs, if not here.
    """
    with as_ourselves(), work_directory() as place:
        fleet = Fleet(place, wire, plain=plain, env=env or {})
        fleet.host.inside, fleet.host.listen = inside, listen or fleet.host.listen
        try:
            fleet.host.start()
            with as_their_user():
                yield fleet
            fleet.check_logs()
        finally:
            _keep(fleet)
            fleet.end()


def _keep(fleet: Fleet) -> None:
    """Where `SHOAL_KEEP` names a directory, leave everything there to be looked at."""
    kept = os.environ.get("SHOAL_KEEP")
    if kept:
        fleet.end()
        subprocess.run(["cp", "-a", fleet.place, kept], check=False, stderr=subprocess.DEVNULL)
        for peer in fleet.peers:
            said = "\n".join(program.stderr for program in peer.programs)
            (Path(kept) / fleet.place.name / peer.name / "stderr").write_text(said)
