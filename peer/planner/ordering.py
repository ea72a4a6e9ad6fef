"""Orders what must come before what. Owns layers and cycles of a dependency graph; knows nothing of entries.

A graph is `needs`: for every step, the steps that must be done first. Steps that are needed but are no keys of it are
taken as done.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

Step = TypeVar("Step", bound=Hashable)


def blocked_by(needs: Mapping[Step, Iterable[Step]], never: Iterable[Step]) -> set[Step]:
    """All steps that can never be done because they need, directly or not, one of `never`."""
    blocked = set(never)
    if not blocked:
        return blocked
    waiting: dict[Step, list[Step]] = {}
    for step, needed in needs.items():
        for one in needed:
            waiting.setdefault(one, []).append(step)
    stack = list(blocked)
    while stack:
        for step in waiting.get(stack.pop(), ()):
            if step not in blocked:
                blocked.add(step)
                stack.append(step)
    return blocked


def layers(needs: Mapping[Step, Iterable[Step]]) -> tuple[list[list[Step]], set[Step]]:
    """The steps in layers, each needing only earlier ones, and those that are on a cycle or behind one.

    Within a layer the order is that of `needs`.
    """
    counts: dict[Step, int] = {}
    waiting: dict[Step, list[Step]] = {}
    ready: list[Step] = []
    for step, needed in needs.items():
        count = 0
        for one in needed:
            if one in needs:
                count += 1
                waiting.setdefault(one, []).append(step)
        if count:
            counts[step] = count
        else:
            ready.append(step)
    if not counts:
        return ([ready] if ready else []), set()
    order = {step: at for at, step in enumerate(needs)}
    found = []
    while ready:
        found.append(ready)
        following = []
        for step in ready:
            for behind in waiting.get(step, ()):
                counts[behind] -= 1
                if not counts[behind]:
                    del counts[behind]
                    following.append(behind)
        following.sort(key=order.__getitem__)
        ready = following
    return found, set(counts)


def cycle_in(needs: Mapping[Step, Iterable[Step]], stuck: set[Step]) -> list[Step]:
    """One cycle among `stuck` steps, each of which needs the next; the first found from the first step in order."""
    step = next(one for one in needs if one in stuck)
    path: dict[Step, int] = {}
    while step not in path:
        path[step] = len(path)
        step = next(one for one in needs[step] if one in stuck)
    return list(path)[path[step] :]


def knots(needs: Mapping[Step, Iterable[Step]], stuck: set[Step]) -> list[list[Step]]:
    """The strongly connected components among `stuck` steps, those that are needed first.

    Tarjan, "Depth-first search and linear graph algorithms" (1972), without recursion.
    """
    index: dict[Step, int] = {}
    low: dict[Step, int] = {}
    stack: list[Step] = []
    on_stack: set[Step] = set()
    found: list[list[Step]] = []
    for root in needs:
        if root not in stuck or root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(needs[root]))]
        while work:
            step, rest = work[-1]
            following = next((one for one in rest if one in stuck and (one not in index or one in on_stack)), None)
            if following is None:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[step])
                if low[step] == index[step]:
                    at = stack.index(step)
                    found.append(stack[at:])
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
            elif following in index:
                low[step] = min(low[step], index[following])
            else:
                index[following] = low[following] = len(index)
                stack.append(following)
                on_stack.add(following)
                work.append((following, iter(needs[following])))
    return found
