"""What vending machines asked for is in the journal with the sales that pay it, and comes back after a restart."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch
from terminald.core.events import PayConfirmed
from terminald.core.ids import Instant, SaleId
from terminald.core.stimuli import OpenVend, ToVend
from terminald.core.vend_events import ApprovalDue, ApprovalSent, VendSucceeded
from terminald.core.vend_table import Vend, VendState
from terminald.errors import JournalCorrupt, JournalError
from tests.adapters.journal_samples import Shop
from tests.core.vend_world import asked, vend_order

SALE = SaleId("01J-vend")
LATER = Instant(10**12)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(file: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(file)) as opened:
        yield opened


def approved(journal: SqliteJournal) -> Shop:
    shop = Shop(journal.commit)
    shop.apply(OpenVend(sale_id=SALE, order=vend_order(), asked=asked(7)))
    shop.answer(shop.scan(SALE), PayConfirmed())
    shop.apply(ToVend(sale_id=SALE, event=ApprovalDue()))
    shop.apply(ToVend(sale_id=SALE, event=ApprovalSent(request=7)))
    return shop


def test_a_vend_is_read_back_as_it_was_without_the_number_of_its_request(journal: SqliteJournal) -> None:
    """The number is the process's own: a new process gives the same one to somebody else's request."""
    shop = approved(journal)
    found = journal.find_sale(SALE)
    assert found is not None
    assert found.vend == replace(shop.committed.vends[SALE], request=None)
    assert found.sale == shop.committed.sales[SALE]
    assert journal.load_book(LATER).vends == {SALE: found.vend}


def test_an_open_vend_is_loaded_when_its_sale_is_over(journal: SqliteJournal) -> None:
    """I5."""
    shop = approved(journal)
    shop.apply(ToVend(sale_id=SALE, event=VendSucceeded(request=7)))
    assert journal.load_book(LATER).vends == {}
    still_open = replace(shop.committed.vends[SALE], state=VendState.APPROVED)
    journal.commit(Batch(now=shop.now, vends=(still_open,)))
    assert journal.load_book(LATER).vends == {SALE: replace(still_open, request=None)}
    assert SALE in journal.load_book(LATER).sales


def test_a_vend_belongs_to_its_machine(journal: SqliteJournal) -> None:
    shop = approved(journal)
    other: Vend = replace(shop.committed.vends[SALE], machine="drinks")
    with pytest.raises(JournalError, match="a vend"):
        journal.commit(Batch(now=shop.now, vends=(other,)))


def test_a_vend_that_is_lost_is_noticed(journal: SqliteJournal, file: Path) -> None:
    approved(journal)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM vends")
    with pytest.raises(JournalCorrupt, match="vend"):
        journal.find_sale(SALE)
