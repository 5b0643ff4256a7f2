"""The list of terminals, with the package's own script, a real systemd and a user that is not root."""

import json

from tests.vm.terminal import SLOW_S, UNITS, Terminal
from tests.vm.world import ACTIVATION_CODE, VENDOR_KEY

#: The image has no server for ssh: who calls is on the terminal already.
SSH = '#!/bin/sh\nexec sh -c "$4"\n'
PROVISION = "PATH=/root/bin:$PATH sh /opt/terminald/config/provision /root/list /root/template"


def provision(terminal: Terminal, results: str) -> list[str]:
    """Run the script; return the words of the only line of results."""
    stdin = f"{VENDOR_KEY}\n".encode()
    done = terminal.machine.run(f"{PROVISION} {results}", stdin=stdin, timeout_s=2 * SLOW_S)
    assert done.code == 0, done.output
    return terminal.machine.check(f"cat {results}").split(maxsplit=3)


def test_a_copy_of_the_image_becomes_a_terminal_of_the_list_once(terminal: Terminal) -> None:
    machine = terminal.machine
    machine.check("install -d /root/bin && cat >/root/bin/ssh && chmod 0755 /root/bin/ssh", stdin=SSH.encode())
    machine.check("umask 077 && cat >/root/list", stdin=f"hall-1 here {ACTIVATION_CODE}\n".encode())
    machine.check('sed \'s/name = "vm"/name = "@NAME@"/\' /etc/terminald/terminald.toml >/root/template')
    assert provision(terminal, "/root/first")[:3] == ["hall-1", "here", "already"]
    machine.check(f"systemctl stop {' '.join(reversed(UNITS))} && rm -rf /var/lib/terminald/*")
    *start, told = provision(terminal, "/root/second")
    assert start == ["hall-1", "here", "activated"]
    terminal.wait_ready()
    shown = json.loads(machine.check("terminald status --json", timeout_s=SLOW_S))
    assert shown["terminal"]["sn"] == json.loads(told)["sn"]
    assert machine.check("grep -c 'name = \"hall-1\"' /etc/terminald/terminald.toml") == "1"
    assert machine.check("stat -c '%U %G %a' /etc/terminald/terminald.toml") == "root root 644"
    assert machine.check("stat -c '%U %a' /var/lib/terminald/journal.db") == "terminald 600"
    assert machine.run("ls -d /run/terminald-provision.*").code != 0
    assert machine.run(f"grep -rl {VENDOR_KEY} /etc /var/lib/terminald /var/log").output == ""
