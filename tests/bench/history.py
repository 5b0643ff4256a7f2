"""Old sales for a journal: one sale that the machines really made, copied under new names."""

from dataclasses import dataclass, replace
from pathlib import Path

from terminald.adapters.clock import new_ulid, wall_ms
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, Entry
from terminald.core import book as books
from terminald.core import ledger, stimuli
from terminald.core.book import Book, SaleView
from terminald.core.commands import OrderText
from terminald.core.events import CodeScanned, JobSent, OrderFacts, PayConfirmed, SendDue
from terminald.core.ids import ClientSn, Instant, JobId, PaymentCode, Reference, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.sale_table import SaleOrder
from terminald.core.schedule import CODE_LIFE, MINUTE, Now, Rules
from terminald.core.stimuli import OpenSale, Stimulus, ToAttempt, ToJob, ToSale
from terminald.engine_entries import entries_of

#: Between two old sales. All of them began so early that no code is alive any more.
INTERVAL_MS = int(MINUTE)
_SALES_A_COMMIT = 500
_SALE, _CLIENT_SN, _REFERENCE = SaleId("TEMPLATE-SALE"), ClientSn("TEMPLATE-ATTEMPT"), Reference("TEMPLATE-REFERENCE")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    view: SaleView
    entries: tuple[Entry, ...]


def fill(journal_file: Path, count: int) -> None:
    """Give a journal that no daemon has opened yet a past of that many completed sales, a minute apart."""
    journal = SqliteJournal(journal_file)
    boot = journal.open_boot("the-past", 0)
    template = _template()
    first = wall_ms() - count * INTERVAL_MS - int(CODE_LIFE)
    for begin in range(0, count, _SALES_A_COMMIT):
        numbers = range(begin, min(begin + _SALES_A_COMMIT, count))
        made = [_copy(template, number, first + number * INTERVAL_MS) for number in numbers]
        at = Instant(boot.offset + numbers[-1] * INTERVAL_MS)
        journal.commit(
            Batch(
                now=Now(instant=at, wall=WallTime(first + numbers[-1] * INTERVAL_MS)),
                sales=tuple(one.view.sale for one in made),
                attempts=tuple(attempt for one in made for attempt in one.view.attempts),
                jobs=tuple(job for one in made for job in one.view.jobs),
                entries=tuple(entry for one in made for entry in one.entries),
            )
        )
    journal.close()


def _template() -> _Template:
    """Lead one sale through the machines, from its opening to its receipt."""
    rules = Rules(
        payment_window=MINUTE,
        poll_interval=MINUTE,
        poll_window=MINUTE,
        late_lookups=(),
        qr_window=MINUTE,
        delivery_window=MINUTE,
        returns_overdue=False,
        job_lifetime=MINUTE,
        day_offset=MINUTE,
    )
    order = SaleOrder(
        reference=_REFERENCE,
        amount=Fen(350),
        methods=("scan",),
        text=OrderText(subject="Cola", operator="bench"),
        wants_receipt=True,
    )
    facts = OrderFacts(sn="7895000000000000", trade_no="2013112011001004330000121536", payway="3", net_amount=Fen(350))
    code = PaymentCode("130000000000000099")
    job = JobId(f"{_SALE}-1")
    told: tuple[Stimulus, ...] = (
        OpenSale(sale_id=_SALE, order=order),
        ToSale(sale_id=_SALE, event=CodeScanned(client_sn=_CLIENT_SN, code=code, digest="0" * 32)),
        ToAttempt(client_sn=_CLIENT_SN, event=PayConfirmed(facts=facts)),
        ToJob(job_id=job, event=SendDue()),
        ToJob(job_id=job, event=JobSent(evidence="the printer took every byte; it was not asked whether it printed")),
    )
    book = Book()
    entries: list[Entry] = []
    now = Now(instant=Instant(0), wall=WallTime(0))
    for stimulus in told:
        done = ledger.advance(book, stimulus, now=now, rules=rules, fresh=ClientSn("unused"))
        after = stimuli.merge(book, done)
        entries += entries_of(book, after, done, now)
        book = after
    view = books.view(book, _SALE)
    if view is None:
        raise LookupError(_SALE)
    return _Template(view=view, entries=tuple(entries))


def _copy(template: _Template, number: int, wall: int) -> _Template:
    """Return the sale under names of its own, at another time."""
    at = WallTime(wall)
    sale_id, client_sn, reference = SaleId(new_ulid(at)), ClientSn(new_ulid(at)), Reference(f"old-{number}")
    names = {_SALE: sale_id, _CLIENT_SN: client_sn, _REFERENCE: reference}
    old = template.view
    sale = replace(
        old.sale,
        id=sale_id,
        order=replace(old.sale.order, reference=reference),
        attempts=(client_sn,),
        created_at=at,
        updated_at=at,
        closed_at=at,
    )
    started = Instant(number * INTERVAL_MS - CODE_LIFE)
    attempts = tuple(
        replace(
            one,
            client_sn=client_sn,
            sale_id=sale_id,
            started=started,
            started_at=at,
            facts=replace(one.facts, sn=f"{7895000000000000 + number}"),
        )
        for one in old.attempts
    )
    jobs = tuple(replace(one, id=JobId(f"{sale_id}-1"), sale_id=sale_id, created_at=at) for one in old.jobs)
    entries = tuple(_renamed(entry, names) for entry in template.entries)
    return _Template(view=SaleView(sale=sale, attempts=attempts, jobs=jobs), entries=entries)


def _renamed(entry: Entry, names: dict[str, str]) -> Entry:
    body, subject = entry.body, entry.record.subject
    for old, new in names.items():
        body = body.replace(old.encode(), new.encode())
        subject = subject.replace(old, new)
    return replace(entry, body=body, record=replace(entry.record, subject=subject, sale_id=SaleId(names[_SALE])))
