"""What the engine does for callers: the host's API, a scanner's frames, a person at the command line."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from terminald.adapters.ports import KeyStatus, LoggedEvent, OrderLook, SaleFilter
from terminald.adapters.ports_receipts import WrittenReceipt
from terminald.adapters.receipt_sender import PLAIN, Stationery, text_of
from terminald.core import book as books
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import SaleView, with_view
from terminald.core.commands import QueryOrder
from terminald.core.custody_events import CheckinRequested
from terminald.core.events import (
    Answer,
    CancelRequested,
    CodeScanned,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    PrintAnswer,
)
from terminald.core.ids import ClientSn, PaymentCode, RefundId, SaleId
from terminald.core.money import Fen
from terminald.core.readiness import Reason
from terminald.core.refund_table import Refund
from terminald.core.report import DayReport
from terminald.core.sale_table import Sale, SaleOrder, SaleState
from terminald.core.siblings import in_the_way
from terminald.core.stimuli import OpenSale, PrintCopy, Record, ToAttempt, ToSale
from terminald.core.story import Dossier
from terminald.engine import Engine
from terminald.engine_care import Care
from terminald.engine_readiness import rules_under
from terminald.engine_report import DayReports, look_of
from terminald.engine_returns import Returns
from terminald.engine_story import read_records
from terminald.errors import ApiError, IllegalTransition, JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.api_views import scan_event
from terminald.wire.barcode import NotPaymentCode, classify

log = logging.getLogger(__name__)

#: A check-in has a proof before it and after it, of up to two requests each: so many requests in turn.
CHECKIN_REQUESTS = 5
#: How long one may take with the default timeouts of the configuration.
REQUEST_S = 30.0
#: Whoever asked for a check-in is answered after this in any case: the command line waits for 180 s.
MOST_PATIENCE_S = 170.0
#: Receipts of one sale that may wait for the printer: a person who sees nothing come out asks again and again.
MAX_WAITING_RECEIPTS = 3
#: States in which an answer to a query that nobody waits for can be used: no other request is under way.
_QUERYABLE = frozenset(
    {
        AttemptState.POLLING,
        AttemptState.OFFERED,
        AttemptState.PROVING,
        AttemptState.SETTLING,
        AttemptState.WATCHING,
        AttemptState.LAST_LOOK,
    }
)
_CLOSED_UNPAID = frozenset({AttemptState.DECLINED, AttemptState.REVERSED})
#: Answers that contradict an order's being closed without payment.
_NOT_CLOSED = (OrderPaid, OrderPending, OrderErrored, OrderPartlyReturned)

#: Why a payment code is not taken, in words for the customer.
_REFUSALS: Mapping[str, str] = {
    "code_reused": "this code has been presented before; ask for a fresh one",
    "earlier_order_open": "an earlier payment of this sale is being undone; present the code again in a moment",
}


class EngineDesk(Care):
    """Implements :class:`terminald.adapters.ports.Desk` on an engine."""

    def __init__(
        self,
        engine: Engine,
        *,
        device_id: str,
        code_pattern: re.Pattern[str],
        request_s: float = REQUEST_S,
        stationery: Stationery = PLAIN,
        columns: int = 32,
    ) -> None:
        """Device_id is the terminal's fingerprint; what does not match code_pattern is no payment code.

        Request_s is how long a request to the gateway may take. Columns and stationery are of receipts as text.
        """
        super().__init__(engine, device_id)
        self.stationery = stationery
        self.columns = columns
        self._patience_s = min(MOST_PATIENCE_S, CHECKIN_REQUESTS * request_s)
        self._world = engine.world
        self.code_pattern = code_pattern
        self._returns = Returns(engine)
        self._reports = DayReports(engine.world, engine.rules.day_offset)

    # --- sales -------------------------------------------------------------------------------------------------------

    async def open_sale(self, order: SaleOrder) -> tuple[SaleView, bool]:
        """Open a sale, or return the one that this reference has already; the flag tells whether it is new.

        A renewal of the key that is due at the start goes first, for some seconds at most.
        """
        if not self._engine.reasons():
            await self._engine.keeper.go_first()
        return await self._engine.request(lambda: self._open_sale(order))

    async def _open_sale(self, order: SaleOrder) -> tuple[SaleView, bool]:
        for known in await self._world.journal.list_sales(SaleFilter(reference=order.reference, limit=1)):
            # Whether returns are proven on paper is the terminal's own choice, and no part of what the host asked for.
            if replace(known.sale.order, prints_refunds=order.prints_refunds) != order:
                raise ApiError("reference_conflict", f"sale {known.sale.id} has this reference and other content")
            return self._newest(known), False
        if await self._world.journal.is_spent(order.reference):
            raise ApiError("reference_spent", "a sale that was deleted since, as it was so old, had this reference")
        if order.wants_receipt and self._world.receipts is None:
            raise ApiError("printer_off", "a receipt is wanted, and no printer is configured", field="receipt")
        if against := self._against(order):
            words = tuple(reason.value for reason in against)
            raise ApiError("not_ready", "no sale can be opened now: " + ", ".join(words), reasons=words)
        if busy := books.sale_with_customer(self._engine.book):
            raise ApiError("busy", f"sale {busy.id} ({busy.order.reference}) is open")
        sale_id = SaleId(self._world.new_id(self._world.clock.now().wall))
        await self._engine.apply(OpenSale(sale_id=sale_id, order=order))
        return self._in_book(sale_id), True

    def _against(self, order: SaleOrder) -> tuple[Reason, ...]:
        """Return every reason against this sale; one that takes no codes needs no scanner."""
        judged = self._engine.reasons()
        return tuple(one for one in judged if order.takes_codes or one is not Reason.SCANNER_ABSENT)

    async def get_sale(self, name: str) -> SaleView:
        """Return one sale by its id, the host's reference, the gateway's ``sn`` or a ``client_sn``.

        Raises:
            JournalUnavailable: it is being undone, and that can not be recorded yet: how it was is not so any more.
        """
        found = await self._find_sale(name)
        if found.sale.id in self._engine.undoing.begun:
            raise JournalUnavailable(f"sale {found.sale.id} is being undone; the journal can not be written now")
        return found

    async def _find_sale(self, name: str) -> SaleView:
        if SaleId(name) in self._engine.book.sales:
            return self._in_book(SaleId(name))
        found = await self._world.journal.find_sale(name)
        if found is None:
            raise ApiError("not_found", f"there is no sale {name!r}")
        return self._newest(found)

    async def dossier(self, name: str) -> Dossier:
        """Return all that is known about one sale, with the journal's records of it."""
        found = await self.get_sale(name)
        records, is_whole = await read_records(self._world.journal, found)
        return Dossier(
            view=await self.get_sale(found.sale.id),
            records=records,
            is_whole=is_whole,
            now=self._world.clock.now(),
            offset=self._engine.rules.day_offset,
            returns_overdue=rules_under(self._engine.hold, self._engine.rules).returns_overdue,
            is_gateway_reachable=self._engine.link.is_reachable,
        )

    async def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        """List sales, newest first."""
        return await self._world.journal.list_sales(wanted)

    async def cancel(self, name: str) -> SaleView:
        """Cancel before payment. A sale that is canceled already stays so."""
        return await self._engine.request(lambda: self._cancel(name))

    async def _cancel(self, name: str) -> SaleView:
        sale = (await self.get_sale(name)).sale
        if sale.id in self._engine.book.sales:
            await self._engine.apply(ToSale(sale_id=sale.id, event=CancelRequested()))
        elif sale.state is not SaleState.CANCELED:
            raise IllegalTransition(sale.state.shown, "CancelRequested")
        return await self.get_sale(sale.id)

    # --- payment codes -----------------------------------------------------------------------------------------------

    async def present_code(self, name: str, code: str) -> SaleView:
        """Take a payment code that the host scanned itself."""
        return await self._engine.request(lambda: self._present_code(name, code))

    async def _present_code(self, name: str, text: str) -> SaleView:
        sale = (await self.get_sale(name)).sale
        if not sale.order.takes_codes:
            raise ApiError("method_not_offered", f"sale {sale.id} is paid by QR only", field="code")
        judged = classify(text, self.code_pattern)
        if isinstance(judged, NotPaymentCode):
            raise ApiError("not_a_payment_code", judged.detail, field="code")
        if sale.state is not SaleState.AWAITING_PAYMENT:
            raise IllegalTransition(sale.state.shown, "CodeScanned")
        if refused := await self._submit(sale, judged):
            raise ApiError(refused, _REFUSALS[refused], field="code")
        return self._in_book(sale.id)

    def take_frame(self, scanner: str, text: str) -> None:
        """Take what a scanner read, for the sale of this moment alone. Must not block; rejects are told to the host."""
        if sale := books.sale_with_customer(self._engine.book):
            self._engine.tell(partial(self._frame, sale.id, scanner, text))

    async def _frame(self, shown_for: SaleId, scanner: str, text: str) -> None:
        sale = self._engine.book.sales.get(shown_for)
        if sale is None or sale.state is not SaleState.AWAITING_PAYMENT or not sale.order.takes_codes:
            return
        judged = classify(text, self.code_pattern)
        try:
            if isinstance(judged, NotPaymentCode):
                await self._reject(sale, scanner, judged.reason, judged.detail)
            elif refused := await self._submit(sale, judged):
                await self._reject(sale, scanner, refused, _REFUSALS[refused])
        except JournalUnavailable:
            log_event(log, LogId.SCAN_DROPPED, device=scanner, reason="journal_failed")

    async def _submit(self, sale: Sale, code: PaymentCode) -> str:
        """Begin an attempt, or return why none is begun now: one of the refusals; empty when it is begun."""
        now = self._world.clock.now()
        digest = code.digest(self._world.salt)
        if books.is_code_used(self._engine.book, digest, now.instant):
            return "code_reused"
        if in_the_way(self._in_book(sale.id)):
            return "earlier_order_open"
        client_sn = ClientSn(self._world.new_id(now.wall))
        event = CodeScanned(client_sn=client_sn, code=code, digest=digest)
        await self._engine.apply(ToSale(sale_id=sale.id, event=event))
        return ""

    async def _reject(self, sale: Sale, scanner: str, reason: str, detail: str) -> None:
        record = Record(kind="scan", subject=scanner, sale_id=sale.id, cause="CodeRejected", before="", after=reason)
        await self._engine.publish(record, "scan", scan_event(sale.id, scanner, reason, detail))

    # --- the goods, and money that goes back -------------------------------------------------------------------------

    async def deliver(self, name: str) -> SaleView:
        """Take the host's report that the goods came out."""
        return await self._change(name, self._returns.deliver)

    async def undeliver(self, name: str, amount: Fen | None) -> SaleView:
        """Take the report that nothing came out, or goods of this worth did not: the money goes back."""
        return await self._change(name, lambda found: self._returns.undeliver(found, amount))

    async def close_attention(self, name: str, reason: str, code: str | None = None) -> SaleView:
        """Note that a person has looked, and why it is settled; with a code: at that call, and at no other."""
        return await self._change(name, lambda found: self._returns.close_attention(found, reason, code))

    async def refund(self, name: str, reference: str, amount: Fen | None) -> Refund:
        """Give an amount back, or all that is left. One reference is carried out once (I9)."""
        return await self._give_back(name, lambda found: self._returns.refund(found, reference, amount))

    async def revoke(self, name: str) -> Refund:
        """Give the whole payment back on the day on which it was made."""
        return await self._give_back(name, self._returns.revoke)

    async def _change(self, name: str, change: Callable[[SaleView], Awaitable[None]]) -> SaleView:
        async def work() -> SaleView:
            found = await self.get_sale(name)
            await change(found)
            return await self.get_sale(found.sale.id)

        return await self._engine.request(work)

    async def _give_back(self, name: str, ask: Callable[[SaleView], Awaitable[RefundId]]) -> Refund:
        async def work() -> Refund:
            found = await self.get_sale(name)
            refund_id = await ask(found)
            after = await self.get_sale(found.sale.id)
            return next(one for one in after.refunds if one.id == refund_id)

        return await self._engine.request(work)

    # --- questions and copies ----------------------------------------------------------------------------------------

    async def query(self, name: str) -> tuple[SaleView, tuple[OrderLook, ...]]:
        """Ask the gateway about every attempt that may have reached it; what it says moves the open ones on."""
        found = await self.get_sale(name)
        looks = [await self._look(one) for one in found.attempts if one.state is not AttemptState.UNSENT]
        return await self.get_sale(found.sale.id), tuple(looks)

    async def _look(self, attempt: Attempt) -> OrderLook:
        question = QueryOrder(client_sn=attempt.client_sn, token=attempt.token, amount=attempt.amount)
        answer = await self._engine.keeper.perform(question)
        await self._engine.request(lambda: self._learn(attempt, answer))
        return look_of(attempt, answer)

    async def _learn(self, asked: Attempt, answer: Answer) -> None:
        """Use an answer that nobody waited for, if nothing has happened to the attempt since it was asked about.

        An order that was closed unpaid and turns out not to be is undone, whoever found it (I3).
        """
        found = await self.get_sale(asked.sale_id)
        now = next(one for one in found.attempts if one.client_sn == asked.client_sn)
        if (now.state, now.token) != (asked.state, asked.token):
            return
        if now.state in _QUERYABLE:
            await self._engine.apply(ToAttempt(client_sn=now.client_sn, event=answer, token=now.token))
        elif now.state in _CLOSED_UNPAID and isinstance(answer, _NOT_CLOSED):
            self._engine.book = with_view(self._engine.book, found)
            await self._engine.apply(ToAttempt(client_sn=now.client_sn, event=answer))

    async def print_copy(self, name: str) -> SaleView:
        """Print the receipt once more, marked as a copy."""
        return await self._engine.request(lambda: self._print_copy(name))

    async def _print_copy(self, name: str) -> SaleView:
        found = await self.get_sale(name)
        if self._world.receipts is None:
            raise ApiError("printer_off", "no printer is configured")
        if not found.sale.paid:
            raise ApiError("nothing_to_print", f"sale {found.sale.id} is not paid")
        if sum(not job.state.is_final for job in found.jobs) >= MAX_WAITING_RECEIPTS:
            raise ApiError("overloaded", "enough receipts of this sale wait for the printer already")
        self._engine.book = with_view(self._engine.book, found)
        await self._engine.apply(PrintCopy(sale_id=found.sale.id))
        return self._in_book(found.sale.id)

    async def receipt_text(self, name: str) -> WrittenReceipt:
        """Write the receipt of a paid sale as text, whether or not there is a printer."""
        found = await self.get_sale(name)
        text = text_of(found, self.stationery, self.columns)
        return WrittenReceipt(sale_id=found.sale.id, columns=self.columns, text=text, order=found.sale.order.text)

    async def report(self, day: int | None) -> DayReport:
        """Return the report of a day, by its number since 1970; None: today."""
        return await self._reports.report(day)

    async def print_report(self, day: int | None) -> PrintAnswer:
        """Print its slip now, and return what is known about the paper."""
        return await self._reports.print_report(day)

    # --- the key, and events -----------------------------------------------------------------------------------------

    async def check_in(self) -> KeyStatus:
        """Have the key renewed, and return what it is then: renewed or not, within MOST_PATIENCE_S."""
        keeper = self._engine.keeper
        await self._engine.request(self._request_checkin)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                await keeper.settle()
        status = keeper.status()
        if status is None:
            raise ApiError("not_ready", "this terminal is not activated", reasons=("not_activated",))
        return status

    async def _request_checkin(self) -> None:
        if busy := books.sale_with_customer(self._engine.book):
            raise ApiError("busy", f"sale {busy.id} ({busy.order.reference}) is open")
        await self._engine.keeper.apply(CheckinRequested())

    async def events_after(self, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
        """Return public events with a greater sequence number, oldest first: those which the engine has acted upon.

        An event is on disk before that. Whoever saw it there could scan before the scanner delivers.
        """
        events = await self._world.journal.events_after(seq, limit)
        return tuple(event for event in events if event.seq <= self._engine.last_seq)

    def last_seq(self) -> int:
        """Return the sequence number of the newest event."""
        return self._engine.last_seq

    async def wait_for_event(self, seq: int) -> None:
        """Return when there is an event with a greater sequence number."""
        await self._engine.wait_for_event(seq)

    # --- views -------------------------------------------------------------------------------------------------------

    def _in_book(self, sale_id: SaleId) -> SaleView:
        found = books.view(self._engine.book, sale_id)
        if found is None:
            raise ApiError("not_found", f"there is no sale {sale_id!r}")
        return found

    def _newest(self, found: SaleView) -> SaleView:
        return books.view(self._engine.book, found.sale.id) or found
