"""Memory does not depend on how large a file is."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_gibibyte_passes_both_ways_in_flat_memory(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-P", "-m", "tests.sessions.pipeline_memory", str(tmp_path), "1024"],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    before, _, highest = map(int, child.stdout.split())
    assert highest - before <= 64
    assert highest <= 150
