"""QR orders and held codes through all machines: one stimulus, one commit."""

from dataclasses import replace

import pytest

from terminald.core import stimuli
from terminald.core.attempt_table import AttemptState
from terminald.core.commands import (
    ArmScanners,
    DisarmScanners,
    OfferOrder,
    QueryOrder,
    ReverseOrder,
    SubmitPayment,
)
from terminald.core.events import (
    CancelRequested,
    Event,
    HoldEnded,
    OrderAbsent,
    OrderPaid,
    OrderPending,
    OutcomeUnknown,
    PayConfirmed,
    PowerReturned,
    QrOffered,
    Recovered,
    RequestRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalRefused,
    ShutdownRequested,
)
from terminald.core.ids import ClientSn, Duration
from terminald.core.sale_table import SaleOrder, SaleState
from terminald.core.schedule import HOLD_LONGEST, MINUTE, SECOND
from terminald.core.stimuli import Advance, ToAttempt
from tests.core.machine_builders import AMOUNT, BOTH_ORDER, CLIENT_SN, CODE, QR, QR_ORDER, RULES, SALE_ID, TEXT
from tests.core.story_life import SaleStory
from tests.core.till import Till, changes

FIRST = ClientSn("qr-1")
SHOWN = QrOffered(content=QR)


class Counter(Till):
    """A till that offers a QR."""

    def __init__(self, order: SaleOrder = BOTH_ORDER) -> None:
        super().__init__()
        self.opened = self.open(order)

    def offer(self, event: Event, token: int | None = None, *, later: int = 0) -> Advance:
        """Tell the first QR order."""
        return self.apply(ToAttempt(client_sn=FIRST, event=event, token=token), later=later)

    def offer_state(self) -> AttemptState:
        return self.book.attempts[FIRST].state


def shown(order: SaleOrder = BOTH_ORDER) -> Counter:
    counter = Counter(order)
    counter.offer(SHOWN, 1)
    return counter


def switching() -> Counter:
    """A code was scanned beside the QR, which is asked about."""
    counter = shown()
    counter.scan()
    return counter


def test_a_sale_and_its_qr_order_are_one_commit_before_the_pre_create() -> None:
    """I2."""
    counter = Counter()
    done = counter.opened
    assert [sale.attempts for sale in done.sales] == [(FIRST,)]
    assert [one.client_sn for one in done.attempts] == [FIRST]
    assert done.commands == (
        ArmScanners(),
        OfferOrder(client_sn=FIRST, token=1, amount=AMOUNT, payway="3", text=TEXT),
    )


@pytest.mark.parametrize("wants_receipt", [True, False])
def test_the_qr_is_printed_when_slips_are_wanted(*, wants_receipt: bool) -> None:
    counter = Counter(replace(QR_ORDER, wants_receipt=wants_receipt))
    done = counter.offer(SHOWN, 1)
    assert [(job.slip, job.about, job.is_copy) for job in done.jobs] == [("qr", FIRST, False)] * wants_receipt


def test_a_held_code_is_in_memory_only() -> None:
    """I7: no snapshot has it, and nothing is sent."""
    counter = shown()
    done = counter.scan()
    assert done.held == {CLIENT_SN: CODE}
    assert CODE.reveal() not in repr((done.sales, done.attempts, done.records))
    assert done.commands == (DisarmScanners(), QueryOrder(client_sn=FIRST, token=2, amount=AMOUNT))
    assert changes(done) == [
        ("sale", "CodeScanned", "awaiting_payment", "switching"),
        ("attempt", "YieldRequested", "offered", "polling"),
        ("attempt", "AttemptOpened", "", "held"),
    ]
    assert counter.book.held == {CLIENT_SN: CODE}


def test_the_held_code_is_submitted_in_the_commit_that_proves_the_qr_order_unpaid() -> None:
    """I1."""
    counter = switching()
    assert counter.offer(OrderPending(), 2).commands == (ReverseOrder(client_sn=FIRST, token=3, amount=AMOUNT),)
    done = counter.offer(ReversalConfirmed(), 3)
    assert changes(done) == [
        ("attempt", "ReversalConfirmed", "reversing", "reversed"),
        ("sale", "AttemptUnpaid", "switching", "processing"),
        ("attempt", "WayCleared", "held", "submitting"),
    ]
    assert done.commands == (SubmitPayment(client_sn=CLIENT_SN, token=2, amount=AMOUNT, code=CODE, text=TEXT),)
    assert counter.book.held == {}, "it is not needed any more"
    counter.attempt(PayConfirmed(), 2)
    assert (counter.sale_state(), counter.attempt_state()) == (SaleState.COMPLETED, AttemptState.PAID)


def test_a_qr_that_turns_out_to_be_paid_pays_the_sale_and_drops_the_code() -> None:
    """I1."""
    counter = switching()
    done = counter.offer(OrderPaid(), 2)
    assert changes(done)[:3] == [
        ("attempt", "OrderPaid", "polling", "paid"),
        ("sale", "AttemptPaid", "switching", "paid"),
        ("attempt", "AbandonRequested", "held", "unsent"),
    ]
    assert not done.commands
    assert counter.book.held == {}
    assert counter.sale_state() is SaleState.COMPLETED


def test_a_code_that_was_held_too_long_is_dropped_and_another_taken() -> None:
    counter = switching()
    counter.offer(OrderPending(), 2)
    done = counter.attempt(HoldEnded(), later=HOLD_LONGEST)
    assert changes(done) == [
        ("attempt", "HoldEnded", "held", "unsent"),
        ("sale", "AttemptUnpaid", "switching", "awaiting_payment"),
    ]
    assert done.commands == (ArmScanners(),)
    counter.scan(ClientSn("t-0003"), "d1")
    assert counter.sale_state() is SaleState.SWITCHING
    assert [type(command) for command in counter.offer(ReversalConfirmed(), 3).commands] == [SubmitPayment]


def test_the_hosts_cancel_undoes_the_qr_order_whatever_it_was_asked_before() -> None:
    """I3: the answer to the question does not count any more."""
    counter = switching()
    done = counter.sale(CancelRequested())
    assert done.commands == (ReverseOrder(client_sn=FIRST, token=3, amount=AMOUNT),)
    assert (counter.attempt_state(), counter.offer_state()) == (AttemptState.UNSENT, AttemptState.REVERSING)
    assert counter.offer(OrderPaid(), 2) == Advance()
    counter.offer(ReversalConfirmed(), 3)
    assert counter.sale_state() is SaleState.CANCELED


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
def test_after_a_restart_the_code_is_gone_and_the_qr_order_followed(restart: Event) -> None:
    """I2."""
    counter = switching()
    counter.book = replace(counter.book, held={})
    commands = [
        command for stimulus in stimuli.recovery(counter.book, restart) for command in counter.apply(stimulus).commands
    ]
    assert counter.attempt_state() is AttemptState.UNSENT
    if isinstance(restart, Recovered):
        assert commands == [QueryOrder(client_sn=FIRST, token=3, amount=AMOUNT), ArmScanners(), ArmScanners()]
        assert counter.sale_state() is SaleState.AWAITING_PAYMENT
        counter.offer(OrderPaid(), 3)
        assert counter.sale_state() is SaleState.COMPLETED
    else:
        assert commands[-1] == ReverseOrder(client_sn=FIRST, token=4, amount=AMOUNT)
        assert DisarmScanners() in commands
        assert counter.sale_state() is SaleState.CANCELING


def test_a_shutdown_undoes_the_qr_order() -> None:
    counter = shown(QR_ORDER)
    assert counter.sale(ShutdownRequested()).commands == (ReverseOrder(client_sn=FIRST, token=2, amount=AMOUNT),)
    counter.offer(ReversalConfirmed(), 2)
    assert counter.sale_state() is SaleState.CANCELED


def test_a_lost_pre_create_is_reversed_and_offered_again_under_a_new_name() -> None:
    """I2: never the same one."""
    counter = Counter(QR_ORDER)
    assert counter.offer(OutcomeUnknown(), 1).commands == (ReverseOrder(client_sn=FIRST, token=2, amount=AMOUNT),)
    counter.offer(OrderAbsent(), 2)
    assert counter.offer_state() is AttemptState.WATCHING
    (again,) = counter.wake().commands
    assert isinstance(again, OfferOrder)
    assert again.client_sn != FIRST
    assert list(counter.book.attempts) == [FIRST, again.client_sn]


@pytest.mark.parametrize("qr_window", [Duration(30 * SECOND), Duration(10 * MINUTE)])
def test_the_slip_of_a_qr_is_worth_printing_while_it_can_be_paid(qr_window: Duration) -> None:
    """And for no longer than any slip: what a printer that was away prints later is not a QR that has expired."""
    story = SaleStory(QR_ORDER, replace(RULES, qr_window=qr_window))
    story.answer(QrOffered, later=0)
    (offer,), (slip,) = story.book.attempts.values(), story.book.jobs.values()
    assert (slip.slip, slip.about) == ("qr", offer.client_sn)
    assert slip.expires == min(offer.window_ends, story.now.instant + RULES.job_lifetime)


def test_a_terminal_that_is_refused_ends_the_sale() -> None:
    counter = Counter(QR_ORDER)
    done = counter.offer(RequestRefused(), 1)
    assert [(sale.state, sale.reason) for sale in done.sales] == [(SaleState.CANCELED, "terminal_refused")]


def test_a_payment_beside_a_cancel_that_is_refused_pays_the_sale_and_the_code_is_never_sent() -> None:
    """I1: the customer paid between the question and the cancel."""
    counter = switching()
    counter.offer(OrderPending(), 2)
    assert counter.offer(ReversalRefused(), 3).commands == ()
    assert counter.sale_state() is SaleState.SWITCHING
    assert counter.offer_state() is AttemptState.SETTLING
    assert counter.attempt_state() is AttemptState.HELD
    assert counter.offer(RetryDue()).commands == (QueryOrder(client_sn=FIRST, token=4, amount=AMOUNT),)
    done = counter.offer(OrderPaid(), 4)
    assert changes(done)[:3] == [
        ("attempt", "PaymentStands", "settling", "paid"),
        ("sale", "AttemptPaid", "switching", "paid"),
        ("attempt", "AbandonRequested", "held", "unsent"),
    ]
    assert not done.commands
    assert counter.book.held == {}
    assert (counter.sale_state(), counter.book.sales[SALE_ID].paid) == (SaleState.COMPLETED, AMOUNT)
