"""Settings, identity, reachable addresses and the log's lines."""

import io
import json
import logging
import os
from pathlib import Path

import pytest

from coordinator import logs, reach
from coordinator.identity import IDENTITY_FILE, BadIdentity, open_identity
from coordinator.machine import DirectoryFiles
from coordinator.settings import BadSettings, Listen, parse_blocks, parse_listen, parse_public_url, read_config
from tests.common.coordination import CountingEntropy


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("[::]:8440", Listen("::", 8440)),
        ("127.0.0.1:0", Listen("127.0.0.1", 0)),
        ("localhost:1", Listen("localhost", 1)),
        (":8440", Listen("::", 8440)),
    ],
)
def test_listen_is_host_and_port(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen


@pytest.mark.parametrize("text", ["", "x", "::1:80", "[::1]", "h:-1", "h:65536", "h:٣", "h:"])
def test_listen_that_is_none_is_said(text: str) -> None:
    with pytest.raises(BadSettings):
        parse_listen(text)


def test_blocks_are_a_directory_by_url() -> None:
    assert parse_blocks("file:///srv/a%20b") == Path("/srv/a b")
    for text in ("/srv", "file://host/srv", "file:srv", "s3://bucket", "file:///a?b"):
        with pytest.raises(BadSettings):
            parse_blocks(text)


def test_a_public_url_has_no_path() -> None:
    assert parse_public_url("https://shoal.example.org:1/") == "https://shoal.example.org:1"
    for text in (
        "shoal.example.org",
        "https://",
        "https://x/y",
        "https://u:p@x",
        "https://x:0",
        "https://x:y",
        "ftp://x",
    ):
        with pytest.raises(BadSettings):
            parse_public_url(text)


def test_a_config_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('listen = "x:1"\nlisten-on = 3\n')
    with pytest.raises(BadSettings, match="listen-on"):
        read_config(path)
    path.write_text("listen = ")
    with pytest.raises(BadSettings, match="not TOML"):
        read_config(path)


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    entropy = CountingEntropy()
    first, again = open_identity(tmp_path, entropy), open_identity(tmp_path, entropy)
    assert first.public == again.public
    assert os.listdir(tmp_path) == [IDENTITY_FILE]
    assert first.certificate() == again.certificate()


def test_an_identity_that_is_damaged_or_a_link_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / IDENTITY_FILE
    open_identity(tmp_path, CountingEntropy())
    whole = path.read_bytes()
    for wrong in (b"", whole[:-3], whole + b"00", b"z" * 64):
        path.write_bytes(wrong)
        with pytest.raises(BadIdentity):
            open_identity(tmp_path, CountingEntropy())
        assert path.read_bytes() == wrong
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadIdentity):
        open_identity(tmp_path, CountingEntropy())


def test_addresses_are_those_of_the_machine_or_as_given(tmp_path: Path) -> None:
    assert f"https://127.0.0.1:{reach.DEFAULT_PORT}" in reach.addresses(tmp_path)

    def noted(host: str, *urls: str) -> list[str]:
        reach.record(tmp_path, DirectoryFiles(), scheme="http", host=host, port=5, public_urls=urls)
        return reach.addresses(tmp_path)

    assert noted("10.1.2.3") == ["http://10.1.2.3:5"]
    assert noted("::1") == ["http://[::1]:5"]
    assert noted("host.example") == ["http://host.example:5"]
    assert noted("::", "https://a.example") == ["https://a.example"]
    assert noted("0.0.0.0")[-1] == "http://127.0.0.1:5"
    assert not any("[::]" in each or "0.0.0.0" in each for each in noted("::"))


def test_a_log_line_is_one_document_with_the_request_it_belongs_to() -> None:
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    handler.setFormatter(logs.JsonLines())
    logger = logging.getLogger("coordinator.test")
    logger.addHandler(handler)
    try:
        token = logs.request_id.set("abc")
        logger.warning("a %s\nline", "two", extra={"device": "00ff"})
        logs.request_id.reset(token)
    finally:
        logger.removeHandler(handler)
    (line,) = target.getvalue().splitlines()
    document = json.loads(line)
    assert document["message"] == "a two\nline"
    assert (document["level"], document["request"], document["device"]) == ("warning", "abc", "00ff")
    assert document["time"].endswith("Z")
