"""``terminald report``, with a daemon that says what the test wants."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from terminald.__main__ import main
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.ids import SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.report import report_of, sale_of_day
from terminald.core.sale_table import SaleState
from terminald.wire import api_shapes as shapes
from terminald.wire.api_report import report_json
from terminald.wire.api_views import sale_shape
from tests.cli.fake_daemon import FakeDaemon, answer, fake_daemon, problem
from tests.wire.api_samples import NOW, order, paid_view
from tests.wire.report_samples import DAY, day_report

Capture = pytest.CaptureFixture[str]
LISTED = answer(200, report_json(day_report(), NOW, with_sales=True))


def day_of(*views: SaleView, is_over: bool = True) -> bytes:
    found = [one for view in views if (one := sale_of_day(view, DAY)) is not None]
    now = replace(NOW, wall=WallTime(DAY.end), is_trusted=is_over)
    return answer(200, report_json(report_of(DAY, found), now, with_sales=True))


def look(view: SaleView, said: str, net: int | None) -> bytes:
    orders = (shapes.OrderLook(client_sn="A1", answer=said, net=net),)
    return answer(200, msgspec.json.encode(shapes.QueriedSale(sale=sale_shape(view, NOW), orders=orders)))


def run(daemon: FakeDaemon, *arguments: str) -> int:
    return main(["report", *arguments, "--config", str(daemon.path.parent / "terminald.toml")])


def asked(daemon: FakeDaemon) -> list[str]:
    return [request.split(b" HTTP/")[0].decode() for request in daemon.requests]


def test_a_day_is_a_table(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, LISTED) as daemon:
        assert run(daemon) == 0
        assert asked(daemon) == ["GET /v1/report?sales=true"]
    assert (
        capsys.readouterr().out
        == """\
2025-01-31 (+08:00), so far
provider    sold   yuan  returned  yuan  net yuan
Alipay         1   3.50         0  0.00      3.50
WeChat Pay     2   7.00         1  1.00      6.00
total          3  10.50         1  1.00      9.50
in doubt: 1 sale, 0.50 yuan: 01JDSALE3
"""
    )


def test_a_day_that_is_over_and_in_doubt_at_length(tmp_path: Path, capsys: Capture) -> None:
    one = day_report().sales[-1]
    many = report_of(DAY, (replace(one, sale_id=SaleId(f"{number:03}"), payway="") for number in range(13)))
    late = replace(NOW, wall=WallTime(DAY.end), is_trusted=True)
    with fake_daemon(tmp_path, answer(200, report_json(many, late, with_sales=True))) as daemon:
        assert run(daemon, "--day", "2025-01-31") == 0
        assert asked(daemon) == ["GET /v1/report?day=2025-01-31&sales=true"]
    said = capsys.readouterr().out
    assert said.startswith("2025-01-31 (+08:00)\n")
    assert "(not named)" in said
    assert "in doubt: 13 sales, 6.50 yuan: 000, 001," in said
    assert said.endswith("008, 009 and 3 more\n")


def test_json_has_the_report_and_what_was_asked_for(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, LISTED) as daemon:
        assert run(daemon, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"]["total"]["net"] == 950
    assert (said["verified"], said["differences"], said["slip"]) == (None, None, None)


def test_what_agrees_is_verified(tmp_path: Path, capsys: Capture) -> None:
    view = paid_view()
    with fake_daemon(tmp_path, day_of(view), look(view, "paid", 350), day_of(view)) as daemon:
        assert run(daemon, "--verify") == 0
        assert asked(daemon)[1:] == ["POST /v1/sales/01JDSALE/query", "GET /v1/report?day=2025-01-31&sales=true"]
    said = capsys.readouterr()
    assert said.out.endswith("asked the gateway about 1 order\nno differences\n")
    assert said.err == ""


def test_a_difference_is_asked_about_twice_and_ends_with_1(tmp_path: Path, capsys: Capture) -> None:
    view = paid_view()
    twice = [look(view, "partly_returned", 250)] * 2
    with fake_daemon(tmp_path, day_of(view), *twice, day_of(view)) as daemon:
        assert run(daemon, "--verify") == 1
        assert len(daemon.requests) == 4
    said = capsys.readouterr()
    assert "1 difference:\n! order-8841, sale 01JDSALE, order A1: 3.50 yuan is left of it here, 2.50 yuan" in said.out
    assert said.err.startswith("terminald: 1 difference on 2025-01-31\n  → look at each of them: terminald show SALE")


def test_what_has_moved_between_the_two_looks_is_no_difference(tmp_path: Path) -> None:
    view = paid_view()
    with fake_daemon(
        tmp_path, day_of(view), look(view, "unanswered", None), look(view, "paid", 350), day_of(view)
    ) as daemon:
        assert run(daemon, "--verify") == 0


def test_what_a_query_sets_right_is_told_at_once(tmp_path: Path, capsys: Capture) -> None:
    """I3: the second look would find it undone already."""
    view = paid_view()
    canceled = replace(
        view,
        sale=replace(view.sale, state=SaleState.CANCELED, paid=Fen(0)),
        attempts=(replace(view.attempts[0], state=AttemptState.REVERSED),),
    )
    with fake_daemon(tmp_path, day_of(canceled), look(canceled, "paid", 350), day_of(canceled)) as daemon:
        assert run(daemon, "--verify", "--json") == 1
        assert len(daemon.requests) == 3
    (found,) = json.loads(capsys.readouterr().out)["differences"]
    assert (found["kind"], found["here"], found["there"]) == ("paid_there", 0, 350)


def test_the_hosts_list_is_compared_both_ways(tmp_path: Path, capsys: Capture) -> None:
    host = tmp_path / "host.csv"
    host.write_text("reference,paid,returned\na,3.50,0\nx,1.00,0\n")
    first, second = paid_view("01A", order("a")), paid_view("01B", order("b"))
    none = answer(200, b'{"sales":[],"next_cursor":null}')
    with fake_daemon(tmp_path, day_of(first, second), none) as daemon:
        assert run(daemon, "--host", str(host)) == 1
        assert asked(daemon)[1:] == ["GET /v1/sales?reference=x&limit=1"]
    said = capsys.readouterr().out
    assert f"compared with {host}\n2 differences:\n" in said
    assert "! x: the host has 1.00 yuan paid, 0.00 yuan returned; there is no such sale here\n" in said
    assert "! b, sale 01B: here it is 3.50 yuan paid, 0.00 yuan returned; the host does not list it\n" in said


def test_a_list_that_can_not_be_read_ends_with_2_before_anything_is_asked(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path) as daemon:
        assert run(daemon, "--verify", "--host", str(tmp_path / "none.csv")) == 2
        assert daemon.requests == []
    assert "none.csv can not be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [
        ("unverified", 0, "closing slip: sent to the printer, which did not say whether it printed it\n"),
        ("failed", 1, "terminald: closing slip not printed whole: the printer failed: cut off\n"),
        ("absent", 1, "terminald: closing slip not printed: the printer is not there: cut off\n"),
    ],
)
def test_a_slip_is_printed_or_not(tmp_path: Path, capsys: Capture, state: str, code: int, says: str) -> None:
    slip = answer(200, json.dumps({"state": state, "detail": "cut off"}).encode())
    with fake_daemon(tmp_path, LISTED, slip) as daemon:
        assert run(daemon, "--print") == code
        assert asked(daemon)[1:] == ["POST /v1/report/print?day=2025-01-31"]
    said = capsys.readouterr()
    assert says in said.out + said.err


def test_without_a_printer_it_is_refused_with_3(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, LISTED, problem(409, "printer_off")) as daemon:
        assert run(daemon, "--print") == 3
    assert "the detail" in capsys.readouterr().err


def test_a_day_that_is_none_is_wrong_usage(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path) as daemon:
        assert run(daemon, "--day", "yesterday") == 2
        assert daemon.requests == []
    assert "a day such as 2026-01-31" in capsys.readouterr().err


def test_what_the_daemon_says_can_not_command_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    view = paid_view("01A", order("\x1b[2J"))
    host = tmp_path / "host.csv"
    host.write_text("reference,paid\n")
    with fake_daemon(tmp_path, day_of(view)) as daemon:
        assert run(daemon, "--host", str(host)) == 1
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.system
def test_progress_is_shown_where_somebody_watches(tmp_path: Path) -> None:
    view = paid_view()
    leader, follower = pty.openpty()
    try:
        with fake_daemon(tmp_path, day_of(view), look(view, "paid", 350), day_of(view)) as daemon:
            done = subprocess.run(
                [sys.executable, "-m", "terminald", "report", "--verify", "--config", str(tmp_path / "terminald.toml")],
                stdout=subprocess.PIPE,
                stderr=follower,
                check=False,
                timeout=60,
            )
            assert len(daemon.requests) == 3
        assert done.returncode == 0
        assert b"no differences" in done.stdout
        assert os.read(leader, 1_000) == b"\rasking the gateway: sale 1 of 1\r\x1b[K"
    finally:
        os.close(leader)
        os.close(follower)
