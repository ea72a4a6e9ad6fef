"""What the README promises newcomers: a fresh clone, an empty cache, `make demo`, then `make test`, and no more typed.

Clones what is committed here, and runs both in the clone with an environment that knows nothing of this one.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.telling import demand, tell

ROOT = Path(__file__).parents[2]
DEADLINE_S = 1800.0
KEPT = ("PIP_", "PYENV_ROOT", "SSL_", "LANG", "LC_")
"""What a machine needs to be told for reaching the package registry, and its language."""


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="only the unit tests")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="shoal-fresh-") as directory:
        place = Path(directory)
        place.chmod(0o755)  # where the tests run as root, the programs under test run as somebody else
        environment = {
            **{name: value for name, value in os.environ.items() if name.startswith(KEPT)},
            "PATH": _path_without_ours(),
            "HOME": str(place / "home"),
            "PIP_CACHE_DIR": str(place / "cache"),
        }
        (place / "home").mkdir()
        # The clone may belong to somebody else than who runs this.
        (place / "home" / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
        clone = place / "shoal"
        _run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], place, environment)
        said, took_s = _run(["make", "demo", "ARGS=--script"], clone, environment)
        tell("make demo ARGS=--script, its environment included", f"{took_s:.0f} s")
        print(*said.splitlines()[-12:], sep="\n")
        tests = "ARGS=-q tests/unit" if options.quick else "ARGS=-q"
        said, took_s = _run(["make", "test", tests], clone, environment)
        counts = re.search(r"\d+ passed.*", said)
        demand(counts is not None, f"no closing line of the tests:\n{said[-2000:]}")
        assert counts is not None
        demand("skipped" not in counts.group(), f"skipped tests: {counts.group()}")
        tell("make test", f"{took_s:.0f} s; {counts.group()}")
        left = subprocess.run(["git", "status", "--short"], cwd=clone, env=environment, capture_output=True, text=True)
        demand(not left.stdout, f"the clone is not as it was: {left.stdout}")


def _path_without_ours() -> str:
    ours = str(Path(sys.executable).parent)
    return os.pathsep.join(each for each in os.environ["PATH"].split(os.pathsep) if each != ours)


def _run(args: list[str], cwd: Path, environment: dict[str, str]) -> tuple[str, float]:
    started = time.monotonic()
    done = subprocess.run(
        args,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
    )
    demand(done.returncode == 0, f"{' '.join(args)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout, time.monotonic() - started
