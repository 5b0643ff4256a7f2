"""A file of any older schema becomes one of the newest: wholly or not at all, and without losing anything."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters import journal_rows, journal_schema
from terminald.adapters.journal_look import look
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.core.ids import Instant, Reference, Secret, WallTime
from terminald.errors import JournalTooNew
from tests.adapters.journal_dump import fill
from tests.adapters.journal_samples import Shop
from tests.adapters.journal_statements import whole
from tests.core.machine_builders import ORDER

DATA = Path(__file__).parent.parent / "data"
#: What the first release wrote; ``journal_dump.py`` made it.
FIRST = DATA / "journal-v1.sql"
#: The second: with the custody of the key.
SECOND = DATA / "journal-v2.sql"
#: The third: with refunds.
THIRD = DATA / "journal-v3.sql"
#: The fourth: with vends.
FOURTH = DATA / "journal-v4.sql"
#: What the release before this schema says to SQLite; ``journal_statements.py`` made it.
BEFORE = DATA / f"statements-v{journal_schema.VERSION - 1}.sql"

#: All that a step may do (see the module): whatever else it did, the release before could stumble over.
ADDITIVE = re.compile(
    r"CREATE TABLE \w+ \(|CREATE INDEX|ALTER TABLE \w+ ADD COLUMN \w+ \w+ (NOT NULL DEFAULT \S+|NULL)$"
    r"|INSERT INTO settings VALUES \('readable_from'"
)

STEPS = (
    ("CREATE TABLE a (x INTEGER) STRICT", "INSERT INTO a VALUES (1)"),
    ("CREATE TABLE b (x INTEGER) STRICT", "INSERT INTO b SELECT x + 1 FROM a", "ALTER TABLE a ADD COLUMN y TEXT"),
)


@pytest.fixture
def raw() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def shape(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """The tables and indexes, whatever the white space in their text."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
    return [(name, " ".join(sql.split())) for name, sql in rows]


def test_steps_are_taken_once(raw: sqlite3.Connection) -> None:
    for _ in range(3):
        journal_schema.migrate(raw, STEPS)
        assert journal_schema.version_of(raw) == 2
        assert raw.execute("SELECT x FROM b").fetchall() == [(2,)]


def test_a_migrated_file_is_as_a_new_one(raw: sqlite3.Connection) -> None:
    journal_schema.migrate(raw, STEPS[:1])
    journal_schema.migrate(raw, STEPS)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        journal_schema.migrate(new, STEPS)
        assert shape(new) == shape(raw)


@pytest.mark.parametrize("step", range(len(STEPS)))
@pytest.mark.parametrize("statement", range(3))
def test_a_step_that_breaks_leaves_the_version_before_it(raw: sqlite3.Connection, step: int, statement: int) -> None:
    broken = list(STEPS[step])
    broken.insert(statement, "INSERT INTO nowhere VALUES (1)")
    journal_schema.migrate(raw, STEPS[:step])
    before = shape(raw)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        journal_schema.migrate(raw, (*STEPS[:step], tuple(broken), *STEPS[step + 1 :]))
    assert (journal_schema.version_of(raw), shape(raw)) == (step, before)
    journal_schema.migrate(raw, STEPS)
    assert raw.execute("SELECT x FROM b").fetchall() == [(2,)]


@pytest.mark.parametrize("count", range(len(journal_schema.MIGRATIONS[-1])))
def test_the_last_step_of_the_journal_may_break_anywhere(raw: sqlite3.Connection, count: int) -> None:
    *older, last = journal_schema.MIGRATIONS
    journal_schema.migrate(raw, tuple(older))
    before = shape(raw)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        journal_schema.migrate(raw, (*older, (*last[:count], "INSERT INTO nowhere VALUES (1)")))
    assert (journal_schema.version_of(raw), shape(raw)) == (len(older), before)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    file = tmp_path / "journal.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(FIRST.read_text("utf-8"))
        assert journal_schema.version_of(connection) == 1
    return file


def test_the_first_schema_is_kept_with_all_that_is_in_it(first: Path) -> None:
    with closing(SqliteJournal(first)) as journal:
        newest, oldest = journal.list_sales(SaleFilter())
        assert (oldest.sale.state.value, newest.sale.state.value) == ("completed", "processing")
        assert [one.state.value for one in oldest.attempts] == ["declined", "paid"]
        assert oldest.attempts[1].facts.sn == "7894259244067344"
        assert oldest.sale.order.text.goods[0].name == "可乐"
        assert [job.state.value for job in oldest.jobs] == ["unverified"]
        assert journal.find_sale("7894259244067344") == oldest
        assert [view.sale for view in journal.list_sales(SaleFilter(needs_attention=True))] == [newest.sale]
        assert set(journal.load_book(Instant(10**12)).sales) == {newest.sale.id}
        assert journal.last_seq() == 17
        assert [one.topic for one in journal.events_after(10, 4)] == ["sale", "print", "print", "sale"]
        terminal = journal.load_terminal()
        assert terminal is not None
        assert (terminal.current_key, terminal.previous_key) == (Secret("key-2"), Secret("key-1"))
        assert [one.outcome for one in journal.activations()] == ["refused: E1", "activated"]
        assert (journal.device_id(), journal.salt()) == ("board-1", bytes(range(32)))
        assert journal.open_boot("boot-1", 1_000_000).offset == -998_999


def test_the_first_schema_becomes_the_newest(first: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    for file in (first, new):
        SqliteJournal(file).close()
    with closing(sqlite3.connect(first)) as migrated, closing(sqlite3.connect(new)) as made:
        assert shape(migrated) == shape(made)
        assert journal_schema.version_of(migrated) == journal_schema.version_of(made) == journal_schema.VERSION


@pytest.mark.parametrize(
    "wanted",
    [
        SaleFilter(since=WallTime(0)),
        SaleFilter(since=WallTime(0), until=WallTime(9), state="completed"),
        SaleFilter(state="paid"),
        SaleFilter(reference="order-1"),
        SaleFilter(needs_attention=True),
    ],
)
def test_lists_are_found_by_an_index(first: Path, wanted: SaleFilter) -> None:
    """A person who looks at a list does not keep the next payment waiting while years of sales are read."""
    statements: list[str] = []
    SqliteJournal(first).close()
    with closing(sqlite3.connect(first)) as connection:
        connection.set_trace_callback(statements.append)
        journal_rows.list_sales(connection, wanted)
        connection.set_trace_callback(None)
        plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statements[0]}")]
    assert any(line.startswith("SEARCH sales USING INDEX") or "INDEX sales_open" in line for line in plan), plan


def test_the_second_schema_is_kept_with_the_custody_of_the_key(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(SECOND.read_text("utf-8"))
        assert journal_schema.version_of(connection) == 2
    with closing(SqliteJournal(file)) as journal:
        custody = journal.load_custody()
        assert custody is not None
        assert custody.terminal == journal.load_terminal()
        assert (custody.state.value, custody.rotation.token) == ("unproven", 1)


def test_a_journal_of_the_first_schema_has_no_custody_yet(first: Path) -> None:
    with closing(SqliteJournal(first)) as journal:
        assert journal.load_custody() is None


def test_the_third_schema_is_kept_with_its_refunds(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(THIRD.read_text("utf-8"))
        assert journal_schema.version_of(connection) == 3
    with closing(SqliteJournal(file)) as journal:
        sale = next(view for view in journal.list_sales(SaleFilter()) if view.sale.paid)
        assert [(one.reference, one.amount, one.state.value) for one in sale.refunds] == [("back", 100, "done")]
        assert (sale.sale.returned, sale.vend) == (100, None)
        assert not sale.sale.order.is_vend


# --- going back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(1, journal_schema.VERSION + 1))
def test_a_step_only_adds(version: int) -> None:
    for statement in journal_schema.MIGRATIONS[version - 1]:
        assert ADDITIVE.match(" ".join(statement.split())), statement


def test_a_step_says_from_which_version_on_its_file_is_readable(raw: sqlite3.Connection) -> None:
    journal_schema.migrate(raw)
    (said,) = raw.execute("SELECT value FROM settings WHERE name = 'readable_from'").fetchone()
    assert said == f"{journal_schema.VERSION} from {journal_schema.VERSION - 1}"


def test_the_release_before_does_all_it_does_in_a_file_of_this_one(tmp_path: Path) -> None:
    """Rolled back, it opens, reads and writes the file; and this release then reads what it wrote."""
    file, fresh = tmp_path / "journal.db", tmp_path / "fresh.db"
    SqliteJournal(file).close()
    said = whole(BEFORE.read_text("utf-8"))
    assert len(said) > 200
    with closing(sqlite3.connect(file, isolation_level=None)) as before:
        before.execute("PRAGMA foreign_keys=ON")
        for statement in said:
            before.execute(statement).fetchall()
    with closing(SqliteJournal(file)) as journal, closing(SqliteJournal(fresh)) as other:
        fill(other)
        assert journal.list_sales(SaleFilter()) == other.list_sales(SaleFilter())
        assert journal.load_book(Instant(10**12)) == other.load_book(Instant(10**12))
        assert journal.load_custody() == other.load_custody()
        assert journal.last_seq() == other.last_seq() > 0


def test_a_newer_file_that_names_this_version_is_gone_on_with_and_stays_new(first: Path) -> None:
    newer = journal_schema.VERSION + 1
    SqliteJournal(first).close()
    with closing(sqlite3.connect(first, isolation_level=None)) as later:
        later.execute("CREATE TABLE later (x INTEGER) STRICT")
        later.execute("ALTER TABLE sales ADD COLUMN later TEXT NULL")
        later.execute(
            "UPDATE settings SET value = ? WHERE name = 'readable_from'", (f"{newer} from {journal_schema.VERSION}",)
        )
        later.execute(f"PRAGMA user_version={newer}")
    found = look(first)
    assert found is not None
    assert (found.version, found.is_too_new, found.device_id) == (newer, False, "board-1")
    with closing(SqliteJournal(first)) as journal:
        Shop(journal.commit, count=100).open_sale(replace(ORDER, reference=Reference("rolled back")))
        assert len(journal.list_sales(SaleFilter())) == 3
    with closing(sqlite3.connect(first)) as later:
        assert journal_schema.version_of(later) == newer


@pytest.mark.parametrize(
    "said",
    [
        "",
        "?",
        f"{journal_schema.VERSION + 1} from {journal_schema.VERSION + 1}",
        f"{journal_schema.VERSION} from {journal_schema.VERSION - 1}",
    ],
)
def test_a_newer_file_that_does_not_is_refused(first: Path, said: str) -> None:
    SqliteJournal(first).close()
    with closing(sqlite3.connect(first, isolation_level=None)) as later:
        later.execute("UPDATE settings SET value = ? WHERE name = 'readable_from'", (said,))
        later.execute(f"PRAGMA user_version={journal_schema.VERSION + 1}")
    with pytest.raises(JournalTooNew, match="install that version again"):
        SqliteJournal(first)
    found = look(first)
    assert found is not None
    assert (found.is_too_new, found.device_id) == (True, "")


def test_the_fourth_schema_is_kept_with_its_vends(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(FOURTH.read_text("utf-8"))
        assert journal_schema.version_of(connection) == 4
    with closing(SqliteJournal(file)) as journal:
        view = journal.find_sale("01J-vend")
        assert view is not None
        assert view.vend is not None
        assert view.vend.state.value == "unknown"
