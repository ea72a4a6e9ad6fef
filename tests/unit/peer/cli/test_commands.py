"""What each command asks, prints and returns, against a control socket with given answers."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from peer.__main__ import shoal
from peer.cli.command import run
from peer.control import messages as m
from peer.control.upkeep import History, HistoryRequest, VersionEntry
from peer.home import Home
from tests.common.control_server import joined_home, open_control_server

Said = tuple[int, str, str]
Call = Callable[..., Said]

PENDING = m.Pending(up_files=2, up_bytes=3_000_000)
PROBLEM = m.Problem(path="a\nb", code="unreadable", message="no permission", since="2026-11-17T10:00:00Z")


def workspace(**changes: object) -> m.WorkspaceStatus:
    fields: dict[str, object] = {
        "id": "ab" * 32,
        "name": "Documents",
        "folder": "/home/ana/Documents",
        "role": "owner",
        "state": "up_to_date",
        "cursor": 7,
        "head": 7,
        "entries": 3,
        "bytes": 4096,
        "pending": m.Pending(),
        "not_durable": 0,
        "conflicts": 0,
        "eta_s": None,
        "problems": [],
    }
    return m.WorkspaceStatus(**(fields | changes))  # type: ignore[arg-type]


def status(*workspaces: m.WorkspaceStatus) -> m.Status:
    coordinator = m.Coordinator(url="https://example.org:8440", state="connected", since="2026-11-17T10:00:00Z")
    return m.Status(
        device="laptop", user="ana", coordinator=coordinator, workspaces=list(workspaces), transfer=m.Transfer()
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return joined_home(tmp_path / "home")


@pytest.fixture
def call(home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command as the console script does: status, standard output, standard error."""

    def called(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["shoal", "--home", str(home.path), *arguments])
        with pytest.raises(SystemExit) as ended:
            run(shoal, "shoal")
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return called


def answers(*replies: m.AnyReply) -> Callable[[m.AnyRequest], list[m.AnyReply]]:
    return lambda _request: list(replies)


def test_status_prints_the_daemons_document_without_its_tag(home: Home, call: Call) -> None:
    with open_control_server(home, answers(status(workspace(pending=PENDING, state="syncing")))) as asked:
        code, out, err = call("status", "--json")
    document = json.loads(out)
    assert (code, err, asked) == (0, "", [m.StatusRequest()])
    assert list(document) == ["device", "user", "coordinator", "workspaces", "transfer"]
    assert document["workspaces"][0]["pending"] == {
        "up_files": 2,
        "up_bytes": 3000000,
        "down_files": 0,
        "down_bytes": 0,
    }


def test_status_with_a_problem_says_it_on_one_line_and_exits_5(home: Home, call: Call) -> None:
    with open_control_server(home, answers(status(workspace(problems=[PROBLEM])))):
        code, out, _ = call("status")
    assert code == 5
    assert "  ! a\\nb: no permission [unreadable]" in out.splitlines()


def test_status_of_a_path_asks_with_its_absolute_path(
    home: Home, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    reply = m.PathStatus(
        path="x.txt", state="uploading", durable=False, why="2 blocks to go", workspace="Documents", kind="file", size=5
    )
    with open_control_server(home, answers(reply)) as asked:
        code, out, _ = call("status", "link/x.txt")
        assert (code, out) == (0, "x.txt: uploading, not durable yet, 5 B (2 blocks to go)\n")
        assert call("status", "Documents:x.txt", "--json")[0] == 0
    assert asked == [
        m.StatusRequest(path=str(tmp_path.resolve() / "real" / "x.txt")),
        m.StatusRequest(path="Documents:x.txt"),
    ]


def test_status_watch_prints_a_document_a_line_and_exits_3_when_the_daemon_ends(home: Home, call: Call) -> None:
    with open_control_server(home, answers(status(), status(workspace()))) as asked:
        code, out, err = call("status", "--watch", "--json")
    assert [len(json.loads(line)["workspaces"]) for line in out.splitlines()] == [0, 1]
    assert code == 3
    assert err.count("\n") == 1
    assert asked == [m.Watch()]


def test_status_watch_with_a_path_is_wrong_usage(call: Call) -> None:
    assert call("status", "--watch", "x")[0] == 2


@pytest.mark.parametrize(("outcome", "expected"), [("in_step", 0), ("timed_out", 4), ("problems", 5)])
def test_wait_returns_how_it_ended(home: Home, call: Call, outcome: str, expected: int) -> None:
    problems = [PROBLEM] if outcome == "problems" else []
    reply = m.Waited(outcome=outcome, problems=problems)  # type: ignore[arg-type]
    with open_control_server(home, answers(reply)) as asked:
        code, out, err = call("wait", "--timeout", "5", "--durable")
        assert (code, out) == (expected, "")
        assert err.count("\n") == (expected != 0)
        code, out, _ = call("wait", "--json")
    assert code == expected
    assert json.loads(out)["outcome"] == outcome
    assert asked == [m.Wait(timeout_s=5.0, durable=True), m.Wait()]


def test_cat_writes_the_bytes_and_nothing_else(home: Home, call: Call) -> None:
    pieces = answers(m.CatData(data=b"one\n"), m.CatData(data=b"two\n"), m.Done())
    with open_control_server(home, pieces) as asked:
        assert call("cat", "Documents:x") == (0, "one\ntwo\n", "")
    assert asked == [m.Cat(path="Documents:x")]


def test_cat_of_what_is_not_there_prints_one_line_on_standard_error(home: Home, call: Call) -> None:
    with open_control_server(home, answers(m.Failure(message="no such file: see `shoal ls`"))):
        assert call("cat", "Documents:x") == (1, "", "shoal: no such file: see `shoal ls`\n")


def test_cat_that_breaks_off_is_a_failure(home: Home, call: Call) -> None:
    with open_control_server(home, answers(m.CatData(data=b"one"))):
        code, out, err = call("cat", "Documents:x")
    assert (code, out) == (1, "one")
    assert "not all" in err


def test_a_bare_name_for_ls_is_a_workspace_before_it_is_a_path(
    home: Home, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    entry = m.ListedEntry(path="sub/x", kind="file", size=1, version="cd" * 32, deleted=False, target=None)

    def answer(request: m.AnyRequest) -> list[m.AnyReply]:
        assert isinstance(request, m.Ls)
        if request.target == "sub":
            return [m.Failure(message="no workspace is called sub")]
        return [m.Listing(entries=[entry])]

    with open_control_server(home, answer) as asked:
        code, out, _ = call("ls", "sub", "--json")
        assert (code, json.loads(out)["entries"][0]["path"]) == (0, "sub/x")
        assert call("ls")[1] == "sub/x\tfile\t1 B\n"
    assert asked == [m.Ls(target="sub"), m.Ls(target=str(tmp_path.resolve() / "sub")), m.Ls()]


def test_lists_print_their_documents(home: Home, call: Call) -> None:
    entry = m.WorkspaceEntry(
        id="ab" * 32,
        name="Documents",
        owner="ana",
        role="owner",
        folder=None,
        members=["ana"],
        entries=3,
        stored_bytes=4096,
    )
    device = m.DeviceEntry(name="laptop", user="ana", id="00" * 16, state="active", last_seen=None, this=True)
    conflict = m.ConflictEntry(
        workspace="Documents", path="x (laptop).txt", of="x.txt", device="laptop", time="2026-11-17T10:00:00Z"
    )
    replies: dict[str, m.AnyReply] = {
        "workspaces": m.Workspaces(workspaces=[entry]),
        "devices": m.Devices(devices=[device]),
        "conflicts": m.Conflicts(conflicts=[conflict]),
    }
    for name, reply in replies.items():
        with open_control_server(home, answers(reply)):
            code, out, err = call(name, "--json")
            document = json.loads(out)
            assert (code, err, list(document), len(document[name])) == (0, "", [name], 1)
            code, out, _ = call(name)
            assert (code, out.count("\n")) == (0, 1)


def test_history_says_of_each_version_what_became_of_it(home: Home, call: Call) -> None:
    def version(number: int, **changes: object) -> VersionEntry:
        fields: dict[str, object] = {
            "id": f"{number:064x}",
            "entry": "00" * 16,
            "path": "film",
            "kind": "file",
            "size": 11,
            "time": "2026-11-17T10:00:00Z",
            "device": "laptop",
            "user": "ana",
            "deleted": False,
            "current": False,
            "durable": True,
            "kept": True,
        }
        return VersionEntry(**(fields | changes))  # type: ignore[arg-type]

    found = [
        version(5, deleted=True, current=True),
        version(4, durable=False),
        version(3, durable=False, kept=False),
        version(2, deleted=True),
        version(1),
    ]
    with open_control_server(home, answers(History(versions=found))) as asked:
        code, out, err = call("history", "Documents:film")
        assert (code, err) == (0, "")
        cells = [line.split("\t") for line in out.removesuffix("\n").split("\n")]
        assert [(each[3], each[5]) for each in cells] == [
            ("file", "deleted"),
            ("11 B", "not durable yet"),
            ("11 B", "not kept"),
            ("file", "deletion"),
            ("11 B", ""),
        ]
        assert json.loads(call("history", "Documents:film", "--json")[1])["versions"][2]["kept"] is False
    assert asked == [HistoryRequest(path="Documents:film")] * 2


def test_add_sends_the_folders_real_path(home: Home, call: Call, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    reply = m.Mounted(workspace="ab" * 32, name="real", folder=str(tmp_path / "real"))
    with open_control_server(home, answers(reply)) as asked:
        code, out, _ = call("add", str(tmp_path / "link"), "--json")
        assert call("mount", "real", str(tmp_path / "other" / ".." / "new"))[0] == 0
    assert (code, json.loads(out)["name"]) == (0, "real")
    real = tmp_path.resolve()
    assert asked == [m.Add(folder=str(real / "real")), m.Mount(workspace="real", folder=str(real / "new"))]


def test_unmount_and_confirm_say_what_was_done(home: Home, call: Call, tmp_path: Path) -> None:
    with open_control_server(home, answers(m.Done())):
        assert call("unmount", str(tmp_path))[0] == 0
    confirmed = m.Confirmed(questions=["delete 1,200 files everywhere?"], answered=True)
    with open_control_server(home, answers(confirmed)) as asked:
        code, out, err = call("confirm", "--reject")
    assert (code, out) == (0, "delete 1,200 files everywhere?\n")
    assert "no" in err
    assert asked == [m.Confirm(reject=True)]


def test_pair_prints_the_code_alone(home: Home, call: Call) -> None:
    with open_control_server(home, answers(m.PairReply(code="shoal-pair-abc", expires="2026-11-17T10:00:00Z"))):
        code, out, _ = call("pair")
        assert (code, out) == (0, "shoal-pair-abc\n")
        assert json.loads(call("pair", "--json")[1]) == {"code": "shoal-pair-abc", "expires": "2026-11-17T10:00:00Z"}


@pytest.mark.parametrize("arguments", [["status"], ["wait"], ["cat", "x"], ["devices"], ["stop"]])
def test_without_a_daemon_commands_exit_3_with_one_line(call: Call, arguments: list[str]) -> None:
    code, out, err = call(*arguments)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "no daemon is running" in err


def test_a_home_that_has_not_joined_is_told_to(home: Home, call: Call) -> None:
    home.identity.unlink()
    code, _, err = call("status")
    assert (code, err.count("\n")) == (3, 1)
    assert "shoal join" in err
    code, _, err = call("start")
    assert (code, err.count("\n")) == (1, 1)
    assert "shoal join" in err


def test_a_second_join_exits_1_before_it_asks_for_anything(call: Call) -> None:
    code, out, err = call("join")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "already" in err


@pytest.mark.parametrize("code", ["shoal-join-abc", "nonsense", ""])
def test_a_code_with_a_slip_exits_1_and_leaves_no_home(home: Home, call: Call, tmp_path: Path, code: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    status_, out, err = call("--home", str(elsewhere), "join", code)
    assert (status_, out, err.count("\n")) == (1, "", 1)
    assert not elsewhere.exists()


def test_a_device_name_that_none_may_have_is_wrong_usage(call: Call) -> None:
    assert call("join", "x", "--device", "a/b")[0] == 2


def test_an_error_that_nobody_foresaw_is_one_line_and_a_traceback_in_the_log(
    home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def broken() -> None:
        raise RuntimeError("a bug\nof two lines")

    group = click.Group("shoal", commands=[broken], params=[click.Option(["--home"])])
    monkeypatch.setattr(sys, "argv", ["shoal", "--home", str(home.path), "broken"])
    with pytest.raises(SystemExit) as ended:
        run(group, "shoal")
    out, err = capfd.readouterr()
    log = home.log / "commands.log"
    assert (ended.value.code, out) == (1, "")
    assert err == f"shoal: unexpected: RuntimeError: a bug\\nof two lines (details in {log})\n"
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_control_characters_in_an_answer_never_reach_the_terminal(home: Home, call: Call) -> None:
    with open_control_server(home, answers(m.Failure(message="no \x1b[31mred\r\n line"))):
        _, _, err = call("status")
    assert err == "shoal: no \\x1b[31mred\\r\\n line\n"
