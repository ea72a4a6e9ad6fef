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

from tests.properties.planner import one_device, several_devices
from tests.properties.planner.tape import Tape, shrink

Check = Callable[[Tape, Counter[str]], None]


def check_of(number: int) -> Check:
    """One case in eight has several devices."""
    return several_devices.check if number % 8 == 7 else one_device.check


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


def run(cases: int, seed: int, counts: Counter[str], only: int | None = None) -> bool:
    """Run cases, count the properties that held; False at the first failure, which is reported."""
    for number in range(cases) if only is None else [only]:
        check = check_of(number)
        tape = Tape.of_seed(f"{seed}/{number}")
        try:
            check(tape, counts)
        except Exception:  # noqa: BLE001 - reported with its seed
            report(check, f"--seed {seed} --only {number}", tape.data)
            return False
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--tape")
    parser.add_argument("--devices", action="store_true", help="--tape is a case of several devices")
    options = parser.parse_args(arguments)
    if options.tape is not None:
        check = several_devices.check if options.devices else one_device.check
        tape = bytes.fromhex(options.tape)
        if failure_of(check, Tape(tape)) is not None:
            report(check, "tape", tape)
            return 1
        return 0
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    if not run(options.cases, options.seed, counts, options.only):
        return 1
    took = time.perf_counter() - started
    print(f"seed {options.seed}: {options.cases} cases in {took:.1f} s, {options.cases / took:.0f} a second")
    for name in sorted(counts, key=lambda one: int(one[1:])):
        print(f"  {name}: {counts[name]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
