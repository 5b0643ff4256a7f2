"""The service manager's end: it starts the daemon as a unit would, and hears what the daemon tells."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.system.rig import PATIENCE_S, Bench

#: Puts the descriptor where systemd puts it, says whose it is, and becomes the program.
_PASS = """\
import os, sys
if sys.argv[1] != "none":
    # First out of the way, so that none is overwritten before it has its place.
    held = [os.dup2(int(number), 100 + place) for place, number in enumerate(sys.argv[1].split(","))]
    for place, number in enumerate(held):
        os.dup2(number, 3 + place)
    os.environ |= {"LISTEN_FDS": sys.argv[2], "LISTEN_PID": str(os.getpid() + int(sys.argv[3]))}
if "WATCHDOG_USEC" in os.environ:
    os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "terminald", *sys.argv[4:]])
"""


class Manager:
    """Starts the daemon of a bench, with a notify socket and, when it has one, with a listening socket."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._path = bench.directory / "notify.sock"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self._path))
        #: Every assignment that was heard, in order, as (name, value).
        self.heard: list[tuple[str, str]] = []
        self._unread: list[tuple[str, str]] = []
        self.listener: socket.socket | None = None
        #: Ports that it holds beside it.
        self.ports: list[socket.socket] = []

    def close(self) -> None:
        self._notify.close()
        for sock in self._held():
            sock.close()

    def _held(self) -> list[socket.socket]:
        return [*([] if self.listener is None else [self.listener]), *self.ports]

    def listen(self, path: Path, *, mode: int = 0o666) -> None:
        """Hold the listening socket, as a socket unit does."""
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        path.chmod(mode)
        self.listener.listen(32)

    def start(self, *, watchdog_s: float | None = None, pid_offset: int = 0) -> None:
        """Start the daemon; pid_offset makes the passed sockets another process's."""
        environment = {**os.environ, "NOTIFY_SOCKET": str(self._path)}
        if watchdog_s is not None:
            environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1_000_000))
        passed = [sock.fileno() for sock in self._held()]
        numbers, config = ",".join(map(str, passed)) or "none", str(self._bench.config)
        command = [sys.executable, "-c", _PASS, numbers, str(len(passed)), str(pid_offset), "--config", config, "run"]
        with self._bench.log.open("ab") as log:
            self._bench.daemon = subprocess.Popen(command, stdout=log, stderr=log, env=environment, pass_fds=passed)

    def hear(self, name: str, part: str = "") -> str:
        """Return the value of the next assignment of this name with that in it; what comes before it is passed over."""
        end = time.monotonic() + PATIENCE_S
        while (heard := self._next(end - time.monotonic())) is not None:
            if heard[0] == name and part in heard[1]:
                return heard[1]
        raise AssertionError(f"{name} {part!r} was not told: {self.heard}\n{self._bench.log.read_text()[-3000:]}")

    def silence_s(self, name: str, limit_s: float) -> float:
        """Return how long nothing of this name came, at most the limit; what else came is passed over."""
        begin = time.monotonic()
        while (heard := self._next(begin + limit_s - time.monotonic())) is not None:
            if heard[0] == name:
                break
        return time.monotonic() - begin

    def _next(self, timeout_s: float) -> tuple[str, str] | None:
        if not self._unread:
            self._notify.settimeout(max(timeout_s, 0.001))
            try:
                lines = self._notify.recv(8192).decode().splitlines()
            except TimeoutError:
                return None
            self._unread = [(line.partition("=")[0], line.partition("=")[2]) for line in lines]
            self.heard += self._unread
        return self._unread.pop(0)

    def names(self) -> list[str]:
        return [name for name, _ in self.heard]
