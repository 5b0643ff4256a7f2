"""A desk without an engine behind it, and a server for it on a real Unix socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_peer import Gate
from terminald.adapters.api_server import ApiServer
from terminald.adapters.api_socket import bound
from terminald.adapters.ports import KeyStatus, LoggedEvent, OrderLook, SaleFilter, Status
from terminald.adapters.ports_care import Forgotten
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.adapters.ports_receipts import WrittenReceipt
from terminald.config import ApiConfig
from terminald.core.book import SaleView
from terminald.core.events import JobSent, PrintAnswer
from terminald.core.ids import SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.report import DayReport
from terminald.core.sale_table import SaleOrder
from terminald.core.story import Dossier
from terminald.errors import ApiError
from tests.core.story_samples import paid
from tests.wire.api_samples import DEFAULTS, MORNING, NOW, open_view, refund
from tests.wire.report_samples import day_report

KEY = KeyStatus(state="fresh", age_s=60, rotated_at=MORNING, next_checkin=WallTime(MORNING + 1_000), attention=None)
STATUS = Status(
    reasons=("scanner_absent",),
    terminal_sn="T1",
    device_id="D1",
    activated_at=MORNING,
    key=KEY,
    checkins={"renewed": 3, "refused": 0},
    is_gateway_reachable=True,
    last_answer_at=None,
    devices=(DeviceReport(name="front", kind="scanner", state=DeviceState.ABSENT, detail="plug it in", since=MORNING),),
    sale=SaleId("01JDSALE"),
    unresolved=1,
    attention=2,
    print_queue=3,
    is_clock_synchronized=True,
    is_draining=False,
    is_in_flight=True,
    uptime_s=4,
)


@dataclass
class FakeDesk:
    """Implements ``Desk`` in memory. What it was asked is in ``calls``."""

    views: dict[str, SaleView] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    #: Raised by every call for as long as it is set.
    failure: Exception | None = None
    #: Every call waits for it.
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set when a call has arrived.
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    log: list[LoggedEvent] = field(default_factory=list)
    #: Sequence numbers that belong to rows which are not public.
    private: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    log_failure: Exception | None = None
    #: Events up to this one were deleted.
    forgotten_seq: int = 0

    def __post_init__(self) -> None:
        self.gate.set()

    async def _enter(self, *call: object) -> None:
        self.calls.append(call)
        self.arrived.set()
        await self.gate.wait()
        if self.failure:
            raise self.failure

    def _find(self, name: str) -> SaleView:
        if name not in self.views:
            raise ApiError("not_found", "No sale has this name.")
        return self.views[name]

    async def open_sale(self, order: SaleOrder) -> tuple[SaleView, bool]:
        await self._enter("open_sale", order)
        if order.reference in self.views:
            return self.views[order.reference], False
        self.views[order.reference] = open_view("01JDSALE", order)
        return self.views[order.reference], True

    async def get_sale(self, name: str) -> SaleView:
        await self._enter("get_sale", name)
        return self._find(name)

    async def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        await self._enter("list_sales", wanted)
        return tuple(self.views.values())[: wanted.limit]

    async def present_code(self, name: str, code: str) -> SaleView:
        await self._enter("present_code", name, code)
        return self._find(name)

    async def cancel(self, name: str) -> SaleView:
        await self._enter("cancel", name)
        return self._find(name)

    async def deliver(self, name: str) -> SaleView:
        await self._enter("deliver", name)
        return self._find(name)

    async def undeliver(self, name: str, amount: Fen | None) -> SaleView:
        await self._enter("undeliver", name, amount)
        return self._find(name)

    async def refund(self, name: str, reference: str, amount: Fen | None) -> Refund:
        await self._enter("refund", name, reference, amount)
        self._find(name)
        return refund(state=RefundState.REFUNDING, reference=reference, amount=amount or 350)

    async def revoke(self, name: str) -> Refund:
        await self._enter("revoke", name)
        self._find(name)
        return refund(state=RefundState.REVOKING, kind=RefundKind.REVOKE, reference="", amount=350)

    async def close_attention(self, name: str, reason: str, code: str | None = None) -> SaleView:
        await self._enter("close_attention", name, reason, code)
        return self._find(name)

    async def query(self, name: str) -> tuple[SaleView, tuple[OrderLook, ...]]:
        await self._enter("query", name)
        looks = (OrderLook(client_sn="A1", answer="OrderPaid"), OrderLook(client_sn="A2", answer="QueryFailed"))
        return self._find(name), looks

    async def print_copy(self, name: str) -> SaleView:
        await self._enter("print_copy", name)
        return self._find(name)

    async def receipt_text(self, name: str) -> WrittenReceipt:
        await self._enter("receipt_text", name)
        sale = self._find(name).sale
        return WrittenReceipt(sale_id=sale.id, columns=32, text="支付凭证\n", order=sale.order.text)

    async def dossier(self, name: str) -> Dossier:
        await self._enter("dossier", name)
        return replace(paid().dossier(), view=self._find(name))

    async def report(self, day: int | None) -> DayReport:
        await self._enter("report", day)
        return day_report()

    async def print_report(self, day: int | None) -> PrintAnswer:
        await self._enter("print_report", day)
        return JobSent(evidence="sent")

    async def check_in(self) -> KeyStatus:
        await self._enter("check_in")
        return KEY

    async def drain(self, *, until_restart: bool) -> None:
        await self._enter("drain", until_restart)

    async def resume(self, *, is_compared: bool = False) -> None:
        await self._enter("resume", is_compared)

    async def forgotten(self) -> Forgotten:
        return Forgotten(seq=self.forgotten_seq, before=WallTime(0))

    async def prove_health(self) -> None:
        await self._enter("prove_health")

    def status(self) -> Status:
        return STATUS

    # --- events ---

    def publish(self, body: bytes = b'{"n":1}', topic: str = "sale") -> int:
        seq = self.last_seq() + 1
        self.log.append(LoggedEvent(seq=seq, topic=topic, body=body))
        self._wake()
        return seq

    def note_privately(self) -> None:
        """Add a row that is not public: numbers go on, and there is nothing to tell."""
        self.private = self.last_seq() + 1
        self._wake()

    def _wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    async def events_after(self, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
        if self.log_failure:
            raise self.log_failure
        return tuple(event for event in self.log if event.seq > seq)[:limit]

    def last_seq(self) -> int:
        return max(self.log[-1].seq if self.log else 0, self.private)

    async def wait_for_event(self, seq: int) -> None:
        while self.last_seq() <= seq:
            await self.news.wait()


def settings(directory: Path, **changes: object) -> ApiConfig:
    return replace(ApiConfig(), socket=directory / "api.sock", **changes)  # type: ignore[arg-type]  # a test's choice


@dataclass
class Served:
    """A running server, and how to call it."""

    server: ApiServer
    task: asyncio.Task[None]
    path: Path
    client: httpx.AsyncClient


@asynccontextmanager
async def serving(
    directory: Path, desk: FakeDesk, limits: ApiLimits | None = None, gate: Gate | None = None
) -> AsyncIterator[Served]:
    config = settings(directory)
    server = ApiServer(desk, DEFAULTS, lambda: NOW, "1.2.3", limits, gate)
    with bound(config) as sock:
        task = asyncio.create_task(server.serve(sock))
        transport = httpx.AsyncHTTPTransport(uds=str(config.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://terminald", timeout=20) as client:
            served = Served(server=server, task=task, path=config.socket, client=client)
            yield served
        server.stop()
        await served.task


async def raw(path: Path, data: bytes) -> bytes:
    """Send bytes as they are, and return all that comes until the server closes."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(data)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
