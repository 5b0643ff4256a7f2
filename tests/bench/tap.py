"""A wire tap between a terminal and the simulated gateway: says when the first byte of a pay request arrived."""

import contextlib
import socket
import threading
import time
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from tests.system.rig import PATIENCE_S

_PAY = b"POST /upay/v2/pay "


class Tap:
    """Listens on a port of its own and passes everything on. One connection costs two threads."""

    def __init__(self, gateway_url: str) -> None:
        place = urlsplit(gateway_url)
        self._gateway = (place.hostname or "", place.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._pays: SimpleQueue[int] = SimpleQueue()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next_pay_ns(self) -> int:
        """Wait for a pay request; return the monotonic time at which its first bytes were here."""
        return self._pays.get(timeout=PATIENCE_S)

    def forget(self) -> None:
        """Drop what nobody asked for."""
        with contextlib.suppress(Empty):
            while True:
                self._pays.get_nowait()

    def close(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                gateway = socket.create_connection(self._gateway)
                for one in (client, gateway):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._sockets.append(one)
                threading.Thread(target=self._pump, args=(client, gateway), daemon=True).start()
                threading.Thread(target=self._pump, args=(gateway, client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                at = time.monotonic_ns()
                if data.startswith(_PAY):
                    self._pays.put(at)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
