"""A board without a battery for its clock."""

import time

from tests.vm.terminal import Terminal


def test_a_clock_in_the_past_is_named_as_the_fault_and_is_enough_to_be_set(terminal: Terminal) -> None:
    """systemd raises it to the day on which it was built, when the gateway's certificate was not valid yet."""
    machine = terminal.machine
    terminal.shut_down()
    terminal.boot(clock="2020-01-01T00:00:00")
    assert int(machine.check("cat /sys/class/rtc/rtc0/since_epoch")) < 1577836800 + 7200
    assert int(machine.check("date +%s")) < time.time() - 86400
    assert machine.check("systemctl is-active terminald") == "active"
    status = terminal.wait_status(lambda status: "clock_unset" in status.reasons, "no word of the clock")
    assert "gateway_unreachable" not in status.reasons
    machine.check(f"date -u -s @{int(time.time())}")
    terminal.wait_ready()
    assert terminal.sell("after-2020", lambda: terminal.scan("134650000000000301")).state == "completed"
    assert machine.check("systemctl show -P NRestarts terminald") == "0"
    terminal.shut_down()
    terminal.boot()
    terminal.wait_ready()
