"""The real network. Implements the `Network` port with trio's sockets; never speaks a protocol."""

import trio
from trio.abc import Stream


class TrioNetwork:
    """TCP by the operating system."""

    async def connect(self, host: str, port: int) -> Stream:
        """Connect to the first of the host's addresses that answers (RFC 8305, "happy eyeballs")."""
        try:
            return await trio.open_tcp_stream(host, port)
        except OSError:
            raise
        except UnicodeError as error:  # a host name that no resolver could be asked for
            raise OSError(f"not a host name: {error}") from error
