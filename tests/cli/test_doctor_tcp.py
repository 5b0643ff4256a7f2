"""What ``terminald doctor`` says of the loopback port. What listens there never gets to see the token (I7)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terminald.cli.doctor_findings import Verdict
from terminald.cli.doctor_tcp import check_tcp
from terminald.config import Config, load
from terminald.errors import ApiError
from terminald.wire.api_problems import problem_json

TOKEN = "MARKED-TOKEN-of-32-characters-xx"


@contextmanager
def listener(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Answer one call with these bytes; yield the port, and what was asked."""
    asked: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        caller, _ = sock.accept()
        with caller:
            asked.append(caller.recv(65536))
            caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=serve, args=(sock,))
        thread.start()
        yield sock.getsockname()[1], asked
        thread.join()


def http(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def config(directory: Path, port: int, host: str = "127.0.0.1") -> Config:
    token, path = directory / "token", directory / "t.toml"
    token.write_text(TOKEN)
    token.chmod(0o600)
    path.write_text(f'[api]\nlisten = "{host}:{port}"\ntoken_file = "{token}"\n')
    return load(path)


def test_where_it_is_off_there_is_nothing_to_say() -> None:
    assert list(check_tcp(Config())) == []


def test_terminald_is_known_by_its_asking_for_the_token(tmp_path: Path) -> None:
    with listener(http(401, problem_json(ApiError("unauthorized", "x"))[1])) as (port, asked):
        (found,) = check_tcp(config(tmp_path, port))
    assert (found.check, found.verdict) == ("tcp", Verdict.OK)
    assert found.what == f"127.0.0.1:{port} answers, and asks for the token"
    assert asked[0].startswith(b"GET /v1/status ")
    assert TOKEN.encode() not in asked[0]


def test_another_program_that_has_the_port_is_told(tmp_path: Path) -> None:
    for answer in (
        http(200, b"{}"),
        http(401, b"<html>"),
        http(403, problem_json(ApiError("forbidden", ""))[1]),
        b"nonsense",
    ):
        with listener(answer) as (port, asked):
            (found,) = check_tcp(config(tmp_path, port))
        assert found.verdict is Verdict.FAIL
        assert found.what.endswith("that is not terminald")
        assert str(port) in found.advice
        assert TOKEN.encode() not in asked[0]


def test_where_nobody_listens_terminald_does_not_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    found = list(check_tcp(config(tmp_path, port, "localhost")))
    assert [one.verdict for one in found] == [Verdict.NOTE, Verdict.NOTE]
    assert found[0].what.startswith(f"nobody listens on 127.0.0.1:{port}")
    assert found[1].what.startswith(f"nobody listens on [::1]:{port}: no IPv6")


def test_a_token_that_is_none_fails(tmp_path: Path) -> None:
    with listener(http(401, problem_json(ApiError("unauthorized", "x"))[1])) as (port, _):
        right = config(tmp_path, port)
        (tmp_path / "token").write_text("short")
        bad, fine = check_tcp(right)
    assert (bad.verdict, fine.verdict) == (Verdict.FAIL, Verdict.OK)
    assert "api.token_file" in bad.what
    assert "short" not in bad.what
