"""A LAN on which everybody else is hostile: nothing is accepted, nothing leaks, and honest devices stay in step.

Two honest devices, red and blue, write files for each other during every attack. What the hostile ones do is in
`strangers`, `bad_members` and `flooding`.
"""

import hashlib
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from crypto.beacon import HOUR_MS
from crypto.certificate import known_certificate
from crypto.identity import SigningKey
from peer.home import Home
from peer.lan.members import Members
from peer.lan.trust import dial_context
from peer.machine import SystemClock, SystemEntropy
from protocol.beacon import GROUP_V4, PORT, Called
from protocol.ids import DeviceId, WorkspaceId
from simulations.noise import noise
from tests.acceptance.bad_members import WAYS, Asker, BadSource, Insider, Keys, chunks_of, keys_of, port_of
from tests.acceptance.flooding import forged, speaker
from tests.acceptance.lan_first import digest_of
from tests.acceptance.meanwhile import at_work, repeated
from tests.acceptance.rooms import address_of, in_own_network, open_switch
from tests.acceptance.strangers import Ear, Trap, call, send_raw
from tests.acceptance.telling import demand, mib, tell
from tests.common.fleet import File, Fleet, Peer
from tests.common.namespaces import run as run_command

_HERE: Final = tuple(f"10.77.0.{number}" for number in range(60, 72))
"""The addresses of who is hostile."""
_ALERT_BYTES: Final = 7
"""A refused handshake is answered by so many bytes: they say that somebody is there, and no more."""
_FILE_BYTES: Final = 5_000_000
_LEAST_ANSWERS: Final = 20
_MOST_TRIES: Final = 20
_WITHIN_S: Final = 60.0
_FLOOD_S: Final = 3.0
_LEAST_FLOOD_S: Final = {"beacons": 2_000, "connections": 100}
"""So many a second are a flood, also where the machine is slow."""
_MEMORY_BYTES: Final = 192 << 20


def run(arguments: Sequence[str]) -> None:
    """Raises `NotShown`."""
    if not in_own_network("tests.acceptance", "hostile-lan", *arguments):
        return
    with open_switch() as (room, fleet):
        for address in _HERE:
            run_command("ip", "addr", "add", f"{address}/24", "dev", "br0")
        devices = [fleet.device(name) for name in ("red", "blue", "eve", "thief", "phone", "rival")]
        for number, peer in enumerate(devices):
            peer.inside = room.machine(address_of(number))
        with Ear(_HERE[0]) as ear:
            _Story(fleet, devices, ear).run()


class _Story:
    """One attack after the other."""

    def __init__(self, fleet: Fleet, devices: Sequence[Peer], ear: Ear) -> None:
        self.fleet = fleet
        self.ear = ear
        self.red, self.blue, self.eve, self.thief, self.phone, self.rival = devices
        self.honest = (self.red, self.blue)
        self.address = {peer.name: address_of(number) for number, peer in enumerate(devices)}
        self.written: dict[str, str] = {}
        self.came: list[bytes] = []
        """All that came to anybody who is no member."""

    def run(self) -> None:
        self.fleet.join_all("ana", (*self.honest, self.eve, self.thief))
        for peer in self.honest:
            _wait_linked(peer, {"red", "blue", "eve", "thief"} - {peer.name})
        self.eve.stop()
        eve, self.work = keys_of(self.eve), WorkspaceId(bytes.fromhex(self.red.workspace.id))
        before = {peer.name: peer.program.rss_bytes() for peer in self.honest}
        tell("told of each attack: how long two files took between red and blue meanwhile, how much of that")
        tell("came by the LAN, and how much of a processor each of the two used")
        with self._during("nobody hostile"):
            pass
        self._strangers()
        self._replays(eve)
        self._floods()
        self._others(eve)
        self._bad_sources(eve)
        self._revoked()
        self._look_at_all(eve, before)

    # --- strangers ----------------------------------------------------------------------------------------

    def _strangers(self) -> None:
        """Who has keys of their own making calls devices, and answers beacons."""
        with repeated(self._call_everybody), self._during("strangers"):
            pass
        tell("  calls by strangers, bytes that came back in all", f"{len(self.came)}, {sum(map(len, self.came))}")

    def _call_everybody(self) -> None:
        mine = SigningKey.from_seed(noise(32, b"stranger"))
        old, own = dial_context(mine, mine.public), dial_context(mine, mine.public)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
        for peer in self.honest:
            at = (self.address[peer.name], port_of(peer), _HERE[1])
            for context in (own, old, _nobodys_context()):
                for knock in (None, "shoal.example", f"{noise(16).hex()}.{noise(16, b'tag').hex()}"):
                    self._refused(call(*at, context, knock).raw)
            for nonsense in (b"GET / HTTP/1.0\r\n\r\n", b"SHL1" + noise(100), noise(1_000), bytes(50)):
                self._refused(send_raw(*at, nonsense))
        with speaker(_HERE[1]) as said:
            for data, host in self.ear.heard[-20:]:
                for answer in (data[:28] + noise(len(data) - 28), data[::-1], *forged()[:20]):
                    said.sendto(answer, (GROUP_V4, PORT))
                    said.sendto(answer, (host, PORT))

    def _refused(self, raw: bytes) -> None:
        demand(len(raw) <= _ALERT_BYTES, f"a stranger was answered with {len(raw)} bytes")
        self.came.append(raw)

    # --- replays ------------------------------------------------------------------------------------------

    def _replays(self, eve: Keys) -> None:
        """Beacons of true devices are sent once more, from elsewhere, at once and hours later."""
        true, newcomer = self.honest
        trap = Trap(_HERE[2], port_of(true), self.address[true.name])
        now_ms = SystemClock().wall_ns() // 1_000_000
        late = Members(_device_of(true), eve.memberships)
        old = [late.beacon(Called(port_of(true), now_ms - hours * HOUR_MS), SystemEntropy()) for hours in (1, 2, 3, 24)]
        replayed: Counter[str] = Counter()

        def replay() -> None:
            with speaker(_HERE[2]) as said:
                for data in (self.ear.last_of(self.address[true.name]), *old):
                    said.sendto(data, (GROUP_V4, PORT))
                    replayed["sent"] += 1
            time.sleep(0.02)

        with at_work(trap.run), repeated(replay), self._during("replayed beacons"):
            true.program.signal(signal.SIGSTOP)  # as if it were slow: so the other one tries all that it heard
            newcomer.stop()
            newcomer.start()
            _until(lambda: bool(trap.hellos))
            true.program.signal(signal.SIGCONT)
            _until(lambda: bool(trap.answers))
            _wait_linked(newcomer, {true.name})
        at = (self.address[true.name], port_of(true), _HERE[2])
        knocks = [call(*at, _nobodys_context(), each).raw for each in trap.knocks]
        self.came += trap.hellos
        for answer in (*trap.answers, *knocks):
            self._refused(answer)
        demand(bool(trap.hellos), "nobody fell for a replayed beacon: the trap was not tried")
        hellos = f"{replayed['sent']:,}, {len(trap.hellos)}, {_sizes(trap.hellos)}"
        tell("  replayed; calls that it brought about, bytes of each", hellos)
        tell("  passed on to the true device; bytes of each answer", f"{len(trap.answers)}, {_sizes(trap.answers)}")
        tell("  their knocks used by the stranger; bytes of each answer", f"{len(knocks)}, {_sizes(knocks)}")

    # --- floods -------------------------------------------------------------------------------------------

    def _floods(self) -> None:
        """More than anybody can read."""
        replayed = "\n".join(data.hex() for data, _ in self.ear.heard[-20:])
        with self._during("a flood of beacons", "beacons", replayed):
            time.sleep(_FLOOD_S)
        targets = [f"{self.address[peer.name]}:{port_of(peer)}" for peer in self.honest]
        with self._during("a flood of connections", "connections", "", *targets):
            self.blue.stop()
            self.blue.start()
            begun_s = time.monotonic()
            _wait_linked(self.blue, {"red"})
            tell("  a device that came meanwhile was linked after", f"{time.monotonic() - begun_s:.1f} s")

    # --- members of something else ------------------------------------------------------------------------

    def _others(self, eve: Keys) -> None:
        """True devices of the coordinator that are no members of this workspace ask for its chunks by their ids."""
        red, wanted = self.red, chunks_of(self.red, self.work)
        self.rival.join(self.fleet.host.invite("ben"))
        self.rival.start()
        self.rival.add(name="other")
        self.rival.wait()
        rival = keys_of(self.rival)
        beside = red.place / "beside"
        beside.mkdir()
        (beside / "known to both").write_bytes(noise(100_000, b"beside"))
        self.phone.join(red.pair())
        self.phone.start()
        red.add(beside, "beside")
        self.phone.mount(name="beside")
        self.phone.wait()
        _wait_linked(red, {"phone"})
        self.phone.stop()
        self.rival.stop()
        phone = keys_of(self.phone)
        demand(phone.device not in keys_of(red).memberships[0].devices, "the phone is a member after all")
        asker = Asker([self.work, *phone.heads], wanted)
        with at_work(Insider(phone, asker).run), self._during("members of something else"):
            got = [
                call(self.address[one.name], port_of(one), _HERE[3], dial_context(rival.tls, eve.others[device]), knock)
                for one in self.honest
                if (device := _device_of(one)) and (knock := _knock(eve, device, self.address[one.name]))
            ]
            _until(lambda: asker.answered >= _LEAST_ANSWERS)
        demand(all(not each.said for each in got), "a device of another user was spoken with")
        demand(asker.answered >= _LEAST_ANSWERS, f"only {asker.answered} of {asker.asked} questions were answered")
        demand(not asker.got, f"chunks of a workspace of others were told of: {asker.got[:1]}")
        demand(asker.named == set(phone.heads), "a workspace of others was named")
        told = f"{asker.asked}, {asker.answered}, {len(asker.got)}"
        tell("  a member of one workspace asked for chunks of another", told + " came")
        tell("  a device of another user, with a stolen knock: told", f"{sum(len(each.said) for each in got)} bytes")
        red.unmount(beside)

    # --- bad members --------------------------------------------------------------------------------------

    def _bad_sources(self, eve: Keys) -> None:
        """A member says that it has everything, and delivers it badly."""
        source, honest = BadSource(list(eve.heads.values())), set(map(_device_of, self.honest))
        for way, meant in WAYS.items():
            source.way = way
            source.links.clear()
            with at_work(Insider(eve, source).run), self._during(f"a bad member, {way}"):
                _until(lambda: source.linked >= honest)
                for number in range(_MOST_TRIES):  # it may be that the honest one has delivered all before it was asked
                    self._exchange(f"for who is {way}, {number}")
                    if source.asked[way]:
                        break
            demand(source.asked[way] > 0, f"{way}: the bad member was asked for nothing")
            figures = f"{source.asked[way]}, {mib(source.sent[way])}, {source.dropped[way]} times: {meant}"
            tell("  asked of it, sent by it, dropped; how it answers", figures)

    # --- revoked ------------------------------------------------------------------------------------------

    def _revoked(self) -> None:
        """A device that was revoked goes on with what it has."""
        thief, wanted = keys_of(self.thief), chunks_of(self.red, self.work)
        for peer in self.honest:
            _wait_linked(peer, {"thief"})
        begun_s = time.monotonic()
        self.red.must("device", "revoke", "thief")
        for peer in self.honest:
            _wait_parted(peer, "thief")
        calls = 0
        tell("revoked; linked with nobody any more after", f"{time.monotonic() - begun_s:.1f} s")
        asker = Asker([self.work], wanted)
        with at_work(Insider(thief, asker).run), self._during("a revoked device"):
            for peer in self.honest:
                key = thief.others[_device_of(peer)]
                knock = _knock(thief, _device_of(peer), self.address[peer.name])
                got = call(self.address[peer.name], port_of(peer), _HERE[4], dial_context(thief.tls, key), knock)
                demand(not got.said, "a revoked device was spoken with")
                calls += 1
            time.sleep(3.0)
        late = [name for name in self.written if name.startswith("a revoked")]
        demand(not any((self.thief.folder / name).exists() for name in late), "it got a file written afterwards")
        demand(not asker.heard, f"it was told {asker.heard[:1]}")
        calls += sum(asker.ended.values())
        tell("  its calls, what it was told, files of then that it got", f"{calls}, {len(asker.heard)}, 0")
        self.thief.kill()

    # --- what all this came to ------------------------------------------------------------------------------

    def _exchange(self, name: str) -> float:
        """Each honest device gets a file that the other one wrote; how long that took."""
        begun_s = time.monotonic()
        for one, other in (self.honest, self.honest[::-1]):
            its = f"{name} of {one.name}"
            data = noise(_FILE_BYTES, its.encode())
            self.written[its] = hashlib.sha256(data).hexdigest()
            (one.place / "new").write_bytes(data)
            (one.place / "new").rename(one.folder / its)
            _wait_there(other, its)
            demand(digest_of(other.folder / its) == self.written[its], f"{its!r} is another file at {other.name}")
        return time.monotonic() - begun_s

    @contextmanager
    def _during(self, name: str, *flood: str) -> Iterator[None]:
        """Tells of an attack: the files written meanwhile arrived, what they took, and what the devices used."""
        moved = {peer.program: peer.status().transfer.lan_in for peer in self.honest}
        spent = {peer.program: peer.cpu_s() for peer in self.honest}
        begun_s = time.monotonic()
        process = _flood(*flood) if flood else None
        yield
        took_s = self._exchange(name)
        if process is not None:
            process.terminate()
            out, _ = process.communicate()
            demand(process.returncode == 0, "the flood failed")
            sent, came, lasted_s = map(float, out.split())
            tell("  sent or made; a second; bytes that came back", f"{sent:,.0f}; {sent / lasted_s:,.0f}; {came:,.0f}")
            demand(sent > _LEAST_FLOOD_S[flood[0]] * lasted_s, "that is no flood")
        used = [(peer.cpu_s() - spent.get(peer.program, 0.0)) / (time.monotonic() - begun_s) for peer in self.honest]
        lan = sum(peer.status().transfer.lan_in - moved.get(peer.program, 0) for peer in self.honest)
        shares = ", ".join(f"{each:.0%}" for each in used)
        tell(f"{name}: two files, by the LAN, processors", f"{took_s:.1f} s, {mib(lan)}, {shares}")

    def _look_at_all(self, eve: Keys, before: dict[str, int]) -> None:
        tree = self.fleet.settle()
        found = {path: each.digest for path, each in tree.items() if isinstance(each, File)}
        demand(found == self.written and len(tree) == len(found), "the folders are not what people wrote")
        for peer in self.honest:
            demand(not peer.conflicts(), f"{peer.name} has conflicts")
            rose = f"{mib(before[peer.name])}, {mib(peer.program.rss_bytes())}, {mib(peer.program.peak_bytes())}"
            tell(f"{peer.name}: memory before, now, at most", rose)
            demand(peer.program.peak_bytes() < _MEMORY_BYTES, "that is too much memory")
        everything = b"\n".join((*self.came, *(data for data, _ in self.ear.heard)))
        needles = [*eve.others, *eve.others.values(), *map(known_certificate, eve.others.values()), self.work]
        needles += [name.encode() for name in self.written] + [
            noise(_FILE_BYTES, n.encode())[:64] for n in self.written
        ]
        demand(not any(form in everything for one in needles for form in (one, one.hex().encode())), "something leaked")
        tell("files written, each right on both devices", len(found))
        tell("bytes strangers received, of ids, keys, names and contents", f"{len(everything):,}, none")


def _flood(kind: str, said: str, *targets: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-P",
        "-m",
        "tests.acceptance.flooding",
        kind,
        ",".join(_HERE[2:]),
        *targets,
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(said)
    process.stdin.close()
    process.stdin = None
    assert process.stdout is not None
    demand(process.stdout.readline() == "begun\n", "the flood failed")
    return process


def _nobodys_context() -> ssl.SSLContext:
    """Of somebody who would take any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _device_of(peer: Peer) -> DeviceId:
    return Home(peer.home).read_identity().device


def _knock(keys: Keys, device: DeviceId, address: str) -> str | None:
    """What a member calls a device by."""
    clock = SystemClock()
    return Members(keys.device, keys.memberships).knock(device, address, clock.wall_ns() // 1_000_000, SystemEntropy())


def _wait_linked(peer: Peer, names: set[str]) -> None:
    """Until a device has links with these."""
    peer.until(lambda _: peer.linked() >= names, _WITHIN_S)


def _wait_parted(peer: Peer, name: str) -> None:
    """Until a device has no link with that one."""
    peer.until(lambda _: name not in peer.linked(), _WITHIN_S)


def _wait_there(peer: Peer, name: str) -> None:
    """Until a device has a file."""
    peer.until(lambda _: (peer.folder / name).exists(), _WITHIN_S)


def _until(holds: Callable[[], bool]) -> None:
    """Until something is so that another thread does; what follows says what it means if it never is."""
    ends = time.monotonic() + _WITHIN_S
    while not holds() and time.monotonic() < ends:
        time.sleep(0.02)


def _sizes(answers: Sequence[bytes]) -> str:
    return "/".join(sorted({str(len(each)) for each in answers})) or "-"
