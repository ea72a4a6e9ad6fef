"""What has moved. Owns the counts that `status` shows; never decides anything by them."""

from dataclasses import dataclass


@dataclass(slots=True)
class TransferCounters:
    """Block bytes on the wire since the daemon started, by route and direction."""

    lan_in: int = 0
    lan_out: int = 0
    server_in: int = 0
    server_out: int = 0


@dataclass(slots=True)
class Progress:
    """How far one run is. Totals grow as work is found; bytes are of plaintext, each counted when it is done with."""

    files_total: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
