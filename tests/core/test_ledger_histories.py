"""Any history of customers, hosts, answers, waits and restarts keeps the invariants of money."""

from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from terminald.core import attempt as attempts
from terminald.core import book as books
from terminald.core import events, ledger, spool, stimuli
from terminald.core import sale as sales
from terminald.core.attempt_table import TABLE, Attempt, AttemptState
from terminald.core.book import Book
from terminald.core.commands import (
    ArmScanners,
    DisarmScanners,
    GatewayCommand,
    QueryOrder,
    RefundOrder,
    ReverseOrder,
    SendJob,
    SubmitPayment,
)
from terminald.core.events import Answer, Event
from terminald.core.ids import ClientSn, PaymentCode, SaleId
from terminald.core.sale_table import Sale, SaleState
from terminald.core.schedule import CODE_LIFE, DAY, MINUTE, Now
from terminald.core.spool import JobState
from terminald.core.stimuli import Advance, OpenSale, PrintCopy, Stimulus, ToAttempt, ToJob, ToSale
from terminald.errors import IllegalTransition
from tests.core.machine_builders import AMOUNT, COMPLETIONS, NOON, ORDER, RULES, after, until

T = TypeVar("T")

CODES = [PaymentCode(f"13081234567890{ending}") for ending in range(1000, 1004)]
PRINTED: tuple[Event, ...] = (events.JobSent(), events.PrinterAbsent(), events.JobBroken())
#: What a gateway answers that has nothing against ending it.
KIND_ANSWERS: dict[type[GatewayCommand], Answer] = {
    SubmitPayment: events.PayDeclined(),
    QueryOrder: events.OrderClosed(),
    ReverseOrder: events.ReversalConfirmed(),
    RefundOrder: events.RefundConfirmed(),
}
#: Wake-ups and answers in which everything that is open must have ended, with a gateway that helps.
MOST_STEPS_TO_END = 200

picks = st.integers(0, 10**6)


class Histories(RuleBasedStateMachine):
    """The engine's part is played here: one stimulus at a time, performed after its commit."""

    def __init__(self) -> None:
        super().__init__()
        self.now: Now = NOON
        self.book = Book()
        self.opened = 0
        self.scanned = 0
        self.is_armed = False
        self.in_flight: list[GatewayCommand] = []
        self.printing: list[SendJob] = []
        self.submitted: set[ClientSn] = set()
        #: Everything that ever was, as the journal keeps it.
        self.all_sales: dict[SaleId, Sale] = {}
        self.all_attempts: dict[ClientSn, Attempt] = {}

    # --- the engine --------------------------------------------------------------------------------------------------

    def apply(self, stimulus: Stimulus) -> Advance:
        done = ledger.advance(self.book, stimulus, now=self.now, rules=RULES)
        self.check_history(done)
        self.book = books.prune(stimuli.merge(self.book, done), self.now.instant)
        for command in done.commands:
            match command:
                case SubmitPayment():
                    self.check_submit(command, done)
                    self.in_flight.append(command)
                case GatewayCommand():
                    self.in_flight.append(command)
                case SendJob():
                    self.printing.append(command)
                case ArmScanners():
                    self.is_armed = True
                case DisarmScanners():
                    self.is_armed = False
                case _:
                    raise AssertionError(f"{command} left the ledger")
        return done

    def check_history(self, done: Advance) -> None:
        for sale in done.sales:
            before = self.all_sales.get(sale.id)
            if before and before.state in (SaleState.CANCELED, SaleState.COMPLETED):
                assert sale.state is before.state, "I3, I4: what the host was told at the end stands"
                assert (sale.paid, sale.reason, sale.closed_at) == (before.paid, before.reason, before.closed_at)
            self.all_sales[sale.id] = sale
        for attempt in done.attempts:
            earlier = self.all_attempts.get(attempt.client_sn)
            assert earlier is None or not earlier.state.is_final
            assert earlier is None or not earlier.state.is_unpaid or attempt.state is not AttemptState.PAID, "I3"
            self.all_attempts[attempt.client_sn] = attempt
        assert {one.sale_id for one in done.attempts} <= {sale.id for sale in done.sales}
        assert bool(done.records) or done == Advance()

    def check_submit(self, submit: SubmitPayment, done: Advance) -> None:
        """I1, I2: once for ever, with its attempt in the same commit, after every other one was proven unpaid."""
        assert submit.client_sn not in self.submitted
        self.submitted.add(submit.client_sn)
        (attempt,) = (one for one in done.attempts if one.client_sn == submit.client_sn)
        assert (attempt.state, attempt.token, submit.amount) == (AttemptState.SUBMITTING, submit.token, AMOUNT)
        others = [one for one in self.all_attempts.values() if one.sale_id == attempt.sale_id and one != attempt]
        assert all(one.state.is_unpaid for one in others)

    def pick(self, things: list[T], number: int) -> T:
        return things[number % len(things)]

    # --- what happens ------------------------------------------------------------------------------------------------

    @precondition(lambda self: books.sale_with_customer(self.book) is None)
    @rule(wants_receipt=st.booleans())
    def a_sale_is_opened(self, *, wants_receipt: bool) -> None:
        self.opened += 1
        order = sales.SaleOrder(
            reference=ORDER.reference,
            amount=AMOUNT,
            methods=ORDER.methods,
            text=ORDER.text,
            wants_receipt=wants_receipt,
        )
        self.apply(OpenSale(sale_id=SaleId(f"sale-{self.opened}"), order=order))

    @precondition(lambda self: self.is_armed)
    @rule(code=st.sampled_from(CODES))
    def a_code_is_scanned(self, code: PaymentCode) -> None:
        sale = books.sale_with_customer(self.book)
        assert sale is not None
        digest = code.digest(b"salt")
        if books.is_code_used(self.book, digest, self.now.instant):
            return
        self.scanned += 1
        client_sn = ClientSn(f"t-{self.scanned}")
        self.apply(ToSale(sale_id=sale.id, event=events.CodeScanned(client_sn=client_sn, code=code, digest=digest)))

    @precondition(lambda self: self.in_flight)
    @rule(which=picks, kind=picks)
    def the_gateway_answers(self, which: int, kind: int) -> None:
        command = self.pick(self.in_flight, which)
        self.in_flight.remove(command)
        answer = self.pick(list(COMPLETIONS[type(command)]), kind)()
        self.complete(command, answer)

    def complete(self, command: GatewayCommand, answer: Answer) -> None:
        current = self.book.attempts.get(command.client_sn)
        is_current = current is not None and current.token == command.token and not current.state.is_final
        done = self.apply(ToAttempt(client_sn=command.client_sn, event=answer, token=command.token))
        assert bool(done.records) == is_current, "the completion of the last command counts, and no other"

    @precondition(lambda self: self.book.attempts)
    @rule(which=picks, kind=st.sampled_from(COMPLETIONS[QueryOrder]))
    def a_person_asks_the_gateway(self, which: int, kind: type[Answer]) -> None:
        """The answer is used where the attempt has queries of its own, under the token that it has already."""
        attempt = self.pick(list(self.book.attempts.values()), which)
        if set(COMPLETIONS[QueryOrder]) <= set(TABLE[attempt.state]):
            self.apply(ToAttempt(client_sn=attempt.client_sn, event=kind(), token=attempt.token))

    @precondition(lambda self: self.printing)
    @rule(which=picks, answer=st.sampled_from(PRINTED))
    def the_printer_answers(self, which: int, answer: Event) -> None:
        command = self.pick(self.printing, which)
        self.printing.remove(command)
        self.apply(ToJob(job_id=command.job_id, event=answer, token=command.token))

    @precondition(lambda self: stimuli.next_wakeup(self.book) is not None)
    @rule(delay=st.sampled_from([0, 0, 0, 1, MINUTE, DAY]))
    def a_wakeup_comes(self, delay: int) -> None:
        due = stimuli.next_wakeup(self.book)
        assert due is not None
        self.now = after(until(self.now, due[0].at), delay)
        assert self.apply(due[1]).records

    @rule(wait=st.sampled_from([1, 3_000, MINUTE, CODE_LIFE]))
    def time_passes(self, wait: int) -> None:
        self.now = after(self.now, wait)

    @precondition(lambda self: self.book.sales)
    @rule(which=picks)
    def the_host_cancels(self, which: int) -> None:
        sale = self.pick(list(self.book.sales.values()), which)
        try:
            self.apply(ToSale(sale_id=sale.id, event=events.CancelRequested()))
        except IllegalTransition:
            assert sale.state in (SaleState.PAID, SaleState.COMPLETED)
        else:
            assert self.all_sales[sale.id].state in (SaleState.CANCELING, SaleState.CANCELED)

    @precondition(lambda self: books.sale_with_customer(self.book) is not None)
    @rule()
    def the_daemon_drains(self) -> None:
        sale = books.sale_with_customer(self.book)
        assert sale is not None
        if sale.state is SaleState.AWAITING_PAYMENT:
            self.apply(ToSale(sale_id=sale.id, event=events.ShutdownRequested()))

    @precondition(lambda self: self.book.sales)
    @rule(which=picks)
    def a_copy_is_wanted(self, which: int) -> None:
        self.apply(PrintCopy(sale_id=self.pick(list(self.book.sales), which)))

    @rule(event=st.sampled_from([events.Recovered(), events.PowerReturned()]), was_off=st.sampled_from([0, 5_000, DAY]))
    def the_process_is_killed(self, event: Event, was_off: int) -> None:
        """Whatever was asked for and not answered is lost with the process; the book is what was committed."""
        self.in_flight, self.printing, self.is_armed = [], [], False
        self.now = after(self.now, was_off)
        for stimulus in stimuli.recovery(self.book, event):
            self.apply(stimulus)

    # --- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def at_most_one_attempt_of_a_sale_is_not_unpaid(self) -> None:
        """I1."""
        for sale in self.all_sales.values():
            assert sum(not self.all_attempts[one].state.is_unpaid for one in sale.attempts) <= 1

    @invariant()
    def what_the_host_is_told_is_what_the_attempts_prove(self) -> None:
        """I3, I4."""
        for sale in self.all_sales.values():
            paid = [one for one in sale.attempts if self.all_attempts[one].state is AttemptState.PAID]
            assert sale.state is not SaleState.PAID, "it is completed within the same commit"
            if sale.state is SaleState.COMPLETED:
                assert len(paid) == 1
                assert sale.paid == sale.order.amount
            else:
                assert not paid
                assert sale.paid == 0
            if sale.state is SaleState.CANCELED:
                assert sale.reason
                assert sale.closed_at

    @invariant()
    def nothing_open_is_forgotten(self) -> None:
        """I5: everything has a wake-up, or waits for a completion that is under way, or for what has."""
        awaited = {(command.client_sn, command.token) for command in self.in_flight}
        for attempt in self.all_attempts.values():
            if not attempt.state.is_final:
                assert self.book.attempts[attempt.client_sn] == attempt
                assert attempts.next_wakeup(attempt) or (attempt.client_sn, attempt.token) in awaited
        sending = {(command.job_id, command.token) for command in self.printing}
        for job in self.book.jobs.values():
            assert spool.next_wakeup(job) or job.state.is_final or (job.id, job.token) in sending
        for sale in self.all_sales.values():
            if not sale.state.is_final:
                assert self.book.sales[sale.id] == sale
                assert sales.next_wakeup(sale) or not self.all_attempts[sale.attempts[-1]].state.is_unpaid

    @invariant()
    def scanners_listen_while_a_code_is_wanted(self) -> None:
        sale = books.sale_with_customer(self.book)
        assert self.is_armed == (sale is not None and sale.state is SaleState.AWAITING_PAYMENT)

    @invariant()
    def one_customer_at_a_time(self) -> None:
        assert sum(sale.state.is_with_customer for sale in self.book.sales.values()) <= 1

    def teardown(self) -> None:
        """With a gateway that helps, everything ends, and the book is empty when the codes are dead."""
        for _ in range(MOST_STEPS_TO_END):
            if self.in_flight:
                command = self.in_flight.pop()
                self.complete(command, KIND_ANSWERS[type(command)])
            elif self.printing:
                sent = self.printing.pop()
                self.apply(ToJob(job_id=sent.job_id, event=events.JobSent(), token=sent.token))
            elif due := stimuli.next_wakeup(self.book):
                self.now = until(self.now, due[0].at)
                self.apply(due[1])
        assert all(sale.state.is_final for sale in self.all_sales.values())
        assert all(attempt.state.is_final for attempt in self.all_attempts.values())
        assert all(job.state in JobState and job.state.is_final for job in self.book.jobs.values())
        assert books.prune(self.book, after(self.now, CODE_LIFE).instant) == Book()


TestHistories = Histories.TestCase
TestHistories.settings = settings(deadline=None, max_examples=150, stateful_step_count=50)
