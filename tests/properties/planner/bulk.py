"""Many generated cases, fast: `python -P -m tests.properties.planner.bulk --cases 100000 --seed 1`.

A failing case is told by its seed, and run alone by `--seed S --only N`; it is then made smaller and its tape printed,
which `--tape HEX` runs.
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable

from tests.properties.planner import one_device
from tests.properties.planner.tape import Tape, shrink

Check = Callable[[Tape, Counter[str]], None]


def check_of(number: int) -> Check:
    return one_device.check


def failure_of(check: Check, tape: Tape) -> BaseException | None:
    try:
        check(tape, Counter())
    except Exception as error:  # noqa: BLE001 - whatever a case raises is its failure
        return error
    return None


def report(check: Check, name: str, data: bytes) -> None:
    error = failure_of(check, Tape(data))
    assert error is not None
    kind, start = type(error), str(error)[:3]
    small = shrink(
        data, lambda tape: (e := failure_of(check, Tape(tape))) is not None and type(e) is kind and str(e)[:3] == start
    )
    print(f"FAILED {name}; smaller: --tape {small.hex()}")
    last = failure_of(check, Tape(small))
    assert last is not None
    traceback.print_exception(last)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--tape")
    parser.add_argument("--kind", type=int, default=0, help="which check --tape is for")
    options = parser.parse_args(arguments)
    if options.tape is not None:
        report(check_of(options.kind), "tape", bytes.fromhex(options.tape))
        return 1
    numbers = range(options.cases) if options.only is None else [options.only]
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    for number in numbers:
        check = check_of(number)
        tape = Tape.of_seed(f"{options.seed}/{number}")
        try:
            check(tape, counts)
        except Exception:  # noqa: BLE001 - reported with its seed
            report(check, f"--seed {options.seed} --only {number}", tape.data)
            return 1
    took = time.perf_counter() - started
    print(f"seed {options.seed}: {len(numbers)} cases in {took:.1f} s, {len(numbers) / took:.0f} a second")
    for name in sorted(counts, key=lambda one: int(one[1:])):
        print(f"  {name}: {counts[name]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
