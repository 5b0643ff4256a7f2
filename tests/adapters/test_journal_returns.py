"""Money that goes back, and codes that are held, in the journal."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, SaleFilter
from terminald.core.book import SaleView
from terminald.core.events import (
    Fault,
    OrderFacts,
    OrderPaid,
    OutcomeUnknown,
    PayConfirmed,
    PowerReturned,
    QrOffered,
    RefundConfirmed,
    RefundRefused,
)
from terminald.core.ids import SaleId
from terminald.core.money import Fen
from terminald.core.refund import Asked
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.stimuli import AskRefund, CloseAttention, ToRefund, ToSale
from terminald.errors import JournalError
from tests.adapters.journal_samples import Shop
from tests.core.machine_builders import ORDER


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def paid_sale(shop: Shop, *, reports_delivery: bool = False) -> SaleId:
    sale_id = shop.open_sale(replace(ORDER, reports_delivery=reports_delivery))
    facts = OrderFacts(sn="7894259244067344", payway="3", finish_time="1714536003000")
    shop.answer(shop.scan(sale_id), PayConfirmed(facts=facts))
    return sale_id


def seen(journal: SqliteJournal, sale_id: SaleId) -> SaleView:
    found = journal.find_sale(sale_id)
    assert found is not None
    return found


def ask(shop: Shop, sale_id: SaleId, amount: int, reference: str) -> None:
    asked = Asked(kind=RefundKind.REFUND, amount=Fen(amount), reference=reference)
    shop.apply(AskRefund(sale_id=sale_id, asked=asked))


def test_refunds_are_kept_with_their_sale_across_a_restart(file: Path) -> None:
    """I9: the number and the reference of a refund survive, so that every repeat is the same one."""
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        sale_id = paid_sale(shop)
        ask(shop, sale_id, 100, "first")
        ask(shop, sale_id, 50, "second")
        before = shop.book
    with closing(SqliteJournal(file)) as journal:
        book = journal.load_book(shop.now.instant)
        assert book == before
        assert [(one.reference, one.request_no) for one in book.refunds.values()] == [("first", "r1"), ("second", "r2")]
        assert seen(journal, sale_id).refunds == tuple(book.refunds.values())


def test_an_open_refund_keeps_an_old_sale_in_the_book(file: Path) -> None:
    """I5: nothing open is forgotten, however old the sale is."""
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        sale_id = paid_sale(shop)
        ask(shop, sale_id, 100, "first")
        later = shop.now.instant + 90 * 86_400_000
        assert journal.load_book(type(shop.now.instant)(later)).sales.keys() == {sale_id}


def test_a_done_refund_is_out_of_the_book_and_in_the_sale(file: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        sale_id = paid_sale(shop)
        ask(shop, sale_id, 350, "all")
        (refund,) = shop.committed.refunds.values()
        shop.apply(ToRefund(refund_id=refund.id, event=RefundConfirmed(), token=refund.token))
        found = seen(journal, sale_id)
        assert (found.sale.returned, found.sale.state.shown) == (350, "returned")
        assert [one.state for one in found.refunds] == [RefundState.DONE]


def test_a_refund_that_needs_a_person_is_listed_until_it_is_closed(file: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        sale_id = paid_sale(shop)
        ask(shop, sale_id, 100, "first")
        refused = Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message="余额不足")
        for answer in (RefundRefused(fault=refused), OrderPaid()):
            (refund,) = shop.committed.refunds.values()
            shop.apply(ToRefund(refund_id=refund.id, event=answer, token=refund.token))
        wanted = SaleFilter(needs_attention=True)
        assert [view.sale.id for view in journal.list_sales(wanted)] == [sale_id]
        shop.apply(CloseAttention(sale_id=sale_id, reason="paid back in cash"))
        assert journal.list_sales(wanted) == ()


def test_a_delivery_that_nobody_reported_is_listed_after_a_restart(file: Path) -> None:
    """A power cut between paid and delivered is not forgotten."""
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        sale_id = paid_sale(shop, reports_delivery=True)
        shop.apply(ToSale(sale_id=sale_id, event=PowerReturned()))
        assert [view.sale.id for view in journal.list_sales(SaleFilter(needs_attention=True))] == [sale_id]
        assert journal.load_book(shop.now.instant).sales[sale_id].attention is not None


def test_a_refund_can_not_be_given_to_another_sale(file: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        first, second = paid_sale(shop), paid_sale(shop)
        ask(shop, first, 100, "first")
        (refund,) = shop.committed.refunds.values()
        with pytest.raises(JournalError):
            journal.commit(Batch(now=shop.now, refunds=(replace(refund, sale_id=second),)))
        assert seen(journal, first).refunds == (refund,)


def test_a_code_that_is_held_is_in_no_file(file: Path, tmp_path: Path) -> None:
    """I7: it is in memory only, and after a restart it is never sent."""
    code = "130812345678901147"
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        sale_id = shop.open_sale(replace(ORDER, methods=("scan", "qr"), qr_payway="3"))
        (offer,) = shop.committed.attempts
        shop.answer(offer, QrOffered(content="https://qr.simulated.invalid/1"))
        held = shop.scan(sale_id, code)
        assert shop.book.held.keys() == {held}
        assert journal.load_book(shop.now.instant).held == {}
        for kept in tmp_path.iterdir():
            assert code.encode() not in kept.read_bytes()


def test_a_journal_of_the_second_schema_takes_refunds(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((Path(__file__).parent.parent / "data" / "journal-v2.sql").read_text("utf-8"))
    with closing(SqliteJournal(file)) as journal:
        sale = next(view for view in journal.list_sales(SaleFilter()) if view.sale.paid)
        assert (sale.refunds, sale.sale.returned, sale.returnable) == ((), 0, sale.sale.paid)
        shop = Shop(journal.commit, count=100)
        sale_id = paid_sale(shop)
        ask(shop, sale_id, 100, "first")
        (refund,) = shop.committed.refunds.values()
        shop.apply(ToRefund(refund_id=refund.id, event=OutcomeUnknown(), token=refund.token))
        assert seen(journal, sale_id).refunds[0].state is RefundState.PROVING
