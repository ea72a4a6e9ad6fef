"""Under which URLs devices reach this coordinator. Owns the note that `serve` leaves for `invite` beside the data.

Never a wildcard: where nothing else is said, every address of the machine is listed.
"""

import fcntl
import ipaddress
import json
import socket
import struct
from pathlib import Path
from typing import Final

from coordinator.ports import Files
from protocol import limits

DEFAULT_PORT: Final = 8440
_NOTE: Final = "reach.json"
_SIOCGIFADDR: Final = 0x8915
_INET6: Final = Path("/proc/net/if_inet6")


def record(data: Path, files: Files, *, scheme: str, host: str, port: int, public_urls: tuple[str, ...]) -> None:
    """Note where `serve` listens: `host` as bound, `port` as chosen. Replaces the last note durably."""
    note = {"scheme": scheme, "host": host, "port": port, "public_urls": list(public_urls)}
    if files.read(data / _NOTE) != (content := json.dumps(note).encode()):
        files.write(data / _NOTE, content)


def addresses(data: Path) -> list[str]:
    """URLs in the order to try. Before the first `serve`, what its defaults would give."""
    try:
        note = json.loads((data / _NOTE).read_bytes())
    except (FileNotFoundError, ValueError):
        note = {}
    public = [str(url) for url in note.get("public_urls", [])]
    if public:
        return public[: limits.ADDRESSES]
    scheme, host, port = note.get("scheme", "https"), note.get("host", "::"), note.get("port", DEFAULT_PORT)
    return [url(scheme, each, port) for each in _hosts(host)][: limits.ADDRESSES]


def url(scheme: str, host: str, port: int) -> str:
    """A URL without a path; IPv6 addresses in brackets."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _hosts(bound: str) -> list[str]:
    try:
        address = ipaddress.ip_address(bound)
    except ValueError:
        return [bound] if bound else machine_addresses()
    if not address.is_unspecified:
        return [bound]
    found = machine_addresses()
    return found if address.version == 6 else [each for each in found if ":" not in each]


def machine_addresses() -> list[str]:
    """Every address of this machine at which a connection may arrive, loopback last, link-local ones left out."""
    found = [ipaddress.ip_address(each) for each in (*_ipv4(), *_ipv6())]
    usable = sorted(
        {each for each in found if not each.is_link_local}, key=lambda each: (each.is_loopback, each.version)
    )
    return [str(each) for each in usable]


def _ipv4() -> list[str]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(sock.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # an interface without an IPv4 address
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _ipv6() -> list[str]:
    try:
        lines = _INET6.read_text().splitlines()
    except OSError:
        return []
    return [str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))) for line in lines]
