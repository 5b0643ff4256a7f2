"""Vending machines as hosts: what a machine asks for becomes a sale, and what it tells moves the vend of that sale.

While no sale could be opened the reader is not on the machine's bus, so that nobody selects in vain: the machine sells
for cash only (:meth:`terminald.adapters.ports_vending.Vmc.set_open`).
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from terminald.core import book as books
from terminald.core.commands import OrderText
from terminald.core.events import Event
from terminald.core.ids import Duration, Reference, SaleId
from terminald.core.readiness import Reason
from terminald.core.sale_table import SaleOrder
from terminald.core.schedule import SECOND
from terminald.core.stimuli import NO_SALE, Advance, OpenVend, Record, ToVend
from terminald.core.vend import VendAsked
from terminald.core.vend_events import VendEvent, VendRequested
from terminald.core.vend_table import VendState
from terminald.engine import Engine
from terminald.errors import JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.api import SaleDefaults

log = logging.getLogger(__name__)

#: So long before the machine gives a request up it has its answer: the way over the adapter takes less than a second,
#: and the machine's own clock began before ours ("gateway deadline ≤ limit - 15 s", field facts of vending).
ANSWER_MARGIN = Duration(15 * SECOND)
#: The customer has at most this part of the machine's time to present a code; the rest is for the gateway.
CUSTOMER_PART = 2
#: So many payments may be on their way back at once; then something is wrong with the machine, and it sells for cash.
MOST_RETURNS = 3

#: For displays of two lines of 16 characters.
PROMPTS: Final = {"scan": "Show your       payment code", "qr": "Scan the        QR code"}
DECLINED: Final = "Not accepted.   Try another code"
#: By what has become of the request. Nothing about its approval: of that the machine is told first.
NEWS: Final[Mapping[VendState, str]] = {
    VendState.PAYING: "Please wait or  confirm on phone",
    VendState.CANCELING: "Not paid.       Please try again",
    VendState.DENIED: "Not paid.       Please try again",
    VendState.RETURNING: "Not dispensed.  Money goes back.",
    VendState.DONE: "Thank you",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VendTerms:
    """How the requests of one machine are served."""

    #: How long the machine waits for an answer.
    answer_limit: Duration
    #: How long it may take to tell what became of an approval.
    result_window: Duration
    #: Whether the money goes back when that is not known.
    returns_unknown: bool
    #: How long a customer has to pay, where the machine's time is no limit.
    payment_window: Duration
    sale: SaleDefaults


class VendingHost:
    """Between the machines' drivers and the engine. One instance for the life of the process."""

    def __init__(self, engine: Engine, terms: Mapping[str, VendTerms]) -> None:
        """Terms are by the machine's name, of each that the engine's world has."""
        self._engine = engine
        self._world = engine.world
        self._terms = terms
        self._is_open: dict[str, bool] = {}
        self._latest: dict[str, int] = {}  # by machine
        self._shown: dict[str, tuple[SaleId, VendState]] = {}  # by machine: what its display was about
        engine.lookers.append(self._look)
        engine.followers.append(self._follow)

    def take(self, machine: str, event: Event) -> None:
        """Take what a machine tells; see :data:`terminald.adapters.ports_vending.VmcSink`."""
        if isinstance(event, VendRequested):
            self._engine.tell_surely(lambda: self._open(machine, event))
        elif isinstance(event, VendEvent):
            self._engine.tell_surely(lambda: self._move(machine, event))

    async def _open(self, machine: str, event: VendRequested) -> None:
        """Open the sale of a request, or deny it at once."""
        self._latest[machine] = event.request
        refused = self._refusal(machine, event)
        if not refused:
            try:
                await self._engine.apply(self._opening(machine, event))
            except JournalUnavailable:
                refused = Reason.JOURNAL_FAILED.value
        if refused:
            log_event(log, LogId.VEND_DENIED, device=machine, request=event.request, reason=refused)
            await self._world.vmcs[machine].deny(event.request)
            record = Record(
                kind="vend", subject=machine, sale_id=NO_SALE, cause="VendRefused", before="", after=refused
            )
            await self._engine.publish(record, "", b"")
            return
        methods = self._terms[machine].sale.methods
        self._world.vmcs[machine].display(PROMPTS["scan" if "scan" in methods else "qr"])

    def _follow(self, done: Advance) -> None:
        """Show the customer how the latest request of a machine is doing; nobody waits for an earlier one."""
        for vend in done.vends:
            if vend.request is None or vend.request != self._latest.get(vend.machine):
                continue
            sale_id, before = self._shown.get(vend.machine, (vend.sale_id, None))
            text = _news(before if sale_id == vend.sale_id else None, vend.state)
            self._shown[vend.machine] = (vend.sale_id, vend.state)
            if text:
                # After what the machine itself is told, which is begun by now.
                asyncio.get_running_loop().call_soon(self._world.vmcs[vend.machine].display, text)

    async def _move(self, machine: str, event: VendEvent) -> None:
        vend = books.find_vend(self._engine.book, machine, event.request)
        if vend is not None:
            await self._engine.apply_surely(ToVend(sale_id=vend.sale_id, event=event))

    def _refusal(self, machine: str, event: VendRequested) -> str:
        """Return why a request is denied at once; empty when it is served."""
        if event.amount <= 0:
            return "free"
        if event.amount > self._terms[machine].sale.max_amount:
            return "too_much"
        if against := self._against(self._terms[machine]):
            return ",".join(against)
        return "busy" if books.sale_with_customer(self._engine.book) else ""

    def _against(self, terms: VendTerms) -> tuple[str, ...]:
        """Return every reason against serving a machine now; who pays by QR only needs no scanner."""
        takes_codes = "scan" in terms.sale.methods
        judged = [one.value for one in self._engine.reasons() if takes_codes or one is not Reason.SCANNER_ABSENT]
        returns = sum(not one.state.is_final for one in self._engine.book.refunds.values())
        return (*judged, *(["returns_open"] if returns >= MOST_RETURNS else []))

    def _opening(self, machine: str, event: VendRequested) -> OpenVend:
        terms, now = self._terms[machine], self._world.clock.now()
        sale_id = SaleId(self._world.new_id(now.wall))
        order = SaleOrder(
            reference=Reference(f"vend-{sale_id}"),
            amount=event.amount,
            methods=terms.sale.methods,
            text=OrderText(subject=f"{machine} {event.item}".strip(), operator=terms.sale.operator),
            wants_receipt=terms.sale.receipt,
            qr_payway=terms.sale.qr_payway if "qr" in terms.sale.methods else "",
            prints_refunds=terms.sale.refund_slips,
            reports_delivery=True,
            is_vend=True,
            window=min(terms.payment_window, Duration(terms.answer_limit // CUSTOMER_PART)),
        )
        asked = VendAsked(
            machine=machine,
            request=event.request,
            price=event.price,
            item=event.item,
            answer_window=Duration(terms.answer_limit - ANSWER_MARGIN),
            result_window=terms.result_window,
            returns_unknown=terms.returns_unknown,
        )
        return OpenVend(sale_id=sale_id, order=order, asked=asked)

    def _look(self) -> None:
        """Let the machines sell for us, or not."""
        for name, vmc in self._world.vmcs.items():
            against = self._against(self._terms[name]) if self._engine.recovered.is_set() else ("starting",)
            is_open = not against
            if self._is_open.get(name) is not is_open:
                self._is_open[name] = is_open
                state = "open" if is_open else "cash_only"
                log_event(log, LogId.VENDING_CHANGED, device=name, to_state=state, reason=",".join(against))
                vmc.set_open(is_open=is_open)


def _news(before: VendState | None, after: VendState) -> str:
    """Return what the customer is shown of a step; empty where that is nothing new."""
    if after is VendState.REQUESTED:
        return DECLINED if before is VendState.PAYING else ""
    text = NEWS.get(after, "")
    return "" if before is not None and NEWS.get(before) == text else text
