"""The money and the goods of a paid sale, at the command line; the daemon is a stand-in that says what a test wants."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.core.book import SaleView
from terminald.core.events import Fault
from terminald.core.ids import Instant
from terminald.core.refund_answers import ALL_IS_BACK
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.tables import Attention
from terminald.wire.api_problems import advice
from terminald.wire.api_views import refund_event, refund_json, sale_json, sales_json
from tests.cli.fake_daemon import FakeDaemon, answer, fake_daemon, problem, stream
from tests.wire.api_samples import NOW, attempt, order, paid_view, qr_view, refund, refunded_view, sale

Capture = pytest.CaptureFixture[str]
UNDER_WAY = refund(state=RefundState.REFUNDING)
DONE = refund()
REFUSAL = Fault(code="REFUNDABLE_AMOUNT_NOT_ENOUGH", message="m")


def run(directory: Path, *arguments: str) -> int:
    return main([*arguments, "--config", str(directory / "terminald.toml")])


def told(*refunds: Refund) -> bytes:
    """A stream that tells what becomes of refunds, from the moment on at which it is opened."""
    events = [b"id: %d\nevent: refund\ndata: %b\n\n" % (at, refund_event(one)) for at, one in enumerate(refunds, 2)]
    return stream(b"id: 1\n\n" + b"".join(events))


def begun(made: Refund) -> bytes:
    return answer(202, refund_json(made))


def body_of(fake: FakeDaemon, request: int = -1) -> object:
    return json.loads(fake.requests[request].partition(b"\r\n\r\n")[2])


def path_of(fake: FakeDaemon, request: int = -1) -> str:
    return " ".join(fake.requests[request].decode().split(" ")[:2])


# --- refund and revoke -----------------------------------------------------------------------------------------------


def test_a_refund_is_followed_until_it_has_gone_back(tmp_path: Path, capsys: Capture) -> None:
    other = refund(2, state=RefundState.REFUSED, reference="other")
    proving = refund(state=RefundState.PROVING)
    recorded = refund(state=RefundState.QUEUED)
    with fake_daemon(tmp_path, told(other, recorded, UNDER_WAY, proving, DONE), begun(UNDER_WAY)) as fake:
        assert run(tmp_path, "refund", "01JDSALE", "1.00", "--reference", "back-1") == 0
    assert (path_of(fake), body_of(fake)) == (
        "POST /v1/sales/01JDSALE/refunds",
        {"reference": "back-1", "amount": 100},
    )
    assert capsys.readouterr().out.splitlines() == [
        "Refund 01JDSALE-r1 of 1.00 yuan, reference back-1.",
        "Being refunded.",
        "Refund sent; what came of it is being looked up.",
        "Gone back.",
    ]


def test_a_refund_of_all_that_is_left_gets_a_fresh_reference_which_is_shown(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, told(), begun(DONE)) as fake:
        assert run(tmp_path, "refund", "01JDSALE") == 0
    sent = body_of(fake)
    assert isinstance(sent, dict)
    assert sent["amount"] is None
    assert sent["reference"].startswith("cli-01")
    assert "reference back-1" in capsys.readouterr().out


def test_for_programs_there_is_the_refund_as_it_ended(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, told(DONE), begun(UNDER_WAY)):
        assert run(tmp_path, "refund", "01JDSALE", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads(refund_json(DONE))
    assert "Gone back." in said.err


@pytest.mark.parametrize(
    ("end", "words", "hint"),
    [
        (RefundState.REFUSED, "refused by the gateway", "under a new reference"),
        (RefundState.BLOCKED, "held up", "terminald attention 01JDSALE"),
        (RefundState.CLOSED, "closed by a person", "terminald show 01JDSALE"),
    ],
)
def test_money_that_does_not_go_back_is_a_failure_that_says_what_to_do(
    end: RefundState, words: str, hint: str, tmp_path: Path, capsys: Capture
) -> None:
    with fake_daemon(tmp_path, told(refund(state=end, fault=REFUSAL)), begun(UNDER_WAY)):
        assert run(tmp_path, "refund", "01JDSALE", "1", "--json") == 1
    said = capsys.readouterr()
    assert f"1.00 yuan did not go back: {words}" in said.err
    assert "REFUNDABLE_AMOUNT_NOT_ENOUGH m" in said.err
    assert hint in said.err
    assert json.loads(said.out)["state"] == end.value


def test_a_refund_that_another_has_overtaken_is_not_offered_again(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, told(refund(state=RefundState.REFUSED, fault=ALL_IS_BACK)), begun(UNDER_WAY)):
        assert run(tmp_path, "refund", "01JDSALE", "1") == 1
    said = capsys.readouterr().err
    assert "1.00 yuan did not go back: not carried out (already_returned" in said
    assert "nothing is left to give back" in said


def test_a_refused_revoke_is_offered_as_a_refund(tmp_path: Path, capsys: Capture) -> None:
    asked = refund(state=RefundState.REVOKING, kind=RefundKind.REVOKE, reference="", amount=350)
    with fake_daemon(tmp_path, told(replace(asked, state=RefundState.REFUSED)), begun(asked)) as fake:
        assert run(tmp_path, "revoke", "01JDSALE") == 1
    assert (path_of(fake), body_of(fake)) == ("POST /v1/sales/01JDSALE/revoke", {})
    said = capsys.readouterr()
    assert said.out.splitlines() == ["Revoke 01JDSALE-r1 of 3.50 yuan.", "Being revoked."]
    assert "terminald refund 01JDSALE" in said.err


@pytest.mark.parametrize("code", ["not_paid", "nothing_left", "refund_conflict"])
def test_what_the_daemon_refuses_is_not_followed(code: str, tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, told(), problem(409, code)):
        assert run(tmp_path, "refund", "01JDSALE") == 3
    assert capsys.readouterr().err == "terminald: the detail\n  → the advice\n"


# --- the goods -------------------------------------------------------------------------------------------------------


def reported(state: SaleState, delivery: DeliveryState) -> bytes:
    wanted = replace(order(), reports_delivery=True)
    view = SaleView(sale=replace(sale(state=state, wanted=wanted), delivery=delivery), attempts=(attempt(),))
    return answer(200, sale_json(view, NOW))


@pytest.mark.parametrize(
    ("arguments", "request_body", "state", "delivery", "words"),
    [
        (["delivered"], {}, SaleState.COMPLETED, DeliveryState.DELIVERED, "the goods came out. Sale 01JDSALE: paid"),
        (["undelivered"], {"amount": None}, SaleState.RETURNING, DeliveryState.UNDELIVERED, "on its way back"),
        (["undelivered", "1"], {"amount": 100}, SaleState.COMPLETED, DeliveryState.UNDELIVERED, "did not come out"),
    ],
)
def test_goods_are_reported(
    arguments: list[str],
    request_body: object,
    state: SaleState,
    delivery: DeliveryState,
    words: str,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    command, *amount = arguments
    with fake_daemon(tmp_path, reported(state, delivery)) as fake:
        assert run(tmp_path, command, "01JDSALE", *amount) == 0
    assert (path_of(fake), body_of(fake)) == (f"POST /v1/sales/01JDSALE/{command}", request_body)
    assert words in capsys.readouterr().out


def test_for_programs_a_report_answers_with_the_sale(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, reported(SaleState.COMPLETED, DeliveryState.DELIVERED)):
        assert run(tmp_path, "delivered", "01JDSALE", "--json") == 0
    assert json.loads(capsys.readouterr().out)["delivery"]["state"] == "delivered"


# --- attention -------------------------------------------------------------------------------------------------------


def alarmed(code: str = "merchant_balance") -> SaleView:
    held_up = refund(state=RefundState.BLOCKED, attention=Attention(code=code, since=Instant(NOW.instant - 60_000)))
    return replace(paid_view(), refunds=(held_up,))


def test_attention_says_since_when_and_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, sale_json(alarmed(), NOW))) as fake:
        assert run(tmp_path, "attention", "01JDSALE") == 0
    assert path_of(fake) == "GET /v1/sales/01JDSALE"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("sale 01JDSALE (order-8841): paid 3.50 yuan")
    assert lines[1].startswith("  merchant_balance since 2025-01-31 ")
    assert lines[2] == f"  {advice('merchant_balance')}"
    assert lines[3].startswith("Closing it gives the refund up.")
    assert "--reason" in lines[3]


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        ("order_lost", RefundState.BLOCKED, "Closing it gives the refund up. "),
        ("order_lost", RefundState.PROVING, "Once it is settled: "),
        ("order_errored", RefundState.BLOCKED, "Closing it gives the revoke up, and the sale can be refunded then. "),
        ("order_errored", RefundState.CHECKING, "Once it is settled: "),
    ],
)
def test_what_closing_the_call_gives_up_is_told_before(
    tmp_path: Path, capsys: Capture, code: str, state: RefundState, words: str
) -> None:
    shown = alarmed(code)
    shown = replace(shown, refunds=(replace(shown.refunds[0], state=state),))
    with fake_daemon(tmp_path, answer(200, sale_json(shown, NOW))):
        assert run(tmp_path, "attention", "01JDSALE") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(words)


def test_what_waits_after_the_call_that_was_closed_is_told_as_another_one(tmp_path: Path, capsys: Capture) -> None:
    overdue = replace(alarmed().refunds[0], attention=Attention(code="refund_open", since=NOW.instant))
    with fake_daemon(tmp_path, answer(200, sale_json(replace(alarmed(), refunds=(overdue,)), NOW))):
        assert run(tmp_path, "attention", "01JDSALE", "--reason", "looked") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Noted. Something else about this sale waits for a person still:"
    assert lines[-1].startswith("Once it is settled: ")


def test_a_person_closes_an_attention_with_a_reason(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, sale_json(paid_view(), NOW))) as fake:
        assert run(tmp_path, "attention", "01JDSALE", "--reason", "paid back in cash") == 0
    assert (path_of(fake), body_of(fake)) == (
        "POST /v1/sales/01JDSALE/attention",
        {"reason": "paid back in cash", "code": None},
    )
    assert capsys.readouterr().out.startswith("Noted. Sale 01JDSALE: paid 3.50 yuan")


def test_a_call_is_closed_by_the_code_that_was_shown(tmp_path: Path, capsys: Capture) -> None:
    shown = answer(200, sale_json(alarmed(), NOW))
    with fake_daemon(tmp_path, shown, problem(409, "attention_changed")) as fake:
        assert run(tmp_path, "attention", "01JDSALE") == 0
        hint = capsys.readouterr().out.splitlines()[-1].partition("terminald ")[2]
        assert run(tmp_path, *shlex.split(hint)) == 3
    assert body_of(fake) == {"reason": "what was done", "code": "merchant_balance"}
    assert capsys.readouterr().err == "terminald: the detail\n  → the advice\n"


def test_where_nothing_waits_for_a_person_that_is_said(tmp_path: Path, capsys: Capture) -> None:
    shown = answer(200, sale_json(paid_view(), NOW))
    with fake_daemon(tmp_path, shown, shown, problem(409, "no_attention")):
        assert run(tmp_path, "attention", "01JDSALE") == 0
        assert run(tmp_path, "attention", "01JDSALE", "--json") == 0
        assert run(tmp_path, "attention", "01JDSALE", "--reason", "looked") == 3
    human, machine = capsys.readouterr().out.splitlines()
    assert human.startswith("Nothing about sale 01JDSALE waits for a person: paid")
    assert json.loads(machine)["attention"] is None


def test_sales_that_need_a_person_are_listed_with_code_time_and_advice(tmp_path: Path, capsys: Capture) -> None:
    page = answer(200, sales_json((alarmed(), alarmed("not_refundable")), NOW, limit=50))
    with fake_daemon(tmp_path, page) as fake:
        assert run(tmp_path, "sales", "--attention") == 0
    assert "attention=true" in path_of(fake)
    first, second = capsys.readouterr().out.split("\n\n")
    assert "merchant_balance since" in first
    assert advice("not_refundable") in second


# --- what is shown ---------------------------------------------------------------------------------------------------


def show(view: SaleView, directory: Path, capsys: Capture) -> str:
    with fake_daemon(directory, answer(200, sale_json(view, NOW))):
        assert run(directory, "show", "01JDSALE") == 0
    return capsys.readouterr().out


def test_a_sale_is_shown_with_its_refunds(tmp_path: Path, capsys: Capture) -> None:
    said = show(refunded_view(), tmp_path, capsys)
    assert "  returned    1.00 yuan\n" in said
    assert "  refund 1: 1.00 yuan, gone back\n    id          01JDSALE-r1\n    reference   back-1\n" in said
    assert "  refund 2: 0.50 yuan, refund sent; what came of it is being looked up\n" in said
    assert said.count("    kind        an amount\n") == 2


def test_a_sale_is_shown_with_the_qr_that_can_be_paid(tmp_path: Path, capsys: Capture) -> None:
    said = show(qr_view(), tmp_path, capsys)
    assert "  QR          https://qr.example/1 for WeChat Pay, until " in said
    assert "  attempt 1: offered as a QR, which can be paid\n    kind        a QR\n" in said


def test_a_sale_is_shown_with_its_delivery(tmp_path: Path, capsys: Capture) -> None:
    wanted = replace(order(), reports_delivery=True)
    overdue = replace(sale(state=SaleState.PAID, wanted=wanted), delivery=DeliveryState.OVERDUE)
    said = show(SaleView(sale=overdue, attempts=(attempt(),)), tmp_path, capsys)
    assert "  delivery    not reported in time\n" in said
    assert "  delivery" not in show(paid_view(), tmp_path, capsys)
