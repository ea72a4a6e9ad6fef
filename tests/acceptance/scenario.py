"""The worked example of the documentation, taken from there and run as a newcomer would, from a file, with its page.

The page is looked at as a browser would read it: whole, without anything to load or to run, with all that happened.
"""

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.acceptance.telling import demand, tell
from tests.common.processes import run_program, work_directory

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulation.md"
SHOWN = ("ana-laptop", "ben-phone", "the line of train is cut", "film.mov", "conflicted copy", "both plans for tuesday")
"""What must be there to be read."""
VOID = {"meta", "use", "rect", "line", "circle", "path"}


class _Read(HTMLParser):
    """Text and tags of a page; `unclosed` is empty in the end where it is well formed."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()
        self.unclosed: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href") and (value or "")[:1] != "#"]
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            demand(bool(self.unclosed) and self.unclosed.pop() == tag, f"<{tag}> is closed where it was not opened")

    def handle_data(self, data: str) -> None:
        self.text += data


def run(_arguments: Sequence[str]) -> None:
    """Raises `NotShown`."""
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    demand(len(examples) == 1, f"there are {len(examples)} examples in {DOCUMENT.name}")
    with work_directory() as place:
        story, page = place / "holiday.py", place / "holiday.html"
        story.write_text(examples[0], encoding="utf-8")
        found = [_told(story, page), _told(story, page)]
        text = page.read_text(encoding="utf-8")
    demand(found[0]["trace_hash"] == found[1]["trace_hash"], "a second run took another course")
    demand(found[0]["ok"] is True, f"not as expected: {found[0]['failures']}")
    tell("as expected; in step after, virtual seconds", f"{found[0]['converged_s']:.1f}")
    tell("virtual seconds, real ones", f"{found[0]['virtual_s']:.0f}, {found[0]['wall_s']:.1f}")
    tell("bytes of blocks by the server, by the LAN", f"{found[0]['bytes']['server']:,}, {found[0]['bytes']['lan']:,}")
    tell("versions, conflicted copies", f"{found[0]['versions']}, {found[0]['conflicts']}")
    tell("the trace, twice", found[0]["trace_hash"])
    read = _Read()
    read.feed(text)
    read.close()
    demand(not read.unclosed, f"not closed: {read.unclosed}")
    demand("script" not in read.tags and not read.loaded, f"the page loads or runs something: {read.loaded}")
    missing = [words for words in SHOWN if words not in read.text]
    demand(not missing, f"not on the page: {missing}")
    tell("the page: bytes, things to load, scripts", f"{len(text):,}, 0, 0")


def _told(story: Path, page: Path) -> dict[str, Any]:
    """What the installed command says of it."""
    command = ["shoal-sim", "run", str(story), "--report", str(page), "--json"]
    status, out, err = run_program(command, cwd=story.parent, deadline_s=300)
    demand(status == 0, f"{' '.join(command)} ended with {status}: {err[-2000:]}")
    found: dict[str, Any] = json.loads(out)
    return found
