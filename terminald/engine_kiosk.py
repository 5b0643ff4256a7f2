"""A host that lives in the daemon: it reads the scanners, sells by the same desk as the API, and serves what was paid.

Everything that it does is done by one task, one thing after the other; only the action is a task beside it.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from terminald.adapters.ports_devices import Scanner
from terminald.core import book as books
from terminald.core import kiosk as kiosks
from terminald.core.commands import Command, OrderText
from terminald.core.events import Event
from terminald.core.ids import PaymentCode, SaleId
from terminald.core.kiosk_events import (
    BeginSale,
    CancelOpenSale,
    ClearScanned,
    CodeShown,
    PresentCode,
    Product,
    ProductScanned,
    SaleBegun,
    SaleNotBegun,
    Serve,
    Served,
    TellBasket,
    TellScan,
)
from terminald.core.kiosk_table import NOT_READY, REASONS, SALE_OPEN, UNKNOWN_PRODUCT, KioskRules, KioskState
from terminald.core.sale_table import SaleOrder
from terminald.core.stimuli import NO_SALE, Record
from terminald.engine import Engine
from terminald.engine_desk import EngineDesk
from terminald.engine_kiosk_service import KioskService, is_own, reference_of
from terminald.errors import ApiError, IllegalTransition, JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.api_kiosk import basket_event
from terminald.wire.api_views import scan_event
from terminald.wire.barcode import bare, classify

log = logging.getLogger(__name__)

#: Frames that may wait while a sale is being opened: more is a scanner that reads by itself.
MAX_FRAMES: Final = 16
_REUSED: Final = "code_reused"
_REUSED_WORDS: Final = "this code has been presented before; ask for a fresh one"
#: UPC-A, and the same as EAN-13 with a zero before it: scanners give either.
_UPC_LENGTH: Final = 12
_WITH_CUSTOMER: Final = frozenset({KioskState.OPENING, KioskState.PAYING, KioskState.RETRYING, KioskState.SERVING})


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskTerms:
    """What is sold, and how its sales are."""

    rules: KioskRules
    #: What the wallet shows of a sale with the fixed price.
    subject: str
    #: By barcode; empty with a fixed price.
    products: Mapping[str, Product]
    #: The barcode that empties the basket; empty where there is none.
    clear: str
    code_pattern: re.Pattern[str]
    operator: str
    wants_receipt: bool
    prints_refunds: bool


class KioskHost:
    """One instance for the life of the process; :meth:`run` is its only task."""

    def __init__(
        self, engine: Engine, desk: EngineDesk, terms: KioskTerms, *, service: KioskService, scanners: Sequence[Scanner]
    ) -> None:
        """The scanners are ours: they listen all the time."""
        self._engine = engine
        self._desk = desk
        self._terms = terms
        self._service = service
        self._scanners = scanners
        self._clock = engine.world.clock
        self._kiosk = kiosks.begin(self._clock.now().instant, terms.rules)
        self._frames: deque[tuple[str, str]] = deque()
        self._scanner = ""
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._serving: asyncio.Task[None] | None = None
        self._seen: type[Event] | None = None
        #: Set while nobody stands before the kiosk with a payment or an action open.
        self._calm = asyncio.Event()
        self._calm.set()

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve customers until cancelled."""
        await self._engine.recovered.wait()
        self._service.take_up()
        self._kiosk = kiosks.begin(self._clock.now().instant, self._terms.rules)
        for scanner in self._scanners:
            scanner.arm()
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._follow())
            while True:
                await self._look()
                while self._frames:
                    await self._read(*self._frames.popleft())
                await self._rest()

    async def finish(self, grace_s: float) -> None:
        """Return when nobody stands before the kiosk with a payment or an action open, at the latest after the grace.

        An action that goes on after that is ended with the daemon, and its sale is decided at the next start.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._calm.wait()

    def take_frame(self, scanner: str, text: str) -> None:
        """Take what a scanner read. Must not block. While a sale of somebody else is open, it is for that sale."""
        sale = books.sale_with_customer(self._engine.book)
        if sale is not None and not is_own(sale):
            self._desk.take_frame(scanner, text)
        elif len(self._frames) < MAX_FRAMES:
            self._frames.append((scanner, text))
            self._wake.set()
        else:
            log_event(log, LogId.SCAN_DROPPED, device=scanner, reason="too many are waiting")

    async def _follow(self) -> None:
        """Wake up with each event of the log."""
        while True:
            seq = self._engine.last_seq
            self._wake.set()
            await self._engine.wait_for_event(seq)

    async def _rest(self) -> None:
        wakeup = kiosks.next_wakeup(self._kiosk)
        when = None if wakeup is None else self._clock.timer_at(wakeup.at)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(when):
                await self._wake.wait()
        self._wake.clear()
        if wakeup is not None and self._clock.now().instant >= wakeup.at:
            await self._tell(wakeup.event)

    async def _look(self) -> None:
        """See what has become of the open sale, of its action, and of sales from before the start."""
        try:
            await self._service.look_after_leftovers()
            sale_id = self._kiosk.sale_id
            sale = None if sale_id is None else (await self._desk.get_sale(sale_id)).sale
        except JournalUnavailable:
            return  # that it works again is told by an event
        event = None if sale is None else kiosks.event_of(sale)
        if event is not None and type(event) is not self._seen:
            self._seen = type(event)
            await self._tell(event)
        if self._serving is not None and self._serving.done():
            self._serving = None
            await self._tell(Served())

    # --- scans -------------------------------------------------------------------------------------------------------

    async def _read(self, scanner: str, text: str) -> None:
        self._scanner = scanner
        code = bare(text)
        if self._terms.clear and code == self._terms.clear:
            await self._tell(ClearScanned())
            return
        product = self._product(code)
        if product is not None:
            await self._tell(ProductScanned(product=product))
            return
        judged = classify(text, self._terms.code_pattern)
        if isinstance(judged, PaymentCode):
            await self._tell(CodeShown(code=judged))
        elif self._terms.products and judged.reason == "product_barcode":
            log_event(log, LogId.BARCODE_UNKNOWN, detail=code)
            self._refuse(UNKNOWN_PRODUCT, REASONS[UNKNOWN_PRODUCT])
        else:
            self._refuse(judged.reason, judged.detail)

    def _product(self, code: str) -> Product | None:
        """Find what a barcode is of."""
        products = self._terms.products
        if code not in products and len(code) == _UPC_LENGTH:
            code = f"0{code}"
        elif code not in products and len(code) == _UPC_LENGTH + 1:
            code = code.removeprefix("0")
        return products.get(code)

    def _refuse(self, reason: str, detail: str) -> None:
        """Tell why what was just read is not taken."""
        scanner, sale_id = self._scanner, self._kiosk.sale_id
        record = Record(
            kind="scan", subject=scanner, sale_id=sale_id or NO_SALE, cause="CodeRejected", before="", after=reason
        )
        self._engine.tell(lambda: self._engine.publish(record, "scan", scan_event(sale_id, scanner, reason, detail)))

    # --- steps -------------------------------------------------------------------------------------------------------

    async def _tell(self, event: Event) -> None:
        now = self._clock.now().instant
        before = self._kiosk
        self._kiosk, commands = kiosks.step(before, event, now=now, rules=self._terms.rules)
        after, cause = self._kiosk.state.value, type(event).__name__
        log_event(log, LogId.KIOSK_CHANGED, from_state=before.state.value, to_state=after, event=cause)
        if self._kiosk.state in _WITH_CUSTOMER:
            self._calm.clear()
        else:
            self._calm.set()
        for command in commands:
            await self._perform(command)

    async def _perform(self, command: Command) -> None:
        match command:
            case BeginSale():
                await self._tell(await self._begin_sale(command))
            case PresentCode():
                await self._present(command.code)
            case CancelOpenSale():
                await self._cancel(command.sale_id)
            case Serve():
                self._serve(command.sale_id)
            case TellScan():
                self._refuse(command.reason, REASONS[command.reason])
            case TellBasket():
                self._tell_basket(command)
            case _:
                raise TypeError(f"nobody performs {type(command).__name__}")

    async def _begin_sale(self, wanted: BeginSale) -> SaleBegun | SaleNotBegun:
        """Open a sale, and present the code to it: as a host would."""
        world = self._engine.world
        if books.is_code_used(self._engine.book, wanted.code.digest(world.salt), self._clock.now().instant):
            self._refuse(_REUSED, _REUSED_WORDS)
            return SaleNotBegun()
        try:
            view, _ = await self._desk.open_sale(self._order(wanted))
        except (ApiError, JournalUnavailable) as exc:
            reason = SALE_OPEN if isinstance(exc, ApiError) and exc.code == "busy" else NOT_READY
            log_event(log, LogId.SALE_NOT_OPENED, detail=str(exc))
            self._refuse(reason, REASONS[reason])
            return SaleNotBegun()
        self._seen = None
        if await self._present(wanted.code, view.sale.id):
            return SaleBegun(sale_id=view.sale.id)
        self._service.give_up(view.sale.id)
        return SaleNotBegun()

    def _order(self, wanted: BeginSale) -> SaleOrder:
        terms = self._terms
        amount = kiosks.total(wanted.lines) if terms.rules.price is None else terms.rules.price
        return SaleOrder(
            reference=reference_of(self._engine.world.new_id(self._clock.now().wall)),
            amount=amount,
            methods=("scan",),
            text=OrderText(
                subject=kiosks.subject(wanted.lines) or terms.subject,
                operator=terms.operator,
                goods=kiosks.goods(wanted.lines),
            ),
            wants_receipt=terms.wants_receipt,
            prints_refunds=terms.prints_refunds,
            reports_delivery=self._service.has_action,
        )

    async def _present(self, code: PaymentCode, sale_id: SaleId | None = None) -> bool:
        """Present a code to the open sale; return whether it was taken. Why not is told."""
        sale_id = sale_id or self._kiosk.sale_id
        if sale_id is None:
            return False
        try:
            await self._desk.present_code(sale_id, code.reveal())
        except ApiError as exc:
            self._refuse(exc.code, exc.detail)
        except IllegalTransition:
            self._refuse(SALE_OPEN, REASONS[SALE_OPEN])
        except JournalUnavailable:
            self._refuse(NOT_READY, REASONS[NOT_READY])
        else:
            return True
        return False

    async def _cancel(self, sale_id: SaleId) -> None:
        """Give a sale up; one that can not be given up now goes on, and its window ends it."""
        try:
            await self._desk.cancel(sale_id)
        except (ApiError, IllegalTransition, JournalUnavailable) as exc:
            log_event(log, LogId.SALE_NOT_CANCELED, sale=sale_id, detail=str(exc))

    def _serve(self, sale_id: SaleId) -> None:
        if self._tasks is None:
            raise LookupError("the kiosk is not running")
        self._serving = self._tasks.create_task(self._service.serve(sale_id))
        self._serving.add_done_callback(lambda _: self._wake.set())

    def _tell_basket(self, told: TellBasket) -> None:
        record = Record(
            kind="basket",
            subject="kiosk",
            sale_id=NO_SALE,
            cause="BasketChanged",
            before=told.cause,
            after=f"{len(told.lines)} lines",
        )
        self._engine.tell(lambda: self._engine.publish(record, "basket", basket_event(told)))
