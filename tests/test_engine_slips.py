"""What the engine sends to a printer that is held up: nothing that nobody waits for any more."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from terminald.adapters.receipt_sender import ReceiptSender, Stationery
from terminald.core.commands import OfferOrder, OrderText
from terminald.core.events import QrOffered
from terminald.core.ids import Reference
from terminald.core.money import Fen
from terminald.core.sale_table import SaleOrder
from terminald.core.spool import JobState
from terminald.wire.escpos import Profile
from tests.adapters.silent_printer import Paper, dialog_with
from tests.engine_bench import Bench, engine_bench
from tests.simulation.virtual_time import run_virtually

ENGLISH = Stationery(terminal_name="", header=(), footer=(), language="en", zone=UTC)
PROFILE = Profile(columns=32, width_dots=384, encoding="gbk", cut="full")
QR = "https://qr.example/1"
P = ParamSpec("P")
T = TypeVar("T")


class AtOnce(ThreadPoolExecutor):
    """Does in place what is to be done in a thread: virtual time does not wait for threads."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done = Future[T]()
        done.set_result(fn(*args, **kwargs))
        return done


class HeldUp(Paper):
    """A transport that takes nothing until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[bytes] = []
        self.freed = asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Keep it, as soon as it may be."""
        await self.freed.wait()
        self.jobs.append(data)


def play(path: Path, scene: Callable[[Bench, HeldUp], Awaitable[None]]) -> None:
    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        printer = HeldUp()
        dialog = dialog_with(printer)
        await dialog.open()
        profile = Profile(columns=32, width_dots=384, encoding="gbk", cut="full")
        async with engine_bench(path / "journal.db", ReceiptSender(dialog, profile, ENGLISH)) as bench:
            await scene(bench, printer)

    run_virtually(run())


async def offer(bench: Bench, reference: str) -> None:
    order = SaleOrder(
        reference=Reference(reference),
        amount=Fen(350),
        methods=("qr",),
        text=OrderText(subject="Cola", operator="kiosk"),
        wants_receipt=True,
        qr_payway="3",
    )
    await bench.desk.open_sale(order)
    await bench.gateway.answer(OfferOrder, QrOffered(content=QR))
    await asyncio.sleep(0.1)


async def slips(bench: Bench, reference: str) -> list[JobState]:
    return [job.state for job in (await bench.desk.get_sale(reference)).jobs]


@pytest.mark.parametrize(("waits_s", "state", "printed"), [(5, JobState.UNVERIFIED, 1), (130, JobState.EXPIRED, 0)])
def test_a_qr_slip_is_printed_only_while_its_qr_is_worth_it(
    tmp_path: Path, waits_s: int, state: JobState, printed: int
) -> None:
    """It was worth it when it was sent on its way; another job held the printer up for as long as this."""

    async def scene(bench: Bench, printer: HeldUp) -> None:
        await offer(bench, "one")
        await bench.desk.cancel("one")
        await offer(bench, "two")
        await asyncio.sleep(waits_s)
        printer.freed.set()
        await asyncio.sleep(1)
        assert (await slips(bench, "two")) == [state]
        assert len(printer.jobs) == 1 + printed

    play(tmp_path, scene)


def test_a_qr_slip_of_a_sale_that_is_over_is_not_printed(tmp_path: Path) -> None:
    async def scene(bench: Bench, printer: HeldUp) -> None:
        await offer(bench, "one")
        await bench.desk.cancel("one")
        await offer(bench, "two")
        await bench.desk.cancel("two")
        printer.freed.set()
        await asyncio.sleep(1)
        assert (await slips(bench, "two")) == [JobState.EXPIRED]
        assert len(printer.jobs) == 1

    play(tmp_path, scene)
