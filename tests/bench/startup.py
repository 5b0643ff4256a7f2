"""From the start of the process to READY, beside the import of the same libraries and a bare interpreter."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.installed import NOTE, hiding
from tests.bench.table import Row, Section
from tests.system.rig import PATIENCE_S, Bench

_READY = b"READY=1"
_SAY_READY = """
import os, socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
"""
#: What ``-X importtime`` writes: own and cumulative microseconds, and the name, indented by depth.
_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)$", re.MULTILINE)
_OWN = "terminald"
_MOST_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One module that the daemon has imported by the time it is ready, and what that took by itself."""

    name: str
    own_us: int

    @property
    def package(self) -> str:
        name = self.name.partition(".")[0]
        return "standard library" if name in sys.stdlib_module_names else name


class Starter:
    """Starts processes with a notify socket of its own, and waits for their word."""

    def __init__(self, directory: Path, bytecode: Path) -> None:
        """An installed program has its bytecode beside it; here it is kept out of the source tree, in bytecode."""
        self._address = directory / "notify.sock"
        self._bytecode = bytecode
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._address))
        self._socket.settimeout(PATIENCE_S)

    def start(self, command: Sequence[str], log: Path) -> tuple[subprocess.Popen[bytes], float]:
        """Start a process; return it, and the milliseconds that it took to be ready."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"NOTIFY_SOCKET": str(self._address), "PYTHONPYCACHEPREFIX": str(self._bytecode)}
        with log.open("wb") as out:
            begin = time.monotonic_ns()
            process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            while _READY not in self._socket.recv(4096):
                pass
        except TimeoutError:
            process.kill()
            process.wait()
            raise AssertionError(f"not ready:\n{log.read_text()[-2000:]}") from None
        return process, (time.monotonic_ns() - begin) / 1e6

    def time_ms(self, command: Sequence[str], log: Path) -> float:
        """Start a process, end it, and return how long it took to be ready."""
        process, took_ms = self.start(command, log)
        process.terminate()
        process.wait(PATIENCE_S)
        return took_ms

    def close(self) -> None:
        self._socket.close()
        self._address.unlink()


def daemon_command(bench: Bench, *options: str) -> list[str]:
    """Return what starts the daemon as on a terminal; see :mod:`tests.bench.installed`."""
    script = f"{hiding()}\nfrom terminald.__main__ import main\nsys.exit(main())"
    return [sys.executable, *options, "-c", script, "--config", str(bench.config), "run"]


def imports_of_daemon(bench: Bench, starter: Starter) -> list[Imported]:
    """Return what the daemon imports until it is ready, in that order."""
    log = bench.directory / "importtime.log"
    starter.time_ms(daemon_command(bench), log)  # writes the bytecode
    starter.time_ms(daemon_command(bench, "-X", "importtime"), log)
    return [Imported(name=name, own_us=int(own)) for own, name in _IMPORT.findall(log.read_text())]


def import_script(imports: Iterable[Imported], *, with_own: bool = False) -> str:
    """Return a script that imports the libraries among them, in the same order; own modules as well, or not."""
    left_out = ("__main__",) if with_own else (_OWN, "__main__")
    names = [one.name for one in imports if one.package not in left_out]
    lines = [hiding(), "import contextlib, importlib", f"for name in {names!r}:"]
    lines += ["    with contextlib.suppress(ImportError):", "        importlib.import_module(name)"]
    return "\n".join(lines)


def measure(bench: Bench, bytecode: Path, *, rounds: int) -> Section:
    """Start the daemon and the others in turn. The bench is activated, and its daemon is not running."""
    starter = Starter(bench.directory, bytecode)
    log = bench.directory / "startup.log"
    try:
        imports = imports_of_daemon(bench, starter)
        libraries = [sys.executable, "-c", import_script(imports) + _SAY_READY]
        modules = [sys.executable, "-c", import_script(imports, with_own=True) + _SAY_READY]
        bare = [sys.executable, "-c", _SAY_READY]
        commands = (daemon_command(bench), libraries, modules, bare)
        taken = [[starter.time_ms(command, log) for command in commands] for _ in range(rounds)]
    finally:
        starter.close()
    daemon, imported, everything, interpreter = zip(*taken, strict=True)
    return Section(
        title="Start: from the start of the process to READY=1 (caches warm)",
        rows=(
            Row(name="terminald", values=daemon, unit="ms"),
            Row(name="import of the same libraries", values=imported, unit="ms", role="beside", most=1.5),
            Row(name="import of the same modules, our own as well", values=everything, unit="ms", role="beside"),
            Row(name="bare interpreter", values=interpreter, unit="ms", role="beside"),
        ),
        notes=(*_owners(imports), NOTE),
    )


def _owners(imports: Sequence[Imported]) -> tuple[str, ...]:
    """Say whose imports take the time, by package."""
    own_us: dict[str, int] = {}
    for one in imports:
        own_us[one.package] = own_us.get(one.package, 0) + one.own_us
    longest = sorted(own_us.items(), key=lambda pair: -pair[1])[:_MOST_SHOWN]
    said = ", ".join(f"{name} {took / 1000:.0f} ms" for name, took in longest)
    return (f"{len(imports)} modules; by python -X importtime, which slows them down: {said}.",)
