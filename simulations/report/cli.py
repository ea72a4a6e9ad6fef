"""What commands that run a world have in common. Owns the options for a page and for JSON, and writing the page."""

from pathlib import Path

import click

from simulations.report.model import Report
from simulations.report.page import render

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
report_option = click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Make a page of what happened, a single HTML file to open in a browser.",
)


def write_report(path: Path | None, report: Report) -> None:
    """Write the page, where one is asked for."""
    if path is None:
        return
    try:
        path.write_text(render(report), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"the page cannot be written to {path}: {error.strerror}") from None
