"""``terminald sell`` as it tells a sale that can be paid by QR; the daemon is a stand-in."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.cli.words import local_time
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import SaleView
from terminald.core.events import Fault
from terminald.core.ids import Instant
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.spool import JobState
from terminald.wire.api_views import print_event, sale_event, sale_json
from tests.cli.fake_daemon import FakeDaemon, answer, fake_daemon, stream
from tests.wire.api_samples import NOW, attempt, job, offer, order, sale

Capture = pytest.CaptureFixture[str]
BOTH = ("scan", "qr")
UNTIL = local_time("2025-01-31T08:00:40+00:00", with_date=False)
QR_LINE = f"The customer scans this QR with WeChat Pay until {UNTIL}: https://qr.example/1"


def view(state: SaleState, *attempts: Attempt, methods: tuple[str, ...] = BOTH, reason: str = "") -> SaleView:
    wanted = replace(order(), methods=methods, qr_payway="3" if "qr" in methods else "")
    names = tuple(one.client_sn for one in attempts)
    return SaleView(sale=sale(state=state, wanted=wanted, attempts=names, reason=reason), attempts=attempts)


def paid_by_qr(client_sn: str = "Q1") -> SaleView:
    paid = replace(offer(client_sn, state=AttemptState.PAID), qr_content="", facts=attempt().facts)
    return view(SaleState.COMPLETED, paid)


def frames(*bodies: tuple[str, bytes]) -> bytes:
    parts = [
        b"id: %d\nevent: %b\ndata: %b\n\n" % (at, topic.encode(), body) for at, (topic, body) in enumerate(bodies, 2)
    ]
    return stream(b"id: 1\n\n" + b"".join(parts))


def told(*views: SaleView) -> bytes:
    return frames(*(("sale", sale_event(one, NOW)) for one in views))


def opened(first: SaleView) -> bytes:
    return answer(201, sale_json(first, NOW))


def sell(directory: Path, *arguments: str) -> int:
    return main(["sell", "3.50", "--reference", "r", *arguments, "--config", str(directory / "terminald.toml")])


def request_of(fake: FakeDaemon) -> dict[str, object]:
    found = json.loads(fake.requests[1].partition(b"\r\n\r\n")[2])
    assert isinstance(found, dict)
    return found


def test_methods_wallet_and_delivery_are_asked_for(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, told(), opened(paid_by_qr())) as fake:
        arguments = ["--method", "qr", "--method", "scan", "--payway", "1", "--delivery", "confirm"]
        assert sell(tmp_path, *arguments) == 0
    assert request_of(fake)["methods"] == ["qr", "scan"]
    assert (request_of(fake)["payway"], request_of(fake)["delivery"]) == ("1", "confirm")


def test_what_is_not_said_is_left_to_the_configuration(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, told(), opened(paid_by_qr())) as fake:
        assert sell(tmp_path) == 0
    assert [request_of(fake)[name] for name in ("methods", "payway", "delivery")] == [None] * 3


def test_a_qr_is_shown_once_with_its_wallet_and_its_end(tmp_path: Path, capsys: Capture) -> None:
    making = view(SaleState.AWAITING_PAYMENT, offer(state=AttemptState.OFFERING), methods=("qr",))
    offered = view(SaleState.AWAITING_PAYMENT, offer(), methods=("qr",))
    with fake_daemon(tmp_path, told(offered, offered, paid_by_qr()), opened(making)):
        assert sell(tmp_path, "--method", "qr") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Sale 01JDSALE over 3.50 yuan, reference order-8841.",
        QR_LINE,
        "Paid 3.50 yuan with WeChat Pay, transaction 7894.",
    ]


def test_both_ways_are_told_and_the_one_that_is_taken(tmp_path: Path, capsys: Capture) -> None:
    undone = offer(state=AttemptState.REVERSING)
    with fake_daemon(
        tmp_path,
        told(
            view(SaleState.AWAITING_PAYMENT, offer()),
            view(SaleState.SWITCHING, undone, attempt(state=AttemptState.HELD)),
            view(SaleState.PROCESSING, undone, attempt(state=AttemptState.SUBMITTING)),
            view(SaleState.COMPLETED, undone, attempt()),
        ),
        opened(view(SaleState.AWAITING_PAYMENT, offer(state=AttemptState.OFFERING))),
    ):
        assert sell(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "Now the customer shows a payment code to the scanner.",
        QR_LINE,
        "A code was presented; the QR is being undone first, so that only one of them is paid.",
        "With the gateway; the customer may have to confirm on the phone.",
        "Paid 3.50 yuan with WeChat Pay, transaction 7894.",
    ]


def test_a_qr_that_can_not_be_paid_any_more_is_told_once_and_the_next_one_shown(
    tmp_path: Path, capsys: Capture
) -> None:
    failed = replace(offer("Q0", state=AttemptState.DECLINED), fault=Fault(code="TRADE_FAILED", message="m"))
    second = replace(offer("Q1"), qr_content="https://qr.example/2")
    with fake_daemon(
        tmp_path,
        told(
            view(SaleState.AWAITING_PAYMENT, failed),
            view(SaleState.AWAITING_PAYMENT, failed, second),
            replace(paid_by_qr(), attempts=(failed, *paid_by_qr().attempts)),
        ),
        opened(view(SaleState.AWAITING_PAYMENT, offer("Q0"))),
    ):
        assert sell(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        QR_LINE,
        "The QR can not be paid (TRADE_FAILED m); another one may follow.",
        QR_LINE.replace("/1", "/2"),
        "Paid 3.50 yuan with WeChat Pay, transaction 7894.",
    ]


def test_a_code_that_did_not_pay_is_told_beside_the_qr(tmp_path: Path, capsys: Capture) -> None:
    unsent = attempt("A1", state=AttemptState.UNSENT)
    declined = replace(attempt("A2", state=AttemptState.DECLINED), code_masked="2808…2020")
    undone = offer(state=AttemptState.REVERSED)
    with fake_daemon(
        tmp_path,
        told(
            view(SaleState.AWAITING_PAYMENT, undone, unsent),
            view(SaleState.AWAITING_PAYMENT, undone, unsent, declined),
            view(SaleState.CANCELED, undone, unsent, declined, reason="expired"),
        ),
        opened(view(SaleState.AWAITING_PAYMENT, offer())),
    ):
        assert sell(tmp_path) == 1
    assert capsys.readouterr().out.splitlines()[3:] == [
        "Not paid with 1308…1147: never sent. Another code may be presented.",
        "The QR can not be paid; another one may follow.",
        "Not paid with 2808…2020: the payment was declined. Another code may be presented.",
        "Canceled, no money is kept: it was not paid in time.",
    ]


def test_a_line_is_not_presented_before_the_qr_is_shown(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I7: nor is it shown."""
    code = "130812345678901147"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{code}\n"))
    offered = view(SaleState.AWAITING_PAYMENT, offer())
    switching = view(SaleState.SWITCHING, offer(state=AttemptState.REVERSING), attempt(state=AttemptState.HELD))
    done = view(SaleState.COMPLETED, offer(state=AttemptState.REVERSED), attempt())
    with fake_daemon(
        tmp_path,
        told(offered, offered, switching, done),
        opened(view(SaleState.AWAITING_PAYMENT, offer(state=AttemptState.OFFERING))),
        answer(200, sale_json(switching, NOW)),
    ) as fake:
        assert sell(tmp_path, "--code", "-") == 0
    assert len(fake.requests) == 3
    assert fake.requests[2].endswith(b'{"code":"130812345678901147"}')
    said = capsys.readouterr().out
    assert QR_LINE in said
    assert code not in said


def test_lines_are_kept_where_no_code_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("130812345678901147\n"))
    offered = view(SaleState.AWAITING_PAYMENT, offer(), methods=("qr",))
    with fake_daemon(tmp_path, told(paid_by_qr()), opened(offered)) as fake:
        assert sell(tmp_path, "--method", "qr", "--code", "-") == 0
    assert len(fake.requests) == 2


def test_a_sale_that_is_to_be_reported_ends_with_the_payment_and_says_what_is_next(
    tmp_path: Path, capsys: Capture
) -> None:
    paid = view(SaleState.PAID, attempt())
    pending = replace(
        paid.sale,
        order=replace(paid.sale.order, reports_delivery=True),
        delivery=DeliveryState.PENDING,
        delivery_ends=Instant(NOW.instant + 40_000),
    )
    with fake_daemon(
        tmp_path,
        told(replace(paid, sale=pending)),
        opened(view(SaleState.AWAITING_PAYMENT, methods=("scan",))),
    ):
        assert sell(tmp_path) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(f"Now report the goods until {UNTIL}: terminald delivered 01JDSALE, or ")


def test_a_sale_whose_money_goes_back_is_not_sold(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, told(), opened(view(SaleState.RETURNING, attempt()))):
        assert sell(tmp_path) == 1
    assert "the money is on its way back" in capsys.readouterr().out


def test_the_slip_with_the_qr_is_no_receipt(tmp_path: Path, capsys: Capture) -> None:
    waiting = replace(paid_by_qr(), jobs=(job(JobState.QUEUED, number=2),))
    with fake_daemon(
        tmp_path,
        frames(
            ("sale", sale_event(waiting, NOW)),
            ("print", print_event(job(JobState.FAILED, slip="qr"))),
            ("print", print_event(job(JobState.UNVERIFIED, number=2))),
        ),
        opened(view(SaleState.AWAITING_PAYMENT, offer())),
    ):
        assert sell(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Receipt: sent to the printer, ")


def test_for_programs_everything_but_the_sale_goes_to_standard_error(tmp_path: Path, capsys: Capture) -> None:
    done = paid_by_qr()
    first = opened(view(SaleState.AWAITING_PAYMENT, offer()))
    with fake_daemon(tmp_path, told(done), first, answer(200, sale_json(done, NOW))):
        assert sell(tmp_path, "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["state"] == "completed"
    assert QR_LINE in said.err
