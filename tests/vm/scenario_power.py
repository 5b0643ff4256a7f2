"""Power cuts in the middle of a payment, with a disk that loses what it had not flushed; watchdogs."""

import threading
import time

import pytest

from tests.vm.control import Result
from tests.vm.disk import Loss
from tests.vm.terminal import SLOW_S, Terminal
from tests.vm.world import wait_for


def paid_orders(terminal: Terminal) -> set[str]:
    return {client_sn for client_sn, order in terminal.gateway.books().items() if order.paid}


@pytest.mark.parametrize(("loss", "seed"), [(Loss.ALL, 0), (Loss.SOME, 1), (Loss.SOME, 2)])
def test_a_power_cut_in_mid_payment_loses_no_money_and_charges_nobody_twice(
    terminal: Terminal, loss: Loss, seed: int
) -> None:
    """I1, I2, I5: the gateway has charged, its answer never arrives, and the disk forgets what it did not flush."""
    reference = f"cut-{loss.name}-{seed}"
    before = paid_orders(terminal)
    terminal.gateway.script({"kind": "slow", "path": "pay", "seconds": 60})
    selling = terminal.begin(reference)
    terminal.machine.check("echo not flushed >/root/unflushed")
    terminal.scan(f"13465000000000010{seed}")
    wait_for(lambda: len(paid_orders(terminal)) > len(before), "no charge", limit_s=SLOW_S)
    cut = terminal.cut_power(loss, seed)
    assert cut.writes
    selling.join()
    terminal.boot()
    (client_sn,) = paid_orders(terminal) - before
    wait_for(lambda: terminal.show(reference).state == "completed", "the sale is not settled", limit_s=SLOW_S)
    sale = terminal.show(reference)
    assert (sale.paid, [attempt.client_sn for attempt in sale.attempts]) == (350, [client_sn])
    assert terminal.gateway.books()[client_sn].submits == 1
    if loss is Loss.ALL:
        assert terminal.machine.run("cat /root/unflushed").output != "not flushed\n"
    terminal.wait_ready()


def test_a_daemon_that_hangs_is_killed_and_who_calls_meanwhile_is_answered(terminal: Terminal) -> None:
    machine = terminal.machine
    hung = machine.check("systemctl show -P MainPID terminald")
    machine.check(f"kill -STOP {hung}")
    answers: list[Result] = []
    caller = threading.Thread(
        target=lambda: answers.append(machine.run("terminald status --json", timeout_s=SLOW_S)), daemon=True
    )
    caller.start()
    wait_for(lambda: machine.check("systemctl show -P NRestarts terminald") == "1", "no restart", limit_s=SLOW_S)
    caller.join()
    assert machine.check("systemctl show -P MainPID terminald") != hung
    assert answers[0].code in (0, 3)
    assert machine.run("journalctl -b -u terminald -g 'Watchdog timeout' --no-pager").code == 0
    terminal.wait_ready()


def test_a_kernel_that_hangs_is_reset_by_the_boards_watchdog_and_sells_again(terminal: Terminal) -> None:
    """With the drop-in that the package brings along, installed as its first lines say."""
    machine = terminal.machine
    source = "/opt/terminald/systemd/drop-in/hardware-watchdog.conf"
    machine.check(f"install -D -m 0644 {source} /etc/systemd/system.conf.d/60-terminald.conf && sync")
    machine.check("systemctl daemon-reexec && sleep 2 && systemctl is-system-running --wait")
    boot = machine.check("cat /proc/sys/kernel/random/boot_id")
    since = len(machine.monitor.events)
    hung = time.monotonic()
    machine.run("(sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    machine.monitor.wait_event("WATCHDOG", since=since, timeout_s=SLOW_S)
    assert time.monotonic() - hung < SLOW_S
    machine.wait_booted()
    assert machine.check("cat /proc/sys/kernel/random/boot_id") != boot
    terminal.wait_ready()
    assert terminal.sell("after-watchdog", lambda: terminal.scan("134650000000000201")).state == "completed"
