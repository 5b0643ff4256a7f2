"""A closing slip on paper, as the simulated printer draws it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.receipt_sender import ReceiptSender, Stationery
from terminald.core.events import JobBroken, JobSent, PrinterAbsent
from terminald.core.ids import WallTime
from terminald.errors import DeviceAbsent, DeviceLost
from terminald.simulator.printer_paper import print_job
from terminald.wire.escpos import Profile
from tests.adapters.silent_printer import Paper, dialog_with
from tests.adapters.test_receipt_slips import CHINESE, ENGLISH
from tests.wire.api_samples import NOW
from tests.wire.report_samples import DAY, day_report

PROFILE = Profile(columns=32, width_dots=384, encoding="gbk", cut="full")


@pytest.mark.parametrize("stationery", [ENGLISH, CHINESE])
@pytest.mark.parametrize(("columns", "width_dots"), [(32, 384), (48, 576)])
def test_the_slip_of_a_day_can_be_read(tmp_path: Path, stationery: Stationery, columns: int, width_dots: int) -> None:
    paper = Paper()
    profile = replace(PROFILE, columns=columns, width_dots=width_dots)
    answer = asyncio.run(ReceiptSender(dialog_with(paper), profile, stationery).send_closing(day_report(), NOW))
    assert isinstance(answer, JobSent)
    (sheet,) = print_job(paper.data, width_dots=width_dots, encoding="gbk")
    is_english = stationery.language == "en"
    for part in (
        stationery.header[0],
        "2025-01-31 (+08:00)",
        "￥10.50",
        "￥9.50",
        "￥0.50",
        "lobby-1",
        "2025-01-31 16:00:00",
        *(("Closing report", "WeChat Pay", "DAY NOT OVER") if is_english else ("日结单", "微信支付", "当日未结束")),
    ):
        assert part in sheet.text
    assert all(len(line.encode("gbk")) <= columns for line in sheet.text.splitlines())
    picture = sheet.draw()
    picture.save(tmp_path / "closing.png")
    assert picture.width == width_dots
    assert picture.convert("L").getextrema()[0] == 0


def test_the_slip_of_a_day_that_is_over_does_not_say_that_it_goes_on() -> None:
    paper = Paper()
    late = replace(NOW, wall=WallTime(DAY.end), is_trusted=True)
    asyncio.run(ReceiptSender(dialog_with(paper), PROFILE, ENGLISH).send_closing(day_report(), late))
    (sheet,) = print_job(paper.data, width_dots=384, encoding="gbk")
    assert "NOT OVER" not in sheet.text


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (DeviceAbsent("printer", "it is not there"), PrinterAbsent),
        (DeviceLost("printer", "7 of 900 bytes were sent"), JobBroken),
    ],
)
def test_a_printer_that_fails_is_told_in_words(error: Exception, answer: type) -> None:
    """I8."""

    class Broken(Paper):
        async def write(self, data: bytes) -> None:
            await super().write(data[:7])
            raise error

    said = asyncio.run(ReceiptSender(dialog_with(Broken()), PROFILE, ENGLISH).send_closing(day_report(), NOW))
    assert isinstance(said, answer)
    assert said.evidence
