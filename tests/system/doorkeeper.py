"""A relay in front of the gateway that keeps its answer back until it is told to let it through."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

#: Larger than any request or answer here.
_CHUNK = 65_536


class Doorkeeper:
    """Carries one connection. What has happened is told by events; nothing here waits for a time."""

    def __init__(self, gateway_url: str) -> None:
        address = urlsplit(gateway_url)
        assert address.hostname
        assert address.port
        self._gateway = (address.hostname, address.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        #: The gateway has carried the request out, and its answer is here.
        self.has_answer = threading.Event()
        #: Set by the test: the answer may go on to the terminal.
        self.may_pass = threading.Event()
        #: The terminal has closed its end, as it does when it has read the whole answer.
        self.is_closed = threading.Event()

    def serve(self) -> None:
        with suppress(OSError):
            client, _ = self._listener.accept()
            with client, socket.create_connection(self._gateway) as gateway:
                back = threading.Thread(target=self._carry_back, args=(gateway, client))
                back.start()
                try:
                    with suppress(ConnectionError):
                        while data := client.recv(_CHUNK):
                            gateway.sendall(data)
                    self.is_closed.set()
                finally:
                    self.may_pass.set()
                    with suppress(OSError):
                        gateway.shutdown(socket.SHUT_RDWR)
                    back.join()

    def _carry_back(self, gateway: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := gateway.recv(_CHUNK):
                self.has_answer.set()
                self.may_pass.wait()
                client.sendall(data)

    def close(self) -> None:
        self.may_pass.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def doorkeeper(gateway_url: str) -> Iterator[Doorkeeper]:
    made = Doorkeeper(gateway_url)
    thread = threading.Thread(target=made.serve)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()
