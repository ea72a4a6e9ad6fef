"""Waiting until devices are in step, by nothing but what their commands say; and what they must not say meanwhile."""

import json
import time
from collections.abc import Sequence
from typing import Any

from tests.acceptance.telling import NotShown, demand
from tests.common.devices import Device
from tests.common.processes import run_program


def status_of(device: Device) -> dict[str, Any]:
    """The device's `status --json`."""
    document: dict[str, Any] = device.run("status", "--json").document
    return document


def settle(devices: Sequence[Device], deadline_s: float = 600.0) -> None:
    """Return once every device has said that it is done, and all have been at the same place of the journal all along.

    A device does not know of what has not reached the coordinator yet, and what has reached it may not be applied when
    its place is asked for: so they are asked in turn until a whole round of answers found all of them at one place that
    they were at before it. Raises `NotShown` if that takes longer than `deadline_s`.
    """
    ends = time.monotonic() + deadline_s
    before: set[tuple[str, int]] = set()
    while True:
        for device in devices:
            left_s = max(1.0, ends - time.monotonic())
            args = ["shoal", "--home", str(device.home), "wait", "--durable", "--timeout", f"{left_s:.0f}"]
            code, out, err = run_program(args, deadline_s=left_s + 30)
            demand(code == 0, f"`shoal wait` on {device.name} ended with {code}: {out}{err}{_problems(device)}")
        places = set()
        for device in devices:
            for each in status_of(device)["workspaces"]:
                places |= {(each["id"], each["cursor"]), (each["id"], each["head"])}
        if len(places) == 1 and places == before:
            return
        before = places
        if time.monotonic() > ends:
            raise NotShown(f"the devices were not in step after {deadline_s:.0f} s: {places}")


def demand_peace(devices: Sequence[Device], deadline_s: float = 60.0) -> None:
    """No device reports a problem or a conflicted copy, and all come to rest."""
    ends = time.monotonic() + deadline_s
    for device in devices:
        while any(each["state"] == "syncing" for each in status_of(device)["workspaces"]) and time.monotonic() < ends:
            pass
        for each in status_of(device)["workspaces"]:
            demand(not each["problems"], f"{device.name} has problems: {json.dumps(each['problems'][:5])}")
            demand(each["state"] == "up_to_date", f"{device.name} is {each['state']} at rest")
            demand(not any(each["pending"].values()), f"{device.name} still has work: {each['pending']}")
        conflicts = device.must("conflicts", "--json").document["conflicts"]
        demand(not conflicts, f"{device.name} lists conflicted copies: {conflicts[:5]}")


def _problems(device: Device) -> str:
    return "".join(f"\n  {each['state']} {each['problems'][:10]}" for each in status_of(device)["workspaces"])
