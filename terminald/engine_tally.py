"""What has happened since the start, counted from what was committed."""

from collections.abc import Iterator, Mapping
from typing import Final, get_args

from terminald.adapters.meters import OTHER, Counter, Stopwatch
from terminald.adapters.ports import Batch
from terminald.core import attempt_states, refund_table, vend_table
from terminald.core.events import UNRECORDED
from terminald.core.ids import Instant, SaleId
from terminald.core.kiosk_table import REASONS as KIOSK_REASONS
from terminald.core.sale_table import SaleState
from terminald.core.spool import JobState
from terminald.core.stimuli import Record
from terminald.core.vend_table import VendState
from terminald.wire import barcode
from terminald.wire.metrics import Family

#: Why a sale is not paid, in the words of the local API.
SALE_REASONS: Final = (
    *("declined", "drained", "expired", "gateway_unreachable", "host", "machine"),
    *("power_lost", "shutdown", "terminal_refused", UNRECORDED),
)
#: Why a scan is not taken, in the words of the local API.
SCAN_REASONS: Final = (*get_args(barcode.Reason), "code_reused", "earlier_order_open", *KIOSK_REASONS)
#: A request that was denied before there was a sale for it.
REFUSED: Final = "refused"
#: Of a kiosk's action, by what is recorded of it.
_ACTIONS: Final = {"ActionDone": "done", "ActionFailed": "failed", "ActionUnknown": "unknown"}
#: From a vending machine's request to its approval: machines wait for one to five minutes.
_APPROVAL_BOUNDS_S: Final = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300)


class Tally:
    """Counts. One instance for the life of the process; what it counts is on disk, and nothing is counted twice."""

    def __init__(self) -> None:
        self._ends = _ends()
        self._canceled = Counter(
            "terminald_sales_canceled_total",
            "Sales that were canceled, by the reason.",
            "reason",
            (*SALE_REASONS, OTHER),
        )
        self._opened = Counter("terminald_sales_opened_total", "Sales that were opened.")
        self._actions = Counter(
            "terminald_actions_total",
            "What came of the actions of a kiosk: done, failed, or cut off so that nobody knows.",
            "outcome",
            _ACTIONS.values(),
        )
        self._scans = Counter(
            "terminald_scans_rejected_total",
            "Scans that were not taken while a payment code was wanted, by the reason.",
            "reason",
            (*SCAN_REASONS, OTHER),
        )
        self._clock_steps = Counter("terminald_clock_steps_total", "How often the board's clock was set.")
        self._approvals = Stopwatch(
            "terminald_vend_approval_duration_seconds",
            "Time from a vending machine's request to the approval, the customer's time included.",
            _APPROVAL_BOUNDS_S,
        )
        #: When the requests came that wait for an approval.
        self._requested: dict[SaleId, Instant] = {}

    def take(self, batch: Batch) -> None:
        """Count what a commit has made durable."""
        for entry in batch.entries:
            record = entry.record
            if record.before != record.after:
                self._count_change(record, batch)
            self._count_cause(record)

    def _count_change(self, record: Record, batch: Batch) -> None:
        if record.cause == "SaleOpened":
            self._opened.add()
        if record.kind in self._ends and record.cause != "VendRefused":
            self._ends[record.kind].add(record.after)
        if record.kind == "sale" and record.after == SaleState.CANCELED.value:
            self._canceled.add(next((one.reason for one in batch.sales if one.id == record.sale_id), OTHER))
        if record.kind == "vend" and record.cause != "VendRefused":
            self._time_approval(record, batch.now.instant)

    def _count_cause(self, record: Record) -> None:
        match record.cause:
            case "CodeRejected":
                self._scans.add(record.after)
            case "VendRefused":
                self._ends["vend"].add(REFUSED)
            case "ClockSet":
                self._clock_steps.add()
            case cause if cause in _ACTIONS:
                self._actions.add(_ACTIONS[cause])

    def _time_approval(self, record: Record, now: Instant) -> None:
        state = VendState(record.after)
        if not record.before:
            self._requested[record.sale_id] = now
        elif state is VendState.APPROVED or not state.is_on_sale:
            began = self._requested.pop(record.sale_id, None)
            if began is not None and state is VendState.APPROVED:
                self._approvals.note((now - began) / 1000)

    def figures(self) -> Iterator[Family]:
        """Yield what was counted."""
        for counter in (self._opened, *self._ends.values(), self._canceled, self._scans, self._actions):
            yield counter.family()
        yield self._approvals.family()
        yield self._clock_steps.family()


def _ends() -> Mapping[str, Counter]:
    """Return a counter for each kind of record whose states come to an end: its words are the ends."""
    sales = [state.value for state in SaleState if state.is_final]
    attempts = sorted(state.value for state in attempt_states.FINAL)
    refunds = sorted(state.value for state in refund_table.FINAL)
    jobs = [state.value for state in JobState if state.is_final]
    vends = sorted(state.value for state in vend_table.FINAL)
    return {
        "sale": Counter(
            "terminald_sales_total",
            "How often a sale came to this end. One that was completed and given back later came to two.",
            "outcome",
            sales,
        ),
        "attempt": Counter(
            "terminald_attempts_total", "Orders at the gateway, by the end that was proven.", "outcome", attempts
        ),
        "refund": Counter("terminald_refunds_total", "Refunds, revokes and returns, by their end.", "outcome", refunds),
        "print": Counter(
            "terminald_prints_total", "Receipts and slips, by what is known of the paper.", "outcome", jobs
        ),
        "vend": Counter(
            "terminald_vends_total",
            "Requests of vending machines, by their end; refused: denied before there was a sale.",
            "outcome",
            (*vends, REFUSED),
        ),
    }
