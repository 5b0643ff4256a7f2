"""What hosts that follow the events cost a payment, one of them reading nothing."""

import contextlib
import socket
import threading
from pathlib import Path

from tests.bench.table import Row, Section
from tests.bench.terminal import Sale, TappedTerminal, tapped
from tests.system.rig import PATIENCE_S

#: As many streams as there are at once, but for the one by which the bench listens.
LISTENERS = 49
_WARM_UPS = 5
_ASK = b"GET /v1/events HTTP/1.1\r\nHost: terminald\r\n\r\n"


class Listener:
    """Follows the events; a stalled one never reads."""

    def __init__(self, path: Path, *, is_stalled: bool) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        if is_stalled:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(str(path))
        self._socket.sendall(_ASK)
        if not self._socket.recv(12 if is_stalled else 4096).startswith(b"HTTP/1.1 200"):
            raise AssertionError("no stream")
        if not is_stalled:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(65536):
                pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def measure(directory: Path, *, rounds: int) -> Section:
    """Sell in turn on a terminal to which many listen, and on one to which the bench alone does."""
    with contextlib.ExitStack() as stack:
        crowd = stack.enter_context(tapped(directory / "crowd"))
        alone = stack.enter_context(tapped(directory / "alone"))
        for number in range(LISTENERS):
            listener = Listener(crowd.bench.directory / "api.sock", is_stalled=number == 0)
            stack.callback(listener.close)
        taken = [(crowd.sell(), alone.sell()) for _ in range(_WARM_UPS + rounds)]
        _end(crowd, alone)
    many, one = zip(*taken[_WARM_UPS:], strict=True)
    return Section(
        title=f"Listeners: {LISTENERS + 1} hosts follow the events, one of them reads nothing, beside one host alone",
        rows=(
            *_pair("scan → pay request", [_submit(sale) for sale in many], [_submit(sale) for sale in one]),
            *_pair("scan → completed", [_complete(sale) for sale in many], [_complete(sale) for sale in one]),
        ),
        notes=("That a sale is completed is heard by the bench as one of those hosts.",),
    )


def _end(*terminals: TappedTerminal) -> None:
    for terminal in terminals:
        terminal.stop()


def _submit(sale: Sale) -> float:
    return sale.scan_to_submit_ms


def _complete(sale: Sale) -> float:
    return sale.scan_to_completed_ms


def _pair(name: str, many: list[float], one: list[float]) -> tuple[Row, Row]:
    wanted = 1.2 if name == "scan → pay request" else None
    return (
        Row(name=f"{name}, {LISTENERS + 1} hosts", values=tuple(many), unit="ms"),
        Row(name=f"{name}, one host", values=tuple(one), unit="ms", role="beside", most=wanted),
    )
