"""What is on paper: receipts, QR codes to be paid, proofs of refunds."""

import asyncio
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Literal

import pytest
import zxingcpp
from PIL import Image

from terminald.adapters.receipt_sender import ReceiptSender, Stationery
from terminald.core.attempt import begin, begin_offer
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.commands import OpenAttempt, OpenOffer, OrderText
from terminald.core.events import JobSent, OrderFacts, PrintAnswer, SlipOutdated
from terminald.core.ids import ClientSn, Duration, Instant, JobId, PaymentCode, Reference, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund import Asked, PaidOrder
from terminald.core.refund import begin as begin_refund
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.sale import begin as begin_sale
from terminald.core.sale_table import SaleOrder, SaleState
from terminald.core.schedule import HOUR, Now, Rules
from terminald.core.spool import PrintJob
from terminald.core.spool import begin as begin_job
from terminald.simulator.printer_paper import print_job
from terminald.wire.escpos import Profile
from tests.adapters.silent_printer import Paper, dialog_with

NOW = Now(instant=Instant(1_000_000), wall=WallTime(1_714_536_000_000), is_trusted=True)
RULES = Rules(
    payment_window=Duration(90_000),
    poll_interval=Duration(3_000),
    poll_window=Duration(50_000),
    late_lookups=(),
    qr_window=Duration(240_000),
    delivery_window=Duration(180_000),
    returns_overdue=False,
    job_lifetime=Duration(120_000),
    day_offset=Duration(8 * HOUR),
)
SALE_ID = SaleId("01J00000000000000000000001")
QR = "https://qr.alipay.com/bax00000000000000000000000000000000000000000000"
ORDER = SaleOrder(
    reference=Reference("order-1"),
    amount=Fen(350),
    methods=("qr",),
    text=OrderText(subject="可乐 Cola", operator="kiosk"),
    wants_receipt=True,
    qr_payway="3",
)
ENGLISH = Stationery(
    terminal_name="lobby-1",
    header=("Lobby Kiosk",),
    footer=("Thank you",),
    language="en",
    zone=timezone(timedelta(hours=8)),
)
NARROW = Profile(columns=32, width_dots=384, encoding="gbk", cut="full")
CHINESE = replace(ENGLISH, language="zh", header=("大堂售货机",), footer=("谢谢惠顾",))


def job(slip: str, about: str) -> PrintJob:
    return begin_job(JobId("j"), SALE_ID, is_copy=False, slip=slip, about=about, now=NOW, rules=RULES)


def offered() -> SaleView:
    sale, _ = begin_sale(SALE_ID, ORDER, now=NOW, rules=RULES, fresh=ClientSn("q-1"))
    opening = OpenOffer(sale_id=SALE_ID, client_sn=ClientSn("q-1"), ends=sale.window_ends)
    attempt, _ = begin_offer(opening, amount=ORDER.amount, payway="3", text=ORDER.text, now=NOW)
    return SaleView(sale=sale, attempts=(replace(attempt, state=AttemptState.OFFERED, qr_content=QR),))


def refunded() -> SaleView:
    sale, _ = begin_sale(SALE_ID, ORDER, now=NOW, rules=RULES, fresh=ClientSn("q-1"))
    opening = OpenAttempt(
        sale_id=SALE_ID, client_sn=ClientSn("s-1"), code=PaymentCode("130812345678901147"), digest="d"
    )
    attempt, _ = begin(opening, amount=ORDER.amount, text=ORDER.text, now=NOW, rules=RULES)
    facts = OrderFacts(sn="7894259244067218", trade_no="4200001", payway="3", finish_time="1714536003000")
    paid = replace(attempt, state=AttemptState.PAID, facts=facts)
    order = PaidOrder(sale_id=SALE_ID, client_sn=paid.client_sn, amount=Fen(350), operator="kiosk", paid_at=NOW.wall)
    refund = begin_refund(Asked(kind=RefundKind.REFUND, amount=Fen(100), reference="r"), 1, order, now=NOW)
    done = replace(refund, state=RefundState.DONE, ended_at=WallTime(NOW.wall + 60_000))
    return SaleView(sale=replace(sale, paid=Fen(350)), attempts=(paid,), refunds=(done,))


def print_slip(view: SaleView, wanted: PrintJob, stationery: Stationery, profile: Profile) -> bytes:
    paper = Paper()
    answer = asyncio.run(ReceiptSender(dialog_with(paper), profile, stationery).send(wanted, lambda: view, print))
    assert isinstance(answer, JobSent)
    return paper.data


@pytest.mark.parametrize("stationery", [ENGLISH, CHINESE])
@pytest.mark.parametrize("drawn_by", ["native", "raster"])
@pytest.mark.parametrize(("columns", "width_dots"), [(32, 384), (48, 576)])
def test_a_printed_qr_says_how_much_until_when_and_can_be_read(
    tmp_path: Path, stationery: Stationery, drawn_by: str, columns: int, width_dots: int
) -> None:
    profile = Profile(
        columns=columns,
        width_dots=width_dots,
        encoding="gbk",
        cut="full",
        qr="raster" if drawn_by == "raster" else "native",
    )
    data = print_slip(offered(), job("qr", "q-1"), stationery, profile)
    (sheet,) = print_job(data, width_dots=width_dots, encoding="gbk")
    picture = sheet.draw()
    picture.save(tmp_path / "qr.png")
    (read,) = zxingcpp.read_barcodes(picture)
    assert read.text == QR
    assert "￥3.50" in sheet.text
    assert "12:04:00" in sheet.text  # noon, and the QR's window of four minutes


def test_the_slip_of_a_refund_names_what_went_back_and_the_payment() -> None:
    profile = Profile(columns=32, width_dots=384, encoding="gbk", cut="full")
    view = refunded()
    data = print_slip(view, job("refund", view.refunds[0].id), ENGLISH, profile)
    (sheet,) = print_job(data, width_dots=384, encoding="gbk")
    for part in ("Refund receipt", "￥1.00", "WeChat Pay", "7894259244067218", "r1", "2024-05-01 12:01:00"):
        assert part in sheet.text


def paper_of(data: bytes, png: Path) -> list[bytes]:
    """Return the rows of dots of a receipt's picture, read back from its file."""
    (sheet,) = print_job(data, width_dots=384, encoding="gbk")
    sheet.draw().save(png)
    with Image.open(png) as picture:
        dots = picture.convert("L").tobytes()
    return [dots[start : start + 384] for start in range(0, len(dots), 384)]


def without_mark(rows: list[bytes], beside: list[bytes], height: int) -> tuple[list[bytes], int]:
    """Cut out as many rows where they begin to differ from others; return the rest, and how many dark dots were cut."""
    start = next(place for place, (row, other) in enumerate(zip(rows, beside, strict=False)) if row != other)
    mark = rows[start : start + height]
    return rows[:start] + rows[start + height :], sum(row.count(0) for row in mark)


@pytest.mark.parametrize("stationery", [ENGLISH, CHINESE])
@pytest.mark.parametrize("encoding", ["gbk", "raster"])
def test_a_copy_is_the_receipt_with_a_mark_above_and_below_that_is_seen_on_paper(
    tmp_path: Path, stationery: Stationery, encoding: Literal["gbk", "raster"]
) -> None:
    profile = replace(NARROW, encoding=encoding)
    first = job("receipt", "")
    receipt = paper_of(print_slip(refunded(), first, stationery, profile), tmp_path / "receipt.png")
    copy = paper_of(print_slip(refunded(), replace(first, is_copy=True), stationery, profile), tmp_path / "copy.png")
    height, odd = divmod(len(copy) - len(receipt), 2)
    assert (height > 0, odd) == (True, 0)
    rest, above = without_mark(copy, receipt, height)
    rest, below = without_mark(rest, receipt, height)
    assert rest == receipt
    assert above == below > 100


def gone() -> SaleView:
    view = offered()
    return replace(view, attempts=(replace(view.attempts[0], state=AttemptState.REVERSING),))


def canceled() -> SaleView:
    view = offered()
    return replace(view, sale=replace(view.sale, state=SaleState.CANCELED))


@pytest.mark.parametrize("view", [gone(), canceled(), None], ids=["undone", "canceled", "nobody waits"])
def test_a_qr_that_can_not_be_paid_any_more_is_not_printed(view: SaleView | None) -> None:
    paper = Paper()
    answer = asyncio.run(ReceiptSender(dialog_with(paper), NARROW, ENGLISH).send(job("qr", "q-1"), lambda: view, print))
    assert isinstance(answer, SlipOutdated)
    assert paper.data == b""


class Stuck(Paper):
    """A transport that holds its first job up."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.freed = asyncio.Event(), asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.begun.set()
        await self.freed.wait()
        await super().write(data)


@pytest.mark.parametrize(("later", "kind"), [(offered(), JobSent), (gone(), SlipOutdated), (None, SlipOutdated)])
def test_behind_a_job_that_is_held_up_a_slip_is_judged_when_the_printer_is_free(
    later: SaleView | None, kind: type[PrintAnswer]
) -> None:
    """A QR is still to be paid when it is queued, and a stale one would be printed minutes later."""

    async def scene() -> None:
        paper = Stuck()
        printer = dialog_with(paper)
        await printer.open()
        sender = ReceiptSender(printer, NARROW, ENGLISH)
        first = asyncio.create_task(sender.send(job("refund", refunded().refunds[0].id), refunded, print))
        await paper.begun.wait()
        seen: list[SaleView | None] = [offered()]
        second = asyncio.create_task(sender.send(job("qr", "q-1"), lambda: seen[-1], print))
        await asyncio.sleep(0)
        seen.append(later)
        paper.freed.set()
        assert isinstance(await first, JobSent)
        assert isinstance(await second, kind)
        assert QR.encode() in paper.data or kind is SlipOutdated

    asyncio.run(scene())
