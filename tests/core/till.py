"""A book and its clock, moved the way the engine moves them, with all that was ever committed beside it."""

from dataclasses import replace

from terminald.core import stimuli
from terminald.core.attempt_table import AttemptState
from terminald.core.book import Book, SaleView, prune, view, views, with_view
from terminald.core.commands import RefundOrder, RevokeOrder
from terminald.core.events import CodeScanned, Event, Fault, OrderFacts, PayConfirmed, RefundRefused
from terminald.core.ids import ClientSn, JobId, RefundId, SaleId
from terminald.core.ledger import advance
from terminald.core.money import Fen
from terminald.core.refund import Asked
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.sale_table import SaleOrder, SaleState
from terminald.core.schedule import Now, Rules
from terminald.core.stimuli import (
    Advance,
    AskRefund,
    CloseAttention,
    OpenSale,
    Stimulus,
    ToAttempt,
    ToRefund,
    ToSale,
    merge,
)
from tests.core.machine_builders import AMOUNT, CLIENT_SN, CODE, NOON, ORDER, RULES, SALE_ID, after

JOB_ID = JobId(f"{SALE_ID}-1")
SECOND_SN = ClientSn("t-0002")
NO_BALANCE = RefundRefused(fault=Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message=""))
FORBIDDEN = RefundRefused(fault=Fault(code="UPAY_TCP_ORDER_NOT_REFUNDABLE", message=""))


def with_the_past(book: Book, committed: Book) -> Book:
    """Return the book with every sale in it that was ever committed; what it holds itself wins."""
    for shown in views(committed):
        book = with_view(book, shown)
    return book


class Till:
    """A book and its clock: applies a stimulus the way the engine does.

    What the book has forgotten is put back for each step from what was committed, as whoever asks for it there does.
    """

    def __init__(self, rules: Rules = RULES) -> None:
        """Begin at noon with nothing."""
        self.rules = rules
        self.now: Now = NOON
        self.book = Book()
        #: Every sale, whether or not the book still holds it.
        self.committed = Book()
        self._named = 0

    def apply(self, stimulus: Stimulus, *, later: int = 0) -> Advance:
        """Apply one stimulus that much later, and commit what it changes."""
        self.now = after(self.now, later)
        self._named += 1
        fresh = ClientSn(f"qr-{self._named}")
        whole = with_the_past(self.book, self.committed)
        done = advance(whole, stimulus, now=self.now, rules=self.rules, fresh=fresh)
        self.committed = merge(whole, done)
        self.book = prune(self.committed, self.now.instant)
        return done

    def open(self, order: SaleOrder = ORDER, sale_id: SaleId = SALE_ID) -> Advance:
        """Open a sale."""
        return self.apply(OpenSale(sale_id=sale_id, order=order))

    def scan(self, client_sn: ClientSn = CLIENT_SN, digest: str = "d1") -> Advance:
        """Have the customer of the sale present a code."""
        return self.sale(CodeScanned(client_sn=client_sn, code=CODE, digest=digest))

    def sale(self, event: Event, *, later: int = 0) -> Advance:
        """Tell the sale an event."""
        return self.apply(ToSale(sale_id=SALE_ID, event=event), later=later)

    def attempt(self, event: Event, token: int | None = None, *, later: int = 0) -> Advance:
        """Tell its first attempt an event, or the completion of the command with this token."""
        return self.apply(ToAttempt(client_sn=CLIENT_SN, event=event, token=token), later=later)

    def refund(self, event: Event, token: int | None = None, *, number: int = 1, later: int = 0) -> Advance:
        """Tell a refund of the sale an event, or the completion of the command with this token."""
        refund_id = RefundId(f"{SALE_ID}-r{number}")
        return self.apply(ToRefund(refund_id=refund_id, event=event, token=token), later=later)

    def ask(self, amount: int, kind: RefundKind = RefundKind.REFUND, *, is_owed: bool = False) -> Advance:
        """Have the host ask for money back."""
        return self.apply(
            AskRefund(sale_id=SALE_ID, asked=Asked(kind=kind, amount=Fen(amount), reference="host", is_owed=is_owed))
        )

    def close(self) -> Advance:
        """Have a person close the sale's attention."""
        return self.apply(CloseAttention(sale_id=SALE_ID, reason="seen to"))

    def wake(self) -> Advance:
        """Let the next wake-up come."""
        due = stimuli.next_wakeup(self.book)
        assert due is not None
        return self.apply(due[1], later=max(0, due[0].at - self.now.instant))

    def seen(self) -> SaleView:
        """Return the sale with all that belongs to it."""
        found = view(self.committed, SALE_ID)
        assert found is not None
        return found

    def sale_state(self) -> SaleState:
        """Return the sale's state."""
        return self.committed.sales[SALE_ID].state

    def attempt_state(self) -> AttemptState:
        """Return the first attempt's state."""
        return self.committed.attempts[CLIENT_SN].state

    def refund_states(self) -> list[RefundState]:
        """Return the states of the sale's refunds, oldest first."""
        return [one.state for one in self.committed.refunds.values()]


def selling(*answers: tuple[Event, int]) -> Till:
    """A sale whose code was scanned, and what was answered since, each with its token."""
    till = Till()
    till.open()
    till.scan()
    for event, token in answers:
        till.attempt(event, token)
    return till


def sold(*, delivery: bool = False, facts: OrderFacts | None = None) -> Till:
    """A paid sale without slips; with delivery, its report is awaited."""
    till = Till()
    till.open(replace(ORDER, wants_receipt=False, reports_delivery=delivery))
    till.scan()
    till.attempt(PayConfirmed(facts=facts or OrderFacts(finish_time=str(NOON.wall))), 1)
    return till


def revoke(token: int, number: int = 1) -> RevokeOrder:
    """Return the revoke that this refund of the sale asks for."""
    return RevokeOrder(client_sn=CLIENT_SN, token=token, amount=AMOUNT, refund_id=RefundId(f"{SALE_ID}-r{number}"))


def refund(token: int, amount: int, number: int = 1) -> RefundOrder:
    """Return what this refund of the sale asks for."""
    return RefundOrder(
        client_sn=CLIENT_SN,
        token=token,
        amount=AMOUNT,
        refund_id=RefundId(f"{SALE_ID}-r{number}"),
        request_no=f"r{number}",
        refund_amount=Fen(amount),
        operator="kiosk",
    )


def changes(done: Advance) -> list[tuple[str, str, str, str]]:
    """Return the records without their subjects: kind, cause, before, after."""
    return [(record.kind, record.cause, record.before, record.after) for record in done.records]
