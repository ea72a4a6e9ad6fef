"""`shoal-coordinator serve`. Owns its flags, its one line of output, and how it ends."""

import logging
import signal
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from coordinator import logs
from coordinator.machine import bound_memory
from coordinator.settings import (
    DEFAULT_LISTEN,
    BadSettings,
    Listen,
    Settings,
    default_data,
    make_settings,
    read_config,
)

_STOPPED_S = 9.0
"""After a signal, whatever still runs then is cut."""


def _apply_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        document = read_config(path)
    except BadSettings as error:
        raise click.UsageError(str(error)) from None
    values: dict[str, Any] = {name.replace("-", "_"): value for name, value in document.items()}
    urls = values.get("public_url", [])
    values["public_url"] = [urls] if isinstance(urls, str) else urls
    context.default_map = {**(context.default_map or {}), **values}


@click.command(
    epilog="Example: shoal-coordinator serve --listen 0.0.0.0:8440 --public-url https://shoal.example.org:8440",
    context_settings={"auto_envvar_prefix": "SHOAL_COORDINATOR"},
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Where everything is kept.  [default: {default_data()}]",
)
@click.option("--listen", metavar="HOST:PORT", default=DEFAULT_LISTEN, show_default=True, help="Port 0: any free one.")
@click.option("--blocks", metavar="URL", help="Where blocks go: file:///DIR.  [default: below --data]")
@click.option("--tls-cert", type=click.Path(path_type=Path, dir_okay=False), help="Certificate chain (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path, dir_okay=False), help="Its key (PEM).")
@click.option("--no-tls", is_flag=True, help="Plain HTTP, for behind a proxy that does TLS.")
@click.option("--public-url", metavar="URL", multiple=True, help="Where devices reach this; may repeat.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_apply_config,
    help="TOML file with these flags as keys (without the dashes before them).",
)
def serve(
    data: Path | None,
    listen: str,
    blocks: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    no_tls: bool,
    public_url: tuple[str, ...],
) -> None:
    """Run the coordinator until SIGTERM or SIGINT.

    Prints `listening on URL` once it is ready; logs go to standard error.
    """
    try:
        settings = make_settings(
            data=data,
            listen=listen,
            blocks=blocks,
            tls_cert=tls_cert,
            tls_key=tls_key,
            no_tls=no_tls,
            public_urls=public_url,
        )
    except BadSettings as error:
        raise click.UsageError(str(error)) from None
    logs.configure()
    bound_memory()
    failure = trio.run(_run, settings)
    if failure is not None:
        raise click.ClickException(failure)


async def _run(settings: Settings) -> str | None:
    from coordinator import app  # `--help` does not wait for the server's libraries

    stop = trio.Event()
    failure: str | None = None
    with trio.CancelScope() as everything:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(_watch_signals, stop, everything))
            await nursery.start(_tell_tasks)
            try:
                await app.run(settings, stop=stop, ready=lambda url: click.echo(f"listening on {url}"))
            except* app.EXPECTED as errors:
                failure = f"cannot serve at {listen_text(settings.listen)}: {'; '.join(_lines(errors))}"
            nursery.cancel_scope.cancel()
    return failure


async def _watch_signals(
    stop: trio.Event, everything: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                logging.getLogger("coordinator").warning("asked to stop again: stopping at once")
                everything.cancel()
            stop.set()
            everything.deadline = trio.current_time() + _STOPPED_S


async def _tell_tasks(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """At each SIGUSR1 say how many tasks there are: what grows for ever shows there first."""
    with trio.open_signal_receiver(signal.SIGUSR1) as signals:
        task_status.started()
        async for _ in signals:
            click.echo(f"tasks {trio.lowlevel.current_statistics().tasks_living}", err=True)


def listen_text(listen: Listen) -> str:
    """An address as `--listen` takes it."""
    return f"[{listen.host}]:{listen.port}" if ":" in listen.host else f"{listen.host}:{listen.port}"


def _lines(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [line for each in error.exceptions for line in _lines(each)]
    if isinstance(error, OSError) and error.strerror:
        return [f"{error.filename}: {error.strerror}" if error.filename else error.strerror]
    return [str(error)]
