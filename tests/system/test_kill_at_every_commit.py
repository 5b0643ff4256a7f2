"""SIGKILL at every commit of a sale: after the restart the books and the host's view agree (I1–I5)."""

from collections.abc import Callable

import httpx
import pytest

from tests.system.rig import Bench

#: In progress, paid after a while · in progress for ever.
PAID_LATER, NEVER_PAID = "10", "12"
#: More than any sale here has; reaching it is a failure.
MAX_COMMITS = 40


def _code(number: int, ending: str) -> str:
    return f"1300{number:012d}{ending}"


def _sell(terminal: Bench, reference: str, code: str, after_scan: Callable[[], None]) -> None:
    """Be the host and the customer of one sale, as far as the daemon lives to see it."""
    try:
        terminal.wait(lambda: not terminal.is_alive() or terminal.status().get("ready") is True, "ready or dead")
        terminal.open_sale(reference)
        terminal.scanner.scan(code)
        terminal.wait(lambda: not terminal.is_alive() or _has_left(terminal, reference, "awaiting_payment"), "scanned")
        after_scan()
        terminal.wait(
            lambda: not terminal.is_alive() or _has_ended(terminal, reference), "the end of the sale, or of the daemon"
        )
    except httpx.TransportError:
        terminal.wait(lambda: not terminal.is_alive(), "dead")


def _has_left(terminal: Bench, reference: str, state: str) -> bool:
    return terminal.sale(reference).state != state


def _has_ended(terminal: Bench, reference: str) -> bool:
    sale = terminal.sale(reference)
    return sale.state in ("completed", "canceled") and sale.receipt not in ("queued", "printing")


def _settle(terminal: Bench, reference: str) -> None:
    """Be the host after the restart: ask for the same sale again, and follow it to its end."""
    terminal.start()
    terminal.wait_ready()
    if terminal.open_sale(reference).json()["state"] == "awaiting_payment":
        terminal.api.post(f"/v1/sales/{reference}/cancel").raise_for_status()
    terminal.wait_state(reference, "completed", "canceled")


def _assert_agreement(terminal: Bench, reference: str) -> None:
    sale = terminal.sale(reference)
    numbers = {attempt.client_sn for attempt in sale.attempts}
    known = terminal.api.get("/v1/sales", params={"limit": 100}).json()["sales"]
    books = terminal.books()
    assert {order.client_sn for order in books.orders} <= {
        attempt["client_sn"] for one in known for attempt in one["attempts"]
    }, "I2"
    orders = [order for order in books.orders if order.client_sn in numbers]
    assert all(order.submits == 1 for order in orders), "I2"
    assert sum(order.net for order in orders) == sale.paid, "I3, I4"
    assert sale.paid == (sale.amount if sale.state == "completed" else 0), "I4"


def _enumerate(terminal: Bench, when: str, ending: str, after_scan: Callable[[str], None]) -> int:
    """Kill at each commit in turn, until the daemon lives through the whole sale; return how often it died."""
    for number in range(1, MAX_COMMITS):
        reference = f"{when}-{number}"
        terminal.start(reference, str(number), when)
        _sell(terminal, reference, _code(number, ending), lambda: after_scan(reference))  # noqa: B023 - called within
        if terminal.is_alive():
            _assert_agreement(terminal, reference)
            terminal.stop(9)
            return number - 1
        _settle(terminal, reference)
        _assert_agreement(terminal, reference)
        terminal.stop(9)
    raise AssertionError("the sale has no end")


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sale_that_is_paid_survives_a_kill_at_any_commit(terminal: Bench, when: str) -> None:
    died = _enumerate(terminal, when, PAID_LATER, lambda _: None)
    assert died >= 8  # opening, scanning, polling, the payment, and the receipt have commits of their own


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sale_that_is_canceled_survives_a_kill_at_any_commit(terminal: Bench, when: str) -> None:
    def cancel(reference: str) -> None:
        if terminal.is_alive():
            terminal.api.post(f"/v1/sales/{reference}/cancel")

    died = _enumerate(terminal, when, NEVER_PAID, cancel)
    assert died >= 5  # opening, scanning, the answer, giving up and the reversal have commits of their own
