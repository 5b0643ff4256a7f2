"""The engine's part played: stimuli in, commits kept as the journal keeps them, every commit judged."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from terminald.core import attempt as attempts
from terminald.core import book as books
from terminald.core import events, ledger, spool, stimuli
from terminald.core import sale as sales
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import Book
from terminald.core.commands import (
    ArmScanners,
    Command,
    DisarmScanners,
    GatewayCommand,
    OfferOrder,
    QueryOrder,
    RefundOrder,
    ReverseOrder,
    RevokeOrder,
    SendJob,
    SubmitPayment,
)
from terminald.core.events import Answer
from terminald.core.ids import ClientSn, Instant, RefundId, SaleId
from terminald.core.refund_answers import GOODS_OUT
from terminald.core.refund_table import Refund, RefundState
from terminald.core.return_events import Delivered
from terminald.core.sale_table import DeliveryState, Sale, SaleState
from terminald.core.schedule import CODE_LIFE, Now, Rules
from terminald.core.stimuli import Advance, Stimulus, ToAttempt, ToJob, ToRefund, ToSale
from tests.core.machine_builders import NOON, RULES, until

#: Requests after which money may be elsewhere than before.
MOVING = (SubmitPayment, OfferOrder, ReverseOrder, RevokeOrder, RefundOrder)
_GOING_BACK = (SaleState.RETURNING, SaleState.RETURNED)
_DELIVERY_ENDS = (SaleState.PAID, SaleState.COMPLETED, SaleState.RETURNING, SaleState.RETURNED)
#: Steps in which everything that is open must have ended, with a gateway and a host that help.
MOST_STEPS_TO_END = 1_500
#: Answers to a cancel after which it can not undo anything any more.
CLEARLY_NOT_RUN = (events.ReversalRefused, events.RequestRefused, events.RequestNotSent)
_WANTING = (SaleState.AWAITING_PAYMENT, SaleState.SWITCHING)
KIND_ANSWERS: dict[type[GatewayCommand], Answer] = {
    SubmitPayment: events.PayDeclined(),
    OfferOrder: events.PayDeclined(),
    QueryOrder: events.OrderClosed(),
    ReverseOrder: events.ReversalConfirmed(),
    RevokeOrder: events.ReversalConfirmed(),
    RefundOrder: events.RefundConfirmed(),
}


@dataclass(slots=True, eq=False)
class Flight:
    """A request that was asked for. Without an answer: it has not arrived yet."""

    command: GatewayCommand
    answer: Answer | None = None


def _undoes(command: GatewayCommand) -> bool:
    """Whether it is to undo an order that is not to be paid."""
    return isinstance(command, ReverseOrder | RefundOrder) and command.refund_id is None


class Terminal:
    """One terminal, to whose requests anything may be answered. A method that begins with ``check`` is an invariant."""

    def __init__(self, rules: Rules = RULES) -> None:
        """Begin at noon with nothing."""
        self.rules = rules
        self.now: Now = NOON
        self.book = Book()
        #: Every sale, whether or not the book still holds it.
        self.committed = Book()
        self.named = 0
        self.is_armed = False
        self.in_flight: list[Flight] = []
        self.printing: list[SendJob] = []
        self.submitted: set[ClientSn] = set()
        #: Everything that ever was, as the journal keeps it.
        self.sales: dict[SaleId, Sale] = {}
        self.attempts: dict[ClientSn, Attempt] = {}
        self.refunds: dict[RefundId, Refund] = {}
        #: Attempts that were unpaid once, and those of them that the gateway did not know.
        self.given_up: set[ClientSn] = set()
        self.watched: set[ClientSn] = set()
        #: Sales of which a person has closed a refund: nobody knows what became of it.
        self.closed_by_hand: set[SaleId] = set()
        #: What each cancel of an order was answered, and each refund that undoes it; None: nothing, so far.
        self.cancels: dict[ClientSn, tuple[Answer | None, ...]] = {}
        #: QR orders that yielded to a code since the last start.
        self.yielded: set[ClientSn] = set()
        self.story: list[str] = []

    def name(self, kind: str) -> str:
        """Return a name that was never used before."""
        self.named += 1
        return f"{kind}-{self.named}"

    # --- the engine --------------------------------------------------------------------------------------------------

    def apply(self, stimulus: Stimulus) -> Advance:
        """Take one step of the machines, and check what follows from it."""
        done = self.step(stimulus)
        self.check()
        return done

    def step(self, stimulus: Stimulus) -> Advance:
        """Take one step of the machines, commit it, and begin to perform what it asks for."""
        fresh = ClientSn(self.name("qr"))
        done = ledger.advance(self.book, stimulus, now=self.now, rules=self.rules, fresh=fresh)
        self.story.extend(
            f"{one.kind} {one.subject}: {one.before} → {one.after} on {one.cause}" for one in done.records
        )
        assert bool(done.records) or done == Advance()
        owners = {one.sale_id for one in done.attempts} | {one.sale_id for one in done.refunds}
        assert owners | {job.sale_id for job in done.jobs} <= {sale.id for sale in done.sales}
        self.check_held_codes(done)
        self.yielded |= {
            ClientSn(one.subject) for one in done.records if (one.cause, one.before) == ("YieldRequested", "offered")
        }
        self.note(done)
        self.committed = stimuli.merge(self.committed, done)
        self.book = books.prune(stimuli.merge(self.book, done), self.now.instant)
        for command in done.commands:
            match command:
                case GatewayCommand():
                    self.check_request(command, done)
                    if _undoes(command):
                        self.cancels[command.client_sn] = (*self.cancels.get(command.client_sn, ()), None)
                    self.in_flight.append(Flight(command))
                case SendJob():
                    self.printing.append(command)
                case ArmScanners():
                    self.is_armed = True
                case DisarmScanners():
                    self.is_armed = False
                case _:
                    self.perform(command)
        return done

    def take_up(self, sale_id: SaleId) -> None:
        """Put a sale that the book has forgotten back into it, as whoever asks for an old sale does."""
        found = books.view(self.committed, sale_id)
        assert found is not None
        vend = None if found.vend is None else replace(found.vend, request=None)
        self.book = books.with_view(self.book, replace(found, vend=vend))

    def perform(self, command: Command) -> None:
        """Begin to perform what only a vending machine is asked."""
        raise AssertionError(f"{command} left the ledger")

    def complete(self, command: GatewayCommand, answer: Answer) -> Advance:
        """Bring an answer to whoever asked; only the completion of the last command counts."""
        if command.refund_id is not None:
            refund = self.refunds[command.refund_id]
            is_current = refund.token == command.token and not refund.state.is_final
            done = self.apply(ToRefund(refund_id=command.refund_id, event=answer, token=command.token))
        else:
            attempt = self.attempts[command.client_sn]
            is_current = attempt.token == command.token and not attempt.state.is_final
            if _undoes(command) and is_current:
                self.cancels[command.client_sn] = (*self.cancels[command.client_sn][:-1], answer)
            is_kept = is_current and isinstance(answer, events.OrderPaid) and self.must_keep(attempt)
            done = self.apply(ToAttempt(client_sn=command.client_sn, event=answer, token=command.token))
            assert not is_kept or self.attempts[command.client_sn].state is AttemptState.PAID
        assert bool(done.records) == is_current
        return done

    def must_keep(self, attempt: Attempt) -> bool:
        """Whether a payment that this QR order turns out to have pays the sale, though a code is held beside it."""
        sale = self.sales[attempt.sale_id]
        is_wanted = sale.state in _WANTING and sale.offer == attempt.client_sn
        return is_wanted and attempt.client_sn in self.yielded and self.is_beyond_cancel(attempt.client_sn)

    def is_beyond_cancel(self, client_sn: ClientSn) -> bool:
        """Whether nothing may undo this order yet: no cancel was sent, or a single one, which was clearly refused."""
        cancels = self.cancels.get(client_sn, ())
        return len(cancels) <= 1 and all(isinstance(one, CLEARLY_NOT_RUN) for one in cancels)

    def restart(self, event: events.Event) -> None:
        """Begin again from what was committed: codes that were held are gone."""
        self.in_flight, self.printing, self.is_armed = [], [], False
        self.yielded = set()
        self.book = Book(
            sales=self.book.sales,
            attempts=self.book.attempts,
            refunds=self.book.refunds,
            jobs=self.book.jobs,
            vends={key: replace(vend, request=None) for key, vend in self.book.vends.items()},
            used=books.codes_of(self.attempts.values(), self.now.instant),
        )
        for stimulus in stimuli.recovery(self.book, event):
            self.step(stimulus)
        self.check()
        assert not any(isinstance(one.command, SubmitPayment | OfferOrder) for one in self.in_flight), "I2"

    def wake(self) -> bool:
        """Let the next wake-up come; false when nothing wants one."""
        due = stimuli.next_wakeup(self.book)
        if due is None:
            return False
        self.now = until(self.now, due[0].at)
        assert self.apply(due[1]).records
        return True

    def note(self, done: Advance) -> None:
        """Keep what was committed, and compare it with what it was."""
        for sale in done.sales:
            before = self.sales.get(sale.id)
            if before and before.state is SaleState.CANCELED:
                assert (sale.state, sale.reason, sale.closed_at) == (before.state, before.reason, before.closed_at), (
                    "I3"
                )
            assert before is None or before.paid in (0, sale.paid), "I4"
            assert before is None or before.returned <= sale.returned
            self.sales[sale.id] = sale
        for attempt in done.attempts:
            earlier = self.attempts.get(attempt.client_sn)
            assert earlier is None or earlier.state not in (AttemptState.PAID, AttemptState.UNSENT), "an end is an end"
            assert earlier is None or attempt.state is not AttemptState.HELD or earlier.state is AttemptState.HELD, "I2"
            assert attempt.client_sn not in self.given_up or attempt.state is not AttemptState.PAID, "I3"
            assert attempt.state is not AttemptState.PAID or self.is_beyond_cancel(attempt.client_sn), "I4"
            if attempt.state.is_unpaid:
                self.given_up.add(attempt.client_sn)
            if attempt.state is AttemptState.WATCHING:
                self.watched.add(attempt.client_sn)
            self.attempts[attempt.client_sn] = attempt
        for refund in done.refunds:
            known = self.refunds.get(refund.id)
            assert known is None or not known.state.is_final, "an end is an end"
            assert known is None or known.request_no == refund.request_no, "I9"
            if refund.state is RefundState.CLOSED:
                self.closed_by_hand.add(refund.sale_id)
            is_out = refund.fault is not None and refund.fault.code == GOODS_OUT
            assert not refund.is_owed or refund.state is not RefundState.REFUSED or is_out
            self.refunds[refund.id] = refund

    # --- what is checked at a commit ---------------------------------------------------------------------------------

    def check_request(self, command: GatewayCommand, done: Advance) -> None:
        """I1, I2, I9: one request that moves money at a time; a submit once, after all others are proven unpaid."""
        if not isinstance(command, MOVING):
            return
        others = [one.command for one in self.in_flight if one.command.client_sn == command.client_sn]
        assert not any(isinstance(one, MOVING) for one in others), f"{command} beside {others}"
        if not isinstance(command, SubmitPayment | OfferOrder):
            return
        assert command.client_sn not in self.submitted, "I2"
        self.submitted.add(command.client_sn)
        (mine,) = (one for one in done.attempts if one.client_sn == command.client_sn)
        assert mine.state in (AttemptState.SUBMITTING, AttemptState.OFFERING), "I2: it is on disk with its sale"
        assert (mine.token, mine.amount) == (command.token, command.amount)
        for client_sn in self.sales[self.attempts[command.client_sn].sale_id].attempts:
            assert client_sn == command.client_sn or self.attempts[client_sn].state.is_unpaid, "I1"

    def check_held_codes(self, done: Advance) -> None:
        """I1: a held code is submitted in the very advance in which the QR order is proven unpaid."""
        for command in done.commands:
            before = self.attempts.get(command.client_sn) if isinstance(command, SubmitPayment) else None
            if before is not None:
                assert before.state is AttemptState.HELD
                offer = self.sales[before.sale_id].offer
                assert offer is not None
                assert offer in {one.client_sn for one in done.attempts if one.state.is_unpaid}

    # --- what always holds -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check every invariant of the books as they stand."""
        for sale in self.sales.values():
            self.check_sale(sale)
        self.check_open()
        customer = books.sale_with_customer(self.book)
        assert sum(sale.state.is_with_customer for sale in self.sales.values()) <= 1
        is_wanted = customer is not None and customer.state is SaleState.AWAITING_PAYMENT
        assert self.is_armed == (is_wanted and customer is not None and customer.order.takes_codes)

    def check_sale(self, sale: Sale) -> None:
        """I1, I3, I4: what the host is told is what the attempts and refunds prove."""
        mine = [self.attempts[one] for one in sale.attempts]
        paid = [one for one in mine if one.state is AttemptState.PAID]
        assert len(paid) == bool(sale.paid)
        assert bool(sale.paid) == (sale.state in _DELIVERY_ENDS)
        assert 0 <= sale.returned <= sale.paid
        assert (sale.state is SaleState.RETURNED) == (0 < sale.paid == sale.returned)
        assert sale.state is not SaleState.PAID or sale.order.reports_delivery
        is_awaited = sale.delivery in (DeliveryState.PENDING, DeliveryState.OVERDUE)
        assert sale.state is not SaleState.COMPLETED or not is_awaited, "I5: a report forgotten"
        self.check_alarm(sale)
        if sale.state is SaleState.CANCELED:
            assert sale.reason
            assert sale.closed_at
            assert all(one.state.is_unpaid or one.client_sn in self.given_up for one in mine)
        live = [one for one in mine if not one.state.is_unpaid and one.client_sn not in self.given_up]
        assert len([one for one in live if one.state is not AttemptState.HELD]) <= 1, "I1"
        assert len(live) <= 1 + (sale.state is SaleState.SWITCHING)

    def check_alarm(self, sale: Sale) -> None:
        """What a person is called for is true; whatever is not over has a way to its end."""
        code = sale.attention.code if sale.attention else ""
        is_out = sale.delivery is DeliveryState.DELIVERED
        assert code != "delivered_and_returned" or (is_out and sale.state in _GOING_BACK)
        is_awaited = sale.delivery is DeliveryState.OVERDUE and sale.state in (SaleState.PAID, SaleState.RETURNING)
        assert code != "delivery_overdue" or is_awaited
        is_waiting = sale.state is SaleState.PAID and sale.delivery is DeliveryState.OVERDUE
        assert not is_waiting or code == "delivery_overdue", "I5: it waits for nobody"

    def check_open(self) -> None:
        """I5: all that is open has a wake-up, waits for a completion under way, or for what has."""
        awaited = {(one.command.client_sn, one.command.refund_id, one.command.token) for one in self.in_flight}
        for attempt in self.attempts.values():
            if not attempt.state.is_final:
                assert self.book.attempts[attempt.client_sn] == attempt
                is_awaited = (attempt.client_sn, None, attempt.token) in awaited
                assert attempts.next_wakeup(attempt) or is_awaited, attempt
        for refund in self.refunds.values():
            if not refund.state.is_final:
                assert self.book.refunds[refund.id] == refund
                waits = refund.state is RefundState.QUEUED and any(one.state.is_asking for one in self._same(refund))
                is_awaited = (refund.client_sn, refund.id, refund.token) in awaited
                assert refund.retry is not None or is_awaited or waits, refund
                assert sum(one.state.is_asking for one in self._same(refund)) <= 1
                assert refund.state is not RefundState.BLOCKED or refund.attention, "I5: it waits for nobody"
        sending = {(command.job_id, command.token) for command in self.printing}
        for job in self.book.jobs.values():
            assert spool.next_wakeup(job) or job.state.is_final or (job.id, job.token) in sending
        for sale in self.sales.values():
            if not sale.state.is_final:
                assert self.book.sales[sale.id] == sale
                assert sales.next_wakeup(sale) or self._is_waited_for(sale), sale

    def _same(self, refund: Refund) -> Iterable[Refund]:
        return (one for one in self.refunds.values() if one.sale_id == refund.sale_id)

    def _is_waited_for(self, sale: Sale) -> bool:
        """Whether what a sale without a clock waits for is still to come."""
        match sale.state:
            case SaleState.SWITCHING:
                offer = self.attempts[sale.offer] if sale.offer else None
                is_held = self.attempts[sale.attempts[-1]].state is AttemptState.HELD
                return is_held and offer is not None and not offer.state.is_unpaid
            case SaleState.EXPIRING:
                return sale.offer is not None and not self.attempts[sale.offer].state.is_unpaid
            case SaleState.PROCESSING:
                return not self.attempts[sale.attempts[-1]].state.is_unpaid
            case SaleState.CANCELING:
                return any(not self.attempts[one].state.is_unpaid for one in sale.waits_for)
            case SaleState.PAID:
                return sale.delivery is DeliveryState.OVERDUE
            case _:
                return any(one.sale_id == sale.id and not one.state.is_final for one in self.refunds.values())

    # --- the end -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """With a gateway, a printer and a host that help, everything ends."""
        for _ in range(MOST_STEPS_TO_END):
            if not self._help():
                break
        self.check_end()

    def _help(self) -> bool:
        if self.in_flight:
            flight = self.in_flight.pop()
            self.complete(flight.command, flight.answer or self.help_with(flight.command))
        elif self.printing:
            sent = self.printing.pop()
            self.apply(ToJob(job_id=sent.job_id, event=events.JobSent(), token=sent.token))
        elif overdue := [one for one in self.sales.values() if _is_overdue(one)]:
            self.apply(ToSale(sale_id=overdue[0].id, event=Delivered()))
        else:
            return self.wake()
        return True

    def help_with(self, command: GatewayCommand) -> Answer:
        """Return what a gateway answers that has nothing against ending it."""
        if isinstance(command, QueryOrder) and command.refund_id is not None:
            return events.OrderReturned()
        return KIND_ANSWERS[type(command)]

    def check_end(self) -> None:
        """I5: nothing is open; the book keeps what a person has still to look at, and each machine's last request."""
        assert all(one.state.is_final for one in self.sales.values())
        assert all(one.state.is_final for one in self.attempts.values())
        assert all(one.state.is_final for one in self.refunds.values())
        left = books.prune(self.book, Instant(self.now.instant + CODE_LIFE))
        lasts = {vend.machine: key for key, vend in sorted(left.vends.items()) if vend.request is not None}
        assert all(sale.attention is not None or sale.id in lasts.values() for sale in left.sales.values())


def _is_overdue(sale: Sale) -> bool:
    return sale.state is SaleState.PAID and sale.delivery is DeliveryState.OVERDUE
