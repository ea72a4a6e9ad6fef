"""Which names `.shoalignore` files rule out.

Owns the meaning of these files: that of `.gitignore`, see gitignore(5), "PATTERN FORMAT". A file
speaks for its directory and all below it; the last pattern of the deepest file decides; below an
ignored directory everything is ignored. Pure: whoever reads the files hands their text in.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from peer.disk.root import PRIVATE_NAME
from peer.fingerprint import Path

IGNORE_NAME = ".shoalignore"
MAX_IGNORE_BYTES = 1 << 20
"""What is read of one ignore file."""

_CACHED_NAMES = 10_000
_ONLY_DIRECTORIES = re.compile(r"(?<![^/!])\*\*/[ \t]*$")
"""`a/**/`, directories at any depth below `a`, which the library takes for `a/**`."""


@dataclass(frozen=True)
class _Rules:
    """One compiled file: runs of patterns of one kind, the last run first."""

    runs: tuple[tuple[bool, re.Pattern[str]], ...]
    by_name: bool
    """Whether no pattern looks at more than the last name."""


def compile_rules(text: str) -> _Rules | None:
    """Compile the text of an ignore file; None if there is no pattern in it.

    A line that is no valid pattern is passed over, as git does.
    """
    runs: list[tuple[bool, list[str]]] = []
    by_name = True
    for line in text.splitlines():
        try:
            pattern = GitIgnoreSpecPattern(_ONLY_DIRECTORIES.sub("**/*/", line))
        except GitIgnorePatternError:
            continue
        if pattern.include is None or pattern.regex is None:
            continue
        by_name &= "/" not in line.rstrip().removesuffix("/")
        expression = _only_itself(pattern.regex.pattern)
        if not runs or runs[-1][0] is not pattern.include:
            runs.append((pattern.include, []))
        runs[-1][1].append(expression)
    if not runs:
        return None
    compiled = [
        (include, re.compile("|".join(f"(?:{one})" for one in expressions), re.DOTALL))
        for include, expressions in reversed(runs)
    ]
    return _Rules(tuple(compiled), by_name)


def _only_itself(expression: str) -> str:
    """Let a pattern match what it names, and not what lies below that.

    What lies below an ignored directory is never asked about, and a pattern that takes a directory
    back in says nothing about the files there.
    """
    if expression.endswith("/"):
        return expression + "."
    return expression.replace("(?P<ps_d>/)", "/$")


class IgnoreRules:
    """The ignore files of one synced folder. Not for use by two threads at once.

    After `put` changed a file, everything below its directory must be scanned again; what became
    ignored is then reported as such, never as absent.
    """

    def __init__(self) -> None:
        self._files: dict[Path, _Rules] = {}
        self._texts: dict[Path, str] = {}
        self._names: dict[tuple[Path, str, bool], bool] = {}
        self._directories: dict[Path, bool] = {}

    def put(self, directory: Path, text: str | None) -> bool:
        """Set the text of the ignore file in `directory`, None for no file; say if it changed."""
        if self._texts.get(directory) == text:
            return False
        self._names.clear()
        self._directories.clear()
        self._files.pop(directory, None)
        self._texts.pop(directory, None)
        if text is not None:
            self._texts[directory] = text
            rules = compile_rules(text)
            if rules is not None:
                self._files[directory] = rules
        return True

    def forget_below(self, directory: Path) -> None:
        """Drop the ignore files of `directory` and below it, which is gone or was moved."""
        depth = len(directory)
        for known in [known for known in self._texts if known[:depth] == directory]:
            self.put(known, None)

    def known_files(self) -> Sequence[Path]:
        """Return the directories that have an ignore file."""
        return tuple(self._texts)

    def ignores(self, path: Path, is_directory: bool) -> bool:
        """Say whether `path`, or a directory that it lies in, is ruled out; False for the root."""
        if not path:
            return False
        if path[0] == PRIVATE_NAME:
            return True
        if not self._files:
            return False
        parent = path[:-1]
        return self._ignores_directory(parent) or self.ignores_name(parent, path[-1], is_directory)

    def ignores_name(self, directory: Path, name: str, is_directory: bool) -> bool:
        """Say whether a name is ruled out in a directory which itself is not."""
        if not directory and name == PRIVATE_NAME:
            return True
        files = self._files
        if not files:
            return False
        for depth in range(len(directory), -1, -1):
            at = directory[:depth]
            rules = files.get(at)
            if rules is None:
                continue
            verdict = self._judge(at, rules, directory[depth:], name, is_directory)
            if verdict is not None:
                return verdict
        return False

    def _ignores_directory(self, directory: Path) -> bool:
        if not directory:
            return False
        known = self._directories.get(directory)
        if known is None:
            if len(self._directories) >= _CACHED_NAMES:
                self._directories.clear()
            known = self._directories[directory] = self.ignores(directory, True)
        return known

    def _judge(self, at: Path, rules: _Rules, between: Path, name: str, is_directory: bool) -> bool | None:
        if not rules.by_name:
            return _match(rules, "/".join((*between, name)), is_directory)
        if len(rules.runs) > 1 or not rules.runs[0][0]:
            return _match(rules, name, is_directory)
        key = (at, name, is_directory)
        known = self._names.get(key)
        if known is None:
            if len(self._names) >= _CACHED_NAMES:
                self._names.clear()
            known = self._names[key] = _match(rules, name, is_directory) is True
        return known or None


def _match(rules: _Rules, relative: str, is_directory: bool) -> bool | None:
    text = relative + "/" if is_directory else relative
    for include, expression in rules.runs:
        if expression.search(text):
            return include
    return None
