"""A crash at every commit of the canonical sales, before it and after it: books and host agree (I1–I5, I9)."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from terminald.core.ids import Duration
from terminald.core.money import Fen
from terminald.core.refund_table import Refund
from terminald.simulator.gateway import Fault
from tests.simulation.customers import AROUND_S, find_qr, pay_qr_at_its_end
from tests.simulation.history import RULES, Customer, History
from tests.simulation.hosts import insist, left_of_day_s
from tests.simulation.virtual_time import run_virtually

#: More commits than any of these sales has; reaching it is a failure.
MAX_COMMITS = 150
CODE = "1300000000000000"
AMOUNT = 350
#: So near to it a revoke has one try; and so much later it is known that it can no longer arrive.
BEFORE_MIDNIGHT_S, LAPSES_AFTER_S = 2.0, 240.0

Host = Callable[[History], Coroutine[None, None, None]]


async def _nothing(_: History) -> None:
    """The host is content."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A canonical sale: what its customer does, and what the host does when it is paid."""

    methods: tuple[str, ...]
    customer: Customer
    host: Host = _nothing
    reports_delivery: bool = False
    returns_overdue: bool = False


async def _live(path: Path, kind: Kind, number: int, *, is_after: bool) -> tuple[bool, list[str]]:
    """Live one sale whose first daemon dies at that commit; return whether it did, and every difference."""
    rules = replace(
        RULES,
        poll_interval=Duration(10_000),
        payment_window=Duration(20_000),
        qr_window=Duration(20_000),
        delivery_window=Duration(10_000),
        returns_overdue=kind.returns_overdue,
    )
    history = History(number, path, rules=rules)
    history.promises.returns_overdue = rules.returns_overdue
    history.crash_plan = [(number, is_after)]
    daemon = asyncio.create_task(history.serve())
    await history.sell("order", AMOUNT, kind.customer, methods=kind.methods, reports_delivery=kind.reports_delivery)
    view = await history.look("order")
    if view is not None and view.sale.paid:
        await kind.host(history)
    await history.settle(120.0)
    is_dead = history.lives > 1
    await history.rest()
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon
    return is_dead, history.faults_found()


# --- customers -------------------------------------------------------------------------------------------------------


def _presents(ending: str, after_s: float = 0.5) -> Customer:
    async def come(history: History, reference: str) -> None:
        await asyncio.sleep(after_s)
        await history.scan(reference, CODE + ending)

    return come


def _pays_qr(after_s: float) -> Customer:
    async def come(history: History, reference: str) -> None:
        content = await find_qr(history, reference)
        await asyncio.sleep(after_s)
        history.door.pay(content)

    return come


async def _stays_away(_: History, __: str) -> None:
    """Nobody comes."""


def _does_both(apart_s: float) -> Customer:
    """Present a code at one moment, and pay the QR that much later."""

    async def come(history: History, reference: str) -> None:
        paying = asyncio.create_task(_pays_qr(2.0 + apart_s)(history, reference))
        await _presents("99", 2.5)(history, reference)
        await paying

    return come


# --- hosts -----------------------------------------------------------------------------------------------------------


async def _refunds_a_part(history: History) -> None:
    for _ in range(2):
        why, refund = await insist(history, lambda desk: desk.refund("order", "part", Fen(100)))
        assert not why
        assert isinstance(refund, Refund)
        history.promises.refunds.setdefault(("order", "part"), set()).add(refund.id)


async def _refunds_over_a_slow_road(history: History) -> None:
    """The first request arrives long after its repeat was refused."""
    history.gateway.faults.add(
        Fault(kind="delay_request", path="refund", seconds=40.0),
        Fault(kind="declined", path="refund", error_code="UPAY_TCP_ORDER_NOT_REFUNDABLE"),
    )
    await _refunds_a_part(history)


async def _revokes(history: History) -> None:
    why, _ = await insist(history, lambda desk: desk.revoke("order"))
    assert not why


async def _delivers(history: History) -> None:
    why, _ = await insist(history, lambda desk: desk.deliver("order"))
    assert why in ("", "illegal")


async def _delivers_nothing(history: History) -> None:
    why, _ = await insist(history, lambda desk: desk.undeliver("order", None))
    assert not why
    history.promises.undelivered["order"] = None


async def _revokes_too_late(history: History) -> None:
    """The revoke is in an error of the gateway's when its day is over; who has to ask again may be refused by then."""
    await asyncio.sleep(left_of_day_s(history) - BEFORE_MIDNIGHT_S)
    history.gateway.faults.add(Fault(kind="cancel_error", path="revoke"))
    why, _ = await insist(history, lambda desk: desk.revoke("order"))
    assert why in ("", "revoke_impossible")


async def _delivers_nothing_in_vain(history: History) -> None:
    """A refund takes the place of the revoke that moved nothing."""
    await _revokes_too_late(history)
    await asyncio.sleep(LAPSES_AFTER_S)
    await _delivers_nothing(history)


async def _delivers_nothing_at_midnight(history: History) -> None:
    """The refund that takes the place is asked for while it is not known that the revoke moved nothing."""
    await _revokes_too_late(history)
    await _delivers_nothing(history)
    await asyncio.sleep(LAPSES_AFTER_S)


KINDS = {
    **{ending: Kind(("scan",), _presents(ending)) for ending in ("99", "10", "20", "40", "42", "50", "60", "62", "64")},
    "qr paid": Kind(("qr",), _pays_qr(3.0)),
    "qr expired": Kind(("qr",), _stays_away),
    "qr paid at its end": Kind(("qr",), pay_qr_at_its_end),
    "both, scanned": Kind(("scan", "qr"), _presents("99", 2.5)),
    "both, scanned and declined, then the qr": Kind(("scan", "qr"), _does_both(4.0)),
    "part refunded": Kind(("scan",), _presents("99"), _refunds_a_part),
    "part refunded late": Kind(("scan",), _presents("99"), _refunds_over_a_slow_road),
    "revoked": Kind(("scan",), _presents("99"), _revokes),
    "delivered": Kind(("qr",), _pays_qr(1.0), _delivers, reports_delivery=True),
    "undelivered": Kind(("scan",), _presents("99"), _delivers_nothing, reports_delivery=True),
    "undelivered, its revoke refused": Kind(("scan",), _presents("72"), _delivers_nothing, reports_delivery=True),
    "undelivered, a revoke lapsed": Kind(("scan",), _presents("99"), _delivers_nothing_in_vain, reports_delivery=True),
    "undelivered, a revoke lapses": Kind(
        ("scan",), _presents("99"), _delivers_nothing_at_midnight, reports_delivery=True
    ),
    "overdue": Kind(("scan",), _presents("99"), reports_delivery=True),
    "overdue, returned": Kind(("scan",), _presents("99"), reports_delivery=True, returns_overdue=True),
}


@pytest.mark.simulation
@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_at_any_commit_leaves_the_money_right(kind: str, is_after: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    for number in range(1, MAX_COMMITS):
        path = tmp_path / f"{number}.db"
        is_dead, faults = run_virtually(_live(path, KINDS[kind], number, is_after=is_after))
        assert faults == [], f"commit {number}"
        path.unlink()
        if not is_dead:
            assert number > 4
            return
    raise AssertionError("the sale has no end")


@pytest.mark.simulation
@pytest.mark.parametrize("apart_s", [0.4 + each for each in AROUND_S if abs(each) < 1.0])
def test_a_crash_beside_a_qr_that_is_paid_in_the_moment_of_a_scan(apart_s: float, tmp_path: Path) -> None:
    kind = Kind(("scan", "qr"), _does_both(apart_s))
    for number in range(1, MAX_COMMITS, 2):
        path = tmp_path / f"{number}.db"
        is_dead, faults = run_virtually(_live(path, kind, number, is_after=number % 4 == 1))
        assert faults == [], f"commit {number}"
        path.unlink()
        if not is_dead:
            return
    raise AssertionError("the sale has no end")
