"""HTTP on a Unix socket that leaves nothing open, whenever the other end dies."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx


class _Body(httpx.SyncByteStream):
    """The rest of an answer, and its connection."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        try:
            while piece := self._answer.read1():
                yield piece
        except (OSError, http.client.HTTPException) as exc:
            raise httpx.ReadError(str(exc)) from exc
        if self._answer.length:
            raise httpx.ReadError("the answer was cut short")

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


class UnixTransport(httpx.BaseTransport):
    """One connection for each request. httpx's own transport leaves the socket of a refused connection unclosed."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        connection = http.client.HTTPConnection("terminald")
        # The connection closes this socket, whatever happens to it.
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(self._timeout_s)
            connection.sock.connect(str(self._path))
            headers = dict(request.headers)
            connection.request(request.method, request.url.raw_path.decode(), request.read(), headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            raise httpx.ConnectError(str(exc)) from exc
        return httpx.Response(answer.status, headers=answer.getheaders(), stream=_Body(connection, answer))
