"""What the daemon costs while nobody buys: memory, processor time, wake-ups."""

import contextlib
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from terminald.simulator.scanner import SimulatedScanner
from tests.bench import processes
from tests.bench.installed import NOTE
from tests.bench.startup import Starter, daemon_command, import_script, imports_of_daemon
from tests.bench.table import Row, Section
from tests.bench.terminal import pause
from tests.system.rig import PATIENCE_S, Bench

#: After READY: devices are opened, the link is proven, readiness is told.
SETTLE_S = 3.0

_WAIT_FOR_A_SCANNER = """
import asyncio, os, socket
async def wait():
    fd = os.open({device!r}, os.O_RDWR | os.O_NOCTTY)
    asyncio.get_running_loop().add_reader(fd, lambda: os.read(fd, 4096))
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    await asyncio.Event().wait()
asyncio.run(wait())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """One stretch of time."""

    cpu_percent: float
    wakeups_a_second: float
    resident_mb: float
    own_mb: float


def measure(bench: Bench, bytecode: Path, *, seconds: float, windows: int) -> Section:
    """Watch the daemon and its peer side by side. The bench is activated, and its daemon is not running."""
    with contextlib.ExitStack() as stack:
        starter = stack.enter_context(contextlib.closing(Starter(bench.directory, bytecode)))
        other = stack.enter_context(SimulatedScanner())
        imports = imports_of_daemon(bench, starter)
        script = import_script(imports) + _WAIT_FOR_A_SCANNER.format(device=other.path)
        daemon = _running(starter, daemon_command(bench), bench.directory / "idle.log", stack)
        peer = _running(starter, [sys.executable, "-c", script], bench.directory / "idle-peer.log", stack)
        pause(SETTLE_S)
        seen = [_watch((daemon.pid, peer.pid), seconds) for _ in range(windows)]
        threads = processes.threads(daemon.pid)
    return Section(
        title=f"Idle: {windows} × {seconds:g} s with a scanner on a line and a printer, nobody buys",
        rows=tuple(row for name, unit, field, most in _FIELDS for row in _rows(name, unit, field, most, seen)),
        notes=(
            f"terminald has {threads} threads. The other process has the same libraries, and waits on a line as well.",
            NOTE,
        ),
    )


_FIELDS = (
    ("wake-ups a second (voluntary switches)", "/s", "wakeups_a_second", 2.0),
    ("processor time, of one core", "%", "cpu_percent", 0.2),
    ("resident memory", "MB", "resident_mb", 48.0),
    ("of it, not shared with a file", "MB", "own_mb", None),
)


def _rows(name: str, unit: str, field: str, most: float | None, seen: list[tuple[_Window, _Window]]) -> tuple[Row, Row]:
    daemon = tuple(float(getattr(window, field)) for window, _ in seen)
    peer = tuple(float(getattr(window, field)) for _, window in seen)
    return (
        Row(name=name, values=daemon, unit=unit, most=most),
        Row(name="the same libraries, asleep", values=peer, unit=unit, role="beside"),
    )


def _running(starter: Starter, command: list[str], log: Path, stack: contextlib.ExitStack) -> subprocess.Popen[bytes]:
    process, _ = starter.start(command, log)
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE_S)


def _watch(pids: tuple[int, int], seconds: float) -> tuple[_Window, _Window]:
    before = [processes.effort(pid) for pid in pids]
    begin = time.monotonic()
    pause(seconds)
    after = [processes.effort(pid) for pid in pids]
    took_s = time.monotonic() - begin
    windows = []
    for pid, first, last in zip(pids, before, after, strict=True):
        resident_mb, own_mb = processes.memory_mb(pid)
        windows.append(
            _Window(
                cpu_percent=(last.cpu_ns - first.cpu_ns) / 1e9 / took_s * 100,
                wakeups_a_second=(last.voluntary_switches - first.voluntary_switches) / took_s,
                resident_mb=resident_mb,
                own_mb=own_mb,
            )
        )
    return windows[0], windows[1]
