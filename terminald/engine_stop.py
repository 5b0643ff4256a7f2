"""What a stop waits for."""

from terminald.core import book as books
from terminald.core.attempt_table import AttemptState
from terminald.core.book import Book


def is_in_flight(book: Book) -> bool:
    """Whether a payment, a return that is beginning, or a slip is under way."""
    return _is_serving(book) or _is_printing(book)


def _is_serving(book: Book) -> bool:
    """Whether a customer is being served, or what is open can be put right at once: a QR must not outlive us."""
    unwanted = (one for one in book.attempts.values() if one.state is AttemptState.ABANDONING)
    undoing = (one for one in book.attempts.values() if one.undoing_since is not None)
    returning = (one for one in book.refunds.values() if one.state.is_asking)
    vending = (vend for vend in book.vends.values() if vend.state.is_on_sale)
    can_end = any(vending) or (
        any(unwanted) or any(not one.is_unanswered for one in undoing) or any(not one.tries for one in returning)
    )
    return can_end or books.sale_with_customer(book) is not None


def _is_printing(book: Book) -> bool:
    """Whether a receipt is on its way; one that waits for an absent printer is not waited for."""
    return any(not job.state.is_final and not job.evidence for job in book.jobs.values())
