"""What a commit tells the host: the rows of the event log for one advance."""

from dataclasses import replace

from terminald.adapters.ports import Batch, Entry
from terminald.core.attempt_table import Attempt
from terminald.core.book import Book, view
from terminald.core.ids import ClientSn, JobId, RefundId, SaleId
from terminald.core.readiness import Reason
from terminald.core.refund_table import Refund, RefundState
from terminald.core.sale_table import Sale, SaleState
from terminald.core.schedule import Now
from terminald.core.stimuli import NO_SALE, Advance, Record
from terminald.core.tables import Attention
from terminald.wire.api_views import attention_event, print_event, refund_event, sale_event


def batch_of(before: Book, after: Book, done: Advance, now: Now) -> Batch:
    """Return what is to be committed of an advance."""
    return Batch(
        now=now,
        sales=done.sales,
        attempts=done.attempts,
        refunds=done.refunds,
        jobs=done.jobs,
        vends=done.vends,
        entries=entries_of(before, after, done, now),
    )


def entries_of(before: Book, after: Book, done: Advance, now: Now) -> tuple[Entry, ...]:
    """Return a row for every record; those that the host should see carry the public event.

    A sale is shown at each of its own steps, and when one of its attempts changed without it.
    """
    sales_told = {record.sale_id for record in done.records if record.kind == "sale"}
    entries: list[Entry] = []
    for record in done.records:
        entries.append(_entry(record, after, now, is_sale_told=record.sale_id in sales_told))
        entries.extend(_attention(record, before, after, now))
    return tuple(entries)


def _entry(record: Record, after: Book, now: Now, *, is_sale_told: bool) -> Entry:
    if record.kind == "print":
        return Entry(record=record, topic="print", body=print_event(after.jobs[JobId(record.subject)]))
    if record.kind == "refund":
        refund = replace(after.refunds[RefundId(record.subject)], state=RefundState(record.after))
        return Entry(record=record, topic="refund", body=refund_event(refund))
    is_shown = record.kind == "sale" or (not is_sale_told and record.before != record.after)
    shown = view(after, record.sale_id)
    if not is_shown or shown is None:
        return Entry(record=record, topic="", body=b"")
    if record.kind == "sale":
        state = SaleState(record.after)
        closed_at = shown.sale.closed_at if state.is_final else None
        shown = replace(shown, sale=replace(shown.sale, state=state, closed_at=closed_at))
    return Entry(record=record, topic="sale", body=sale_event(shown, now))


def _attention(record: Record, before: Book, after: Book, now: Now) -> list[Entry]:
    """Return the row of an attention that this record raised."""
    new = _raised(record, after)
    if new is None or _raised(record, before) == new:
        return []
    about = replace(record, kind="attention", before="", after=new.code)
    client_sn = ClientSn(record.subject) if record.kind == "attempt" else None
    return [Entry(record=about, topic="attention", body=attention_event(record.sale_id, client_sn, new, now))]


def _raised(record: Record, book: Book) -> Attention | None:
    match record.kind:
        case "attempt":
            holder: Attempt | Refund | Sale | None = book.attempts.get(ClientSn(record.subject))
        case "refund":
            holder = book.refunds.get(RefundId(record.subject))
        case "sale":
            holder = book.sales.get(SaleId(record.subject))
        case _:
            return None
    return None if holder is None else holder.attention


def reason_words(judged: tuple[Reason, ...]) -> str:
    """Return the reasons against taking money as one word, for the records of readiness."""
    return ",".join(reason.value for reason in judged) or "ready"


def readiness_record(before: tuple[Reason, ...] | None, after: tuple[Reason, ...]) -> Record:
    """Return the record of a change of readiness; before is None at the start."""
    return Record(
        kind="readiness",
        subject="terminal",
        sale_id=NO_SALE,
        cause="ReadinessChanged",
        before="" if before is None else reason_words(before),
        after=reason_words(after),
    )
