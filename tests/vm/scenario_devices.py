"""Sales over real USB devices, and what happens when these are pulled out."""

import threading

from tests.vm.machine import KEYBOARD
from tests.vm.terminal import Terminal
from tests.vm.world import wait_for

#: Reads the keyboard as any program may, without taking it: says how many keys it has seen within 20 s.
RIVAL = f"""
import select, time, evdev
keyboard = evdev.InputDevice("{KEYBOARD}")
print("ready", flush=True)
print(len(list(keyboard.read())) if select.select([keyboard], [], [], 20)[0] else 0)
"""


def test_a_scan_over_usb_pays_and_the_receipt_is_proven_to_be_on_paper(terminal: Terminal) -> None:
    printed = len(terminal.printer.receipts())
    sale = terminal.sell("serial-1", lambda: terminal.scan("134650000000000001"))
    assert (sale.state, sale.paid, len(sale.attempts), sale.receipt) == ("completed", 350, 1, "printed")
    assert terminal.gateway.books()[sale.attempts[0].client_sn].net == 350
    assert len(terminal.printer.receipts()) == printed + 1


def test_a_keyboard_scanner_pays_and_nobody_else_hears_it(terminal: Terminal) -> None:
    """EVIOCGRAB: not a login prompt either."""
    machine = terminal.machine
    rival = threading.Thread(target=machine.run, args=("python3 - >/run/rival 2>&1",), kwargs={"stdin": RIVAL.encode()})

    def type_it() -> None:
        rival.start()
        wait_for(lambda: machine.run("cat /run/rival").output == "ready\n", "another program that listens")
        machine.type("134650000000000002")

    sale = terminal.sell("keyboard-1", type_it)
    rival.join()
    assert (sale.state, sale.paid) == ("completed", 350)
    assert machine.check("cat /run/rival") == "ready\n0"


def test_devices_that_are_pulled_out_are_missed_and_serve_again_when_they_are_back(terminal: Terminal) -> None:
    machine = terminal.machine
    for name in ("scanner", "keyboard", "printer"):
        machine.unplug(name)
    status = terminal.wait_status(lambda status: len(status.reasons) > 1, "nothing is missed")
    assert set(status.reasons) == {"scanner_absent", "printer_absent"}
    machine.plug("scanner")
    machine.plug("printer")
    machine.plug("keyboard")
    terminal.wait_ready()
    terminal.wait_status(lambda status: status.state("hand") == "ready", "the keyboard")
    assert terminal.sell("serial-2", lambda: terminal.scan("134650000000000003")).receipt == "printed"
    assert terminal.sell("keyboard-2", lambda: machine.type("134650000000000004")).state == "completed"
    assert machine.check("systemctl show -P NRestarts terminald") == "0"
