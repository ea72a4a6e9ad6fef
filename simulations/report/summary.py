"""What came of a run, in a few lines for a terminal and as one document for programs. Pure."""

from collections.abc import Iterator

from simulations.report.model import Lane, Report
from simulations.report.scale import bytes_shown, lasted

MOST_DEVICES: int = 12
"""Of so many devices it is said what each waited for; of more, only of those that waited longest."""
_SHORT_S = 0.1


def told(report: Report) -> Iterator[str]:
    """The lines."""
    for failure in report.failures:
        yield f"FAILED: {failure}"
    if report.ok:
        yield "as expected"
    waits = ", ".join(lasted(one.after_s) for one in report.in_step[:8])
    more = ", …" if len(report.in_step) > 8 else ""
    yield f"{'in step after':18}{waits + more if waits else 'never'}"
    wire = sum(one.up + one.down for one in report.sites) // 2
    lan = sum(one.lan for one in report.sites)
    yield f"{'by the server':18}{bytes_shown(report.server_bytes)} of blocks; {bytes_shown(wire)} in all on the lines"
    yield f"{'by the LAN':18}{bytes_shown(report.lan_bytes)} of blocks; {bytes_shown(lan)} in all"
    yield f"{'versions':18}{report.versions:,}"
    yield f"{'conflicted copies':18}{report.conflicts:,}"
    yield from _waits(report)
    yield f"{'it took':18}{report.virtual_s:,.0f} virtual seconds, in {report.real_s:.1f} real ones"


def _waits(report: Report) -> Iterator[str]:
    devices = sorted((lane for lane in report.lanes if not lane.is_coordinator), key=lambda lane: -_waited_s(lane))
    shown = devices if len(devices) <= MOST_DEVICES else devices[:MOST_DEVICES]
    if not shown:
        return
    width = min(30, max(len(lane.name) for lane in shown))
    yield "what each device waited for"
    for lane in sorted(shown, key=report.lanes.index):
        reasons = [
            f"{one.what} {lasted(one.lasted_s)}"
            for one in lane.waits
            if one.kind != "up_to_date" and one.lasted_s >= _SHORT_S
        ]
        yield f"  {lane.name:{width}}  {', '.join(reasons[:4]) or 'nothing'}"
    if len(devices) > len(shown):
        yield f"  and {len(devices) - len(shown)} more, which waited less"


def _waited_s(lane: Lane) -> float:
    return sum(one.lasted_s for one in lane.waits if one.kind not in ("up_to_date", "off"))


def document(report: Report) -> dict[str, object]:
    """What `run --json` prints. `converged_s` is null where nothing waited for it, or it never came."""
    return {
        "scenario": report.title,
        "seed": report.seed,
        "trace_hash": report.digest,
        "ok": report.ok,
        "virtual_s": report.virtual_s,
        "wall_s": report.real_s,
        "converged_s": report.converged_s,
        "bytes": {"lan": report.lan_bytes, "server": report.server_bytes},
        "lines": {one.name: {"up": one.up, "down": one.down, "lan": one.lan} for one in report.sites},
        "versions": report.versions,
        "conflicts": report.conflicts,
        "failures": list(report.failures),
        "expected": [{"what": one.what, "holds": one.holds} for one in report.expectations],
        "devices": [
            {
                "name": lane.name,
                "blocks": {
                    "server_out": lane.blocks.server_up,
                    "server_in": lane.blocks.server_down,
                    "lan_out": lane.blocks.lan_up,
                    "lan_in": lane.blocks.lan_down,
                },
                "spent_s": {one.what: round(one.lasted_s, 3) for one in lane.waits},
            }
            for lane in report.lanes
            if not lane.is_coordinator
        ],
    }
