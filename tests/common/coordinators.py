"""A real coordinator process, and members who reach it with the real client over real sockets."""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trio
from blake3 import blake3

from coordinator.__main__ import commands
from crypto.identity import sign
from crypto.invitation import InvitationKeys, decode_code
from crypto.labels import Label
from peer.link.coordinator import CoordinatorClient
from peer.link.network import TrioNetwork
from peer.machine import SystemClock, SystemEntropy
from protocol.frames import block_head, end_frame
from protocol.ids import BlockId, WorkspaceId
from protocol.messages import CommitAccepted, CommitRequest, Joined, JoinRequest
from protocol.model import Change
from tests.common.fleet import call_command
from tests.common.journals import TestJournal, TestUser
from tests.common.processes import Program, start_program


@dataclass
class Served:
    """A running coordinator."""

    program: Program
    data: Path
    url: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    async def connect(self) -> trio.abc.Stream:
        """A connection, with TLS if that is what is served. Whom it reaches is not checked."""
        stream: trio.abc.Stream = await trio.open_tcp_stream(*self.address)
        if self.url.startswith("https"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            stream = trio.SSLStream(stream, context, https_compatible=True)
            await stream.do_handshake()
        return stream


@contextlib.contextmanager
def served(directory: Path, *flags: str) -> Iterator[Served]:
    """`serve` on a data directory below this one and a free port of loopback; killed at the end if it still runs."""
    data = directory / "coordinator"
    listen = () if "--listen" in flags else ("--listen", "127.0.0.1:0")
    with start_program(["shoal-coordinator", "serve", "--data", str(data), *listen, *flags]) as program:
        yield Served(program, data, program.line("listening on ").removeprefix("listening on "))


@dataclass
class Member:
    """A user's first device, signed in by the real client."""

    user: TestUser
    client: CoordinatorClient

    async def make_workspace(self) -> TestJournal:
        """A new workspace, its journal as it is on the coordinator too."""
        journal = TestJournal(self.user)
        answer = await self.client.request(CommitRequest(journal.commits[0]))
        assert isinstance(answer, CommitAccepted), answer
        return journal

    async def commit(self, journal: TestJournal, *changes: Change) -> CommitAccepted:
        """Commit changes, here and there."""
        commit = journal.commit(self.user.devices[0], *changes)
        answer = await self.client.request(CommitRequest(commit))
        assert isinstance(answer, CommitAccepted), answer
        journal.accept(commit)
        return answer


async def invite(here: Served, name: str) -> tuple[InvitationKeys, bytes, tuple[str, ...]]:
    """What is in a fresh invitation's code: its keys, the hash of the identity, the addresses."""

    def run() -> str:
        return str(json.loads(call_command(commands, "invite", name, "--json", "--data", str(here.data)))["code"])

    with ThreadPoolExecutor(1) as thread:  # nothing else goes on meanwhile: it is another user
        code = decode_code(thread.submit(run).result())
    return InvitationKeys.of(code.secret), code.identity_hash, code.addresses


@contextlib.asynccontextmanager
async def open_member(here: Served, name: str) -> AsyncIterator[Member]:
    """Invite somebody and join as them."""
    keys, identity, addresses = await invite(here, name)
    user = TestUser(name)
    client = CoordinatorClient(
        addresses=addresses,
        identity=identity,
        keys=user.devices[0].secret,
        network=TrioNetwork(),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        allow_plain=True,
    )
    try:
        proof = sign(Label.SIGN_INVITE, keys.sign.secret, user.chain.link_hashes[0])
        answer = await client.request(JoinRequest(keys.sign.public, proof, user.links[0]))
        assert isinstance(answer, Joined), answer
        yield Member(user, client)
    finally:
        await client.aclose()


def made_blocks(count: int, size: Callable[[int], int]) -> list[tuple[BlockId, bytes]]:
    """Blocks that follow from their numbers."""
    datas = [(b"%d." % at) * (size(at) // len(b"%d." % at) + 1) for at in range(count)]
    return [(BlockId(blake3(data).digest()), data) for data in datas]


def framed(blocks: Iterable[tuple[BlockId, bytes]]) -> bytes:
    """An upload's whole body."""
    parts, count = [], 0
    for block, data in blocks:
        parts += [block_head(block, len(data)), data]
        count += 1
    return b"".join([*parts, end_frame(count)])


async def pieces(body: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    """The body bit by bit."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


def upload_head(workspace: WorkspaceId, token: bytes, length: int | None) -> bytes:
    """The head of an upload request, as bytes on the wire; chunked without a length."""
    body = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    lines = [f"POST /v1/blocks/{workspace.hex()} HTTP/1.1", "Host: x", f"Authorization: Bearer {token.hex()}", body]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
