"""The machines together: one event in, every snapshot that changes and every command out, for one commit.

A machine never calls another. What it asks of one is delivered here as an event, within the same advance, so that a
payment and the sale that it pays can not be on disk one without the other.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from terminald.core import attempt as attempts
from terminald.core import refund as refunds
from terminald.core import sale as sales
from terminald.core import siblings, spool
from terminald.core import vend as vends
from terminald.core.attempt_table import Attempt
from terminald.core.book import Book, SaleView
from terminald.core.commands import (
    AbandonAttempt,
    CallOffReturn,
    CancelSale,
    ClearWay,
    Command,
    EnqueuePrint,
    OpenAttempt,
    OpenOffer,
    OpenReturn,
    ReportGoods,
    SubmitHeld,
    SubmitPayment,
    TellSale,
    TellVend,
)
from terminald.core.events import (
    AbandonRequested,
    Event,
    OfferExpired,
    PowerReturned,
    Recovered,
    YieldRequested,
)
from terminald.core.ids import ClientSn, JobId, RefundId, SaleId
from terminald.core.ledger_sheet import Sheet
from terminald.core.money import Fen
from terminald.core.refund import Asked, PaidOrder
from terminald.core.refund_table import TABLE as REFUND_TABLE
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.return_events import (
    ClosedByHand,
    DeliveryClosed,
    NothingLeft,
    PartUndelivered,
    RefundBegun,
    ReturnBegun,
    ReturnCalledOff,
    TurnMissed,
    Undelivered,
)
from terminald.core.sale_table import TABLE as SALE_TABLE
from terminald.core.sale_table import DeliveryState, ExpireOffer, Sale, SaleOrder, YieldAttempt
from terminald.core.schedule import Now, Rules, finished_at
from terminald.core.stimuli import (
    Advance,
    AskRefund,
    CloseAttention,
    OpenSale,
    OpenVend,
    PrintCopy,
    Stimulus,
    ToAttempt,
    ToJob,
    ToRefund,
    ToSale,
    ToVend,
    is_stale,
)
from terminald.core.vend_events import SaleTold
from terminald.core.vend_table import Vend
from terminald.errors import IllegalTransition

#: What an order is told that its sale wants undone.
_UNDOINGS: Mapping[type[AbandonAttempt], type[Event]] = {
    AbandonAttempt: AbandonRequested,
    YieldAttempt: YieldRequested,
    ExpireOffer: OfferExpired,
}


def advance(book: Book, stimulus: Stimulus, *, now: Now, rules: Rules, fresh: ClientSn) -> Advance:
    """Carry one stimulus through every machine that it concerns.

    Fresh names the order that may be opened: an identifier that was never used before.

    Raises:
        IllegalTransition: the machine has no such row; nothing was changed.
        KeyError: nothing by that name is in the book.
    """
    draft = _Draft(book, now, rules, fresh)
    draft.take(stimulus)
    return draft.result()


class _Draft(Sheet):
    """Delivers what the machines ask of each other, until nothing is asked any more."""

    def __init__(self, book: Book, now: Now, rules: Rules, fresh: ClientSn) -> None:
        super().__init__(book)
        self._now, self._rules, self._fresh = now, rules, fresh
        self._pending: list[Command] = []

    def take(self, stimulus: Stimulus) -> None:  # noqa: C901, PLR0912 - one line for each stimulus
        match stimulus:
            case OpenSale():
                self._open_sale(stimulus.sale_id, stimulus.order)
            case OpenVend():
                self._open_vend(stimulus)
            case ToVend():
                self._take_for_vend(stimulus)
            case ToSale():
                self._tell_sale(stimulus.sale_id, stimulus.event)
                if isinstance(stimulus.event, Undelivered | PartUndelivered):
                    self._give_turn(stimulus.sale_id)
            case ToAttempt():
                if not is_stale(stimulus, self._book.attempts.get(stimulus.client_sn)):
                    self._tell_attempt(stimulus.client_sn, stimulus.event)
            case ToRefund():
                if not is_stale(stimulus, self._book.refunds.get(stimulus.refund_id)):
                    self._tell_refund(stimulus.refund_id, stimulus.event)
            case ToJob():
                if not is_stale(stimulus, self._book.jobs.get(stimulus.job_id)):
                    self._tell_job(stimulus.job_id, stimulus.event)
            case AskRefund():
                self._open_refund(stimulus.sale_id, stimulus.asked)
            case CloseAttention():
                self._close_attention(stimulus)
            case PrintCopy():
                self._enqueue(EnqueuePrint(sale_id=stimulus.sale_id, is_copy=True))
            case _:
                assert_never(stimulus)
        self._cascade()

    def _cascade(self) -> None:
        """Deliver until nothing is asked of a machine any more. The tables do not loop: a test searches them."""
        while self._pending:
            pending, self._pending = self._pending, []
            for command in pending:
                self._route(command)

    def _route(self, command: Command) -> None:  # noqa: C901, PLR0912 - one line for each command
        match command:
            case TellSale():
                if sales.concerns(self._sale(command.sale_id), command.event):
                    self._tell_sale(command.sale_id, command.event)
            case AbandonAttempt():
                self._tell_attempt(command.client_sn, _UNDOINGS[type(command)]())
            case TellVend():
                self._report_to_vend(command.sale_id, command.event)
            case CancelSale() | ReportGoods():
                self._hear_vend(command)
            case OpenAttempt():
                self._open_attempt(command)
            case OpenOffer():
                self._open_offer(command)
            case ClearWay():
                seen = self._seen(self._attempt(command.client_sn).sale_id)
                self._tell_attempt(command.client_sn, siblings.clearance(seen))
            case SubmitHeld():
                self._submit_held(command)
            case OpenReturn():
                self._open_return(command)
            case CallOffReturn():
                self._tell_refund(command.refund_id, ReturnCalledOff())
            case EnqueuePrint():
                order = self._sale(command.sale_id).order
                if order.wants_receipt and (command.slip != "refund" or order.prints_refunds):
                    self._enqueue(command)
            case _:
                self._commands.append(command)

    # --- each machine ------------------------------------------------------------------------------------------------

    def _open_sale(self, sale_id: SaleId, order: SaleOrder) -> None:
        sale, commands = sales.begin(sale_id, order, now=self._now, rules=self._rules, fresh=self._fresh)
        self._sales[sale.id] = sale
        self._note("sale", sale.id, sale.id, "SaleOpened", "", sale.state)
        self._pending.extend(commands)

    def _tell_sale(self, sale_id: SaleId, event: Event) -> None:
        before = self._sale(sale_id)
        if isinstance(event, siblings.JUDGED):
            event = siblings.judged(self._seen(sale_id), event)
        after, commands = sales.step(before, event, now=self._now, rules=self._rules, fresh=self._fresh)
        self._sales[sale_id] = after
        self._note("sale", sale_id, sale_id, type(event).__name__, before.state.value, after.state)
        self._pending.extend(commands)
        if after.order.is_vend and (told := vends.change(before, after)):
            self._pending.append(TellVend(sale_id=sale_id, event=told))

    def _tell_attempt(self, client_sn: ClientSn, event: Event) -> None:
        before = self._attempt(client_sn)
        event = siblings.judged_order(self._sale(before.sale_id), before, event)
        after, commands = attempts.step(before, event, now=self._now, rules=self._rules)
        self._attempts[client_sn] = after
        self._note("attempt", client_sn, after.sale_id, type(event).__name__, before.state.value, after.state)
        self._pending.extend(commands)

    def _tell_job(self, job_id: JobId, event: Event) -> None:
        before = self._book.jobs[job_id]
        after, commands = spool.step(before, event, now=self._now)
        self._jobs[job_id] = after
        self._note("print", job_id, after.sale_id, type(event).__name__, before.state.value, after.state)
        self._pending.extend(commands)

    def _tell_refund(self, refund_id: RefundId, event: Event) -> None:
        before = self._refund(refund_id)
        after, commands = refunds.step(before, event, now=self._now)
        self._refunds[refund_id] = after
        self._note("refund", refund_id, after.sale_id, type(event).__name__, before.state.value, after.state)
        self._pending.extend(commands)
        if not after.state.is_asking:
            self._cascade()
            self._give_turn(after.sale_id)

    # --- a vending machine's request and its sale ---------------------------------------------------------------------

    def _open_vend(self, stimulus: OpenVend) -> None:
        self._open_sale(stimulus.sale_id, stimulus.order)
        vend = vends.begin(stimulus.asked, stimulus.sale_id, now=self._now)
        self._vends[vend.sale_id] = vend
        self._note("vend", vend.sale_id, vend.sale_id, "VendRequested", "", vend.state)

    def _take_for_vend(self, stimulus: ToVend) -> None:
        vend = self._book.vends.get(stimulus.sale_id)
        is_recovery = isinstance(stimulus.event, Recovered | PowerReturned)
        # Its sale's recovery may have closed it.
        if vend is not None and not (is_recovery and vend.state.is_final):
            self._tell_vend(vend, stimulus.event)

    def _tell_vend(self, before: Vend, event: Event) -> None:
        after, commands = vends.step(before, event, now=self._now)
        self._vends[after.sale_id] = after
        self._note("vend", after.sale_id, after.sale_id, type(event).__name__, before.state.value, after.state)
        self._pending.extend(commands)

    def _report_to_vend(self, sale_id: SaleId, event: SaleTold) -> None:
        vend = self._vend(sale_id)
        if vend is not None and vends.concerns(vend, event):
            self._tell_vend(vend, event)

    def _hear_vend(self, command: CancelSale | ReportGoods) -> None:
        """Tell the sale; where it has been settled otherwise, the vend is told how it stands."""
        sale = self._sale(command.sale_id)
        if vends.is_heeded(sale, command.event):
            self._tell_sale(sale.id, command.event)
        elif sale.state.is_final or isinstance(command, CancelSale):
            self._report_to_vend(sale.id, vends.standing(sale))

    # --- orders ------------------------------------------------------------------------------------------------------

    def _open_attempt(self, opening: OpenAttempt) -> None:
        order = self._sale(opening.sale_id).order
        attempt, submit = attempts.begin(
            opening, amount=order.amount, text=order.text, now=self._now, rules=self._rules
        )
        self._add_attempt(attempt)
        if submit is None:
            self._held[attempt.client_sn] = opening.code
        else:
            self._pending.append(submit)

    def _open_offer(self, opening: OpenOffer) -> None:
        order = self._sale(opening.sale_id).order
        attempt, submit = attempts.begin_offer(
            opening, amount=order.amount, payway=order.qr_payway, text=order.text, now=self._now
        )
        self._add_attempt(attempt)
        self._pending.append(submit)

    def _add_attempt(self, attempt: Attempt) -> None:
        self._attempts[attempt.client_sn] = attempt
        self._note("attempt", attempt.client_sn, attempt.sale_id, "AttemptOpened", "", attempt.state)

    def _submit_held(self, asked: SubmitHeld) -> None:
        sale = self._sale(self._attempt(asked.client_sn).sale_id)
        code = self._held.get(asked.client_sn) or self._book.held[asked.client_sn]
        self._commands.append(
            SubmitPayment(
                client_sn=asked.client_sn, token=asked.token, amount=asked.amount, code=code, text=sale.order.text
            )
        )

    # --- money that goes back ----------------------------------------------------------------------------------------

    def _open_return(self, wanted: OpenReturn) -> None:
        if wanted.amount is None:
            asked = Asked(kind=RefundKind.RETURN, amount=self._seen(wanted.sale_id).returnable, is_owed=True)
        else:
            asked = Asked(kind=RefundKind.REFUND, amount=wanted.amount, is_owed=True)
        self._open_refund(wanted.sale_id, asked)

    def _open_refund(self, sale_id: SaleId, asked: Asked) -> None:
        seen = self._seen(sale_id)
        if seen.paid_by is None:
            raise IllegalTransition(seen.sale.state.value, type(asked).__name__)
        is_whole = asked.kind is not RefundKind.REFUND or asked.amount >= seen.sale.paid - seen.sale.returned
        refund = refunds.begin(
            asked, len(seen.refunds) + 1, paid_order(seen), now=self._now, series=self._rules.refund_series
        )
        self._refunds[refund.id] = refund
        self._note("refund", refund.id, sale_id, "RefundOpened", "", refund.state)
        begun = (ReturnBegun if is_whole else RefundBegun)(refund_id=refund.id, amount=refund.amount)
        self._tell_sale(sale_id, begun)
        self._give_turn(sale_id)

    def _give_turn(self, sale_id: SaleId) -> None:
        """Let the oldest refund that waits begin, where no other one is under way.

        One that is held up and for which too little is left ends now, and not when it is tried again.
        """
        seen = self._seen(sale_id)
        if any(one.state.is_asking for one in seen.refunds):
            return
        left = Fen(seen.sale.paid - seen.sale.returned)
        for one in (one for one in seen.refunds if one.state in (RefundState.QUEUED, RefundState.BLOCKED)):
            turn = refunds.turn(one, paid_order(seen), left, now=self._now, rules=self._rules)
            if one.state is RefundState.QUEUED or isinstance(turn, NothingLeft | TurnMissed):
                self._tell_refund(one.id, turn)
                return

    def _close_attention(self, closing: CloseAttention) -> None:
        """Close the alarm that is shown, and no other: whoever closes it has seen that one alone."""
        match self._seen(closing.sale_id).alarm:
            case Sale() as sale, alarm:
                self._note_closed("sale", sale.id, closing, alarm)
                self._close_of_sale(sale)
            case Refund() as refund, alarm if ClosedByHand in REFUND_TABLE[refund.state]:
                self._note_closed("refund", refund.id, closing, alarm)
                self._tell_refund(refund.id, ClosedByHand())
            case Refund() as refund, alarm:
                # Nobody knows yet what has moved: it goes on, and is not told again.
                self._note_closed("refund", refund.id, closing, alarm)
                closed = (*refund.attention_closed, alarm.code)
                self._refunds[refund.id] = replace(refund, attention=None, attention_closed=closed)
            case Attempt() as one, alarm:
                self._note_closed("attempt", one.client_sn, closing, alarm)
                closed = (*one.attention_closed, alarm.code)
                self._attempts[one.client_sn] = replace(one, attention=None, attention_closed=closed)

    def _close_of_sale(self, sale: Sale) -> None:
        """Where the report of the goods is overdue, the person answers for them, also after the sale is over."""
        is_overdue = sale.delivery is DeliveryState.OVERDUE
        if is_overdue and DeliveryClosed in SALE_TABLE[sale.state]:
            self._tell_sale(sale.id, DeliveryClosed())
            return
        delivery = DeliveryState.CLOSED if is_overdue else sale.delivery
        self._sales[sale.id] = replace(sale, attention=None, delivery=delivery)

    # --- paper and records -------------------------------------------------------------------------------------------

    def _enqueue(self, command: EnqueuePrint) -> None:
        count = len(self._seen(command.sale_id).jobs)
        job = spool.begin(
            JobId(f"{command.sale_id}-{count + 1}"),
            command.sale_id,
            is_copy=command.is_copy,
            slip=command.slip,
            about=command.about,
            now=self._now,
            rules=self._rules,
        )
        if command.slip == "qr":
            # It is printed for whoever can still pay it.
            ends = self._attempt(ClientSn(command.about)).window_ends
            job = replace(job, expires=min(job.expires, ends))
        self._jobs[job.id] = job
        self._note("print", job.id, job.sale_id, "JobEnqueued", "", job.state)


def paid_order(seen: SaleView) -> PaidOrder:
    """Return the order that the sale was paid with.

    Raises:
        LookupError: the sale is not paid.
    """
    paid_by = seen.paid_by
    if paid_by is None:
        raise LookupError(f"sale {seen.sale.id} is not paid")
    return PaidOrder(
        sale_id=seen.sale.id,
        client_sn=paid_by.client_sn,
        amount=paid_by.amount,
        operator=paid_by.operator,
        paid_at=finished_at(paid_by.facts.finish_time, paid_by.started_at),
        is_return_owed=seen.sale.is_return_owed,
    )
