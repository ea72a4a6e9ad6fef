"""Telling a slow line from a dead one, on real sockets."""

import socket

import trio
import trio.testing

from peer.link.progress import Progress


async def test_what_is_acknowledged_long_after_it_was_sent_counts_and_what_is_not_does_not(
    mock_clock: trio.testing.MockClock,
) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    stream = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    far = await listener.accept()
    progress = Progress(stream)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, bytes(64 << 20))
            await trio.testing.wait_all_tasks_blocked(0.05)
            scope.cancel()
    progress.note()
    sent_at = trio.current_time()
    mock_clock.jump(100)
    assert progress.last_s() == sent_at
    while progress.last_s() == sent_at:
        await far.receive_some(1 << 20)
    assert progress.last_s() > sent_at + 90
    for each in (stream, far, listener):
        await trio.aclose_forcefully(each)


async def test_a_line_that_is_no_socket_moves_when_it_is_said_to(mock_clock: trio.testing.MockClock) -> None:
    near, _ = trio.testing.memory_stream_pair()
    progress = Progress(near)
    mock_clock.jump(5)
    assert progress.last_s() == 0
    progress.note()
    assert progress.last_s() == 5


async def test_a_line_that_was_closed_stays_at_its_last_movement(mock_clock: trio.testing.MockClock) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    stream = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    progress = Progress(stream)
    await trio.aclose_forcefully(stream)
    mock_clock.jump(5)
    assert progress.last_s() == 0
    await listener.aclose()
