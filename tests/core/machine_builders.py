"""A configured terminal, its clock, and every event: what the tests of the machines share."""

from dataclasses import replace

from terminald.core import attempt as attempts
from terminald.core import events, return_events, vend_events
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.commands import (
    Command,
    GatewayCommand,
    OfferOrder,
    OpenAttempt,
    OpenOffer,
    OrderText,
    QueryOrder,
    RefundOrder,
    ReverseOrder,
    RevokeOrder,
    SubmitHeld,
    SubmitPayment,
    TellSale,
)
from terminald.core.events import Answer, AttemptEvent, CodeScanned, Event, Fault, OrderFacts, PrintAnswer, QrOffered
from terminald.core.ids import ClientSn, Duration, Instant, PaymentCode, Reference, RefundId, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.return_events import PartUndelivered, RefundEvent, Turn, TurnMissed
from terminald.core.sale_table import SaleOrder
from terminald.core.schedule import HOUR, MINUTE, SECOND, Now, Rules
from terminald.core.tables import Wakeup
from terminald.core.vend_events import ApprovalNotSent, SaleTold, VendEvent, VendRequested

RULES = Rules(
    payment_window=Duration(90 * SECOND),
    poll_interval=Duration(3 * SECOND),
    poll_window=Duration(50 * SECOND),
    late_lookups=(Duration(30 * SECOND), Duration(5 * MINUTE), Duration(HOUR)),
    qr_window=Duration(240_000),
    delivery_window=Duration(180_000),
    returns_overdue=False,
    job_lifetime=Duration(2 * MINUTE),
    day_offset=Duration(8 * HOUR),
)
#: Noon of a business day, at an instant that has nothing to do with it.
NOON = Now(instant=Instant(1_000_000), wall=WallTime(1_714_536_000_000), is_trusted=True)

CODE = PaymentCode("130812345678901147")
SALE_ID = SaleId("01J00000000000000000000001")
CLIENT_SN = ClientSn("t-0001")
TEXT = OrderText(subject="Cola", operator="kiosk")
AMOUNT = Fen(350)
ORDER = SaleOrder(reference=Reference("order-1"), amount=AMOUNT, methods=("scan",), text=TEXT, wants_receipt=True)
#: The same, paid by scanning a QR.
QR_ORDER = replace(ORDER, methods=("qr",), qr_payway="3")
#: Both at once.
BOTH_ORDER = replace(ORDER, methods=("scan", "qr"), qr_payway="3")
OPENING = OpenAttempt(sale_id=SALE_ID, client_sn=CLIENT_SN, code=CODE, digest="d1")
OFFERING = OpenOffer(sale_id=SALE_ID, client_sn=CLIENT_SN, ends=Instant(NOON.instant + RULES.qr_window))
NO_FACTS = OrderFacts()
QR = "https://qr.example/1"
REFUND_ID = RefundId(f"{SALE_ID}-r1")


def after(now: Now, by: int) -> Now:
    """Return the moment that many milliseconds later."""
    return replace(now, instant=Instant(now.instant + by), wall=WallTime(now.wall + by))


def until(now: Now, instant: Instant) -> Now:
    """Return the moment at that instant, or this one when it is later already."""
    return after(now, max(0, instant - now.instant))


# --- events ----------------------------------------------------------------------------------------------------------

_BASES = (Event, Answer, AttemptEvent, PrintAnswer, RefundEvent, Turn, VendEvent, SaleTold)
#: Every event that can happen.
EVENT_TYPES: tuple[type[Event], ...] = tuple(
    dict.fromkeys(
        kind
        for kind in (*vars(events).values(), *vars(return_events).values(), *vars(vend_events).values())
        if isinstance(kind, type) and issubclass(kind, Event) and kind not in _BASES
    )
)


def make_event(kind: type[Event]) -> Event:
    """Return an event of this type, with as little in it as the type allows."""
    if issubclass(kind, CodeScanned):
        return kind(client_sn=ClientSn("t-0002"), code=CODE, digest="d2")
    if issubclass(kind, AttemptEvent):
        return kind(client_sn=CLIENT_SN)
    if issubclass(kind, Answer):
        return make_answer(kind)
    return _make_return_event(kind)


def _make_return_event(kind: type[Event]) -> Event:
    if issubclass(kind, RefundEvent):
        return kind(refund_id=REFUND_ID, amount=AMOUNT)
    if issubclass(kind, TurnMissed):
        return kind(left=Fen(0), fault=Fault(code="already_returned", message=""))
    if issubclass(kind, Turn):
        return kind(left=AMOUNT)
    if issubclass(kind, PartUndelivered):
        return kind(amount=Fen(100))
    return _make_vend_event(kind) if issubclass(kind, VendEvent) else kind()


def _make_vend_event(kind: type[VendEvent]) -> VendEvent:
    if issubclass(kind, VendRequested):
        return kind(request=1, price="3.50", amount=AMOUNT, item="5")
    if issubclass(kind, ApprovalNotSent):
        return kind(request=1, reason="the machine does not ask for it any more")
    return kind(request=1)


_SUBMITS: tuple[type[Answer], ...] = (
    events.PayConfirmed,
    events.PayDeclined,
    events.OutcomePending,
    events.OutcomeUnknown,
    events.RequestNotSent,
    events.RequestRefused,
    events.AnswerMismatched,
)
_REVERSALS: tuple[type[Answer], ...] = (
    events.ReversalConfirmed,
    events.ReversalPending,
    events.ReversalRefused,
    events.OrderAbsent,
    events.OutcomeUnknown,
    events.RequestNotSent,
    events.RequestRefused,
    events.AnswerMismatched,
)


def make_answer(kind: type[Answer], facts: OrderFacts = NO_FACTS, fault: Fault | None = None) -> Answer:
    """Return an answer of this type that says so much beside it."""
    if issubclass(kind, QrOffered):
        return kind(content=QR, facts=facts, fault=fault)
    return kind(facts=facts, fault=fault)


#: The completions that a performed command can have.
COMPLETIONS: dict[type[GatewayCommand], tuple[type[Answer], ...]] = {
    SubmitPayment: _SUBMITS,
    SubmitHeld: _SUBMITS,
    OfferOrder: (
        events.QrOffered,
        events.PayDeclined,
        events.OutcomeUnknown,
        events.RequestNotSent,
        events.RequestRefused,
        events.AnswerMismatched,
    ),
    QueryOrder: (
        events.OrderPaid,
        events.OrderPending,
        events.OrderErrored,
        events.OrderClosed,
        events.OrderReturned,
        events.OrderPartlyReturned,
        events.OrderAbsent,
        events.QueryFailed,
        events.AnswerMismatched,
    ),
    ReverseOrder: _REVERSALS,
    RevokeOrder: _REVERSALS,
    RefundOrder: (
        events.RefundConfirmed,
        events.RefundPending,
        events.RefundRefused,
        events.OrderAbsent,
        events.OutcomeUnknown,
        events.RequestNotSent,
        events.RequestRefused,
        events.AnswerMismatched,
    ),
}


# --- an attempt and its surroundings ---------------------------------------------------------------------------------


class AttemptLife:
    """One attempt, its clock, and the one request whose completion counts."""

    def __init__(self, now: Now = NOON, rules: Rules = RULES, opening: OpenAttempt | OpenOffer = OPENING) -> None:
        """Begin the attempt: its submit is under way, or held."""
        self.now, self.rules = now, rules
        self.attempt: Attempt
        submit: GatewayCommand | None
        if isinstance(opening, OpenOffer):
            self.attempt, submit = attempts.begin_offer(opening, amount=AMOUNT, payway="3", text=TEXT, now=now)
        else:
            self.attempt, submit = attempts.begin(opening, amount=AMOUNT, text=TEXT, now=now, rules=rules)
        self.in_flight: GatewayCommand | None = submit
        #: Every request that was asked for, with its time.
        self.requests: list[tuple[Instant, GatewayCommand]] = [(now.instant, submit)] if submit else []

    @property
    def wakeup(self) -> Wakeup | None:
        """The one next moment at which the attempt wants an event."""
        return attempts.next_wakeup(self.attempt)

    def tell(self, event: Event, *, later: int = 0) -> tuple[Command, ...]:
        """Tell one event, that many milliseconds later; return what was asked for."""
        self.now = after(self.now, later)
        self.attempt, commands = attempts.step(self.attempt, event, now=self.now, rules=self.rules)
        if isinstance(event, Answer):
            self.in_flight = None
        for command in commands:
            if isinstance(command, GatewayCommand):
                self.in_flight = command
                self.requests.append((self.now.instant, command))
        return commands

    def wake(self) -> tuple[Command, ...]:
        """Let the time of the next wake-up come, and tell its event."""
        wakeup = self.wakeup
        assert wakeup is not None, f"{self.attempt.state} has no wake-up"
        self.now = until(self.now, wakeup.at)
        return self.tell(wakeup.event)

    def is_in(self, state: AttemptState) -> bool:
        """Whether the attempt is in this state now."""
        return self.attempt.state is state

    def wakes_with(self, event: type[Event], *, in_ms: int) -> bool:
        """Whether the next wake-up is of this kind, that long from now."""
        return self.wakeup == Wakeup(at=after(self.now, in_ms).instant, event=event())


def told(*history: Event) -> AttemptLife:
    """Return an attempt that was told these events at once, one after the other."""
    life = AttemptLife()
    for event in history:
        life.tell(event)
    return life


# --- what an attempt asks for ----------------------------------------------------------------------------------------


def query(token: int) -> QueryOrder:
    """Return the query with this token."""
    return QueryOrder(client_sn=CLIENT_SN, token=token, amount=AMOUNT)


def reverse(token: int) -> ReverseOrder:
    """Return the cancel with this token."""
    return ReverseOrder(client_sn=CLIENT_SN, token=token, amount=AMOUNT)


def refund(token: int, amount: int = AMOUNT) -> RefundOrder:
    """Return the refund with this token, of so many fen."""
    return RefundOrder(
        client_sn=CLIENT_SN,
        token=token,
        amount=AMOUNT,
        request_no="undo",
        refund_amount=Fen(amount),
        operator="kiosk",
    )


def tell_sale(kind: type[AttemptEvent], reason: str = "") -> TellSale:
    """Return what the sale is told of the attempt."""
    return TellSale(sale_id=SALE_ID, event=kind(client_sn=CLIENT_SN, reason=reason))
