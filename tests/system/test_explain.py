"""``terminald explain`` on a real daemon: typical sales, told while they are open and when they are over."""

import json
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.system.rig import ACTIVATION_CODE, VENDOR_KEY, Bench, bench

pytestmark = pytest.mark.system

CODES = {"good": "13987654321098{:02d}99", "declined": "13987654321098{:02d}20", "lost": "13987654321098{:02d}40"}
SETTINGS = 'qr_window = "2s"\ndelivery_window = "1500ms"\n'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One daemon for all of these tests."""
    with bench(tmp_path_factory.mktemp("shop")) as made:
        made.config.write_text(made.config.read_text().replace("[sale]\n", f"[sale]\n{SETTINGS}"))
        made.configure(poll_window='"20s"')
        made.start()
        made.wait_ready()
        yield made


def explained(shop: Bench, reference: str, language: str = "en") -> str:
    done = shop.terminald("explain", reference, "--language", language)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def told_at_once(shop: Bench, reference: str) -> str:
    """Return the explanation as the API tells it, for what lasts no longer than it takes to start a command."""
    return shop.api.get(f"/v1/sales/{reference}/explanation").raise_for_status().text


def part(text: str, heading: str) -> list[str]:
    """Return the lines below a heading."""
    _, _, rest = text.partition(f"{heading}\n")
    return [line.strip(" -") for line in re.split(r"\n(?=\S)", rest)[0].splitlines()]


def open_sale(shop: Bench, reference: str, **changes: object) -> None:
    body = {"reference": reference, "amount": 350, "subject": "Cola", **changes}
    assert shop.api.post("/v1/sales", json=body).status_code == 201


def present(shop: Bench, reference: str, kind: str, number: int) -> str:
    code = CODES[kind].format(number)
    assert shop.api.post(f"/v1/sales/{reference}/payment-code", json={"code": code}).status_code == 200
    return code


def sell(shop: Bench, reference: str, number: int, **changes: object) -> str:
    open_sale(shop, reference, **changes)
    code = present(shop, reference, "good", number)
    shop.wait_state(reference, "completed", "paid")
    return code


def test_a_paid_sale(shop: Bench) -> None:
    code = sell(shop, "paid-1", 1)
    text = explained(shop, "paid-1")
    assert part(text, "What is certain")[0] == "The sale is paid: 3.50 yuan."
    assert part(text, "What terminald does next") == ["Nothing more happens by itself."]
    assert part(text, "What to do") == ["Nothing has to be done."]
    story = part(text, "What has happened")
    assert re.search(r"The sale was opened: 3\.50 yuan for “Cola”, reference paid-1", story[1])
    assert re.search(r"presented, and sent to the gateway as order 01", story[2])
    assert code not in text
    assert part(explained(shop, "paid-1", "zh"), "已确定")[0] == "交易已付款：3.50 元。"


def test_a_declined_code_and_then_a_good_one(shop: Bench) -> None:
    open_sale(shop, "declined-1")
    present(shop, "declined-1", "declined", 2)
    shop.wait_state("declined-1", "awaiting_payment")
    waiting = explained(shop, "declined-1")
    assert part(waiting, "What to do") == ["Hand nothing over: the sale is not paid."]
    assert re.match(r"[\d:]+ +stops to wait for the customer", part(waiting, "What terminald does next")[-1])
    present(shop, "declined-1", "good", 3)
    shop.wait_state("declined-1", "completed")
    certain = part(explained(shop, "declined-1"), "What is certain")
    assert "took no money: the gateway closed it unpaid (reason: INSUFFICIENT_FUND" in certain[1]
    assert "has confirmed the payment of 3.50 yuan" in certain[2]


def test_a_lost_answer_that_turns_out_paid(shop: Bench) -> None:
    shop.fault(kind="close_answer", path="query", count=4)
    open_sale(shop, "lost-1")
    present(shop, "lost-1", "lost", 4)
    shop.wait_state("lost-1", "processing")
    told = shop.api.get("/v1/sales/lost-1/explanation").json()
    assert "whether the customer was charged" in told["open"][0]
    assert "Hand nothing over" in told["person"][0]
    shop.wait_state("lost-1", "completed")
    story = " ".join(part(explained(shop, "lost-1"), "What has happened"))
    assert "no usable answer came, so it is not known whether the customer was charged" in story
    assert "asked how it stands, the gateway gave no usable answer" in story
    assert "asked how it stands, the gateway answered that it is paid" in story


def test_a_qr_code_that_nobody_paid(shop: Bench) -> None:
    open_sale(shop, "qr-1", methods=["qr"])
    shop.wait(lambda: shop.api.get("/v1/sales/qr-1").json()["qr"] is not None, "the QR code")
    shown = told_at_once(shop, "qr-1")
    assert re.search(r"can be paid until [\d:]+\. As far as is known nobody has paid it\.", shown)
    shop.wait_state("qr-1", "canceled")
    text = explained(shop, "qr-1")
    assert "No money of it is kept." in part(text, "What is certain")
    assert re.search("(Nobody has paid|no payment) in time", text)
    assert "the gateway says that it is undone; whatever was taken has gone back" in text


def test_a_refund_that_the_gateway_refuses(shop: Bench) -> None:
    sell(shop, "refused-1", 5)
    shop.fault(kind="declined", path="refund", error_code="UPAY_TCP_ORDER_NOT_REFUNDABLE")
    answer = shop.api.post("/v1/sales/refused-1/refunds", json={"reference": "back-1", "amount": 100})
    assert answer.status_code == 202
    shop.wait(lambda: shop.api.get("/v1/sales/refused-1").json()["refunds"][0]["state"] == "refused", "refused")
    text = explained(shop, "refused-1")
    assert "Refund r1 of 1.00 yuan: the gateway refused it (reason: UPAY_TCP_ORDER_NOT_REFUNDABLE" in text
    assert "it was not carried out" in part(text, "What to do")[0]


def test_goods_that_nobody_reports(shop: Bench) -> None:
    sell(shop, "overdue-1", 6, delivery="confirm")
    assert "calls for a person, if nobody has said by then" in told_at_once(shop, "overdue-1")
    shop.wait(lambda: shop.api.get("/v1/sales/overdue-1").json()["attention"] is not None, "overdue")
    text = explained(shop, "overdue-1")
    assert part(text, "What is not known") == [
        "It is not known whether the goods came out: nobody has said so in time."
    ]
    (command,) = re.findall(r"terminald delivered (\S+),", text)
    assert shop.terminald("delivered", command).returncode == 0
    assert "The host has reported that the goods came out." in part(explained(shop, "overdue-1"), "What is certain")


def test_a_reversal_that_stays_open(tmp_path: Path) -> None:
    with bench(tmp_path) as terminal:
        terminal.start()
        terminal.wait_ready()
        open_sale(terminal, "open-1")
        terminal.fault(kind="close_request", path="*", count=1000)
        present(terminal, "open-1", "good", 7)
        terminal.wait_state("open-1", "canceling")
        terminal.wait(lambda: "had no clear answer" in explained(terminal, "open-1"), "the cancel has failed")
        text = explained(terminal, "open-1")
        assert "It is not known yet whether money was taken" in part(text, "What is not known")[0]
        steps = part(text, "What terminald does next")
        assert any("calls for a person, and goes on by itself" in step for step in steps)
        assert "If the phone shows a charge of 3.50 yuan, it is being returned" in text
        assert terminal.stop() == 0
        terminal.start()
        terminal.wait(lambda: terminal.status() != {}, "back")
        assert "terminald was started again" in explained(terminal, "open-1")
        httpx.post(f"{terminal.url}/_sim/disarm", json={}).raise_for_status()
        terminal.wait_state("open-1", "canceled")
        assert "counts as unpaid" in explained(terminal, "open-1").lower()


def test_evidence_has_the_numbers_and_no_secret(shop: Bench, tmp_path: Path) -> None:
    """I7."""
    code = sell(shop, "evidence-1", 8)
    file = tmp_path / "evidence.json"
    done = shop.terminald("explain", "evidence-1", "--evidence", str(file))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    evidence = json.loads(file.read_bytes())
    shown = shop.api.get("/v1/sales/evidence-1").json()["attempts"][0]
    (attempt,) = evidence["attempts"]
    assert (attempt["sn"], attempt["trade_no"], attempt["client_sn"]) == (
        shown["sn"],
        shown["trade_no"],
        shown["client_sn"],
    )
    assert evidence["terminal"]["sn"] == shop.status()["terminal"]["sn"]  # type: ignore[index]  # of a JSON object
    assert evidence["complete"] is True
    assert [one["cause"] for one in evidence["records"]][:3] == ["SaleOpened", "CodeScanned", "AttemptOpened"]
    for secret in (code, VENDOR_KEY, ACTIVATION_CODE):
        assert secret not in file.read_text()
    again = shop.terminald("explain", "evidence-1", "--evidence", str(file))
    assert again.returncode == 1
    assert "is there already" in again.stderr


def test_a_sale_that_is_not_there(shop: Bench) -> None:
    done: subprocess.CompletedProcess[str] = shop.terminald("explain", "nobody")
    assert done.returncode == 1
    assert "nobody" in done.stderr
