"""The machines together: what one stimulus changes, records and asks for, in one commit."""

from dataclasses import replace

import pytest

from terminald.core.attempt_table import AttemptState
from terminald.core.book import Book
from terminald.core.commands import (
    ArmScanners,
    DisarmScanners,
    QueryOrder,
    RefundOrder,
    ReverseOrder,
    SendJob,
    SubmitPayment,
)
from terminald.core.events import (
    CancelRequested,
    Event,
    JobSent,
    OrderAbsent,
    OrderPaid,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    PollDue,
    PowerReturned,
    Recovered,
    RefundConfirmed,
    RequestNotSent,
    RequestRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalRefused,
    SendDue,
)
from terminald.core.ids import ClientSn
from terminald.core.ledger import advance
from terminald.core.refund import Asked
from terminald.core.refund_table import RefundKind
from terminald.core.sale_table import SaleState
from terminald.core.schedule import HOUR
from terminald.core.stimuli import (
    Advance,
    AskRefund,
    CloseAttention,
    PrintCopy,
    Record,
    Stimulus,
    ToAttempt,
    ToJob,
    ToRefund,
    ToSale,
)
from terminald.errors import IllegalTransition
from tests.core.machine_builders import AMOUNT, CLIENT_SN, CODE, NOON, ORDER, REFUND_ID, RULES, SALE_ID, TEXT
from tests.core.till import JOB_ID, SECOND_SN, Till, changes, selling

# --- one commit ------------------------------------------------------------------------------------------------------


def test_a_sale_is_opened_and_the_scanners_are_armed() -> None:
    done = Till().open()
    assert done.commands == (ArmScanners(),)
    assert done.records == (
        Record(kind="sale", subject=SALE_ID, sale_id=SALE_ID, cause="SaleOpened", before="", after="awaiting_payment"),
    )
    assert [sale.id for sale in done.sales] == [SALE_ID]


def test_a_scanned_code_is_one_commit_that_holds_the_sale_the_attempt_and_then_the_submit() -> None:
    """I2: the order number is on disk with its sale before the request that carries it can be performed."""
    till = Till()
    till.open()
    done = till.scan()
    assert [sale.attempts for sale in done.sales] == [(CLIENT_SN,)]
    assert [attempt.client_sn for attempt in done.attempts] == [CLIENT_SN]
    assert done.commands == (
        DisarmScanners(),
        SubmitPayment(client_sn=CLIENT_SN, token=1, amount=AMOUNT, code=CODE, text=TEXT),
    )
    assert changes(done) == [
        ("sale", "CodeScanned", "awaiting_payment", "processing"),
        ("attempt", "AttemptOpened", "", "submitting"),
    ]


def test_a_payment_is_one_commit_from_the_attempt_to_the_receipt() -> None:
    done = selling().attempt(PayConfirmed(), 1)
    assert changes(done) == [
        ("attempt", "PayConfirmed", "submitting", "paid"),
        ("sale", "AttemptPaid", "processing", "paid"),
        ("print", "JobEnqueued", "", "queued"),
        ("sale", "DeliveryWaived", "paid", "completed"),
    ]
    assert [(sale.state, sale.paid) for sale in done.sales] == [(SaleState.COMPLETED, AMOUNT)]
    assert [job.id for job in done.jobs] == [JOB_ID]
    assert done.commands == ()


def test_a_sale_that_wants_no_receipt_gets_none() -> None:
    till = Till()
    till.open(replace(ORDER, wants_receipt=False))
    till.scan()
    assert till.attempt(PayConfirmed(), 1).jobs == ()
    assert till.sale_state() is SaleState.COMPLETED


def test_the_hosts_cancel_reaches_the_attempt_in_the_same_commit() -> None:
    till = selling((OutcomePending(), 1))
    done = till.sale(CancelRequested())
    assert changes(done) == [
        ("sale", "CancelRequested", "processing", "canceling"),
        ("attempt", "AbandonRequested", "polling", "reversing"),
    ]
    assert done.commands == (ReverseOrder(client_sn=CLIENT_SN, token=2, amount=AMOUNT),)
    assert changes(till.attempt(ReversalConfirmed(), 2)) == [
        ("attempt", "ReversalConfirmed", "reversing", "reversed"),
        ("sale", "AttemptUnpaid", "canceling", "canceled"),
    ]


def test_the_sale_is_given_with_an_attempt_that_changed_without_it() -> None:
    """The commit then holds all that a sale's public form is made of."""
    done = selling().attempt(OutcomePending(), 1)
    assert [sale.id for sale in done.sales] == [SALE_ID]
    assert changes(done) == [("attempt", "OutcomePending", "submitting", "polling")]


def test_only_the_last_attempt_moves_the_sale() -> None:
    """I1: an earlier one that is found open is undone beside it."""
    till = selling((PayDeclined(), 1))
    till.scan(ClientSn("t-0002"), "d2")
    till.attempt(OrderPaid())
    done = till.attempt(ReversalConfirmed(), 2)
    assert changes(done) == [("attempt", "ReversalConfirmed", "reversing", "reversed")]
    assert till.sale_state() is SaleState.PROCESSING


def test_an_order_that_arrived_late_is_refunded_and_the_sale_stays_canceled() -> None:
    """I3, I9."""
    till = selling((OutcomeUnknown(), 1))
    till.sale(CancelRequested())
    till.attempt(OrderAbsent(), 3)
    assert (till.sale_state(), till.attempt_state()) == (SaleState.CANCELED, AttemptState.WATCHING)
    assert till.wake().commands == (QueryOrder(client_sn=CLIENT_SN, token=4, amount=AMOUNT),)
    assert till.attempt(OrderPaid(), 4).commands == (ReverseOrder(client_sn=CLIENT_SN, token=5, amount=AMOUNT),)
    till.attempt(ReversalRefused(), 5)
    till.wake()
    (refund,) = till.attempt(OrderPaid(), 6).commands
    assert isinstance(refund, RefundOrder)
    assert changes(till.attempt(RefundConfirmed(), 7)) == [
        ("attempt", "RefundConfirmed", "refunding", "reversed"),
        ("sale", "AttemptUnpaid", "canceled", "canceled"),
    ]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (PayDeclined(), SaleState.AWAITING_PAYMENT),
        (RequestNotSent(), SaleState.AWAITING_PAYMENT),
        (RequestRefused(), SaleState.CANCELED),
    ],
    ids=["declined", "not sent", "refused"],
)
def test_what_a_failed_attempt_means_for_its_sale(answer: Event, state: SaleState) -> None:
    till = selling((answer, 1))
    assert till.sale_state() is state


# --- what changes nothing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [0, 1, 3])
def test_a_completion_of_another_command_than_the_last_changes_nothing(token: int) -> None:
    till = selling((OutcomeUnknown(), 1))
    before = till.book
    assert till.attempt(OrderPaid(), token) == Advance()
    assert till.book == before


def test_a_completion_of_a_sending_that_is_over_changes_nothing() -> None:
    till = selling((PayConfirmed(), 1))
    assert till.apply(ToJob(job_id=JOB_ID, event=SendDue())).commands == (
        SendJob(sale_id=SALE_ID, job_id=JOB_ID, token=1),
    )
    assert till.apply(ToJob(job_id=JOB_ID, event=JobSent(), token=2)) == Advance()
    assert changes(till.apply(ToJob(job_id=JOB_ID, event=JobSent(), token=1))) == [
        ("print", "JobSent", "printing", "unverified")
    ]


def test_a_completion_that_comes_when_all_is_closed_and_dropped_changes_nothing() -> None:
    """A query of an old order can be answered after the cancel that closed it."""
    till = selling((OutcomePending(), 1))
    till.attempt(Recovered(), later=HOUR)
    assert changes(till.wake())[0] == ("attempt", "PollWindowClosed", "polling", "reversing")
    assert till.attempt(ReversalConfirmed(), 3).records
    assert till.book == Book()
    assert till.attempt(OrderPaid(), 2) == Advance()
    assert till.apply(ToJob(job_id=JOB_ID, event=JobSent(), token=1)) == Advance()


def test_an_answer_to_a_persons_question_may_come_before_the_machines_own() -> None:
    """Both were asked under one token: the first that ends the order stands, and the other changes nothing."""
    till = selling((OutcomeUnknown(), 1))
    assert till.attempt(OrderPaid(), 2).records
    assert till.attempt(OrderPaid(), 2) == Advance()
    assert till.sale_state() is SaleState.COMPLETED


@pytest.mark.parametrize("event", [Recovered(), PowerReturned()])
def test_the_recovery_of_what_is_closed_by_then_changes_nothing(event: Event) -> None:
    till = selling((PayConfirmed(), 1))
    before = till.book
    for stimulus in (
        ToAttempt(client_sn=CLIENT_SN, event=event),
        ToAttempt(client_sn=SECOND_SN, event=event),
        ToRefund(refund_id=REFUND_ID, event=event),
    ):
        assert till.apply(stimulus) == Advance()
    assert till.book == before


def test_an_impossible_event_is_refused_and_changes_nothing() -> None:
    till = selling()
    before = till.book
    with pytest.raises(IllegalTransition):
        till.scan(SECOND_SN)
    with pytest.raises(IllegalTransition):
        till.attempt(ReversalConfirmed(), 1)
    assert till.book == before


@pytest.mark.parametrize(
    "stimulus",
    [
        ToSale(sale_id=SALE_ID, event=CancelRequested()),
        ToAttempt(client_sn=CLIENT_SN, event=PollDue()),
        ToRefund(refund_id=REFUND_ID, event=RetryDue()),
        ToJob(job_id=JOB_ID, event=SendDue()),
        AskRefund(sale_id=SALE_ID, asked=Asked(kind=RefundKind.RETURN, amount=AMOUNT)),
        CloseAttention(sale_id=SALE_ID, reason="seen"),
        PrintCopy(sale_id=SALE_ID),
    ],
)
def test_what_is_not_in_the_book_is_an_error(stimulus: Stimulus) -> None:
    with pytest.raises(KeyError):
        advance(Book(), stimulus, now=NOON, rules=RULES, fresh=ClientSn("t-new"))
