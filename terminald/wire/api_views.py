"""What the local API shows of core values, as JSON."""

import datetime as dt
from typing import Final

import msgspec

from terminald.core import spool
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import SaleView
from terminald.core.ids import ClientSn, Instant, SaleId, WallTime
from terminald.core.refund_table import Refund
from terminald.core.sale_table import Sale, SaleState
from terminald.core.schedule import Now
from terminald.core.spool import PrintJob
from terminald.core.tables import Attention
from terminald.wire import api_shapes as shapes
from terminald.wire.api_problems import advice
from terminald.wire.api_vend import vend_shape

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: 9999-12-31, the last day that RFC 3339 can name: a board whose clock is wrong still shows its sales.
_LAST_TIME: Final = 253_402_214_400_000
_WITH_REASON: Final = frozenset({SaleState.CANCELING, SaleState.CANCELED})
_RECEIPT_STATES: Final[dict[str, shapes.ReceiptState]] = {
    "queued": "queued",
    "printing": "printing",
    "blocked": "blocked",
    "printed": "printed",
    "unverified": "unverified",
    "expired": "expired",
    "failed": "failed",
}
_SLIPS: Final[dict[str, shapes.Slip]] = {"receipt": "receipt", "qr": "qr", "refund": "refund"}


def rfc3339(wall: WallTime) -> str:
    """Write a time in UTC with milliseconds: ``2025-01-31T00:00:00.000+00:00``."""
    moment = _EPOCH + dt.timedelta(milliseconds=max(0, min(wall, _LAST_TIME)))
    return moment.isoformat(timespec="milliseconds")


def rfc3339_or_none(wall: WallTime | None) -> str | None:
    """Write a time that may not have come."""
    return None if wall is None else rfc3339(wall)


# --- sales -----------------------------------------------------------------------------------------------------------


def sale_shape(view: SaleView, now: Now) -> shapes.Sale:
    """Return a sale as the host sees it. Now places instants of the terminal's time line on the calendar."""
    sale = view.sale
    return shapes.Sale(
        id=sale.id,
        reference=sale.order.reference,
        state=shapes.ShownState(sale.state.shown),
        amount=sale.order.amount,
        subject=sale.order.text.subject,
        methods=sale.order.methods,
        qr=_qr(view, now),
        attempts=tuple(_attempt(attempt) for attempt in view.attempts),
        paid=sale.paid,
        returned=sale.returned,
        refunds=tuple(refund_shape(refund) for refund in view.refunds),
        delivery=_delivery(sale, now),
        vend=vend_shape(view.vend),
        receipt=_receipt(view.jobs),
        reason=(sale.reason or None) if sale.state in _WITH_REASON else None,
        attention=_attention(view, now),
        created_at=rfc3339(sale.created_at),
        updated_at=rfc3339(sale.updated_at),
        closed_at=rfc3339_or_none(sale.closed_at),
    )


def sale_json(view: SaleView, now: Now) -> bytes:
    """Write one sale; see :func:`sale_shape`."""
    return msgspec.json.encode(sale_shape(view, now))


def refund_json(refund: Refund) -> bytes:
    """Write one refund; see :func:`refund_shape`."""
    return msgspec.json.encode(refund_shape(refund))


def sales_json(views: tuple[SaleView, ...], now: Now, *, limit: int) -> bytes:
    """Write a page of sales. A full page has a cursor, even when the next one will turn out to be empty."""
    cursor = views[-1].sale.id if len(views) >= limit else None
    page = shapes.SaleList(sales=tuple(sale_shape(view, now) for view in views), next_cursor=cursor)
    return msgspec.json.encode(page)


def _attempt(attempt: Attempt) -> shapes.Attempt:
    facts, fault = attempt.facts, attempt.fault
    return shapes.Attempt(
        client_sn=attempt.client_sn,
        kind=attempt.kind,
        sn=facts.sn or None,
        trade_no=facts.trade_no or None,
        payway=facts.payway or None,
        code=attempt.code_masked or None,
        outcome=shapes.OUTCOMES[attempt.state],
        error=None if fault is None else shapes.Error(code=fault.code, message=fault.message),
        started_at=rfc3339(attempt.started_at),
        ended_at=rfc3339_or_none(attempt.ended_at),
    )


def _qr(view: SaleView, now: Now) -> shapes.Qr | None:
    """Return the QR that can be paid now; None as soon as it is not to be shown any more."""
    offered = next((one for one in view.attempts if one.state is AttemptState.OFFERED), None)
    is_wanted = view.sale.state is SaleState.AWAITING_PAYMENT
    if offered is None or not is_wanted or offered.window_ends <= now.instant:
        return None
    return shapes.Qr(
        content=offered.qr_content,
        payway=view.sale.order.qr_payway,
        expires_at=rfc3339(_wall(offered.window_ends, now)),
    )


def refund_shape(refund: Refund) -> shapes.Refund:
    """Return a refund as the host sees it."""
    fault = refund.fault
    return shapes.Refund(
        id=refund.id,
        reference=refund.reference or None,
        kind=refund.kind,
        amount=refund.amount,
        state=refund.state,
        error=None if fault is None else shapes.Error(code=fault.code, message=fault.message),
        started_at=rfc3339(refund.opened_at),
        ended_at=rfc3339_or_none(refund.ended_at),
    )


def _delivery(sale: Sale, now: Now) -> shapes.Delivery:
    ends = sale.delivery_ends
    return shapes.Delivery(
        required=sale.order.reports_delivery,
        state=sale.delivery,
        deadline=None if ends is None else rfc3339(_wall(ends, now)),
    )


def _attention(view: SaleView, now: Now) -> shapes.Attention | None:
    """Return what a person should look at first."""
    first = view.attention
    if first is None:
        return None
    return shapes.Attention(code=first.code, since=rfc3339(_wall(first.since, now)), advice=advice(first.code))


def _wall(instant: Instant, now: Now) -> WallTime:
    return WallTime(now.wall - (now.instant - instant))


def _receipt(jobs: tuple[PrintJob, ...]) -> shapes.ReceiptState:
    """Return how the latest receipt is doing; other slips are told as events only."""
    receipts = [job for job in jobs if job.slip == "receipt"]
    return _RECEIPT_STATES[spool.shown(receipts[-1]).value] if receipts else "off"


# --- bodies of events ------------------------------------------------------------------------------------------------


def sale_event(view: SaleView, now: Now) -> bytes:
    """Write the body of a ``sale`` event: the sale as ``GET /v1/sales/{id}`` shows it."""
    return sale_json(view, now)


def print_event(job: PrintJob) -> bytes:
    """Write the body of a ``print`` event."""
    return msgspec.json.encode(
        shapes.PrintEvent(
            job=job.id,
            sale=job.sale_id,
            slip=_SLIPS[job.slip],
            copy=job.is_copy,
            state=_RECEIPT_STATES[spool.shown(job).value],
            detail=job.evidence,
        )
    )


def scan_event(sale_id: SaleId | None, device: str, reason: str, detail: str) -> bytes:
    """Write the body of a ``scan`` event. Detail must not hold what was scanned (I7)."""
    return msgspec.json.encode(shapes.ScanEvent(sale=sale_id, device=device, reason=reason, detail=detail))


def readiness_event(reasons: tuple[str, ...]) -> bytes:
    """Write the body of a ``readiness`` event; without reasons sales are begun."""
    return msgspec.json.encode(shapes.ReadinessEvent(ready=not reasons, reasons=reasons))


def refund_event(refund: Refund) -> bytes:
    """Write the body of a ``refund`` event: the refund as its sale shows it, with the sale's id."""
    return msgspec.json.encode(shapes.RefundEvent(sale=refund.sale_id, refund=refund_shape(refund)))


def attention_event(sale_id: SaleId, client_sn: ClientSn | None, attention: Attention, now: Now) -> bytes:
    """Write the body of an ``attention`` event: which sale a person should look at, and why."""
    return msgspec.json.encode(
        shapes.AttentionEvent(
            sale=sale_id,
            client_sn=client_sn,
            code=attention.code,
            since=rfc3339(_wall(attention.since, now)),
            advice=advice(attention.code),
        )
    )
