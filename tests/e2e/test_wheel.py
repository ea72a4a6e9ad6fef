"""The package as it is given to others: built, installed into an environment of its own, used where names mislead."""

import contextlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.common.devices import Said
from tests.common.processes import Program

ROOT = Path(__file__).parents[2]
PACKAGES = {"coordinator", "peer", "protocol", "chunking", "crypto", "simulations"}
DEADLINE_S = 300.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    _run([sys.executable, "-P", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)])
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are, in an environment that has what is locked for use and the wheel, and nothing else."""
    environment = tmp_path_factory.mktemp("environment")
    _run([sys.executable, "-P", "-m", "venv", str(environment)])
    pip = [str(environment / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")])
    _run([*pip, "--no-deps", "--no-index", str(wheel)])
    return environment / "bin"


@pytest.fixture
def decoys(tmp_path: Path) -> Path:
    """A working directory with packages of our names that end whoever imports them."""
    for name in PACKAGES:
        (tmp_path / "decoys" / name).mkdir(parents=True)
        (tmp_path / "decoys" / name / "__init__.py").write_text("raise SystemExit('a decoy was imported')")
    return tmp_path / "decoys"


def test_the_wheel_has_the_six_packages_with_all_they_need_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    tracked = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.split("/")[0] in PACKAGES} == tracked
    assert any(name.startswith("coordinator/storage/migrations/versions/0001") for name in names)


def test_the_installed_commands_work_where_decoys_lie_around(programs: Path, decoys: Path, tmp_path: Path) -> None:
    data, home, folder = tmp_path / "data", tmp_path / "home", tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("kept in step")

    def said(*args: str) -> Said:
        done = subprocess.run(
            [programs / args[0], *args[1:]], cwd=decoys, env=_environment(), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done
        return Said(done.returncode, done.stdout, done.stderr)

    assert "mount" in said("shoal", "--help").out
    assert "invite" in said("shoal-coordinator", "--help").out
    with _serving(programs, data, decoys):
        code = json.loads(said("shoal-coordinator", "invite", "ana", "--data", str(data), "--json").out)["code"]
        said("shoal", "--home", str(home), "join", code)
        said("shoal", "--home", str(home), "start")
        try:
            said("shoal", "--home", str(home), "add", str(folder))
            said("shoal", "--home", str(home), "wait", "--durable", "--timeout", "50")
            assert said("shoal", "--home", str(home), "cat", str(folder / "file")).out == "kept in step"
        finally:
            said("shoal", "--home", str(home), "stop")


@contextlib.contextmanager
def _serving(programs: Path, data: Path, cwd: Path) -> Iterator[Program]:
    args = [str(programs / "shoal-coordinator"), "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        args, cwd=cwd, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with Program(process, args) as program:
        program.line("listening on ")
        yield program
        assert program.stop() == 0


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SHOAL", "XDG_"))}


def _run(args: list[str]) -> None:
    done = subprocess.run(args, cwd="/", env=_environment(), capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, f"{args}\n{done.stdout}{done.stderr}"
