"""The addresses of this machine, from the kernel."""

import socket
from ipaddress import ip_address
from pathlib import Path

from terminald.adapters.network_look import addresses, ipv6_addresses


def test_addresses_are_real_and_reach_beyond_this_machine() -> None:
    names = {name for _, name in socket.if_nameindex()}
    for each in addresses():
        name, address = each.split(" ")
        assert name in names
        assert not ip_address(address).is_loopback


def test_of_the_kernels_table_global_addresses_count(tmp_path: Path) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(
        "20010db8000000000000000000000007 02 40 00 80     eth0\n"
        "fe80000000000000000000000000007f 02 40 20 80     eth0\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "nonsense\n"
    )
    assert list(ipv6_addresses(table)) == ["eth0 2001:db8::7"]
    assert list(ipv6_addresses(tmp_path / "none")) == []
