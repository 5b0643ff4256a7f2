"""Commands that talk to the daemon: what they make of its answers, and of none."""

import socket
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.cli import care, client, metrics, status
from terminald.cli.client import Daemon, client_settings, decode
from terminald.cli.outcome import FAILED, REFUSED, CommandFailed
from terminald.errors import ConfigError
from terminald.wire import api_shapes as shapes
from tests.cli.fake_daemon import answer, fake_daemon, problem, stream

Capture = pytest.CaptureFixture[str]

STATUS = (
    b'{"ready":%b,"reasons":%b,"terminal":{"sn":null,"device_id":"d","activated_at":null},"key":null,'
    b'"gateway":{"reachable":false,"last_answer_at":null},"devices":[{"name":"front","kind":"scanner",'
    b'"state":"absent","detail":"plug it in\\u001b[2J","since":"2026-11-23T02:30:04+00:00"}],'
    b'"sale":null,"unresolved":2,"attention":1,"print_queue":3,'
    b'"clock":{"synchronized":false},"draining":true,"version":"9.9","uptime_s":3700,"from_the_future":1}'
)
NO_SALES = b'{"sales":[],"next_cursor":null}'


def run(directory: Path, *arguments: str) -> int:
    return main([*arguments, "--config", str(directory / "terminald.toml")])


def daemon(directory: Path) -> Daemon:
    return Daemon(client_settings(directory / "terminald.toml"))


# --- a daemon that does not come ------------------------------------------------------------------------------------


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A socket as systemd holds it, and nobody behind it; return the directory."""
    (tmp_path / "terminald.toml").write_text(f'[api]\nsocket = "{tmp_path}/api.sock"\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "api.sock"))
        listener.listen(32)
        yield tmp_path


@pytest.mark.parametrize("command", ["status", "metrics", "health"])
def test_who_looks_what_is_wrong_does_not_wait_for_a_daemon_that_can_not_start(
    command: str, held: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (care, client, metrics, status):
        monkeypatch.setattr(module, "LOOK_LIMIT_S", 0.1)
    assert run(held, command) == REFUSED
    said = capsys.readouterr().err
    assert f"terminald does not answer at {held}/api.sock" in said
    assert "systemctl status terminald" in said


def test_an_updater_has_its_answer_in_the_time_that_it_gave(held: Path) -> None:
    began = time.monotonic()
    assert run(held, "health", "--wait", "1200ms") == REFUSED
    assert time.monotonic() - began < 10


def test_a_file_of_metrics_says_soon_that_nobody_answers(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LOOK_LIMIT_S", 0.1)
    assert run(held, "metrics", "--out", str(held / "terminald.prom")) == REFUSED
    assert "\nterminald_up 0\n" in (held / "terminald.prom").read_text()


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (403, "forbidden", 3),
        (409, "busy", 3),
        (409, "reference_conflict", 3),
        (409, "illegal_transition", 3),
        (503, "not_ready", 3),
        (503, "journal_failed", 3),
        (404, "not_found", 1),
        (422, "invalid_request", 1),
        (500, "internal_error", 1),
    ],
)
def test_a_refusal_is_told_with_its_advice(
    status: int, code: str, exit_code: int, tmp_path: Path, capsys: Capture
) -> None:
    with fake_daemon(tmp_path, problem(status, code)):
        assert run(tmp_path, "cancel", "01J0") == exit_code
    assert capsys.readouterr().err == "terminald: the detail\n  → the advice\n"


@pytest.mark.parametrize(("status", "exit_code"), [(502, 1), (503, 3)])
def test_a_refusal_in_other_words_is_told_by_its_status(
    status: int, exit_code: int, tmp_path: Path, capsys: Capture
) -> None:
    with fake_daemon(tmp_path, answer(status, b"<html>")):
        assert run(tmp_path, "status") == exit_code
    assert f"HTTP status {status}" in capsys.readouterr().err


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"\xff", b'{"ready":"yes"}'])
def test_an_answer_that_is_not_understood_is_a_failure(body: bytes, tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, body)):
        assert run(tmp_path, "status") == 1
    assert "is not understood" in capsys.readouterr().err


def test_an_answer_that_breaks_off_leaves_open_what_was_done(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path):
        assert run(tmp_path, "cancel", "01J0") == 1
    said = capsys.readouterr().err
    assert "gave no whole answer" in said
    assert "may have been done" in said


def test_names_that_are_no_path_are_looked_up(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, NO_SALES)) as fake:
        assert run(tmp_path, "show", "a/../b c") == 1
    assert b"GET /v1/sales?reference=a%2F..%2Fb+c&limit=1 " in fake.requests[0]
    assert "there is no sale 'a/../b c'" in capsys.readouterr().err


def test_decode_names_no_content() -> None:
    """I7: what could not be read may hold anything."""
    with pytest.raises(CommandFailed) as caught:
        decode(b'{"sn": 130812345678901147}', shapes.Sale)
    assert "1308" not in f"{caught.value} {caught.value.advice}"


# --- configuration ---------------------------------------------------------------------------------------------------


def test_only_its_own_keys_concern_a_client(tmp_path: Path) -> None:
    """Who may sell need not be able to read the service's secrets, and a fault elsewhere is the daemon's affair."""
    path = tmp_path / "terminald.toml"
    path.write_text('[vendor]\nkey_file = "relative"\n[api]\nsocket = "/x/api.sock"\n[nonsense]\na = 1\n')
    assert client_settings(path).socket == Path("/x/api.sock")
    path.write_text("")
    assert client_settings(path).socket == Path("/run/terminald/api.sock")
    path.write_text("api = 5\n")
    assert client_settings(path).socket == Path("/run/terminald/api.sock")


@pytest.mark.parametrize("text", ["[api]\nsocket = 5", "not toml", '[gateway]\ntimezone = "east"'])
def test_a_wrong_configuration_ends_with_78(text: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "terminald.toml").write_text(text)
    with pytest.raises(ConfigError):
        client_settings(tmp_path / "terminald.toml")
    assert run(tmp_path, "status") == 78
    assert "terminald.toml:" in capsys.readouterr().err


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_says_every_reason_with_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, STATUS % (b"false", b'["not_activated","scanner_absent"]'))):
        assert run(tmp_path, "status") == 3
    said = capsys.readouterr().out
    assert "NOT ready" in said
    assert "not_activated: Activate the terminal once" in said
    assert "scanner_absent: Plug the scanner in" in said
    assert "terminald sales --attention" in said
    assert "up 1 h 1 min" in said
    assert "draining" in said


def test_status_says_what_to_do_about_the_key(tmp_path: Path, capsys: Capture) -> None:
    key = (
        b'"key":{"age_s":7200,"rotated_at":"2026-01-31T08:00:00.000+00:00","next_checkin":null,"state":"doubtful",'
        b'"attention":{"code":"checkin_stopped","since":"2026-01-31T08:00:00.000+00:00","advice":"do this\\u001b"}}'
    )
    body = (STATUS % (b"true", b"[]")).replace(b'"key":null', key)
    with fake_daemon(tmp_path, answer(200, body)):
        assert run(tmp_path, "status") == 0
    said = capsys.readouterr().out
    assert "attention   key: checkin_stopped: do this\\x1b\n" in said
    assert "sales --attention" not in said
    other = tmp_path / "other"
    other.mkdir()
    with fake_daemon(other, answer(200, body.replace(b'"attention":1', b'"attention":3'))):
        assert run(other, "status") == 0
    assert "2 need a person: terminald sales --attention" in capsys.readouterr().out


def test_events_about_the_key_are_told_in_words(tmp_path: Path, capsys: Capture) -> None:
    told = (
        b'id: 4\nevent: key\ndata: {"key":{"age_s":7200,"rotated_at":"x","next_checkin":null,"state":"stale"}}\n\n'
        b'id: 5\nevent: attention\ndata: {"sale":null,"client_sn":null,"code":"expired","since":"","advice":"a"}\n\n'
        b'id: 6\nevent: attention\ndata: {"sale":"S1","client_sn":"C1","code":"errored","since":"","advice":"b"}\n\n'
        b"id: 7\nevent: weather\ndata: sunny\n\n"
    )
    with fake_daemon(tmp_path, stream(told), problem(500, "internal_error")):
        assert run(tmp_path, "events") == 1
    assert [line.split(maxsplit=2)[2] for line in capsys.readouterr().out.splitlines()] == [
        "the terminal's key: due for renewal, 2 h old",
        "the terminal's key: expired: a",
        "sale S1: errored: b",
        "sunny",
    ]


def test_status_lets_nobody_write_to_the_screen(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, STATUS % (b"true", b"[]"))):
        assert run(tmp_path, "status") == 0
    said = capsys.readouterr().out
    assert "ready to take payments" in said
    assert "plug it in\\x1b[2J" in said


def test_json_is_what_the_daemon_said(tmp_path: Path, capsys: Capture) -> None:
    body = STATUS % (b"true", b"[]")
    with fake_daemon(tmp_path, answer(200, body)):
        assert run(tmp_path, "status", "--json") == 0
    assert capsys.readouterr().out.encode() == body + b"\n"


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_day_is_one_of_the_gateway(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, NO_SALES)) as fake:
        assert run(tmp_path, "sales", "--day", "2026-01-31", "--state", "paid", "--attention", "--limit", "7") == 0
    request = fake.requests[0].split(b" ")[1].decode()
    assert request == (
        "/v1/sales?limit=7&state=paid&attention=true"
        "&since=2026-01-31T00%3A00%3A00%2B08%3A00&until=2026-02-01T00%3A00%3A00%2B08%3A00"
    )
    assert capsys.readouterr().out == "no sales\n"


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "9999-12-31"])
def test_a_day_that_is_none_is_wrong_usage(day: str, tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path):
        assert run(tmp_path, "sales", "--day", day) == 2
    assert day in capsys.readouterr().err


# --- events ----------------------------------------------------------------------------------------------------------


def test_a_stream_is_taken_up_where_it_broke_off(tmp_path: Path) -> None:
    first = stream(b"id: 3\n\nid: 4\nevent: sale\ndata: {}\n\nid: 5\nevent: sa")
    second = stream(b"id: 5\nevent: key\ndata: a\ndata: b\n\n:\n\n")
    with fake_daemon(tmp_path, first, problem(503, "stopping"), second) as fake, daemon(tmp_path) as client:
        events = client.follow(None)
        taken = [(event.id, event.topic, event.data) for event in islice(events, 4)]
        events.close()  # type: ignore[attr-defined]  # a generator
    assert taken == [(3, "", b""), (4, "sale", b"{}"), (5, "key", b"a\nb"), (5, "", b"")]
    assert [request.split(b" ")[1] for request in fake.requests] == [
        b"/v1/events",
        b"/v1/events?since=4",
        b"/v1/events?since=4",
    ]


def test_patience_with_a_daemon_that_went_away_ends(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, stream(b"id: 3\n\n")), daemon(tmp_path) as client:
        events = client.follow(None, patience_s=0)
        next(events)
        with pytest.raises(CommandFailed, match="went away") as caught:
            next(events)
    assert caught.value.code == REFUSED


@pytest.mark.parametrize(
    ("said", "code"), [(problem(410, "events_unknown"), FAILED), (problem(503, "overloaded"), REFUSED)]
)
def test_a_stream_that_is_refused_is_not_asked_for_again(said: bytes, code: int, tmp_path: Path) -> None:
    with (
        fake_daemon(tmp_path, said),
        daemon(tmp_path) as client,
        pytest.raises(CommandFailed, match="the detail") as caught,
    ):
        next(client.follow(9))
    assert caught.value.code == code
