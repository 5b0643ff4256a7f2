"""What was committed is what is found, by every name and in every list, before and after a restart."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terminald.adapters.journal_rows import SALES, Snapshots
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, SaleFilter
from terminald.core import book as books
from terminald.core.book import Book
from terminald.core.events import (
    AnswerMismatched,
    Fault,
    JobBroken,
    JobSent,
    OrderFacts,
    OutcomePending,
    PayConfirmed,
    PayDeclined,
    PrinterAbsent,
)
from terminald.core.ids import ClientSn, Instant, PaymentCode, Reference, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.sale_table import Sale
from terminald.core.schedule import CODE_LIFE
from terminald.errors import JournalCorrupt, JournalError
from tests.adapters.journal_samples import CODE_TEXT, SALT, Shop
from tests.core.machine_builders import COMPLETIONS, NOON


class Damage(Protocol):
    def __call__(self, statement: str, *values: bytes) -> None: ...


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(file: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(file)) as opened:
        yield opened


@pytest.fixture
def shop(journal: SqliteJournal) -> Shop:
    return Shop(journal.commit)


@pytest.fixture
def damage(file: Path) -> Damage:
    """Change the file behind the journal's back."""

    def run(statement: str, *values: bytes) -> None:
        with closing(sqlite3.connect(file)) as other, other:
            other.execute(statement, values)

    return run


def sell(shop: Shop, sn: str = "") -> SaleId:
    sale_id = shop.open_sale()
    shop.answer(shop.scan(sale_id), PayConfirmed(facts=OrderFacts(sn=sn, net_amount=Fen(350))))
    return sale_id


def sold(shop: Shop) -> Sale:
    sale_id = sell(shop)
    return shop.committed.sales[sale_id]


def test_of_a_row_that_can_not_be_read_little_is_repeated() -> None:
    with pytest.raises(JournalCorrupt) as caught:
        SALES.decode('{"state":"' + "x" * 10_000 + '"}')
    assert len(str(caught.value)) < 300


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_sale_is_found_by_each_of_its_names_with_all_that_belongs_to_it(journal: SqliteJournal, shop: Shop) -> None:
    sale_id = shop.open_sale()
    declined = shop.scan(sale_id)
    shop.answer(declined, PayDeclined(fault=Fault(code="E", message="余额不足")))
    paid = shop.scan(sale_id)
    shop.answer(paid, PayConfirmed(facts=OrderFacts(sn="7894259244067344")))
    shop.copy(sale_id)
    sell(shop)

    view = journal.find_sale(sale_id)
    assert view is not None
    assert (view.sale, view.sale.attempts) == (shop.committed.sales[sale_id], (declined, paid))
    assert view.attempts == (shop.committed.attempts[declined], shop.committed.attempts[paid])
    assert [job.id for job in view.jobs] == [f"{sale_id}-1", f"{sale_id}-2"]
    for name in ("order-1", declined, paid, "7894259244067344"):
        assert journal.find_sale(name) == view
    for name in ("", "order-7", "t-9999", "%"):
        assert journal.find_sale(name) is None


def test_jobs_are_in_the_order_in_which_they_were_queued(journal: SqliteJournal, shop: Shop) -> None:
    sale_id = sell(shop)
    for _ in range(11):
        shop.copy(sale_id)
    view = journal.find_sale(sale_id)
    assert view is not None
    assert [job.id for job in view.jobs] == [f"{sale_id}-{number}" for number in range(1, 13)]


def test_our_own_names_win_over_a_reference_that_looks_like_one(journal: SqliteJournal, shop: Shop) -> None:
    first = sell(shop)
    sale = replace(shop.committed.sales[first], id=SaleId("01K"), attempts=())
    thief = replace(sale, order=replace(sale.order, reference=Reference(first)))
    journal.commit(Batch(now=shop.now, sales=(thief,)))
    found = journal.find_sale(first)
    assert found is not None
    assert found.sale.id == first
    (listed,) = journal.list_sales(SaleFilter(reference=first))
    assert listed.sale == thief


# --- lists -----------------------------------------------------------------------------------------------------------


def ids(journal: SqliteJournal, wanted: SaleFilter) -> list[SaleId]:
    return [view.sale.id for view in journal.list_sales(wanted)]


def test_lists_are_newest_first_and_go_on_after_the_cursor(journal: SqliteJournal, shop: Shop) -> None:
    sales = [sell(shop) for _ in range(7)][::-1]
    assert ids(journal, SaleFilter()) == sales
    assert ids(journal, SaleFilter(limit=3)) == sales[:3]
    assert ids(journal, SaleFilter(limit=3, cursor=sales[2])) == sales[3:6]
    assert ids(journal, SaleFilter(limit=3, cursor=sales[5])) == sales[6:]
    assert ids(journal, SaleFilter(cursor=sales[6])) == []
    assert ids(journal, SaleFilter(limit=0)) == ids(journal, SaleFilter(limit=-1)) == []


def test_lists_are_filtered_by_state_reference_and_attention(journal: SqliteJournal, shop: Shop) -> None:
    paid = sell(shop)
    canceled = shop.open_sale()
    shop.cancel(canceled)
    odd = shop.open_sale()
    shop.answer(shop.scan(odd), AnswerMismatched())
    assert ids(journal, SaleFilter(state="completed")) == [paid]
    assert ids(journal, SaleFilter(state="canceled")) == [canceled]
    assert ids(journal, SaleFilter(state="processing")) == [odd]
    assert ids(journal, SaleFilter(state="nonsense")) == []
    assert ids(journal, SaleFilter(reference="order-1")) == [paid]
    assert ids(journal, SaleFilter(needs_attention=True)) == [odd]
    assert ids(journal, SaleFilter(needs_attention=True, state="completed")) == []


def test_attention_ends_with_the_attempt(journal: SqliteJournal, shop: Shop) -> None:
    sale_id = shop.open_sale()
    client_sn = shop.scan(sale_id)
    shop.answer(client_sn, AnswerMismatched())
    assert ids(journal, SaleFilter(needs_attention=True)) == [sale_id]
    shop.answer(client_sn, COMPLETIONS[type(shop.requests[client_sn])][0]())
    assert ids(journal, SaleFilter(needs_attention=True)) == []


def test_lists_are_filtered_by_time_with_the_end_excluded(journal: SqliteJournal, shop: Shop) -> None:
    sales: list[SaleId] = []
    for wall in (100, 200, 300):
        shop.step_clock(wall)
        sales.append(sell(shop))
    first, second, third = sales
    assert ids(journal, SaleFilter(since=WallTime(200))) == [third, second]
    assert ids(journal, SaleFilter(until=WallTime(200))) == [first]
    assert ids(journal, SaleFilter(since=WallTime(100), until=WallTime(300))) == [second, first]
    assert ids(journal, SaleFilter(since=WallTime(400))) == []


# --- events ----------------------------------------------------------------------------------------------------------


def test_only_public_events_are_given_in_order_and_each_once(journal: SqliteJournal, shop: Shop) -> None:
    assert journal.last_seq() == 0
    sell(shop)
    assert journal.last_seq() == shop.seq > 0
    events = journal.events_after(0, 100)
    assert [(one.topic, one.body) for one in events] == [
        ("sale", b"awaiting_payment"),
        ("sale", b"processing"),
        ("sale", b"paid"),
        ("print", b"queued"),
        ("sale", b"completed"),
    ]
    seqs = [one.seq for one in events]
    assert seqs == sorted(set(seqs))
    assert journal.events_after(0, 2) == events[:2]
    assert journal.events_after(seqs[1], 100) == events[2:]
    assert journal.events_after(shop.seq, 100) == ()
    assert journal.events_after(0, -1) == ()


def test_a_number_is_never_given_twice_even_when_old_events_are_deleted(
    journal: SqliteJournal, shop: Shop, damage: Damage
) -> None:
    sell(shop)
    before = shop.seq
    damage("DELETE FROM events")
    assert journal.last_seq() == before
    shop.open_sale()
    assert [one.seq for one in journal.events_after(0, 10)] == [before + 1]


def test_an_empty_batch_changes_nothing_and_says_where_the_log_is(journal: SqliteJournal, shop: Shop) -> None:
    sell(shop)
    assert journal.commit(Batch(now=shop.now)) == shop.seq


# --- all or nothing --------------------------------------------------------------------------------------------------


def test_a_client_sn_can_not_be_given_to_another_sale(journal: SqliteJournal, shop: Shop) -> None:
    """I2: one ``client_sn``, one order; nothing of the batch is kept."""
    client_sn = sold(shop).attempts[0]
    other = sell(shop)
    before = journal.find_sale(other)
    stolen = replace(shop.committed.attempts[client_sn], sale_id=other)
    changed = replace(shop.committed.sales[other], reason="changed")
    with pytest.raises(JournalError, match="an attempt"):
        journal.commit(Batch(now=shop.now, sales=(changed,), attempts=(stolen,)))
    assert journal.find_sale(other) == before


def test_a_reference_names_one_sale_only(journal: SqliteJournal, shop: Shop) -> None:
    sale = sold(shop)
    with pytest.raises(JournalError, match=r"sales\.reference"):
        journal.commit(Batch(now=shop.now, sales=(replace(sale, id=SaleId("01K")),)))
    renamed = replace(sale, order=replace(sale.order, reference=Reference("other")))
    with pytest.raises(JournalError, match="a sale"):
        journal.commit(Batch(now=shop.now, sales=(renamed,)))
    assert len(journal.list_sales(SaleFilter())) == 1


def test_an_attempt_needs_its_sale(journal: SqliteJournal, shop: Shop) -> None:
    sell(shop)
    (attempt,) = shop.committed.attempts.values()
    orphan = replace(attempt, client_sn=ClientSn("t-x"), sale_id=SaleId("01K"))
    with pytest.raises(JournalError, match="FOREIGN KEY"):
        journal.commit(Batch(now=shop.now, attempts=(orphan,)))


# --- the book --------------------------------------------------------------------------------------------------------


def test_the_book_holds_what_is_open_and_codes_that_live(journal: SqliteJournal, shop: Shop) -> None:
    """I5."""
    assert journal.load_book(Instant(0)) == Book()
    sell(shop)
    shop.wake()
    shop.finish_print(JobSent(evidence="sent"))
    alive_until = Instant(NOON.instant + CODE_LIFE)
    digest = PaymentCode(CODE_TEXT).digest(SALT)
    assert journal.load_book(Instant(alive_until - 1)) == shop.book == Book(used={digest: NOON.instant})
    assert journal.load_book(alive_until) == Book()
    shop.pass_time(CODE_LIFE)
    pending = shop.open_sale()
    shop.answer(shop.scan(pending), OutcomePending())
    book = journal.load_book(Instant(shop.now.instant + 10 * CODE_LIFE))
    assert (set(book.sales), len(book.attempts)) == ({pending}, 1)


def _act(shop: Shop, data: st.DataObject) -> None:
    match data.draw(st.integers(0, 7)):
        case 0 if books.sale_with_customer(shop.book) is None:
            shop.open_sale()
        case 1 if sale_id := shop.awaiting():
            shop.scan(sale_id)
        case 2 if shop.requests:
            client_sn = data.draw(st.sampled_from(sorted(shop.requests)))
            kind = data.draw(st.sampled_from(COMPLETIONS[type(shop.requests[client_sn])]))
            shop.answer(client_sn, kind(facts=OrderFacts(sn=data.draw(st.sampled_from(("", "78942"))))))
        case 3 if shop.prints:
            shop.finish_print(data.draw(st.sampled_from((JobSent(), PrinterAbsent(), JobBroken(evidence="cut off")))))
        case 4 if sale_id := shop.awaiting():
            shop.cancel(sale_id)
        case 5 if paid := [one.id for one in shop.committed.sales.values() if one.paid]:
            shop.copy(paid[0])
        case 6:
            shop.pass_time(data.draw(st.sampled_from((1, 1_000, CODE_LIFE))))
        case _:
            shop.wake()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_after_a_restart_the_book_is_what_the_ledger_kept(data: st.DataObject) -> None:
    """I5: whatever has happened, and whenever the process ends."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "journal.db"
        with closing(SqliteJournal(file)) as journal:
            shop = Shop(journal.commit)
            for _ in range(data.draw(st.integers(1, 40))):
                _act(shop, data)
        with closing(SqliteJournal(file)) as journal:
            # The ledger forgets codes that have died at its next step only.
            assert journal.load_book(shop.now.instant) == books.prune(shop.book, shop.now.instant)
            assert journal.last_seq() == shop.seq


# --- snapshots -------------------------------------------------------------------------------------------------------


def test_a_field_of_a_newer_release_is_ignored(journal: SqliteJournal, shop: Shop, damage: Damage) -> None:
    sale_id = sell(shop)
    before = journal.find_sale(sale_id)
    damage("UPDATE sales SET snapshot = json_set(snapshot, '$.from_the_future', json('[1]'), '$.order.tax', 3)")
    damage("UPDATE attempts SET snapshot = json_set(snapshot, '$.from_the_future', json('[1]'), '$.facts.tax', 3)")
    damage("UPDATE jobs SET snapshot = json_set(snapshot, '$.from_the_future', 'x')")
    assert journal.find_sale(sale_id) == before


def test_a_field_that_an_older_release_did_not_write_takes_its_default(shop: Shop) -> None:
    sale = sold(shop)
    fields = msgspec.json.decode(SALES.encode(sale), type=dict[str, msgspec.Raw])
    del fields["reason"]
    old = msgspec.json.encode(fields).decode()
    with pytest.raises(JournalCorrupt, match="reason"):
        SALES.decode(old)
    newer = Snapshots(Sale, added=b'{"reason": "unknown", "paid": 1}')
    assert newer.decode(old) == replace(sale, reason="unknown")
    assert newer.decode(SALES.encode(sale)) == sale


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"id": 7}', "{", "\x00"])
def test_a_snapshot_that_can_not_be_read_is_corruption(
    text: str, journal: SqliteJournal, shop: Shop, damage: Damage
) -> None:
    sale_id = sell(shop)
    damage("UPDATE sales SET snapshot = CAST(? AS TEXT)", text.encode())
    with pytest.raises(JournalCorrupt, match="Sale"):
        journal.find_sale(sale_id)


def test_text_that_is_not_utf8_is_corruption(journal: SqliteJournal, shop: Shop, damage: Damage) -> None:
    sale_id = sell(shop)
    damage("UPDATE sales SET snapshot = CAST(x'ff' AS TEXT)")
    with pytest.raises(JournalCorrupt, match="UTF-8"):
        journal.find_sale(sale_id)


@pytest.mark.parametrize("statement", ["DELETE FROM attempts", "DELETE FROM sales"])
def test_a_lost_row_is_corruption(statement: str, journal: SqliteJournal, shop: Shop, damage: Damage) -> None:
    sell(shop)
    damage(statement)
    with pytest.raises(JournalCorrupt, match="lost"):
        journal.load_book(shop.now.instant)


def test_no_payment_code_reaches_the_file(file: Path, tmp_path: Path) -> None:
    """I7: only the masked form and the digest."""
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        client_sn = sold(shop).attempts[0]
        masked = shop.committed.attempts[client_sn].code_masked
        written = b"".join(one.read_bytes() for one in tmp_path.iterdir())
        assert CODE_TEXT.encode() not in written
        assert CODE_TEXT[4:-4].encode() not in written
        assert masked.encode() in written
