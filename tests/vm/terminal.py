"""A terminal as its operator has it: a machine on which the package is installed, configured and activated."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.vm.control import MachineError, Result, connect
from tests.vm.disk import Cut, Loss
from tests.vm.machine import KEYBOARD_ID, PRINTER, SCANNER, Machine
from tests.vm.world import ACTIVATION_CODE, APP_ID, VENDOR_KEY, VENDOR_SN, Gateway, Printer, wait_for

#: A program in Python takes seconds to start on an emulated processor that is shared.
SLOW_S = 300.0
UNITS = ("terminald.service", "terminald.socket")

CONFIG = f"""\
[terminal]
name = "vm"
[gateway]
url = "{{url}}"
ca_file = "/etc/terminald/gateway.pem"
[vendor]
sn = "{VENDOR_SN}"
app_id = "{APP_ID}"
[sale]
poll_window = "120s"
[[scanner]]
name = "front"
device = "{SCANNER}"
[[scanner]]
name = "hand"
driver = "hid"
device = "{KEYBOARD_ID}"
[printer]
driver = "serial"
device = "{PRINTER}"
[readiness]
require = ["gateway", "scanner", "printer"]
"""
#: As the file of rules tells for a keyboard scanner of a maker that it does not know.
RULE = (
    'SUBSYSTEM=="input", KERNEL=="event*", ATTRS{idVendor}=="0627", ATTRS{idProduct}=="0001", GROUP="terminald", '
    'MODE="0660", ENV{LIBINPUT_IGNORE_DEVICE}="1", ENV{ID_INPUT_KEY}=""\n'
)


class Device(msgspec.Struct):
    """A device in the status."""

    name: str
    kind: str
    state: str


class Status(msgspec.Struct):
    """What ``terminald status --json`` says."""

    ready: bool
    reasons: list[str]
    devices: list[Device]
    version: str

    def state(self, name: str) -> str:
        """Return the state of a device."""
        (found,) = [each.state for each in self.devices if name in (each.name, each.kind)]
        return found


class Attempt(msgspec.Struct):
    """One order of a sale."""

    client_sn: str
    outcome: str


class Sale(msgspec.Struct):
    """What ``terminald show --json`` says."""

    id: str
    state: str
    paid: int
    attempts: list[Attempt]
    receipt: str


class Terminal:
    """One terminal with what is around it."""

    def __init__(self, machine: Machine, gateway: Gateway, printer: Printer) -> None:
        """The machine is switched on."""
        self.machine, self.gateway, self.printer = machine, gateway, printer
        self._cables = contextlib.ExitStack()
        self._connect()

    # --- set up ------------------------------------------------------------------------------------------------------

    def install(self, package: Path, *options: str) -> Result:
        """Install a package as an operator does; nobody is there to answer a question."""
        path = self.machine.copy(package, "/root")
        command = f"DEBIAN_FRONTEND=noninteractive apt-get install --yes {' '.join(options)} {path} </dev/null"
        return self.machine.run(command, timeout_s=400)

    def configure(self) -> None:
        """Write the configuration and the rule, as the README tells."""
        machine = self.machine
        machine.copy(self.gateway.certificate, "/etc/terminald")
        machine.check("cat >/etc/terminald/terminald.toml", stdin=CONFIG.format(url=self.gateway.url).encode())
        machine.check("cat >/etc/udev/rules.d/66-terminald-local.rules", stdin=RULE.encode())
        machine.check("udevadm control --reload && udevadm trigger && udevadm settle")

    def activate(self) -> Result:
        """Activate it by its unit, as the README tells."""
        check = self.machine.check
        check("install -d -m 0700 /run/credstore.encrypted /run/credstore")
        check(
            "systemd-creds encrypt --name=vendor_key - /run/credstore.encrypted/vendor_key", stdin=VENDOR_KEY.encode()
        )
        check("install -m 0600 /dev/stdin /run/credstore/activation_code", stdin=ACTIVATION_CODE.encode())
        return self.machine.run("systemctl start terminald-activate", timeout_s=400)

    # --- power -------------------------------------------------------------------------------------------------------

    def cut_power(self, loss: Loss, seed: int = 0) -> Cut:
        """Cut the power."""
        self._cables.close()
        return self.machine.cut_power(loss, seed)

    def shut_down(self) -> None:
        """Switch off in order."""
        self._cables.close()
        self.machine.shut_down()

    def boot(self, *, clock: str = "") -> None:
        """Switch on."""
        self.machine.boot(clock=clock)
        self._connect()

    def close(self) -> None:
        """Take the cables away."""
        self._cables.close()

    def _connect(self) -> None:
        self._scanner = self._cables.enter_context(connect(self.machine.device("scanner")))
        self._cables.enter_context(self.printer.cable(self.machine.device("printer")))

    # --- what it says ------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """Return its status."""
        result = self.machine.run("terminald status --json 2>&1", timeout_s=SLOW_S)
        assert result.code in (0, 3), result.output
        return msgspec.json.decode(result.output, type=Status)

    def wait_ready(self) -> None:
        """Wait until a sale can be begun."""
        self.wait_status(lambda status: status.ready, "ready")

    def wait_status(self, is_so: Callable[[Status], bool], what: str) -> Status:
        """Wait until its status is such."""
        deadline = time.monotonic() + SLOW_S
        while not is_so(status := self.status()):
            assert time.monotonic() < deadline, f"{what}: {status}"
        return status

    def is_open(self, reference: str) -> bool:
        """Tell whether a sale waits for a code."""
        shown = self.machine.run(f"terminald show {reference} --json 2>/dev/null", timeout_s=SLOW_S)
        return not shown.code and msgspec.json.decode(shown.output, type=Sale).state == "awaiting_payment"

    def show(self, reference: str) -> Sale:
        """Return a sale."""
        return msgspec.json.decode(
            self.machine.check(f"terminald show {reference} --json", timeout_s=SLOW_S), type=Sale
        )

    def log(self, lines: int = 60) -> str:
        """Return the end of its log."""
        return self.machine.run(f"journalctl -b -o short-monotonic --no-pager -n {lines}").output

    # --- what people do with it --------------------------------------------------------------------------------------

    def scan(self, code: str) -> None:
        """Let the scanner read a code."""
        self._scanner.sendall(f"{code}\r".encode())

    def begin(self, reference: str) -> threading.Thread:
        """Begin a sale over 3.50, and wait until it waits for a code."""

        def sell() -> None:
            with contextlib.suppress(MachineError):  # the power was cut
                self.machine.run(
                    f"terminald sell 3.50 --subject Cola --reference {reference} --method scan", timeout_s=SLOW_S
                )

        thread = threading.Thread(target=sell, daemon=True)
        thread.start()
        wait_for(lambda: self.is_open(reference), "no sale was begun", limit_s=SLOW_S)
        return thread

    def sell(self, reference: str, present: Callable[[], None]) -> Sale:
        """Sell something, with a code that is presented this way; return the sale when its receipt is through."""
        selling = self.begin(reference)
        present()
        selling.join()
        wait_for(
            lambda: self.show(reference).receipt not in ("queued", "printing"), "the receipt takes long", limit_s=SLOW_S
        )
        return self.show(reference)
