"""What an operator finds after "apt-get install" and an activation."""

from tests.vm.conftest import RELEASE
from tests.vm.terminal import UNITS, Terminal


def test_the_service_is_up_without_a_compiler_on_the_device(terminal: Terminal) -> None:
    check = terminal.machine.check
    assert check(f"systemctl is-active {' '.join(UNITS)}") == "active\nactive"
    assert check(f"systemctl is-enabled {' '.join(UNITS)}") == "enabled\nenabled"
    assert check("systemctl show -P User terminald") == "terminald"
    assert check("systemctl is-system-running") == "running"
    assert terminal.machine.run("command -v cc gcc make pip").output == ""


def test_what_was_installed_is_whole_and_is_not_written_to_when_it_runs(terminal: Terminal) -> None:
    """But for the documentation, which images of terminals leave out, and this one does."""
    assert terminal.machine.run("dpkg --verify terminald | grep -v /usr/share/doc/").output == ""
    assert terminal.machine.check("find /opt/terminald -newer /var/lib/dpkg/info/terminald.list") == ""


def test_the_unit_is_as_closed_here_as_it_was_judged_elsewhere(terminal: Terminal) -> None:
    """With this Debian's systemd, on the unit that runs."""
    check = terminal.machine.check
    check("systemctl is-active terminald && systemd-analyze security --threshold=15 terminald")
    assert check("systemd-analyze verify --man=no terminald.service terminald.socket 2>&1") == ""
    if RELEASE != "12":  # whose udevadm has no verify
        check("udevadm verify /usr/lib/udev/rules.d/65-terminald.rules")


def test_activation_left_no_secret_but_the_encrypted_one(terminal: Terminal) -> None:
    machine = terminal.machine
    assert machine.run("test -e /run/credstore/activation_code").code == 1
    assert machine.run("journalctl -o export --no-pager | grep -c simulated-vendor-key").output.strip() == "0"
    assert machine.check("stat -c '%U %a' /var/lib/terminald /var/lib/terminald/journal.db") == (
        "terminald 700\nterminald 600"
    )
