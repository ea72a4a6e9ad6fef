"""What holds for the whole checkout: what may not be in its files, and how they are kept."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("coordinator", "peer", "protocol", "chunking", "crypto", "simulations")
LINES = 520
"""About 400 is what we want; this is where it stops."""
VAGUE = {"utils", "util", "helper", "helpers", "manager", "managers", "misc", "common"}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


FILES = tracked()
MODULES = [path for path in FILES if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_names_a_package_registry_or_a_place_on_somebodys_machine() -> None:
    # Put together here, so that this file does not contain what it looks for.
    hosts = "|".join(["pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.(org|com)"])
    places = "|".join(["/" + "work/", "/" + "root/", "/" + "opt/", "shared" + "/design"])
    unwanted = re.compile(f"{hosts}|{places}", re.IGNORECASE)
    found = [
        f"{shown(path)}: {match.group()}"
        for path in FILES
        if (match := unwanted.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert not found


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_what_is_locked_has_a_hash_and_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(blocks) > 10
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    assert "--index" not in text
    assert "--extra-index" not in text
    assert "--find-links" not in text
    assert "://" not in text


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, wanted in (
        ("requirements.lock", project["dependencies"]),
        ("requirements-dev.lock", project["dependencies"] + project["optional-dependencies"]["dev"]),
    ):
        locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / name).read_text(), re.MULTILINE))
        assert {re.split(r"[<>=!~ \[]", each)[0].lower() for each in wanted} <= locked


def test_what_is_used_is_locked_in_one_version() -> None:
    pattern = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
    used = dict(pattern.findall((ROOT / "requirements.lock").read_text()))
    developed = dict(pattern.findall((ROOT / "requirements-dev.lock").read_text()))
    assert used.items() <= developed.items()


def test_every_module_says_what_it_owns() -> None:
    silent = [
        shown(path)
        for path in MODULES
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_bytes()))
    ]
    assert not silent


def test_no_module_is_longer_than_one_idea() -> None:
    long = {shown(path): lines for path in MODULES if (lines := path.read_bytes().count(b"\n")) > LINES}
    assert not long


def test_no_module_has_a_name_for_anything_at_all() -> None:
    assert not [shown(path) for path in MODULES if VAGUE & {path.stem, *path.relative_to(ROOT).parts[:-1]}]


def test_the_readme_and_the_documents_link_to_what_is_there() -> None:
    dead = [
        f"{shown(path)}: {target}"
        for path in FILES
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert not dead


def test_every_make_target_that_the_readme_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text()))
    assert named <= targets
    assert {"demo", "test", "check", "show", "bench", "lock", "wheel"} <= targets
