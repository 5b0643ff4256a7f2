"""A terminal on the bench: the real daemon with a simulated gateway, scanner and printer around it."""

import contextlib
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec

from terminald.simulator.scanner import SimulatedScanner
from tests.system.unix_transport import UnixTransport

#: How long anything here may take before the test fails: generous, for a machine that does other work too.
PATIENCE_S = 45.0
#: How much faster than in life the gateway's customers are.
SPEED = 10
VENDOR_KEY = "vendor-key-0f9a3c"
ACTIVATION_CODE = "4821736605"

CONFIG = """\
[terminal]
name = "bench"
device_id = "bench-1"
[gateway]
url = "{url}"
connect_timeout = "2s"
read_timeout = "2s"
[vendor]
sn = "V100"
app_id = "A100"
key_file = "{directory}/vendor.key"
[state]
directory = "{directory}/state"
[api]
socket = "{directory}/api.sock"
[sale]
payment_window = "20s"
poll_interval = "300ms"
poll_window = "2s"
late_lookups = ["1s", "3s", "6s"]
[[scanner]]
name = "front"
device = "{directory}/scanner"
[printer]
driver = "file"
device = "{directory}/receipts.bin"
[readiness]
min_free_disk_mb = 1
"""


class Order(msgspec.Struct):
    """One order in the gateway's books. Amounts in fen."""

    client_sn: str
    paid: int
    refunded: int
    net: int
    submits: int


class Books(msgspec.Struct):
    """What ``GET /_sim/books`` says."""

    orders: list[Order]

    @property
    def kept(self) -> int:
        return sum(order.net for order in self.orders)


class Attempt(msgspec.Struct):
    client_sn: str
    outcome: str


class Sale(msgspec.Struct):
    """What the local API says of a sale."""

    id: str
    reference: str
    state: str
    amount: int
    paid: int
    attempts: list[Attempt]
    receipt: str
    reason: str | None = None


class Bench:
    """Everything around one daemon, and the daemon. Sockets and pseudo-terminals are real."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "terminald.toml"
        self.log = directory / "daemon.log"
        self.daemon: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()
        (directory / "vendor.key").write_text(VENDOR_KEY)
        (directory / "vendor.key").chmod(0o600)
        self.scanner = self._stack.enter_context(SimulatedScanner(link=directory / "scanner"))
        self.url = self._start_gateway()
        self.config.write_text(CONFIG.format(url=self.url, directory=directory))
        self.api = self._stack.enter_context(
            httpx.Client(
                base_url="http://terminald",
                transport=UnixTransport(directory / "api.sock", timeout_s=PATIENCE_S),
            )
        )

    def _start_gateway(self) -> str:
        command = [
            sys.executable, "-m", "terminald", "simulate", "gateway", "--port", "0", "--speed", str(SPEED),
            "--vendor-sn", "V100", "--app-id", "A100", "--vendor-key-file", str(self.directory / "vendor.key"),
            "--code", f"{ACTIVATION_CODE}=5", "--seed", "1",
        ]  # fmt: skip
        log = self.directory / "gateway.log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
        self._stack.callback(_end, process)
        self.wait(lambda: "listening on " in log.read_text(), "the simulated gateway")
        return log.read_text().split("listening on ", 1)[1].split()[0]

    # --- the daemon --------------------------------------------------------------------------------------------------

    def terminald(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "terminald", "--config", str(self.config), *arguments],
            check=False, capture_output=True, text=True, timeout=PATIENCE_S, input=stdin,
        )  # fmt: skip

    def configure(self, **settings: str) -> None:
        """Change settings that CONFIG has, each to that text of TOML. A daemon that runs does not see it."""
        text = self.config.read_text()
        for name, value in settings.items():
            text, times = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
            assert times == 1, name
        self.config.write_text(text)

    def activate(self) -> None:
        done = self.terminald("activate", ACTIVATION_CODE)
        assert done.returncode == 0, done.stderr

    def start(self, *killer: str) -> None:
        """Start the daemon; killer says where it dies, see :mod:`tests.system.killer`."""
        command = [sys.executable, "-m", "terminald", "--config", str(self.config), "run"]
        if killer:
            command = [sys.executable, "-m", "tests.system.killer", str(self.config), *killer]
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(command, stdout=log, stderr=log)

    def wait_ready(self) -> None:
        self.wait(lambda: self.status().get("ready") is True, "ready")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the daemon, and return its exit code."""
        if self.daemon is None:
            raise AssertionError("not started")
        self.daemon.send_signal(number)
        return self.daemon.wait(PATIENCE_S)

    def is_alive(self) -> bool:
        return self.daemon is not None and self.daemon.poll() is None

    def close(self) -> None:
        if self.daemon is not None:
            _end(self.daemon)
        self._stack.close()

    # --- its API -----------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        try:
            answer: dict[str, object] = self.api.get("/v1/status").json()
        except httpx.TransportError:
            return {}
        return answer

    def _log_tail(self) -> str:
        return self.log.read_text()[-4000:] if self.log.exists() else ""

    def open_sale(self, reference: str, amount: int = 350) -> httpx.Response:
        return self.api.post("/v1/sales", json={"reference": reference, "amount": amount, "subject": "Cola"})

    def sale(self, reference: str) -> Sale:
        answer = self.api.get(f"/v1/sales/{reference}")
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Sale)

    def wait_state(self, reference: str, *states: str) -> Sale:
        self.wait(lambda: self.sale(reference).state in states, f"{reference} {states}")
        return self.sale(reference)

    def books(self) -> Books:
        return msgspec.json.decode(httpx.get(f"{self.url}/_sim/books").content, type=Books)

    def fault(self, **fault: str | float | bool) -> None:
        httpx.post(f"{self.url}/_sim/faults", json=[fault]).raise_for_status()

    def pay(self, sale: Sale) -> None:
        """Let the customer confirm in the wallet, whose last code waits for that."""
        body = {"client_sn": sale.attempts[-1].client_sn, "action": "pay"}
        httpx.post(f"{self.url}/_sim/customer", json=body).raise_for_status()

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Ask again until it is so. The daemon is another process: there is nothing to wait on but its answers."""
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > end:
                raise AssertionError(f"not within {PATIENCE_S} s: {what}\n{self._log_tail()}")
            select.select([], [], [], 0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


@contextlib.contextmanager
def bench(directory: Path, *, is_activated: bool = True) -> Iterator[Bench]:
    made = Bench(directory)
    try:
        if is_activated:
            made.activate()
        yield made
    finally:
        made.close()
