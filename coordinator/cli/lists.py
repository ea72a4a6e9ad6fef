"""`shoal-coordinator users`, `devices` and `workspaces`: what there is. They read, and change nothing."""

from pathlib import Path

import click

from coordinator.cli.data import data_option, json_option, with_metadata
from coordinator.cli.output import print_json, print_table, size_text, time_text
from coordinator.service import admin


@click.command(epilog="Example: shoal-coordinator users --json")
@data_option
@json_option
def users(data: Path, as_json: bool) -> None:
    """List the people who have joined."""
    rows = with_metadata(data, admin.users)
    if as_json:
        keys = ("name", "id", "admin", "devices", "since")
        values = [(row.name, row.user.hex(), row.admin, row.devices, time_text(row.created)) for row in rows]
        print_json({"users": [dict(zip(keys, each, strict=True)) for each in values]})
        return
    print_table(
        ("NAME", "DEVICES", "SINCE", ""),
        [(row.name, str(row.devices), time_text(row.created) or "", "admin" if row.admin else "") for row in rows],
    )


@click.command(epilog="Example: shoal-coordinator devices --json")
@data_option
@json_option
def devices(data: Path, as_json: bool) -> None:
    """List everybody's devices and when they last signed in."""
    rows = with_metadata(data, admin.devices)
    if as_json:
        keys = ("name", "user", "id", "state", "last_seen")
        values = [(row.name, row.user_name, row.device.hex(), _state(row), time_text(row.last_seen)) for row in rows]
        print_json({"devices": [dict(zip(keys, each, strict=True)) for each in values]})
        return
    print_table(
        ("USER", "DEVICE", "STATE", "LAST SEEN", "ID"),
        [(row.user_name, row.name, _state(row), time_text(row.last_seen) or "never", row.device.hex()) for row in rows],
    )


def _state(row: admin.DeviceRow) -> str:
    return "active" if row.active else "revoked"


@click.command(epilog="Example: shoal-coordinator workspaces --json")
@data_option
@json_option
def workspaces(data: Path, as_json: bool) -> None:
    """List the workspaces. Their names are sealed: the host sees owners, counts and sizes."""
    rows = with_metadata(data, admin.workspaces)
    if as_json:
        keys = ("id", "owner", "members", "head", "entries", "bytes")
        values = [
            (row.workspace.hex(), row.owner, row.members, row.head_seq, row.entries, row.stored_bytes) for row in rows
        ]
        print_json({"workspaces": [dict(zip(keys, each, strict=True)) for each in values]})
        return
    print_table(
        ("OWNER", "MEMBERS", "COMMITS", "ENTRIES", "SIZE", "ID"),
        [
            (
                row.owner,
                str(row.members),
                str(row.head_seq),
                str(row.entries),
                size_text(row.stored_bytes),
                row.workspace.hex(),
            )
            for row in rows
        ],
    )
