"""A stand-in for the daemon on its Unix socket: it answers what a test tells it to, byte for byte."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROBLEM = (
    b'{"type":"urn:terminald:%b","title":"The title","status":%d,"detail":"the detail","advice":"the advice",'
    b'"code":"%b"}'
)


def answer(status: int, body: bytes, kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, kind, len(body)) + body


def problem(status: int, code: str) -> bytes:
    return answer(status, PROBLEM % (code.encode(), status, code.encode()), b"application/problem+json")


def stream(body: bytes) -> bytes:
    """A stream that breaks off after the body: the length is not told."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + body


def whole_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: (\d+)", head, re.MULTILINE)
    while length and len(body) < int(length[1]):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@dataclass
class FakeDaemon:
    """Answers one request on each connection, in order; after the last one it hangs up without a word."""

    path: Path
    answers: list[bytes]
    requests: list[bytes] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(whole_request(connection))
                if self.answers:
                    connection.sendall(self.answers.pop(0))


@contextmanager
def fake_daemon(directory: Path, *answers: bytes) -> Iterator[FakeDaemon]:
    """Serve until this is left; ``terminald.toml`` in the directory leads to it."""
    made = FakeDaemon(path=directory / "api.sock", answers=list(answers))
    (directory / "terminald.toml").write_text(f'[api]\nsocket = "{made.path}"\n')
    made.path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(made.path))
        listener.listen()
        thread = threading.Thread(target=made.serve, args=(listener,))
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
