"""Another version, the old one again, and none at all."""

from pathlib import Path

import terminald as program
from tests.vm.conftest import NEXT, RELEASE
from tests.vm.terminal import SLOW_S, UNITS, Terminal
from tests.vm.world import wait_for

ACTIVE = f"systemctl is-active {' '.join(UNITS)}"


def version(terminal: Terminal) -> str:
    return terminal.machine.check("dpkg-query -W -f '${Version} ${db:Status-Status}' terminald")


def test_an_upgrade_waits_for_money_in_flight_and_asks_nothing(
    terminal: Terminal, package: Path, next_package: Path
) -> None:
    """The customer is typing a password when the new version comes. Then back to the old one."""
    config = terminal.machine.check("cat /etc/terminald/terminald.toml")
    selling = terminal.begin("in-flight")
    daemon = terminal.machine.check("systemctl show -P MainPID terminald")
    terminal.scan("134650000000000414")  # in progress, paid after 70 s
    wait_for(lambda: terminal.show("in-flight").state == "processing", "not in flight", limit_s=SLOW_S)
    installed = terminal.install(next_package)
    assert installed.code == 0, installed.output
    selling.join()
    sale = terminal.show("in-flight")
    assert (sale.state, sale.paid, len(sale.attempts)) == ("completed", 350, 1)
    told = terminal.machine.check(f"journalctl -b -o cat --no-pager _PID={daemon}").splitlines()
    assert [line for line in told if sale.id in line and "completed" in line], told  # not by the next one
    assert version(terminal) == f"{NEXT}+deb{RELEASE} installed"
    assert terminal.machine.check(ACTIVE) == "active\nactive"
    assert terminal.gateway.books()[sale.attempts[0].client_sn].submits == 1
    assert terminal.machine.check("cat /etc/terminald/terminald.toml") == config
    terminal.machine.check("terminald health --wait 60s", timeout_s=SLOW_S)
    terminal.wait_ready()

    rolled_back = terminal.install(package, "--allow-downgrades")
    assert rolled_back.code == 0, rolled_back.output
    assert version(terminal) == f"{program.__version__}+deb{RELEASE} installed"
    terminal.machine.check("terminald health --wait 60s", timeout_s=SLOW_S)
    terminal.wait_ready()
    assert terminal.show("in-flight").state == "completed"
    assert terminal.sell("rolled-back", lambda: terminal.scan("134650000000000402")).state == "completed"


def test_a_removal_keeps_the_state_and_a_purge_the_journal(terminal: Terminal, package: Path) -> None:
    machine = terminal.machine
    removed = machine.run("apt-get remove --yes terminald </dev/null", timeout_s=400)
    assert removed.code == 0, removed.output
    assert machine.run(ACTIVE).output == "inactive\ninactive\n"
    assert machine.run("test -e /opt/terminald").code == 1
    purged = machine.run("apt-get purge --yes terminald </dev/null", timeout_s=400)
    assert purged.code == 0, purged.output
    assert "/var/lib/terminald is kept" in purged.output
    assert machine.check("stat -c %U /var/lib/terminald/journal.db") == "terminald"
    assert machine.run("test -e /etc/terminald/terminald.toml").code == 1
    back = terminal.install(package)
    assert back.code == 0, back.output
    terminal.configure()
    machine.check("systemctl restart terminald", timeout_s=300)
    terminal.wait_ready()
    assert terminal.show("in-flight").state == "completed"
