"""The least that can be done with a payment code: read the line, sign, post on a warm connection. No journal.

``python -m tests.bench.bare socket|httpx|fresh``; standard input says where, standard output says ``ready``. With
``socket`` there is nothing between the script and the kernel; with ``httpx`` it is the usual script with asyncio and a
library. ``fresh`` connects for each request, over TLS, as the vendor's demo does, and says when it has its answer.
"""

import hashlib
import json
import os
import sys
import time
import tty
from dataclasses import dataclass

_PAY, _QUERY = "/upay/v2/pay", "/upay/v2/query"


@dataclass(frozen=True, slots=True)
class Post:
    """Where to read codes and where to send them."""

    device: str
    port: int
    sn: str
    key: str
    #: The authority of the gateway's certificate, for ``fresh``.
    ca: str = ""

    def body(self, code: str) -> bytes:
        fields = {
            "terminal_sn": self.sn,
            "client_sn": f"bare-{time.monotonic_ns()}",
            "total_amount": "350",
            "dynamic_id": code,
            "subject": "Cola",
            "operator": "bare",
        }
        return json.dumps(fields).encode()

    def probe(self) -> bytes:
        return json.dumps({"terminal_sn": self.sn, "client_sn": "bare-probe"}).encode()

    def headers(self, body: bytes) -> dict[str, str]:
        sign = hashlib.md5(body + self.key.encode(), usedforsecurity=False).hexdigest()
        return {"Authorization": f"{self.sn} {sign}", "Content-Type": "application/json", "Accept": "application/json"}

    def open(self) -> int:
        fd = os.open(self.device, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        return fd


def with_socket(post: Post) -> None:
    import socket  # noqa: PLC0415 - each variant has only its own libraries

    with socket.create_connection(("127.0.0.1", post.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send(path: str, body: bytes) -> None:
            fields = {**post.headers(body), "Host": "127.0.0.1", "Content-Length": str(len(body))}
            lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            connection.recv(65536)

        send(_QUERY, post.probe())
        fd = post.open()
        _say_ready()
        line = b""
        while True:
            line += os.read(fd, 4096)
            if line.endswith(b"\r"):
                send(_PAY, post.body(line[:-1].decode()))
                line = b""


def with_httpx(post: Post) -> None:
    import asyncio  # noqa: PLC0415 - each variant has only its own libraries

    import httpx  # noqa: PLC0415 - same

    async def serve() -> None:
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        fd = post.open()
        asyncio.get_running_loop().add_reader(fd, lambda: lines.put_nowait(os.read(fd, 4096)))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{post.port}", trust_env=False) as client:
            body = post.probe()
            await client.post(_QUERY, content=body, headers=post.headers(body))
            _say_ready()
            line = b""
            while True:
                line += await lines.get()
                if line.endswith(b"\r"):
                    body, line = post.body(line[:-1].decode()), b""
                    await client.post(_PAY, content=body, headers=post.headers(body))

    asyncio.run(serve())


def with_fresh_connections(post: Post) -> None:
    import http.client  # noqa: PLC0415 - each variant has only its own libraries
    import ssl  # noqa: PLC0415 - same

    context = ssl.create_default_context(cafile=post.ca)
    fd = post.open()
    _say_ready()
    line = b""
    while True:
        line += os.read(fd, 4096)
        if line.endswith(b"\r"):
            body, line = post.body(line[:-1].decode()), b""
            connection = http.client.HTTPSConnection("127.0.0.1", post.port, context=context)
            connection.request("POST", _PAY, body, post.headers(body))
            connection.getresponse().read()
            connection.close()
            sys.stdout.write(f"{time.monotonic_ns()}\n")
            sys.stdout.flush()


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main() -> None:
    told = json.load(sys.stdin)
    post = Post(**told)
    {"socket": with_socket, "httpx": with_httpx, "fresh": with_fresh_connections}[sys.argv[1]](post)


if __name__ == "__main__":
    main()
