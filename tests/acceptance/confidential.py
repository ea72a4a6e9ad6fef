"""Looks through all that the coordinator keeps, and all that passes to and from it, for what it must not have.

Two devices of one user sync files with telling names and contents through a proxy that keeps every byte; once without
TLS, so that what is inside of it is looked at too, and once with it. Then the coordinator's data directory, its log and
the recording are searched for names, contents, the folders' names, and every secret of both homes: raw, in hexadecimal,
in base64 at each of its three alignments, percent-encoded and as UTF-16. That the search finds what is there is
demanded first.
"""

import base64
import contextlib
import dataclasses
import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from crypto.identity import DeviceKeys
from crypto.invitation import InvitationKeys, decode_code
from crypto.keyring import WorkspaceKeyring
from crypto.recovery import RecoveryKeys
from peer.home import Home
from simulations.noise import noise
from tests.acceptance.settling import demand_peace, settle
from tests.acceptance.telling import demand, mib, tell
from tests.acceptance.tree_facts import differences, facts_of
from tests.common.devices import Device, Host
from tests.common.processes import start_program, work_directory
from tests.common.wire import Wire, open_wire

NAMES = ("quarterly-figures-of-the-orchard", "Überraschung für Zoë.txt", "kirschkernkissen", "apricot-ledger.csv")
RENAMED = "no-longer-the-apricot-ledger.csv"
FOLDERS = ("orchard-on-the-laptop", "orchard-on-the-desktop")
SENTENCE = b"The apricots are to be sold before anybody hears of the frost. "
LINK = "where-the-orchard-keeps-its-ledger"
WORKSPACE = "the orchard, in confidence"
BIG_BYTES = 1 << 20


def run(arguments: Sequence[str]) -> None:
    demand(not arguments, f"unknown: {arguments}")
    for flags in (("--no-tls",), ()):
        tell("the coordinator serves", "in the clear, to look into it" if flags else "with TLS, as it does by itself")
        with work_directory() as place, open_wire() as wire:
            codes = _sync_things(place, wire, flags)
            _look_through(place, wire, codes, is_clear=bool(flags))


def _sync_things(place: Path, wire: Wire, flags: tuple[str, ...]) -> list[str]:
    """Two devices, one of them paired by the other; edits in both directions. Returns the codes that were used."""
    laptop, desktop = Device(place, "laptop"), Device(place, "desktop")
    with _open_host(place, wire, flags) as host:
        codes = [host.invite("ana")]
        laptop.join(codes[0])
        here, there = laptop.folder(FOLDERS[0]), desktop.directory / FOLDERS[1]
        _write_things(here)
        with laptop.open_daemon():
            laptop.must("add", str(here), "--name", WORKSPACE)
            settle([laptop])
            codes.append(str(laptop.must("pair", "--json").document["code"]))
            desktop.join(codes[1])
            with desktop.open_daemon():
                desktop.must("mount", WORKSPACE, str(there))
                settle([laptop, desktop])
                (there / NAMES[3]).rename(there / RENAMED)
                (there / NAMES[0] / "more").write_bytes(SENTENCE + b"more")
                settle([desktop, laptop])
                demand(not differences(facts_of(here), facts_of(there)), "the folders differ")
                demand_peace([laptop, desktop])
                desktop.must("stop")
            laptop.must("stop")
        demand(host.program.stop() == 0, "the coordinator did not end with 0 when asked to")
        (place / "coordinator" / "what it said").write_text(host.program.stdout + host.program.stderr)
    return codes


@contextlib.contextmanager
def _open_host(place: Path, wire: Wire, flags: tuple[str, ...]) -> Iterator[Host]:
    """A coordinator whom devices reach through the wire alone."""
    data = place / "coordinator"
    url = f"{'http' if flags else 'https'}://127.0.0.1:{wire.port}"
    args = ["shoal-coordinator", "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--public-url", url, *flags]
    with start_program(args) as program:
        listening = program.line("listening on ").removeprefix("listening on ")
        wire.server_port = int(listening.rpartition(":")[2])
        yield Host(data, url, program)


def _write_things(folder: Path) -> None:
    (folder / NAMES[0] / NAMES[2]).mkdir(parents=True)
    (folder / NAMES[1]).write_bytes(SENTENCE)
    (folder / NAMES[3]).write_bytes(SENTENCE * 2_000)
    (folder / NAMES[0] / "figures").write_bytes(noise(BIG_BYTES))
    (folder / NAMES[0] / "link").symlink_to(LINK)


def _look_through(place: Path, wire: Wire, codes: list[str], *, is_clear: bool) -> None:
    secrets = _secrets(place, codes)
    figures = noise(BIG_BYTES)
    needles = {
        **{f"the name {name}": name.encode() for name in (*NAMES, RENAMED, *FOLDERS, WORKSPACE)},
        "the sentence": SENTENCE[:-1],
        "the sentence's middle": SENTENCE[16:40],
        **{f"the figures at {at}": figures[at : at + 24] for at in (0, 100_000, BIG_BYTES - 24)},
        "the link's target": LINK.encode(),
        **{f"the code {number}": code.encode() for number, code in enumerate(codes)},
        **secrets,
    }
    kept = {str(path.relative_to(place)): path.read_bytes() for path in _files(place / "coordinator")}
    passed = {"to the coordinator": b"".join(wire.sent_up()), "to the devices": b"".join(wire.sent_down())}
    searched = {**kept, **passed}
    _demand_that_search_works(place, passed, needles, is_clear=is_clear)
    found = [f"{what} in {where}" for where, data in searched.items() for what in _found(needles, data)]
    forms = sum(len(_forms(needle)) for needle in needles.values())
    tell("looked for", f"{len(needles)} things ({len(secrets)} of them keys) in {forms} forms")
    tell("in the coordinator's data and log", f"{len(kept)} files, {mib(sum(map(len, kept.values())))}")
    tell("and in its traffic", mib(sum(map(len, passed.values()))))
    tell("found", len(found))
    demand(not found, "; ".join(found[:10]))


def _demand_that_search_works(
    place: Path, passed: Mapping[str, bytes], needles: Mapping[str, bytes], *, is_clear: bool
) -> None:
    """On the devices the names and keys are found, in the clear traffic what may be seen: so nothing hides the rest."""
    at_home = b"".join(path.read_bytes() for path in _files(place / "laptop"))
    hidden = {what: needle for what, needle in needles.items() if not what.startswith(("the code", "derived", "there"))}
    unseen = hidden.keys() - set(_found(hidden, at_home)) - {f"the name {FOLDERS[1]}"}
    demand(not unseen, f"not even found on the laptop itself: {sorted(unseen)}")
    with contextlib.closing(_database(place / "laptop" / "home")) as database:
        workspace: bytes = database.execute("SELECT id FROM workspaces").fetchone()[0]
    seen = set(_found({"workspace": workspace}, passed["to the coordinator"]))
    demand(bool(seen) == is_clear, "the recording is not what it should be")


def _secrets(place: Path, codes: list[str]) -> dict[str, bytes]:
    """Every secret of both homes and of the codes: those that are kept, and (named so) those derived from them."""
    found: dict[str, bytes] = {}
    for name, prefix in (("laptop", ""), ("desktop", "there: ")):
        home = place / name / "home"
        identity = Home(home).read_identity()
        found[f"{prefix}{name}'s seed"] = identity.device_seed
        derived: list[object] = [DeviceKeys.from_seed(identity.device_seed)]
        if identity.recovery_seed:
            found[f"{prefix}recovery seed"] = identity.recovery_seed
            derived.append(RecoveryKeys.from_seed(identity.recovery_seed))
        with contextlib.closing(_database(home)) as database:
            for (packed,) in database.execute("SELECT keyring FROM workspaces"):
                keyring = WorkspaceKeyring.unpack(packed)
                found[f"{prefix}fixed key"] = keyring.fixed_root
                derived += [keyring.fixed, *(keyring.epoch(number) for number in keyring.epochs)]
                for number in keyring.epochs:
                    found[f"{prefix}key of epoch {number}"] = keyring.root(number) or b""
        for number, secret in enumerate(each for group in derived for each in _hidden(group)):
            found[f"derived key {number} of the {name}"] = secret
    for number, code in enumerate(codes):
        secret = decode_code(code).secret
        found[f"derived: secret of code {number}"] = secret
        for index, each in enumerate(_hidden(InvitationKeys.of(secret))):
            found[f"derived: key {index} of code {number}"] = each
    return found


def _hidden(keys: object) -> Iterator[bytes]:
    """The fields that a structure of keys does not show, in it and below it."""
    if not dataclasses.is_dataclass(keys):
        return
    for field in dataclasses.fields(keys):
        value = getattr(keys, field.name)
        if isinstance(value, bytes) and not field.repr:
            yield value[:32]
        else:
            yield from _hidden(value)


def _database(home: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{urllib.parse.quote(str(Home(home).database))}?mode=ro", uri=True)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())


def _found(needles: Mapping[str, bytes], data: bytes) -> Iterator[str]:
    folded = data.lower()
    for what, needle in needles.items():
        for form, is_folded in _forms(needle):
            if form in (folded if is_folded else data):
                yield what
                break


def _forms(needle: bytes) -> list[tuple[bytes, bool]]:
    """What a needle may look like, and whether that is to be looked for in lower case."""
    forms = [(needle, False), (needle.hex().encode(), True), (urllib.parse.quote(needle).lower().encode(), True)]
    for skipped in range(3):
        # Of an alignment, the characters that do not depend on what is around the needle.
        encoded = base64.b64encode(bytes(skipped) + needle)[4 if skipped else 0 : len(needle) // 3 * 4]
        forms += [(encoded, False), (encoded.replace(b"+", b"-").replace(b"/", b"_"), False)]
    with contextlib.suppress(UnicodeDecodeError):
        text = needle.decode()
        forms += [(text.encode("utf-16-le"), False), (text.encode("utf-16-be"), False)]
    return forms
