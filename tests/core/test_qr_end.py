"""What a QR promises: a payment that is made before its end counts, whatever happens at its end."""

from dataclasses import replace

import pytest

from terminald.core import attempt as attempts
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.commands import (
    ArmScanners,
    Command,
    DisarmScanners,
    GatewayCommand,
    QueryOrder,
    ReverseOrder,
    SubmitPayment,
)
from terminald.core.events import (
    AnswerMismatched,
    CancelRequested,
    Event,
    OfferExpired,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OutcomeUnknown,
    PowerReturned,
    PresentationExpired,
    QrOffered,
    QueryFailed,
    Recovered,
    ReversalConfirmed,
    ReversalPending,
)
from terminald.core.ids import ClientSn, Duration
from terminald.core.money import Fen
from terminald.core.sale_table import Sale, SaleOrder, SaleState
from terminald.core.schedule import ASKING_PATIENCE, HOUR, SECOND, Rules
from terminald.core.stimuli import Advance, OpenSale, Stimulus, ToAttempt, recovery
from terminald.core.tables import Wakeup
from terminald.wire.api_views import sale_shape
from tests.core.machine_builders import BOTH_ORDER, QR, QR_ORDER, RULES, SALE_ID, after
from tests.core.till import Till

FIRST = ClientSn("qr-1")
SHOWN = QrOffered(content=QR, facts=OrderFacts(sn="7894"))
BOTH = pytest.mark.parametrize("order", [QR_ORDER, BOTH_ORDER], ids=["qr", "both"])
S, A = SaleState, AttemptState


class Counter(Till):
    """A till whose QR is shown; nothing is printed."""

    def __init__(self, order: SaleOrder = QR_ORDER, rules: Rules = RULES) -> None:
        super().__init__(rules)
        #: As it was last: the book forgets what is over and old.
        self.known: Sale
        self.apply(OpenSale(sale_id=SALE_ID, order=replace(order, wants_receipt=False)))
        self.answer(SHOWN)

    @property
    def offer(self) -> Attempt:
        return self.book.attempts[FIRST]

    def apply(self, stimulus: Stimulus, *, later: int = 0) -> Advance:
        """Apply one stimulus, and keep what the sale is then."""
        done = super().apply(stimulus, later=later)
        self.known = done.sales[0] if done.sales else self.known
        return done

    def sale_state(self) -> SaleState:
        return self.known.state

    def answer(self, event: Event, *, later: int = 0) -> Advance:
        """Answer what was asked last about the QR order."""
        return self.apply(ToAttempt(client_sn=FIRST, event=event, token=self.offer.token), later=later)

    def expire(self) -> tuple[Command, ...]:
        """Come to its end: it was asked about until then, and not paid."""
        while self.offer.retry is not None and self.offer.retry < self.offer.window_ends:
            self.wake()
            self.answer(OrderPending())
        return self.wake().commands

    def restart(self, event: Event, *, later: int = 0) -> list[GatewayCommand]:
        """Be started again that much later, and return what is asked of the gateway then."""
        self.now = after(self.now, later)
        self.book = replace(self.book, held={})
        asked = [one for stimulus in recovery(self.book, event) for one in self.apply(stimulus).commands]
        return [one for one in asked if isinstance(one, GatewayCommand)]

    def promise(self) -> str | None:
        """Until when the host is told that the QR can be paid."""
        shown = sale_shape(self.seen(), self.now).qr
        return shown.expires_at if shown else None


# --- at the end ------------------------------------------------------------------------------------------------------


@BOTH
def test_a_payment_of_the_last_second_pays_the_sale(order: SaleOrder) -> None:
    counter = Counter(order)
    asked = counter.expire()
    assert [type(one) for one in asked if isinstance(one, GatewayCommand)] == [QueryOrder]
    assert (counter.sale_state(), counter.sale_state().shown) == (S.EXPIRING, "processing")
    assert counter.promise() is None
    assert counter.answer(OrderPaid()).commands == ()
    assert counter.sale_state() is S.COMPLETED


@BOTH
@pytest.mark.parametrize("answer", [OrderPending(), OrderErrored(), OrderAbsent(), AnswerMismatched()], ids=type)
def test_what_is_not_paid_at_its_end_is_undone(order: SaleOrder, answer: Event) -> None:
    """I3."""
    counter = Counter(order)
    counter.expire()
    assert [type(one) for one in counter.answer(answer).commands] == [ReverseOrder]
    assert counter.sale_state() is S.CANCELING
    counter.answer(ReversalConfirmed())
    assert (counter.sale_state(), counter.known.reason) == (S.CANCELED, "expired")


def test_what_is_closed_at_its_end_needs_no_cancel() -> None:
    counter = Counter()
    counter.expire()
    assert counter.answer(OrderClosed()).commands == ()
    assert (counter.sale_state(), counter.known.reason) == (S.CANCELED, "expired")


def test_a_part_that_somebody_gave_back_by_its_end_is_followed_by_the_rest() -> None:
    counter = Counter()
    counter.expire()
    counter.answer(OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(100))))
    assert (counter.sale_state(), counter.offer.state) == (S.CANCELING, A.REFUNDING)


def test_at_its_end_no_scanner_listens_any_more() -> None:
    counter = Counter(BOTH_ORDER)
    assert DisarmScanners() in counter.expire()


def test_one_lost_answer_does_not_give_a_payment_back() -> None:
    counter = Counter()
    counter.expire()
    assert counter.answer(QueryFailed(), later=15 * SECOND).commands == ()
    assert counter.sale_state() is S.EXPIRING
    assert [type(one) for one in counter.wake().commands] == [QueryOrder]
    counter.answer(OrderPaid())
    assert counter.sale_state() is S.COMPLETED


def test_a_gateway_that_does_not_answer_is_not_asked_for_ever() -> None:
    """I11: the next customer waits; what turns out to be paid goes back (I3)."""
    counter = Counter()
    counter.expire()
    begun = counter.now.instant
    while not (commands := counter.answer(QueryFailed()).commands):
        counter.wake()
    assert ASKING_PATIENCE <= counter.now.instant - begun <= ASKING_PATIENCE + RULES.poll_interval
    assert [type(one) for one in commands] == [ReverseOrder]
    assert (counter.sale_state(), counter.known.reason) == (S.CANCELING, "gateway_unreachable")


def test_the_hosts_cancel_ends_the_last_look() -> None:
    counter = Counter()
    counter.expire()
    assert [type(one) for one in counter.sale(CancelRequested()).commands] == [ReverseOrder]
    assert (counter.sale_state(), counter.known.reason) == (S.CANCELING, "host")


def test_a_declined_code_remains_the_reason_when_the_qr_ends() -> None:
    counter = Counter(BOTH_ORDER)
    sale = replace(counter.book.sales[SALE_ID], reason="declined")
    counter.book = replace(counter.book, sales={SALE_ID: sale})
    counter.expire()
    counter.answer(OrderPending())
    assert (counter.sale_state(), counter.known.reason) == (S.CANCELING, "declined")


@pytest.mark.parametrize(
    ("history", "state"),
    [((), A.ABANDONING), ((OutcomeUnknown(), ReversalPending()), A.PROVING)],
    ids=["offering", "proving"],
)
def test_a_qr_that_nobody_was_shown_needs_no_last_look(history: tuple[Event, ...], state: AttemptState) -> None:
    till = Till()
    till.apply(OpenSale(sale_id=SALE_ID, order=QR_ORDER))
    for token, event in enumerate(history, start=1):
        till.apply(ToAttempt(client_sn=FIRST, event=event, token=token))
    till.sale(PresentationExpired(), later=RULES.qr_window)
    assert (till.sale_state(), till.book.attempts[FIRST].state) == (S.CANCELING, state)


# --- a QR whose own time ends before that of the codes ---------------------------------------------------------------


def patient() -> Counter:
    return Counter(BOTH_ORDER, replace(RULES, qr_window=Duration(30 * SECOND)))


def test_while_codes_are_taken_a_qr_is_asked_about_at_its_own_end() -> None:
    counter = patient()
    assert [type(one) for one in counter.expire()] == [QueryOrder]
    assert counter.sale_state() is S.AWAITING_PAYMENT
    assert counter.promise() is None
    counter.answer(OrderPaid())
    assert counter.sale_state() is S.COMPLETED


def test_while_codes_are_taken_a_qr_that_is_not_paid_is_undone_at_its_own_end() -> None:
    counter = patient()
    counter.expire()
    assert [type(one) for one in counter.answer(OrderPending()).commands] == [ReverseOrder]
    assert counter.sale_state() is S.AWAITING_PAYMENT
    counter.answer(ReversalConfirmed())
    assert counter.book.sales[SALE_ID].offer_at is not None, "another one is offered"


def test_a_code_that_is_presented_during_the_last_look_is_not_kept_waiting() -> None:
    """It lives for a minute: the next answer decides, and so does the next question without one."""
    counter = patient()
    counter.expire()
    assert [type(one) for one in counter.scan().commands] == [DisarmScanners]
    assert [type(one) for one in counter.answer(QueryFailed()).commands] == [ReverseOrder]
    assert [type(one) for one in counter.answer(ReversalConfirmed()).commands] == [SubmitPayment]


def test_the_sale_may_end_during_the_last_look_of_its_qr() -> None:
    counter = patient()
    counter.expire()
    counter.answer(QueryFailed())
    done = counter.sale(PresentationExpired(), later=60 * SECOND)
    assert done.commands == (DisarmScanners(),)
    assert counter.sale_state() is S.EXPIRING
    counter.wake()
    counter.answer(OrderPaid())
    assert counter.sale_state() is S.COMPLETED


# --- restarts --------------------------------------------------------------------------------------------------------


@BOTH
def test_after_a_restart_that_took_too_long_a_payment_that_was_made_in_time_counts(order: SaleOrder) -> None:
    counter = Counter(order)
    assert [type(one) for one in counter.restart(Recovered(), later=HOUR)] == [QueryOrder]
    assert [type(one) for one in counter.wake().commands] in ([QueryOrder], [DisarmScanners, QueryOrder])
    assert counter.sale_state() is S.EXPIRING
    counter.answer(OrderPaid())
    assert counter.sale_state() is S.COMPLETED


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
def test_a_restart_during_the_last_look_asks_again(restart: Event) -> None:
    """The customer has paid in time, or not at all: nobody is kept waiting."""
    counter = Counter()
    counter.expire()
    assert [type(one) for one in counter.restart(restart, later=HOUR)] == [QueryOrder]
    assert counter.sale_state() is S.EXPIRING
    counter.answer(QueryFailed())
    assert counter.sale_state() is S.EXPIRING, "the network may take a moment to be there"
    counter.wake()
    counter.answer(OrderPaid())
    assert counter.sale_state() is S.COMPLETED


@pytest.mark.parametrize("later", [0, 100 * SECOND, RULES.qr_window - SECOND, RULES.qr_window - 1])
def test_no_restart_moves_the_end_that_is_shown(later: int) -> None:
    """It is on paper already."""
    counter = Counter()
    promise, ends = counter.promise(), counter.offer.window_ends
    assert promise == "2024-05-01T04:04:00.000+00:00"
    counter.restart(Recovered(), later=later)
    assert (counter.promise(), counter.offer.window_ends) == (promise, ends)
    counter.answer(OrderPending())
    assert counter.promise() == promise


def test_a_restart_gives_a_scanned_code_the_time_of_a_question() -> None:
    """Its window is shown to nobody."""
    till = Till()
    till.open()
    till.scan()
    till.attempt(Recovered(), later=HOUR)
    one = next(iter(till.book.attempts.values()))
    assert one.window_ends == till.now.instant + ASKING_PATIENCE


def test_a_poll_that_is_due_at_the_end_is_the_last_look() -> None:
    counter = Counter()
    due = replace(counter.offer, retry=counter.offer.window_ends)
    assert attempts.next_wakeup(due) == Wakeup(at=due.window_ends, event=OfferExpired())


def test_a_scanner_listens_after_a_restart_until_the_end() -> None:
    counter = Counter(BOTH_ORDER)
    done = [one for stimulus in recovery(counter.book, Recovered()) for one in counter.apply(stimulus).commands]
    assert ArmScanners() in done
