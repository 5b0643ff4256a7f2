"""A terminal whose wires are tapped: the system tests' bench with a timed journal and an ear at each end of a sale."""

import contextlib
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import httpx
import msgspec

from tests.bench import history, processes
from tests.bench.tap import Tap
from tests.bench.timed_daemon import Commit
from tests.system.rig import CONFIG, PATIENCE_S, Bench

#: Between the opening of a sale and its scan: the scanner is armed and the link is warm, as it is in life.
SETTLE_S = 0.06
#: Between the last but one byte of a code and the last one: what is measured is one read, not two.
LAST_BYTE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """When it happened, in monotonic nanoseconds, and what the disk had to take for it."""

    opened: int
    scanned: int
    submitted: int
    completed: int
    printed: int
    written_bytes: int

    @property
    def scan_to_submit_ms(self) -> float:
        return (self.submitted - self.scanned) / 1e6

    @property
    def scan_to_completed_ms(self) -> float:
        return (self.completed - self.scanned) / 1e6


class _Told(msgspec.Struct):
    """What a ``sale`` or a ``print`` event says, as far as it matters here."""

    state: str


class _Ear:
    """Follows the events as a host does; notes when each came."""

    def __init__(self, socket: Path) -> None:
        self._heard: SimpleQueue[tuple[int, str, str]] = SimpleQueue()
        self._socket = socket
        self.is_listening = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def wait(self, topic: str, state: str) -> int:
        while True:
            at, heard_topic, heard_state = self._heard.get(timeout=PATIENCE_S)
            if (heard_topic, heard_state) == (topic, state):
                return at

    def _follow(self) -> None:
        transport = httpx.HTTPTransport(uds=str(self._socket))
        with (
            contextlib.suppress(httpx.TransportError),
            httpx.Client(transport=transport, base_url="http://terminald", timeout=PATIENCE_S) as client,
            client.stream("GET", "/v1/events") as events,
        ):
            self.is_listening.set()
            topic = ""
            for line in events.iter_lines():
                at = time.monotonic_ns()
                name, _, value = line.partition(": ")
                if name == "event":
                    topic = value
                elif name == "data" and topic in ("sale", "print"):
                    self._heard.put((at, topic, msgspec.json.decode(value, type=_Told).state))


class TappedTerminal:
    """One terminal with its daemon. Started at once."""

    def __init__(
        self, directory: Path, *, old_sales: int = 0, address: Callable[[Tap], str] = lambda tap: tap.url
    ) -> None:
        """Old sales are in the journal before the daemon sees it. Address is where it finds the tap."""
        directory.mkdir()
        self.bench = Bench(directory)
        self.tap = Tap(self.bench.url)
        self.bench.config.write_text(CONFIG.format(url=address(self.tap), directory=directory))
        self.bench.activate()
        if old_sales:
            history.fill(self.journal_file, old_sales)
        self._commits = directory / "commits.jsonl"
        self._number = 0
        with self.bench.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.timed_daemon", str(self.bench.config), str(self._commits)],
                stdout=log,
                stderr=log,
            )
        self.bench.daemon = self._daemon
        self.bench.wait_ready()
        self._ear = _Ear(directory / "api.sock")
        if not self._ear.is_listening.wait(PATIENCE_S):
            raise AssertionError("no event stream")

    @property
    def journal_file(self) -> Path:
        return self.bench.directory / "state" / "journal.db"

    def sell(self, *, settle_s: float = SETTLE_S) -> Sale:
        """Lead one sale from its opening to its receipt."""
        self._number += 1
        before = processes.written_bytes(self._daemon.pid)
        opened = time.monotonic_ns()
        answer = self.bench.open_sale(f"bench-{self._number}")
        if answer.status_code != 201:
            raise AssertionError(answer.text)
        pause(settle_s)
        scanned = scan(self.bench, payment_code(self._number), self.tap)
        submitted = self.tap.next_pay_ns()
        completed = self._ear.wait("sale", "completed")
        printed = self._ear.wait("print", "unverified")
        return Sale(
            opened=opened,
            scanned=scanned,
            submitted=submitted,
            completed=completed,
            printed=printed,
            written_bytes=processes.written_bytes(self._daemon.pid) - before,
        )

    def settle(self) -> float:
        """Wait until the daemon has looked through its journal; return how many seconds that took from now on."""
        return processes.wait_until_read(self._daemon.pid)

    def stop(self) -> list[Commit]:
        """End the daemon; return its commits."""
        if self.bench.stop() != 0:
            raise AssertionError(self.bench.log.read_text()[-2000:])
        return [msgspec.json.decode(line, type=Commit) for line in self._commits.read_bytes().splitlines()]

    def close(self) -> None:
        self.bench.close()
        self.tap.close()


def payment_code(number: int) -> str:
    """Return a code that was not used before, and that is paid at once."""
    return f"13{number:014d}99"


def scan(bench: Bench, code: str, tap: Tap) -> int:
    """Scan a code; return when its last byte was handed to the line."""
    bench.scanner.send(code.encode())
    pause(LAST_BYTE_S)
    tap.forget()
    at = time.monotonic_ns()
    bench.scanner.send(b"\r")
    return at


def pause(seconds: float) -> None:
    select.select([], [], [], seconds)


@contextlib.contextmanager
def tapped(directory: Path, *, old_sales: int = 0) -> Iterator[TappedTerminal]:
    made = TappedTerminal(directory, old_sales=old_sales)
    try:
        yield made
    finally:
        made.close()


def overlap_ms(commits: Iterable[Commit], begin: int, end: int) -> float:
    """Return how much of a stretch of time was spent in commits."""
    return sum(max(0, min(one.end, end) - max(one.begin, begin)) for one in commits) / 1e6
