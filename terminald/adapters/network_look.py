"""The addresses of this machine, as a technician wants to read them."""

import fcntl
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

_SIOCGIFADDR: Final = 0x8915
#: struct ifreq: a name of 16 bytes, then the address; the IPv4 address lies behind family and port.
_IFREQ: Final = 40
_NAME: Final = 15
_IPV4: Final = slice(20, 24)
_INET6: Final = Path("/proc/net/if_inet6")
_INET6_FIELDS: Final = 6
_GLOBAL: Final = "00"


def addresses() -> tuple[str, ...]:
    """Return each address that others may reach this machine by, after the name of its interface."""
    return (*_ipv4(), *ipv6_addresses())


def _ipv4() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, struct.pack(f"{_IFREQ}s", name.encode()[:_NAME]))
            except OSError:  # it has none
                continue
            address = socket.inet_ntoa(answer[_IPV4])
            if not address.startswith("127."):
                yield f"{name} {address}"


def ipv6_addresses(table: Path = _INET6) -> Iterator[str]:
    """Read the kernel's table. A line: address, index, prefix, scope, flags (all hexadecimal), and the name."""
    try:
        lines = table.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if len(fields) == _INET6_FIELDS and fields[3] == _GLOBAL:
            yield f"{fields[5]} {IPv6Address(bytes.fromhex(fields[0]))}"
