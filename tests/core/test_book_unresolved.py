"""What of the book is followed to its end without a customer, and since when the oldest of it is in doubt."""

from collections import UserDict
from collections.abc import ValuesView
from dataclasses import replace

from terminald.core import book as books
from terminald.core.book import Book, SaleView, in_doubt_since, unresolved
from terminald.core.events import OrderAbsent, OutcomePending, OutcomeUnknown, PayConfirmed, PollWindowClosed
from terminald.core.ids import ClientSn, JobId, RefundId, SaleId
from terminald.core.refund_table import Refund
from terminald.core.spool import PrintJob
from tests.core.machine_builders import NOON, after
from tests.core.till import Till, selling


def test_an_empty_book_has_nothing_open() -> None:
    assert unresolved(Book()) == ()
    assert in_doubt_since(Book()) is None


def test_the_order_of_whoever_is_being_served_is_not_unresolved() -> None:
    till = selling((OutcomePending(), 1))
    assert unresolved(till.book) == ()
    assert in_doubt_since(till.book) is None


def test_an_order_that_is_being_undone_is_in_doubt_since_it_began() -> None:
    till = selling((OutcomeUnknown(), 1))
    began = till.now.instant
    till.attempt(PollWindowClosed(), later=60_000)
    (attempt,) = unresolved(till.book)
    assert not isinstance(attempt, Refund)
    assert in_doubt_since(till.book) == attempt.started == began


def test_an_order_that_the_gateway_never_saw_is_followed_and_not_in_doubt() -> None:
    """It is looked up again until the day ends, and nothing is wrong with it."""
    till = _watching()
    assert len(unresolved(till.book)) == 1
    assert in_doubt_since(till.book) is None


def test_a_return_is_in_doubt_until_it_is_done() -> None:
    till = selling((PayConfirmed(), 1))
    till.now = after(NOON, 500_000)
    till.ask(100)
    (refund,) = unresolved(till.book)
    assert isinstance(refund, Refund)
    assert in_doubt_since(till.book) == refund.opened == till.now.instant


def _watching() -> Till:
    till = selling((OutcomeUnknown(), 1))
    (attempt,) = till.book.attempts.values()
    while not attempt.state.is_unpaid:
        if attempt.retry is None:
            till.attempt(OrderAbsent(), attempt.token)
        else:
            till.wake()
        (attempt,) = till.book.attempts.values()
    return till


# --- many of them ----------------------------------------------------------------------------------------------------


class Counted(UserDict[JobId, PrintJob]):
    """Jobs that count how often all of them are looked through."""

    looks = 0

    def values(self) -> ValuesView[PrintJob]:
        Counted.looks += 1
        return super().values()


def test_all_sales_are_shown_as_each_of_them_is_and_without_a_search_for_each() -> None:
    """A terminal whose calls nobody closes for a year has thousands, and is asked for its status all the time."""
    sold = selling((PayConfirmed(), 1))
    sold.ask(100)
    (one,) = books.views(sold.book)
    copies = [_renamed(one, f"copy-{number}") for number in range(50)]
    book = Book(
        sales={each.sale.id: each.sale for each in copies},
        attempts={attempt.client_sn: attempt for each in copies for attempt in each.attempts},
        refunds={refund.id: refund for each in copies for refund in each.refunds},
        jobs=Counted({job.id: job for each in copies for job in each.jobs}),
    )
    Counted.looks = 0
    shown = books.views(book)
    assert Counted.looks == 1
    assert shown == tuple(copies) == tuple(books.view(book, sale_id) for sale_id in book.sales)


def _renamed(view: SaleView, name: str) -> SaleView:
    sale_id, client_sn = SaleId(name), ClientSn(name)
    return SaleView(
        sale=replace(view.sale, id=sale_id, attempts=(client_sn,)),
        attempts=tuple(replace(one, client_sn=client_sn, sale_id=sale_id) for one in view.attempts),
        refunds=tuple(replace(one, id=RefundId(f"{name}-r"), sale_id=sale_id) for one in view.refunds),
        jobs=tuple(replace(one, id=JobId(f"{name}-j{n}"), sale_id=sale_id) for n, one in enumerate(view.jobs)),
    )
