"""Old sales for a journal: one sale that the machines really made, copied under new names."""

import contextlib
import sqlite3
from collections.abc import Iterator
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

#: Between two old sales: a million of them are younger than what is deleted for its age. No code of theirs is alive.
INTERVAL_MS = int(MINUTE) // 2
_FIRST_REFERENCE = "old-0"
_SALE, _CLIENT_SN, _REFERENCE = SaleId("TEMPLATE-SALE"), ClientSn("TEMPLATE-ATTEMPT"), Reference("TEMPLATE-REFERENCE")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    view: SaleView
    entries: tuple[Entry, ...]


def fill(journal_file: Path, count: int) -> None:
    """Give a journal that no daemon has opened yet a past of that many completed sales, half a minute apart.

    The first is written as the daemon writes; the others are its rows, copied within SQLite under names and times of
    their own, without a sync: a million takes a minute or two.
    """
    journal = SqliteJournal(journal_file)
    boot = journal.open_boot("the-past", 0)
    first = wall_ms() - count * INTERVAL_MS - int(CODE_LIFE)
    made = _copy(_template(), 0, first)
    journal.commit(
        Batch(
            now=Now(instant=Instant(boot.offset), wall=WallTime(first)),
            sales=(made.view.sale,),
            attempts=made.view.attempts,
            jobs=made.view.jobs,
            entries=made.entries,
        )
    )
    journal.close()
    with contextlib.closing(sqlite3.connect(journal_file, isolation_level=None)) as connection:
        for statement in _IN_HASTE:
            connection.execute(statement).fetchall()
        names = (
            (number, new_ulid(at), new_ulid(at), first + number * INTERVAL_MS)
            for number in range(1, count)
            for at in (WallTime(first + number * INTERVAL_MS),)
        )
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO temp.names VALUES (?, ?, ?, ?)", names)
        for statement in _copies(made.view, first):
            connection.execute(statement)
        connection.execute("COMMIT")


_IN_HASTE = (
    "PRAGMA journal_mode=OFF",
    "PRAGMA synchronous=OFF",
    "PRAGMA cache_size=-262144",
    "PRAGMA temp_store=MEMORY",
    "CREATE TEMP TABLE names (n INTEGER PRIMARY KEY, new_sale TEXT, new_sn TEXT, new_wall INTEGER)",
)


def _copies(view: SaleView, first: int) -> Iterator[str]:
    """Return a statement for each table with rows of the sale."""
    (attempt,) = view.attempts
    names = {view.sale.id: "new_sale", attempt.client_sn: "new_sn", _FIRST_REFERENCE: "'old-' || n"}
    time = {f"{first}": "new_wall"}
    order = {
        attempt.facts.sn: f"({attempt.facts.sn} + n)",
        f'"started":{attempt.started}': f"'\"started\":' || ({attempt.started} + n * {INTERVAL_MS})",
    }
    later = f" + n * {INTERVAL_MS}"
    copied = {
        "sales": {
            "id": "new_sale", "reference": "'old-' || n", "created_at": "new_wall", "state": "", "is_open": "",
            "needs_attention": "", "snapshot": _renamed_text("snapshot", names | time),
        },
        "attempts": {
            "client_sn": "new_sn", "sale_id": "new_sale", "is_open": "", "needs_attention": "",
            "started": f"started{later}", "sn": _renamed_text("sn", order),
            "snapshot": _renamed_text("snapshot", names | time | order),
        },
        "jobs": {
            "sale_id": "new_sale", "id": _renamed_text("id", names), "is_open": "",
            "snapshot": _renamed_text("snapshot", names | time),
        },
        "events": {
            "at": f"at{later}", "wall": "new_wall", "topic": "", "kind": "",
            "subject": _renamed_text("subject", names), "sale_id": "new_sale", "cause": "", "state_before": "",
            "state_after": "", "body": f"CAST({_renamed_text('CAST(body AS TEXT)', names)} AS BLOB)",
        },
    }  # fmt: skip
    for table, columns in copied.items():
        values = ", ".join(how or name for name, how in columns.items())
        yield (
            f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - constants of this module
            f"SELECT {values} FROM temp.names CROSS JOIN (SELECT * FROM {table} ORDER BY rowid) AS old"
        )


def _renamed_text(column: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        column = f"replace({column}, '{old}', {new})"
    return column


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
