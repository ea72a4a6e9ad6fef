"""A known mistake, and how it gets into the running program and out again. Owns the rewriting of a function's code.

Nothing on the disk changes. A function keeps its identity and gets other code, so that whoever imported it has the
mistake too. A mistake that cannot be put in, since its place is not there any more, is an error and never passed over.
"""

import importlib
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, Final

from simulations.mutants.finders import Finder

_MARK: Final = "mutated"
"""What the code of a mistake calls where it takes effect; returns True."""


class NoSuchPlace(LookupError):
    """The program has no such function, or other words in it."""


@dataclass(frozen=True)
class Change:
    """Some words in a function of the program, and what stands there instead.

    `target` is `package.module:function` or `package.module:Class.method`; `old` occurs in it once. `new` calls
    `mutated()` where the mistake takes effect.
    """

    target: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One mistake. `disaster`: what would become of it in real life; `promise`: which one it breaks."""

    name: str
    disaster: str
    promise: str
    finder: Finder
    changes: tuple[Change, ...]


@dataclass
class Reached:
    """How often the mistake took effect."""

    times: int = 0

    def note(self) -> bool:
        """It does so now. Always true."""
        self.times += 1
        return True


@contextmanager
def introduced(changes: Sequence[Change]) -> Iterator[Reached]:
    """Have the program make this mistake for the length of the body. Raises `NoSuchPlace`."""
    reached = Reached()
    by_target: dict[str, list[Change]] = {}
    for change in changes:
        by_target.setdefault(change.target, []).append(change)
    with ExitStack() as undoing:
        for target, its in by_target.items():
            function = find_function(target)
            code = _rewritten(function, its)
            undoing.callback(setattr, function, "__code__", function.__code__)
            function.__code__ = code
            function.__globals__[_MARK] = reached.note
            undoing.callback(function.__globals__.pop, _MARK, None)
        yield reached


def find_function(target: str) -> FunctionType:
    """The function of that name in the program. Raises `NoSuchPlace`."""
    module, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = inspect.getattr_static(found, name)
    except (ImportError, AttributeError) as error:
        raise NoSuchPlace(f"{target}: {error}") from None
    if isinstance(found, property):
        found = found.fget
    found = inspect.unwrap(getattr(found, "__func__", found))
    if not isinstance(found, FunctionType):
        raise NoSuchPlace(f"{target} is no function")
    return found


def _rewritten(function: FunctionType, changes: Sequence[Change]) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    for change in changes:
        count = source.count(change.old)
        if count != 1:
            raise NoSuchPlace(f"{change.target} has {change.old!r} {count} times: the mistake has to be put otherwise")
        source = source.replace(change.old, change.new)
    whole = compile(source, f"<{changes[0].target} with a mistake>", "exec", dont_inherit=True)
    (code,) = [each for each in whole.co_consts if isinstance(each, CodeType) and each.co_name == function.__name__]
    if code.co_freevars != function.__code__.co_freevars:
        raise NoSuchPlace(f"{changes[0].target} is a closure")
    return code
