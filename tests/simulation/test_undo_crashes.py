"""The process dies while what can not be recorded is undone: afterwards books and host agree all the same (I1–I5)."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from terminald.engine_undo import UNDO_AFTER_S, UNDO_AGAIN_S
from terminald.simulator.gateway_outcomes import OrderStatus
from tests.simulation.customers import find_qr
from tests.simulation.history import Customer, History
from tests.simulation.virtual_time import run_virtually

AMOUNT = 350
#: A message's way there.
MESSAGE_S = 0.02


@dataclass(frozen=True, slots=True)
class Case:
    """A sale whose payment can not be recorded."""

    methods: tuple[str, ...]
    customer: Customer
    #: When the disk fills up, after the gateway has the order.
    full_at_s: float


def _presents(ending: str) -> Customer:
    async def come(history: History, reference: str) -> None:
        await asyncio.sleep(2.0)
        await history.scan(reference, f"1300000000000000{ending}")

    return come


async def _pays_qr(history: History, reference: str) -> None:
    content = await find_qr(history, reference)
    await asyncio.sleep(5.0)
    history.door.pay(content)


CASES = {
    "a code, paid at once": Case(("scan",), _presents("99"), 0.0),
    "a code, paid after a while": Case(("scan",), _presents("11"), 1.0),
    "a QR, paid": Case(("qr",), _pays_qr, 1.0),
}


#: How long after the first cancel from memory begins the process dies; None: before one does.
KILLED = {
    "before": None,
    "as the cancel leaves": MESSAGE_S / 2,
    "as it is answered": 2 * MESSAGE_S,
    "between two tries": UNDO_AGAIN_S / 2,
    "long after": 60.0,
}


async def _live(path: Path, case: Case, killed_s: float | None, full_s: float) -> History:
    """Live one sale; the disk is full until so long after the process died."""
    history = History(1, path)
    # A new boot cancels what is not paid yet.
    history.power_cuts = 0.0
    daemon = asyncio.create_task(history.serve())
    opened = asyncio.create_task(history.sell("order", AMOUNT, case.customer, methods=case.methods))
    while not history.gateway.books.orders:  # noqa: ASYNC110 - the gateway is watched from outside
        await asyncio.sleep(MESSAGE_S / 4)
    await asyncio.sleep(case.full_at_s)
    filled = asyncio.create_task(history.fill_disk(400.0))
    if killed_s is None:
        await asyncio.sleep(UNDO_AFTER_S - 20.0)
    else:
        await _first_undo(history)
        await asyncio.sleep(killed_s)
    history.kill()
    await asyncio.sleep(full_s)
    filled.cancel()
    with suppress(asyncio.CancelledError):
        await filled
    await opened
    await history.settle(600.0)
    assert history.lives == 2
    await history.rest()
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon
    return history


async def _first_undo(history: History) -> None:
    assert history.engine is not None
    while not history.engine.undoing.begun:  # noqa: ASYNC110 - the engine is watched from outside
        await asyncio.sleep(MESSAGE_S / 4)


@pytest.mark.simulation
@pytest.mark.parametrize("full_s", [0.0, 45.0], ids=["the disk works at once", "the disk goes on failing"])
@pytest.mark.parametrize("when", KILLED)
@pytest.mark.parametrize("case", CASES)
def test_books_and_host_agree_whenever_an_undoing_is_interrupted(
    case: str, when: str, full_s: float, tmp_path: Path
) -> None:
    killed_s = KILLED[when]
    history = run_virtually(_live(tmp_path / "journal.db", CASES[case], killed_s, full_s))
    assert history.faults_found() == []
    # The cancel of a process that dies before it is written is not sent.
    expected = {OrderStatus.CANCELED if killed_s is not None and killed_s > MESSAGE_S else OrderStatus.PAID}
    assert {order.status for order in history.gateway.books.orders.values()} == expected
