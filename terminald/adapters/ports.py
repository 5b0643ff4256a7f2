"""What the engine needs of the world. Each protocol is implemented by one adapter and by the tests' fakes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from terminald.adapters.ports_care import CareDesk, CareJournal, DiskStatus, RestoredFrom, Standstill
from terminald.adapters.ports_devices import DeviceReport
from terminald.adapters.ports_receipts import ReceiptDesk
from terminald.adapters.ports_report import DayJournal, ReportDesk
from terminald.adapters.ports_story import StoryDesk, StoryJournal
from terminald.core.attempt_table import Attempt
from terminald.core.book import Book, SaleView
from terminald.core.commands import GatewayCommand
from terminald.core.custody_events import CustodyAnswer
from terminald.core.custody_table import Custody
from terminald.core.events import Answer, Fault
from terminald.core.ids import Instant, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund_table import Refund
from terminald.core.sale_table import Sale, SaleOrder
from terminald.core.schedule import Now
from terminald.core.spool import PrintJob
from terminald.core.stimuli import Record
from terminald.core.vend_table import Vend

# --- clock -----------------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """The terminal's own time line."""

    def now(self) -> Now:
        """Return this moment; instants never run backwards, across restarts and reboots too."""

    def timer_at(self, instant: Instant) -> float:
        """Return the event loop's time of an instant, for ``loop.call_at``."""


# --- gateway ---------------------------------------------------------------------------------------------------------


class LinkState(Enum):
    """What one harmless signed query said about the link."""

    PROVEN = "proven"  # answered, and our signature was accepted
    KEY_REFUSED = "key_refused"  # answered; no key that we hold is accepted
    TERMINAL_REFUSED = "terminal_refused"  # answered; the gateway serves this terminal no more, or never did
    DOWN = "down"  # no answer, or none that can be understood


#: The code of a fault of this machine's clock: a certificate is not valid at the time that it shows, and nobody knows
#: that it is right. Nothing was sent.
CLOCK_FAULT: Final = "clock"
#: The code of a fault of ours: a request was held back for the sake of the key. Nothing was sent.
HELD_BACK: Final = "held_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReport:
    """The outcome of a probe; fault says what went wrong."""

    state: LinkState
    fault: Fault | None = None


class Gateway(Protocol):
    """The payment gateway, one request at a time. Never raises for anything the network or the gateway does."""

    async def perform(self, command: GatewayCommand) -> Answer:
        """Send one request once, and return what its answer means."""

    async def probe(self) -> LinkReport:
        """Send one harmless signed query: it warms the connection and proves the link and the key."""


class KeyGateway(Gateway, Protocol):
    """The same, and what the custody of the key asks of it."""

    async def prove(self) -> CustodyAnswer:
        """Find out which of our keys the gateway accepts, with queries that change nothing."""

    async def check_in(self) -> CustodyAnswer:
        """Send one check-in once, signed with the current key, and return what its answer means."""


# --- journal ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the event log: a record, and the public event that it is for the host, if it is one."""

    record: Record
    #: One of the public kinds of event ("sale", "refund", "print", "scan", "device", "readiness", "key",
    #: "attention"), or "".
    topic: str
    #: The public event's JSON; empty when topic is.
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one commit makes durable, all of it or nothing."""

    now: Now
    sales: tuple[Sale, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    refunds: tuple[Refund, ...] = ()
    jobs: tuple[PrintJob, ...] = ()
    vends: tuple[Vend, ...] = ()
    custody: Custody | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """A public event with its place in the log."""

    seq: int
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRecord:
    """A row of the event log without the public event: what happened, and when."""

    seq: int
    wall: WallTime
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleFilter:
    """Which sales to list; newest first. Cursor is the id of the last sale of the page before."""

    reference: str = ""
    state: str = ""
    since: WallTime | None = None
    until: WallTime | None = None
    needs_attention: bool = False
    limit: int = 50
    cursor: str = ""


class Journal(CareJournal, DayJournal, StoryJournal, Protocol):
    """The durable memory. Every method raises JournalUnavailable when the file can not be written or read."""

    async def commit(self, batch: Batch) -> int:
        """Make a batch durable with a full sync; return the sequence number of the last event in the log.

        Not undone by cancelling: a caller that was cancelled does not know whether it was committed.
        """

    async def find_sale(self, name: str) -> SaleView | None:
        """Find one sale by its id, the host's reference, the gateway's ``sn`` or an attempt's ``client_sn``."""

    async def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        """List sales, newest first."""

    async def events_after(self, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
        """Return public events with a greater sequence number, oldest first."""

    async def load_book(self, now: Instant) -> Book:
        """Return every open thing with its sale, and the codes that may still live."""


# --- the upload of the event log -------------------------------------------------------------------------------------


class Calm(Protocol):
    """Whether anybody is being served, as far as work that can wait wants to know."""

    async def wait_quiet(self) -> None:
        """Return when nobody is being served, at once if so."""

    async def wait_busy(self) -> None:
        """Return when somebody is, at once if so."""


class LogCourier(Protocol):
    """Packs what was logged since the last time, and sends what is packed and not sent yet."""

    async def carry_out(self, calm: Calm) -> None:
        """Make one run: one new log at most, and one try for each. Never raises for anything disk or network do."""


# --- the engine, as the API sees it ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLook:
    """What the gateway says of one attempt now."""

    client_sn: str
    answer: str  # the name of the event, such as "OrderPaid"
    #: What the merchant has of it now; None where the answer does not say.
    net: Fen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAttention:
    """Why a person should look at the key."""

    code: str
    since: WallTime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """The terminal's key, never the key itself."""

    state: str  # "fresh" | "stale" | "expired" | "doubtful" | "locked_out"
    age_s: int
    rotated_at: WallTime
    next_checkin: WallTime | None
    attention: KeyAttention | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything that ``GET /v1/status`` shows. What nobody knows while terminald is stopped is None, or empty."""

    reasons: tuple[str, ...]
    terminal_sn: str
    device_id: str
    activated_at: WallTime | None
    key: KeyStatus | None
    #: How often which outcome a check-in has had since the start; every outcome is named.
    checkins: Mapping[str, int]
    is_gateway_reachable: bool | None
    last_answer_at: WallTime | None
    devices: tuple[DeviceReport, ...]
    sale: SaleId | None
    unresolved: int | None
    attention: int
    print_queue: int | None
    is_clock_synchronized: bool
    is_draining: bool
    #: Whether something is under way that a drain waits for.
    is_in_flight: bool
    uptime_s: int
    disk: DiskStatus | None = None
    stopped: Standstill | None = None
    restored: RestoredFrom | None = None


class Desk(CareDesk, ReceiptDesk, ReportDesk, StoryDesk, Protocol):
    """What the engine does for callers. Methods may raise ApiError, and JournalUnavailable for a failed journal."""

    async def open_sale(self, order: SaleOrder) -> tuple[SaleView, bool]:
        """Open a sale, or return the one that this reference has already; the flag tells whether it is new."""

    async def get_sale(self, name: str) -> SaleView:
        """Return one sale by any of its names; ApiError not_found."""

    async def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        """List sales, newest first."""

    async def present_code(self, name: str, code: str) -> SaleView:
        """Take a payment code that the host scanned; ApiError not_a_payment_code, code_reused, earlier_order_open."""

    async def cancel(self, name: str) -> SaleView:
        """Cancel before payment: nothing is kept; ApiError illegal_transition when it is paid."""

    async def deliver(self, name: str) -> SaleView:
        """Take the host's report that the goods came out; ApiError or IllegalTransition where none is expected."""

    async def undeliver(self, name: str, amount: Fen | None) -> SaleView:
        """Take the report that nothing came out, or goods of this worth did not: the money goes back."""

    async def refund(self, name: str, reference: str, amount: Fen | None) -> Refund:
        """Give an amount back, or all that is left. One reference is carried out once (I9).

        ApiError not_paid, nothing_left, refund_too_much, refund_conflict.
        """

    async def revoke(self, name: str) -> Refund:
        """Give the whole payment back on its day; ApiError not_paid, nothing_left, revoke_impossible."""

    async def close_attention(self, name: str, reason: str, code: str | None = None) -> SaleView:
        """Note that a person has looked (at the call with this code), and why it is settled.

        ApiError no_attention, attention_changed.
        """

    async def query(self, name: str) -> tuple[SaleView, tuple[OrderLook, ...]]:
        """Ask the gateway about every attempt that may have reached it."""

    async def check_in(self) -> KeyStatus:
        """Renew the key now, and return what it is then; ApiError not_ready, busy."""

    def status(self) -> Status:
        """Return the present state of everything."""

    async def events_after(self, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
        """Return public events with a greater sequence number, oldest first; empty when there are none yet."""

    def last_seq(self) -> int:
        """Return the sequence number of the newest event."""

    async def wait_for_event(self, seq: int) -> None:
        """Return when there is an event with a greater sequence number, at once if there is one."""
