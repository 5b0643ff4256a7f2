"""The machines together: what one stimulus changes, records and asks for, in one commit."""

from dataclasses import replace

import pytest

from terminald.core import ledger
from terminald.core.attempt_table import AttemptState
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
    CodeScanned,
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
    PresentationExpired,
    Recovered,
    RefundConfirmed,
    RequestNotSent,
    RequestRefused,
    ReversalConfirmed,
    ReversalRefused,
    SendDue,
    ShutdownRequested,
)
from terminald.core.ids import ClientSn, JobId, PaymentCode, SaleId
from terminald.core.ledger import (
    Advance,
    Book,
    OpenSale,
    PrintCopy,
    Record,
    Stimulus,
    ToAttempt,
    ToJob,
    ToSale,
    advance,
    is_code_used,
    merge,
    prune,
)
from terminald.core.sale import SaleOrder, SaleState
from terminald.core.schedule import CODE_LIFE, HOUR, MINUTE, SECOND, Now
from terminald.core.spool import JobState
from terminald.errors import IllegalTransition
from tests.core.machine_builders import AMOUNT, CLIENT_SN, CODE, NOON, ORDER, RULES, SALE_ID, TEXT, after

JOB_ID = JobId(f"{SALE_ID}-1")
SECOND_SN = ClientSn("t-0002")


class Till:
    """A book and its clock: applies a stimulus the way the engine does."""

    def __init__(self) -> None:
        self.now: Now = NOON
        self.book = Book()

    def apply(self, stimulus: Stimulus, *, later: int = 0) -> Advance:
        self.now = after(self.now, later)
        done = advance(self.book, stimulus, now=self.now, rules=RULES)
        self.book = prune(merge(self.book, done), self.now.instant)
        return done

    def open(self, order: SaleOrder = ORDER, sale_id: SaleId = SALE_ID) -> Advance:
        return self.apply(OpenSale(sale_id=sale_id, order=order))

    def scan(self, client_sn: ClientSn = CLIENT_SN, digest: str = "d1") -> Advance:
        return self.sale(CodeScanned(client_sn=client_sn, code=CODE, digest=digest))

    def sale(self, event: Event, *, later: int = 0) -> Advance:
        return self.apply(ToSale(sale_id=SALE_ID, event=event), later=later)

    def attempt(self, event: Event, token: int | None = None, *, later: int = 0) -> Advance:
        return self.apply(ToAttempt(client_sn=CLIENT_SN, event=event, token=token), later=later)

    def wake(self) -> Advance:
        due = ledger.next_wakeup(self.book)
        assert due is not None
        return self.apply(due[1], later=max(0, due[0].at - self.now.instant))

    def sale_state(self) -> SaleState:
        return self.book.sales[SALE_ID].state

    def attempt_state(self) -> AttemptState:
        return self.book.attempts[CLIENT_SN].state


def selling(*answers: tuple[Event, int]) -> Till:
    """A sale whose code was scanned, and what was answered since, each with its token."""
    till = Till()
    till.open()
    till.scan()
    for event, token in answers:
        till.attempt(event, token)
    return till


def changes(done: Advance) -> list[tuple[str, str, str, str]]:
    return [(record.kind, record.cause, record.before, record.after) for record in done.records]


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


def test_an_order_that_arrived_late_is_refunded_and_the_sale_stays_canceled() -> None:
    """I3, I9."""
    till = selling((OutcomeUnknown(), 1))
    till.sale(CancelRequested())
    till.attempt(OrderAbsent(), 3)
    assert (till.sale_state(), till.attempt_state()) == (SaleState.CANCELED, AttemptState.WATCHING)
    assert till.wake().commands == (QueryOrder(client_sn=CLIENT_SN, token=4, amount=AMOUNT),)
    assert till.attempt(OrderPaid(), 4).commands == (ReverseOrder(client_sn=CLIENT_SN, token=5, amount=AMOUNT),)
    till.attempt(ReversalRefused(), 5)
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
    assert till.apply(ToJob(job_id=JOB_ID, event=SendDue())).commands == (SendJob(job_id=JOB_ID, token=1),)
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
        ToAttempt(client_sn=CLIENT_SN, event=Recovered()),
        ToJob(job_id=JOB_ID, event=SendDue()),
        PrintCopy(sale_id=SALE_ID),
    ],
)
def test_what_is_not_in_the_book_is_an_error(stimulus: Stimulus) -> None:
    with pytest.raises(KeyError):
        advance(Book(), stimulus, now=NOON, rules=RULES)


# --- codes -----------------------------------------------------------------------------------------------------------


def test_a_code_is_used_from_its_scan_on_for_its_life() -> None:
    """One code, one attempt."""
    till = selling((PayDeclined(), 1))
    now = till.now.instant
    assert is_code_used(till.book, "d1", now)
    assert not is_code_used(till.book, "d2", now)
    assert is_code_used(till.book, "d1", after(till.now, CODE_LIFE - 1).instant)
    assert not is_code_used(till.book, "d1", after(till.now, CODE_LIFE).instant)


def test_a_code_whose_order_is_open_is_used_for_as_long_as_it_is() -> None:
    till = selling((OutcomePending(), 1))
    assert is_code_used(till.book, "d1", after(till.now, HOUR).instant)


def test_a_code_that_never_left_the_device_may_be_presented_again() -> None:
    till = selling((RequestNotSent(), 1))
    assert not is_code_used(till.book, "d1", till.now.instant)


def test_a_digest_is_that_of_the_code() -> None:
    salt = b"salt"
    till = Till()
    till.open()
    till.scan(digest=PaymentCode(CODE.reveal()).digest(salt))
    assert is_code_used(till.book, CODE.digest(salt), till.now.instant)


# --- receipts --------------------------------------------------------------------------------------------------------


def test_copies_are_numbered_and_need_no_wish_of_the_sale() -> None:
    till = Till()
    till.open(replace(ORDER, wants_receipt=False))
    till.scan()
    till.attempt(PayConfirmed(), 1)
    for number in (1, 2):
        done = till.apply(PrintCopy(sale_id=SALE_ID))
        assert [(job.id, job.is_copy, job.state) for job in done.jobs] == [
            (f"{SALE_ID}-{number}", True, JobState.QUEUED)
        ]
        assert [sale.id for sale in done.sales] == [SALE_ID]


# --- looking at the book ---------------------------------------------------------------------------------------------


def test_a_sale_is_shown_with_all_that_belongs_to_it() -> None:
    till = selling((PayDeclined(), 1))
    till.scan(SECOND_SN, "d2")
    till.apply(ToAttempt(client_sn=SECOND_SN, event=PayConfirmed(), token=1))
    till.open(sale_id=SaleId("other"))
    shown = ledger.view(till.book, SALE_ID)
    assert shown is not None
    assert [attempt.client_sn for attempt in shown.attempts] == [CLIENT_SN, SECOND_SN]
    assert [job.id for job in shown.jobs] == [JOB_ID]
    assert ledger.view(till.book, SaleId("unknown")) is None


def test_the_sale_with_the_customer_is_found() -> None:
    till = Till()
    assert ledger.sale_with_customer(till.book) is None
    till.open()
    found = ledger.sale_with_customer(till.book)
    assert found is not None
    assert found.id == SALE_ID
    till.sale(CancelRequested())
    assert ledger.sale_with_customer(till.book) is None


def test_the_earliest_wakeup_is_the_next_and_says_to_whom() -> None:
    till = Till()
    assert ledger.next_wakeup(till.book) is None
    till.open()
    due = ledger.next_wakeup(till.book)
    assert due is not None
    assert due[1] == ToSale(sale_id=SALE_ID, event=PresentationExpired())
    till.scan()
    assert ledger.next_wakeup(till.book) is None
    till.attempt(OutcomePending(), 1)
    due = ledger.next_wakeup(till.book)
    assert due is not None
    assert due[1] == ToAttempt(client_sn=CLIENT_SN, event=PollDue())
    till.attempt(PollDue())
    till.attempt(OrderPaid(), 2)
    due = ledger.next_wakeup(till.book)
    assert due is not None
    assert due[1] == ToJob(job_id=JOB_ID, event=SendDue())


def test_a_sale_is_dropped_when_nothing_of_it_is_open_and_no_code_of_it_lives() -> None:
    till = selling((PayConfirmed(), 1))
    till.wake()
    till.apply(ToJob(job_id=JOB_ID, event=JobSent(), token=1))
    assert prune(till.book, after(NOON, CODE_LIFE - 1).instant) == till.book
    assert prune(till.book, after(NOON, CODE_LIFE).instant) == Book()


@pytest.mark.parametrize("is_job_open", [True, False], ids=["a job", "an attempt"])
def test_a_sale_is_kept_whole_for_whatever_of_it_is_open(*, is_job_open: bool) -> None:
    """I5."""
    till = selling()
    if is_job_open:
        till.attempt(PayConfirmed(), 1)
    else:
        till.sale(ShutdownRequested())
        till.sale(CancelRequested())
        till.attempt(OutcomeUnknown(), 1)
        till.attempt(OrderAbsent(), 2)
    assert till.sale_state().is_final
    assert prune(till.book, after(NOON, HOUR).instant) == till.book


def test_a_sale_without_attempts_is_dropped_when_it_is_canceled() -> None:
    till = Till()
    till.open()
    till.sale(CancelRequested())
    assert till.book == Book()


# --- restarts --------------------------------------------------------------------------------------------------------


def test_everything_open_is_told_of_a_restart_and_money_first() -> None:
    """I5."""
    till = selling((PayConfirmed(), 1))
    till.open(sale_id=SaleId("other"))
    till.apply(
        ToSale(sale_id=SaleId("other"), event=CodeScanned(client_sn=SECOND_SN, code=CODE, digest="d2")), later=SECOND
    )
    assert ledger.recovery(till.book, Recovered()) == (
        ToAttempt(client_sn=SECOND_SN, event=Recovered()),
        ToSale(sale_id=SaleId("other"), event=Recovered()),
        ToJob(job_id=JOB_ID, event=Recovered()),
    )


def test_a_submit_that_was_under_way_is_asked_about_and_paid_after_the_restart() -> None:
    """I2: the crash at the worst moment costs a query."""
    till = selling()
    commands = [
        command
        for stimulus in ledger.recovery(till.book, PowerReturned())
        for command in till.apply(stimulus, later=MINUTE).commands
    ]
    assert commands == [QueryOrder(client_sn=CLIENT_SN, token=2, amount=AMOUNT)]
    till.attempt(OrderPaid(), 2)
    assert (till.sale_state(), till.book.sales[SALE_ID].paid) == (SaleState.COMPLETED, AMOUNT)
