"""What of the book is followed to its end without a customer, and since when the oldest of it is in doubt."""

from terminald.core.book import Book, in_doubt_since, unresolved
from terminald.core.events import OrderAbsent, OutcomePending, OutcomeUnknown, PayConfirmed, PollWindowClosed
from terminald.core.refund_table import Refund
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
