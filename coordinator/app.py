"""The coordinator put together: the only module that names concrete storage. Owns the order of start and stop."""

import fcntl
import gc
import logging
import os
import resource
import sqlite3
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio
from sqlalchemy.exc import DBAPIError

from coordinator import reach
from coordinator.connection import Application
from coordinator.identity import IDENTITY_FILE, BadIdentity, CoordinatorIdentity, open_identity
from coordinator.machine import DirectoryFiles, MachineClock, MachineEntropy, ThreadOffload
from coordinator.ports import (
    BlockStore,
    Clock,
    Entropy,
    Files,
    Identity,
    MetadataStore,
    Offload,
    StorageUnavailable,
)
from coordinator.service.belonging import MARK_FILE, BlocksGone, check_blocks
from coordinator.service.context import Context
from coordinator.service.continuity import Continuity, open_continuity
from coordinator.service.offers import look_forever
from coordinator.service.tokens import Tokens
from coordinator.serving import open_tcp_listeners, serve
from coordinator.settings import Settings
from coordinator.storage.metadata_sql import METADATA_FILE, open_metadata
from coordinator.storage.segments import open_segments
from coordinator.tls import BadCertificate, TlsListener, given_context, own_context
from coordinator.web.api import make_api
from coordinator.web.blocks import BlockStreams
from coordinator.web.door import Door
from coordinator.web.limits import RequestLimits
from coordinator.web.notify import Hub
from crypto.journal_chain import JournalHashes

logger = logging.getLogger("coordinator.app")

LOCK_FILE: Final = "serve.lock"
_FILES_BESIDE_CONNECTIONS: Final = 256


class AlreadyServed(Exception):
    """Another process serves this data directory. The text names it."""


EXPECTED: Final = (
    AlreadyServed,
    BlocksGone,
    BadIdentity,
    BadCertificate,
    StorageUnavailable,
    DBAPIError,
    sqlite3.Error,
    OSError,
)
"""What may be wrong with a host's set-up; anything else is a bug."""


@dataclass(frozen=True)
class Coordinator:
    """One process's application and what it stands on. `stop` closes sockets and polls; requests go on."""

    application: Application
    context: Context
    hub: Hub

    def stop(self) -> None:
        """Begin to stop."""
        self.hub.stop()


@asynccontextmanager
async def open_coordinator(
    *,
    metadata: MetadataStore,
    store: BlockStore,
    offload: Offload,
    clock: Clock,
    entropy: Entropy,
    identity: Identity,
    continuity: Continuity,
    addresses: Callable[[], tuple[str, ...]],
    bounds: RequestLimits,
) -> AsyncGenerator[Coordinator, None]:
    """The application over any ports, real or simulated."""
    hub = Hub()
    context = Context(
        metadata=metadata,
        notifier=hub,
        clock=clock,
        entropy=entropy,
        identity=identity,
        hashes=JournalHashes(),
        addresses=addresses,
        tokens=Tokens(entropy.bytes(32)),
        continuity=continuity,
    )
    streams = BlockStreams(context, store, offload, bounds)
    api: Any = make_api(context, hub, streams)
    door = Door(context, api, streams, bounds)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.sweep_forever, context)
        nursery.start_soon(look_forever, context)
        yield Coordinator(door, context, hub)
        nursery.cancel_scope.cancel()


async def run(settings: Settings, *, stop: trio.Event, ready: Callable[[str], None]) -> None:
    """Serve until `stop` is set. `ready` is called with the URL once connections are accepted.

    Raises `AlreadyServed`, `BadIdentity`, `BadCertificate`, `OSError`, each with a text for the host.
    """
    _raise_file_limit(settings)
    clock, entropy, files = MachineClock(), MachineEntropy(), DirectoryFiles()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.blocks.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = settings.data / METADATA_FILE
    with _lock(settings.data):
        identity = open_identity(settings.data, entropy)
        tls = _tls(settings, files, identity)
        cores, disk, readers = ThreadOffload(os.cpu_count() or 1), ThreadOffload(1), ThreadOffload(8)
        async with (
            open_metadata(database, writer=ThreadOffload(1), readers=ThreadOffload(4)) as metadata,
            _open_blocks(metadata, settings.blocks, files, entropy, writer=disk, readers=readers) as store,
            open_coordinator(
                metadata=metadata,
                store=store,
                offload=cores,
                clock=clock,
                entropy=entropy,
                identity=identity,
                continuity=await open_continuity(
                    metadata, files, clock, entropy, database=database, identity=settings.data / IDENTITY_FILE
                ),
                addresses=lambda: tuple(reach.addresses(settings.data)),
                bounds=settings.requests,
            ) as coordinator,
        ):
            listen = settings.listen
            tcp = await open_tcp_listeners(listen.host, listen.port, settings.serving.backlog)
            port: int = tcp[0].socket.getsockname()[1]
            scheme = "https" if tls else "http"
            reach.record(
                settings.data, files, scheme=scheme, host=listen.host, port=port, public_urls=settings.public_urls
            )
            await _serve(
                coordinator, settings, _listeners(tcp, tls), stop, lambda: ready(reach.url(scheme, listen.host, port))
            )


@asynccontextmanager
async def _open_blocks(
    metadata: MetadataStore, directory: Path, files: Files, entropy: Entropy, *, writer: Offload, readers: Offload
) -> AsyncGenerator[BlockStore, None]:
    await check_blocks(metadata, files, entropy, directory)
    async with open_segments(directory, writer=writer, readers=readers, mark=MARK_FILE) as store:
        yield store


async def _serve(
    coordinator: Coordinator,
    settings: Settings,
    listeners: Sequence[trio.abc.Listener[Any]],
    stop: trio.Event,
    ready: Callable[[], None],
) -> None:
    async with trio.open_nursery() as nursery:

        async def run_server(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            await serve(coordinator.application, listeners, stop=stop, limits=settings.serving, task_status=task_status)

        await nursery.start(run_server)
        _tune_collector()
        ready()
        await stop.wait()
        logger.info("stopping")
        coordinator.stop()


def _listeners(tcp: Sequence[trio.SocketListener], tls: ssl.SSLContext | None) -> list[trio.abc.Listener[Any]]:
    if tls is None:
        return list(tcp)
    return [TlsListener(each, tls) for each in tcp]


def _tls(settings: Settings, files: DirectoryFiles, identity: CoordinatorIdentity) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    given = settings.certificate
    return given_context(given.certificate, given.key) if given else own_context(settings.data, files, identity)


class _lock:  # reads as a function
    """Holds the data directory for this process; the kernel lets go of it when the process ends, however it does."""

    def __init__(self, data: Path) -> None:
        self._path = data / LOCK_FILE
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise AlreadyServed(
                f"{self._path.parent} is already served by process {holder}; stop that one first"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _raise_file_limit(settings: Settings) -> None:
    """As many open files as the bound on connections wants, where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.serving.connections + _FILES_BESIDE_CONNECTIONS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _tune_collector() -> None:
    """Everything made so far lives on; thousands of sockets are not looked through for garbage all the time.

    So garbage in cycles stays for long: nothing large may hang on a cycle (`connection` unties its own).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
