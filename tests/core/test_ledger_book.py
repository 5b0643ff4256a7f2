"""What the book is asked: used codes, copies of receipts, views, wake-ups, what is kept, what a restart addresses."""

from dataclasses import replace

import pytest

from terminald.core import book as books
from terminald.core import stimuli
from terminald.core.book import Book, is_code_used, is_wanted, prune
from terminald.core.commands import (
    QueryOrder,
    SubmitPayment,
)
from terminald.core.events import (
    CancelRequested,
    CodeScanned,
    DrainRequested,
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
    SendDue,
    ShutdownRequested,
)
from terminald.core.ids import Instant, PaymentCode, SaleId
from terminald.core.return_events import DeliveryUnheard, DeliveryWindowClosed
from terminald.core.sale_table import SaleState
from terminald.core.schedule import CODE_LIFE, HOUR, MINUTE, REPORT_LATEST, SECOND
from terminald.core.spool import JobState
from terminald.core.stimuli import OpenSale, PrintCopy, ToAttempt, ToJob, ToSale
from tests.core.machine_builders import AMOUNT, CLIENT_SN, CODE, NOON, ORDER, SALE_ID, after
from tests.core.till import JOB_ID, SECOND_SN, Till, selling

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


def test_a_submit_that_has_not_left_yet_may_leave_while_the_sale_wants_it() -> None:
    """A payment that is held up is not sent for a sale that was canceled meanwhile (I3)."""
    till = Till()
    till.open()
    (submit,) = (one for one in till.scan().commands if isinstance(one, SubmitPayment))
    assert is_wanted(till.book, submit)
    assert not is_wanted(Book(), submit)
    assert not is_wanted(till.book, replace(submit, token=submit.token + 1))
    till.sale(CancelRequested())
    assert not is_wanted(till.book, submit)
    assert is_wanted(till.book, QueryOrder(client_sn=CLIENT_SN, token=0, amount=AMOUNT))


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
    shown = books.view(till.book, SALE_ID)
    assert shown is not None
    assert [attempt.client_sn for attempt in shown.attempts] == [CLIENT_SN, SECOND_SN]
    assert [job.id for job in shown.jobs] == [JOB_ID]
    assert books.view(till.book, SaleId("unknown")) is None


def test_the_sale_with_the_customer_is_found() -> None:
    till = Till()
    assert books.sale_with_customer(till.book) is None
    till.open()
    found = books.sale_with_customer(till.book)
    assert found is not None
    assert found.id == SALE_ID
    till.sale(CancelRequested())
    assert books.sale_with_customer(till.book) is None


def test_the_earliest_wakeup_is_the_next_and_says_to_whom() -> None:
    till = Till()
    assert stimuli.next_wakeup(till.book) is None
    till.open()
    due = stimuli.next_wakeup(till.book)
    assert due is not None
    assert due[1] == ToSale(sale_id=SALE_ID, event=PresentationExpired())
    till.scan()
    assert stimuli.next_wakeup(till.book) is None
    till.attempt(OutcomePending(), 1)
    due = stimuli.next_wakeup(till.book)
    assert due is not None
    assert due[1] == ToAttempt(client_sn=CLIENT_SN, event=PollDue())
    till.attempt(PollDue())
    till.attempt(OrderPaid(), 2)
    due = stimuli.next_wakeup(till.book)
    assert due is not None
    assert due[1] == ToJob(job_id=JOB_ID, event=SendDue())


def test_a_sale_is_dropped_when_nothing_of_it_is_open_and_its_code_is_kept_for_its_life() -> None:
    """One code, one attempt: I11 bounds what is kept for it."""
    till = selling((PayConfirmed(), 1))
    till.wake()
    assert till.book.sales
    till.apply(ToJob(job_id=JOB_ID, event=JobSent(), token=1))
    assert till.book == Book(used={"d1": NOON.instant})
    assert is_code_used(till.book, "d1", after(NOON, CODE_LIFE - 1).instant)
    assert not is_code_used(till.book, "d1", after(NOON, CODE_LIFE).instant)
    assert prune(till.book, after(NOON, CODE_LIFE - 1).instant) == till.book
    assert prune(till.book, after(NOON, CODE_LIFE).instant) == Book()


def test_what_never_left_the_device_leaves_no_code_behind() -> None:
    till = selling((RequestNotSent(), 1))
    till.sale(CancelRequested())
    assert till.book == Book()


def test_an_old_sale_that_is_taken_up_again_takes_no_code_from_the_sale_that_has_it_now() -> None:
    """A code that is dead may come again; a refund of the first sale says nothing of the second one's code."""
    till = Till()
    till.open(replace(ORDER, wants_receipt=False, prints_refunds=False))
    till.scan()
    till.attempt(PayConfirmed(), 1)
    other = SaleId("other")
    till.apply(OpenSale(sale_id=other, order=replace(ORDER, wants_receipt=False)), later=CODE_LIFE)
    till.apply(ToSale(sale_id=other, event=CodeScanned(client_sn=SECOND_SN, code=CODE, digest="d1")))
    till.apply(ToAttempt(client_sn=SECOND_SN, event=PayConfirmed(), token=1))
    assert till.book == Book(used={"d1": after(NOON, CODE_LIFE).instant})
    till.ask(100)
    till.refund(RefundConfirmed(), 1)
    assert till.book == Book(used={"d1": after(NOON, CODE_LIFE).instant})


@pytest.mark.parametrize("is_job_open", [True, False], ids=["a job", "an attempt"])
def test_a_sale_is_kept_whole_for_whatever_of_it_is_open(*, is_job_open: bool) -> None:
    """I5."""
    till = selling()
    if is_job_open:
        till.attempt(PayConfirmed(), 1)
    else:
        till.sale(CancelRequested())
        till.attempt(OutcomeUnknown(), 1)
        till.attempt(OrderAbsent(), 2)
    assert till.sale_state().is_final
    assert prune(till.book, after(NOON, HOUR).instant) == replace(till.book, used={})


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
    assert stimuli.recovery(till.book, Recovered()) == (
        ToAttempt(client_sn=SECOND_SN, event=Recovered()),
        ToSale(sale_id=SaleId("other"), event=Recovered()),
        ToJob(job_id=JOB_ID, event=Recovered()),
    )


def test_a_submit_that_was_under_way_is_asked_about_and_paid_after_the_restart() -> None:
    """I2: the crash at the worst moment costs a query."""
    till = selling()
    commands = [
        command
        for stimulus in stimuli.recovery(till.book, PowerReturned())
        for command in till.apply(stimulus, later=MINUTE).commands
    ]
    assert commands == [QueryOrder(client_sn=CLIENT_SN, token=2, amount=AMOUNT)]
    till.attempt(OrderPaid(), 2)
    assert (till.sale_state(), till.book.sales[SALE_ID].paid) == (SaleState.COMPLETED, AMOUNT)


# --- what is chosen anew when the journal works again ----------------------------------------------------------------


def test_a_wake_up_is_due_at_its_time_and_not_before() -> None:
    till = selling((OutcomePending(), 1))
    wakeup, stimulus = stimuli.next_wakeup(till.book) or pytest.fail("nothing is awaited")
    assert stimuli.due(till.book, after(till.now, 1).instant) is None
    assert stimuli.due(till.book, wakeup.at) == stimulus
    assert stimuli.due(Book(), wakeup.at) is None


def awaiting_report() -> tuple[Till, Instant]:
    """Return a till with a paid sale, and when the time for its report ends."""
    till = Till()
    till.open(replace(ORDER, reports_delivery=True, wants_receipt=False))
    till.scan()
    till.attempt(PayConfirmed(), 1)
    ends = till.seen().sale.delivery_ends
    assert ends is not None
    return till, ends


def test_the_time_for_a_report_does_not_end_while_none_can_be_taken_nor_right_after() -> None:
    till, ends = awaiting_report()
    due = stimuli.due(till.book, ends)
    assert due == ToSale(sale_id=SALE_ID, event=DeliveryWindowClosed())
    assert stimuli.next_wakeup(till.book, reports_until=None) is None
    assert stimuli.due(till.book, ends, reports_until=None) is None
    until = Instant(ends + 60_000)
    assert stimuli.due(till.book, Instant(until - 1), reports_until=until) is None
    assert stimuli.due(till.book, until, reports_until=until) == due
    assert stimuli.due(till.book, ends, reports_until=Instant(ends - 1)) == due


def test_the_time_for_a_report_is_not_put_off_for_ever() -> None:
    """I5: whatever comes again and again, a person is called in the end; no more, as perhaps nobody was heard."""
    till, ends = awaiting_report()
    last = Instant(ends + REPORT_LATEST)
    for until in range(ends, last, MINUTE):
        wakeup, stimulus = stimuli.next_wakeup(till.book, reports_until=Instant(until)) or pytest.fail("not awaited")
        assert (wakeup.at, stimulus) == (until, ToSale(sale_id=SALE_ID, event=DeliveryWindowClosed()))
    for moved in (last, Instant(last + 50_000), Instant(last + 9 * REPORT_LATEST)):
        assert stimuli.due(till.book, Instant(last - 1), reports_until=moved) is None
        due = stimuli.due(till.book, last, reports_until=moved)
        assert due == ToSale(sale_id=SALE_ID, event=DeliveryUnheard())


def test_nothing_else_waits_for_reports() -> None:
    till = Till()
    till.open()
    wakeup, stimulus = stimuli.next_wakeup(till.book, reports_until=None) or pytest.fail("nothing is awaited")
    assert stimuli.due(till.book, wakeup.at, reports_until=None) == stimulus


def test_a_recovery_is_not_told_to_a_sale_that_was_settled_since_the_start() -> None:
    till = Till()
    till.open()
    told = ToSale(sale_id=SALE_ID, event=Recovered())
    assert stimuli.unless_over(till.book, told) is told
    till.sale(CancelRequested())
    assert stimuli.unless_over(till.book, told) is None
    assert stimuli.unless_over(Book(), told) is None
    of_attempt = ToAttempt(client_sn=CLIENT_SN, event=Recovered())
    assert stimuli.unless_over(Book(), of_attempt) is of_attempt


@pytest.mark.parametrize("is_stopping", [True, False], ids=["stop", "drain"])
def test_a_stop_and_a_drain_close_the_sale_that_waits_for_a_code_and_no_other(*, is_stopping: bool) -> None:
    till = Till()
    assert stimuli.closing(till.book, is_stopping=is_stopping) is None
    till.open()
    event = ShutdownRequested() if is_stopping else DrainRequested()
    assert stimuli.closing(till.book, is_stopping=is_stopping) == ToSale(sale_id=SALE_ID, event=event)
    till.scan()
    assert stimuli.closing(till.book, is_stopping=is_stopping) is None
