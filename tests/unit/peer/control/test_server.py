"""The daemon's end of the control socket: whatever is sent to it, it answers the next one."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from peer.control import server
from peer.control.messages import AnyRequest, Done, Hello, HelloReply, Reply, Stop


async def answer(request: AnyRequest) -> AsyncGenerator[Reply, None]:
    if isinstance(request, Stop):
        yield Done(message="first")
        raise KeyError("a bug")
    yield HelloReply(pid=1, device="laptop", user="ana")


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Path]:
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve_control, path, answer)
        yield path
        nursery.cancel_scope.cancel()


async def said(path: Path, data: bytes) -> bytes:
    found = b""
    async with await trio.open_unix_socket(path) as stream:
        try:
            await stream.send_all(data)
            await stream.send_eof()
            async for piece in stream:
                found += piece
        except trio.BrokenResourceError:
            pass
    return found


HELLO = server._encoder.encode(Hello()) + b"\n"


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[1, 2\n",
        b"no line's end",
        b'{"type": "nothing of the kind"}\n',
        b'{"type": "\xff\xfe"}\n',
        b"\xff\x00\n",
        b"[" * 60_000 + b"\n",
        b"x" * (3 * server.REQUEST_BYTES) + b"\n",
    ],
    ids=range(10),
)
async def test_garbage_is_refused_and_the_next_request_is_answered(tmp_path: Path, garbage: bytes) -> None:
    async with serving(tmp_path / "control.sock") as path:
        reply = await said(path, garbage)
        assert b"HelloReply" not in reply
        assert b"laptop" not in reply
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(HELLO)
            assert b"laptop" in await stream.receive_some()


async def test_an_answer_that_fails_is_said_and_logged_and_ends_nothing(
    tmp_path: Path, no_unexpected_errors: list[logging.LogRecord]
) -> None:
    async with serving(tmp_path / "control.sock") as path:
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(server._encoder.encode(Stop()) + b"\n")
            found = b""
            async for piece in stream:
                found += piece
        first, second = found.splitlines()
        assert b"first" in first
        assert b"see its log" in second
        assert b"a bug" not in second
        assert ["Stop failed" in one.getMessage() for one in no_unexpected_errors] == [True]
        no_unexpected_errors.clear()
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(HELLO)
            assert b"laptop" in await stream.receive_some()


async def test_only_this_user_may_use_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path / "control.sock") as path:
        assert path.stat().st_mode & 0o777 == 0o600
        monkeypatch.setattr(server, "_CREDENTIALS", _Stranger)
        assert await said(path, HELLO) == b""


class _Stranger:
    size = server._CREDENTIALS.size

    @staticmethod
    def unpack(packed: bytes) -> tuple[int, int, int]:
        return 1, 4_000_000, 4_000_000


async def test_a_socket_left_by_an_earlier_daemon_is_no_obstacle_and_none_is_left(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.touch()
    async with serving(path):
        assert path.is_socket()
    assert not path.exists()
