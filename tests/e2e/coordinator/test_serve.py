"""The `serve` command, as whoever hosts runs it."""

import json
import os
import signal
import socket
import stat
from pathlib import Path

import trio
from click.testing import CliRunner

from coordinator.__main__ import commands
from protocol.codec import decode
from protocol.messages import Refusal, RefusalCode
from tests.common.coordinators import invite, open_member, served
from tests.common.processes import run_program, start_program


def curl(address: tuple[str, int], request: bytes) -> bytes:
    """What is answered to these bytes, up to the end of the connection."""
    with socket.create_connection(address, 60) as sock:
        sock.sendall(request)
        parts = []
        while data := sock.recv(65536):
            parts.append(data)
    return b"".join(parts)


def test_health_is_told_to_anybody(workplace: Path) -> None:
    with served(workplace, "--no-tls") as here:
        answer = curl(here.address, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b" 200 " in head
        assert b"hypercorn" not in head.lower()
        assert json.loads(body)["status"] == "ok"


def test_what_cannot_be_answered_is_a_refusal(workplace: Path) -> None:
    cases = {
        b"POST /v1/commit HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx": RefusalCode.UNAUTHENTICATED,
        b"POST /v1/challenge HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx": RefusalCode.MALFORMED,
        b"POST /v1/challenge HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n": RefusalCode.TOO_LARGE,
        b"POST /v1/challenge HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n": RefusalCode.MALFORMED,
        b"GET /v1/challenge HTTP/1.1\r\nHost: x\r\n\r\n": RefusalCode.MALFORMED,
        b"GET /v1/notify HTTP/1.1\r\nHost: x\r\n\r\n": RefusalCode.UNAUTHENTICATED,
        b"GET /v2/x HTTP/1.1\r\nHost: x\r\n\r\n": RefusalCode.NOT_FOUND,
        b"GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n": RefusalCode.NOT_FOUND,
        b"POST /v1/blocks/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx": RefusalCode.UNAUTHENTICATED,
    }
    with served(workplace, "--no-tls") as here:
        for request, code in cases.items():
            answer = curl(here.address, request.replace(b"Host: x", b"Host: x\r\nConnection: close"))
            refusal = decode(Refusal, answer.partition(b"\r\n\r\n")[2], 10_000)
            assert refusal.code is code, request
        assert "Traceback" not in here.program.stderr


def test_the_chosen_port_is_printed_and_nothing_else(workplace: Path) -> None:
    with served(workplace) as here:
        assert here.url.startswith("https://127.0.0.1:")
        assert here.address[1] != 0
        assert here.program.stop(10) == 0
        assert here.program.stdout.splitlines() == [f"listening on {here.url}"]


def test_a_second_server_on_the_same_data_is_refused(workplace: Path) -> None:
    with served(workplace) as here:
        args = ["shoal-coordinator", "serve", "--data", str(here.data), "--listen", "127.0.0.1:0"]
        status, out, err = run_program(args)
        assert (status, out) == (1, "")
        assert str(here.program.pid) in err
        assert len(err.splitlines()) == 1


def test_a_port_in_use_is_said_in_one_line(workplace: Path) -> None:
    with served(workplace) as here:
        listen = f"127.0.0.1:{here.address[1]}"
        status, _, err = run_program(
            ["shoal-coordinator", "serve", "--data", str(workplace / "other"), "--listen", listen]
        )
        assert status == 1
        assert "in use" in err
        assert len(err.splitlines()) == 1


def test_wrong_usage_is_status_2(workplace: Path) -> None:
    wrong = [
        ["--listen", "nowhere"],
        ["--blocks", "s3://bucket"],
        ["--public-url", "ftp://x"],
        ["--no-tls", "--tls-cert", "/x", "--tls-key", "/y"],
        ["--tls-cert", "/x"],
        ["--config", "/nonexistent.toml"],
    ]
    for flags in wrong:
        said = CliRunner().invoke(commands, ["serve", "--data", str(workplace / "d"), *flags])
        assert (said.exit_code, said.stdout) == (2, ""), flags
    status, out, err = run_program(["shoal-coordinator", "serve", "--data", str(workplace / "d"), *wrong[0]])
    assert (status, out) == (2, "")
    assert "Traceback" not in err


def test_keys_are_private_and_kept(workplace: Path) -> None:
    seeds = set()
    for _ in range(2):
        with served(workplace) as here:
            for name in ("identity.key", "tls.key"):
                assert stat.S_IMODE((here.data / name).stat().st_mode) == 0o600
            seeds.add((here.data / "identity.key").read_bytes())
            assert here.program.stop(10) == 0
    assert len(seeds) == 1


def test_an_identity_that_others_can_read_is_not_used(workplace: Path) -> None:
    with served(workplace) as here:
        assert here.program.stop(10) == 0
        (here.data / "identity.key").chmod(0o644)
        status, _, err = run_program(
            ["shoal-coordinator", "serve", "--data", str(here.data), "--listen", "127.0.0.1:0"]
        )
        assert status == 1
        assert "chmod 600" in err


def test_settings_come_from_flags_before_the_environment_before_the_file(workplace: Path) -> None:
    config = workplace / "c.toml"
    config.write_text('listen = "nowhere"\nno-tls = true\npublic-url = ["https://a.example"]\n')
    config.chmod(0o644)
    args = ["shoal-coordinator", "serve", "--config", str(config)]
    env = {"SHOAL_COORDINATOR_LISTEN": "127.0.0.1:0", "SHOAL_COORDINATOR_DATA": str(workplace / "nowhere")}
    with start_program([*args, "--data", str(workplace / "d")], env) as program:
        assert program.line("listening on ").startswith("listening on http://127.0.0.1:")
        reach = json.loads((workplace / "d" / "reach.json").read_bytes())
        assert reach["public_urls"] == ["https://a.example"]
        assert not (workplace / "nowhere").exists()


def test_an_interrupt_ends_it_with_status_0(workplace: Path) -> None:
    with served(workplace) as here:
        here.program.signal(signal.SIGINT)
        assert here.program.wait(10) == 0


async def test_codes_carry_the_public_urls_where_there_are_some(workplace: Path) -> None:
    with served(workplace, "--public-url", "https://shoal.example.org") as here:
        _, _, addresses = await invite(here, "ana")
        assert addresses == ("https://shoal.example.org",)


async def test_codes_carry_every_address_of_the_machine_but_no_wildcard(workplace: Path) -> None:
    with served(workplace, "--listen", "0.0.0.0:0") as here:
        _, _, addresses = await invite(here, "ana")
        assert f"https://127.0.0.1:{here.address[1]}" in addresses
        assert not any("0.0.0.0" in address for address in addresses)


async def test_a_flood_of_connections_keeps_nobody_out_and_does_not_hold_up_the_stop(workplace: Path) -> None:
    with served(workplace) as here:
        async with open_member(here, "ana") as ana:
            flood = []
            for _ in range(1500):
                stream = await trio.open_tcp_stream(*here.address)
                flood.append(stream)
                if len(flood) % 3 == 0:
                    await stream.send_all(b"\x16\x03\x01" if len(flood) % 2 else b"GET / HTTP/1.1\r\n")
            await ana.make_workspace()
            assert await trio.to_thread.run_sync(here.program.stop, 10) == 0
            for stream in flood:
                await trio.aclose_forcefully(stream)
        assert "Traceback" not in here.program.stderr


async def test_blocks_go_where_they_are_told(workplace: Path) -> None:
    elsewhere = workplace / "other disk"
    with served(workplace, "--blocks", f"file://{str(elsewhere).replace(' ', '%20')}") as here:
        assert elsewhere.is_dir()
        assert "blocks" not in os.listdir(here.data)
