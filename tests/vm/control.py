"""The two ways into a machine: QEMU's own control socket, and an agent in the guest that runs commands.

The agent is reached by a serial port of its own, so that no network, no login and no shell of the guest is needed.
"""

import base64
import json
import random
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypedDict, cast

Json = dict[str, object]


class Event(TypedDict):
    """Something that QEMU tells unasked."""

    event: str
    data: Json


class Result(NamedTuple):
    """How a command in the guest has ended; its output with what it said on standard error."""

    code: int
    output: str


class MachineError(Exception):
    """QEMU or the guest did not do what was asked."""


def connect(path: Path, timeout_s: float = 10) -> socket.socket:
    """Return a connection to a socket of QEMU, which may be about to make it."""
    deadline = time.monotonic() + timeout_s
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(path))
        except OSError:
            sock.close()
            if time.monotonic() > deadline:
                raise MachineError(f"no connection to {path.name}") from None
            time.sleep(0.05)
        else:
            return sock


class Monitor:
    """QEMU's control socket. A thread reads it, so that no event is missed."""

    def __init__(self, path: Path) -> None:
        """Connect, and be greeted."""
        self._socket = connect(path)
        self._changed = threading.Condition()
        self._replies: list[Json] = []
        self._is_closed = False
        self.events: list[Event] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.command("qmp_capabilities")

    def command(self, name: str, /, **arguments: object) -> object:
        """Carry out one command; return its answer."""
        request = json.dumps({"execute": name, "arguments": arguments}).encode()
        with self._changed:
            self._socket.sendall(request + b"\n")
            if not self._changed.wait_for(lambda: self._replies or self._is_closed, 30) or not self._replies:
                raise MachineError(f"{name}: QEMU does not answer")
            reply = self._replies.pop(0)
        if "return" not in reply:
            raise MachineError(f"{name}: {reply}")
        return reply["return"]

    def wait_event(self, name: str, *, since: int = 0, timeout_s: float = 120, **data: object) -> None:
        """Wait for an event that has this data; of those from ``since`` on."""

        def is_there() -> bool:
            return any(
                each["event"] == name and data.items() <= each.get("data", {}).items() for each in self.events[since:]
            )

        with self._changed:
            self._changed.wait_for(lambda: is_there() or self._is_closed, timeout_s)
            if not is_there():
                raise MachineError(f"no {name} within {timeout_s} s")

    def close(self) -> None:
        """End the connection and its thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        with suppress(OSError, ValueError), self._socket.makefile("rb") as lines:
            for line in lines:
                message = cast("Json", json.loads(line))
                with self._changed:
                    if "event" in message:
                        self.events.append(cast("Event", message))
                    elif "QMP" not in message:
                        self._replies.append(message)
                    self._changed.notify_all()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class Agent:
    """The agent in the guest. Commands may come from several threads."""

    def __init__(self, path: Path) -> None:
        """Nothing is connected yet."""
        self._path = path
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._buffer = b""

    def sync(self, timeout_s: float) -> None:
        """Wait until it answers, and drop what was meant for another one."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.close()
            self._socket = connect(self._path)
            token = random.getrandbits(31)
            request = json.dumps({"execute": "guest-sync-delimited", "arguments": {"id": token}}).encode()
            with suppress(OSError, MachineError):
                self._socket.sendall(b"\xff" + request + b"\n")
                attempt = min(deadline, time.monotonic() + 2)
                while True:
                    line = self._line(attempt).rpartition(b"\xff")[2]
                    with suppress(ValueError):
                        if cast("Json", json.loads(line)).get("return") == token:
                            return
            if time.monotonic() > deadline:
                raise MachineError(f"the guest's agent does not answer within {timeout_s} s")
            time.sleep(0.1)

    def run(self, command: str, *, timeout_s: float, stdin: bytes) -> Result:
        """Run a shell command as root; 124 is the code of one that took longer than ``timeout_s``."""
        if self._socket is None:
            self.sync(timeout_s)
        started = self._call(
            "guest-exec",
            {
                "path": "timeout",
                # Both outputs in their order, which the agent of Debian 12 can not be asked for.
                "arg": ["-k", "5", str(timeout_s), "/bin/sh", "-c", f"exec 2>&1\n{command}"],
                "capture-output": True,
                "input-data": base64.b64encode(stdin).decode(),
            },
        )
        deadline = time.monotonic() + timeout_s + 15
        pause_s = 0.01
        while not (status := self._call("guest-exec-status", {"pid": started["pid"]}))["exited"]:
            if time.monotonic() > deadline:
                raise MachineError(f"still running: {command}")
            time.sleep(pause_s)
            pause_s = min(0.25, pause_s * 1.5)
        output = base64.b64decode(str(status.get("out-data", ""))).decode(errors="replace")
        code = status.get("exitcode", 128)
        return Result(code if isinstance(code, int) else 128, output)

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""

    def _call(self, name: str, arguments: Json) -> Json:
        try:
            with self._lock:
                if self._socket is None:
                    raise MachineError(f"{name}: not connected")
                self._socket.settimeout(30)
                self._socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
                reply = cast("Json", json.loads(self._line(time.monotonic() + 30)))
        except OSError as exc:
            raise MachineError(f"{name}: {exc}") from exc
        if "return" not in reply:
            raise MachineError(f"{name}: {reply}")
        return cast("Json", reply["return"])

    def _line(self, deadline: float) -> bytes:
        if self._socket is None:
            raise MachineError("not connected")
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            chunk = self._socket.recv(1 << 20)
            if not chunk:
                raise MachineError("the agent's port was closed")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line
