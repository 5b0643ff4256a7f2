"""Drained, sales are held back over restarts and nothing else is; health is a round trip with a write, and no more."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from terminald.adapters.journal_copy import copied_at
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports_care import RestoredFrom
from terminald.core.commands import QueryOrder, SubmitPayment
from terminald.core.events import OrderPaid, OutcomePending
from terminald.core.readiness import Hold
from terminald.engine_care import Care
from terminald.engine_copies import LOOK_EVERY_S, Copies
from terminald.errors import ApiError, JournalDamaged, JournalUnavailable
from tests.adapters.journal_dump import fill
from tests.adapters.test_journal_file import garbled
from tests.engine_bench import CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

Scene = Callable[[Bench], Awaitable[None]]


def play(directory: Path, scene: Scene, *, has_threads: bool = False) -> None:
    async def act() -> None:
        began_s = asyncio.get_running_loop().time() if has_threads else 0.0
        async with engine_bench(directory / "journal.db", began_s=began_s) as bench:
            await scene(bench)

    if has_threads:
        # Virtual time does not wait for them.
        asyncio.run(act())
    else:
        run_virtually(act())


async def refused(bench: Bench) -> str:
    with pytest.raises(ApiError) as caught:
        await bench.open("another")
    return caught.value.code


def test_a_drain_closes_the_sale_that_waits_and_begins_no_other_until_it_is_resumed(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.desk.drain(until_restart=False)
        await settle()
        assert await bench.state() == "canceled"
        assert (await bench.desk.get_sale("order")).sale.reason == "drained"
        assert await refused(bench) == "not_ready"
        status = bench.desk.status()
        assert (status.reasons, status.is_draining, status.is_in_flight) == (("draining",), True, False)
        await bench.desk.drain(until_restart=False)
        await bench.desk.resume()
        await bench.open("after")
        assert await bench.state("after") == "awaiting_payment"

    play(tmp_path, scene)


def test_a_drain_follows_the_payment_that_is_under_way(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.desk.present_code("order", CODE)
        await settle()
        await bench.desk.drain(until_restart=False)
        assert bench.desk.status().is_in_flight
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        await asyncio.sleep(4)
        assert bench.desk.status().is_in_flight
        assert QueryOrder in bench.gateway.open()
        await bench.gateway.answer(QueryOrder, OrderPaid())
        assert (await bench.state(), bench.desk.status().is_in_flight) == ("completed", False)

    play(tmp_path, scene)


@pytest.mark.parametrize(("until_restart", "after"), [(False, Hold.ASKED), (True, Hold.NONE)])
def test_a_drain_is_on_disk_unless_it_ends_with_a_restart(tmp_path: Path, after: Hold, *, until_restart: bool) -> None:
    async def scene(bench: Bench) -> None:
        await bench.desk.drain(until_restart=until_restart)
        assert await refused(bench) == "not_ready"

    play(tmp_path, scene)
    journal = SqliteJournal(tmp_path / "journal.db")
    try:
        assert journal.load_hold() is after
    finally:
        journal.close()


def test_an_update_does_not_end_the_drain_of_a_technician(tmp_path: Path) -> None:
    """The package drains until the restart before each upgrade, also at night while the board is open."""

    async def scene(bench: Bench) -> None:
        await bench.desk.drain(until_restart=False)
        await bench.desk.drain(until_restart=True)

    play(tmp_path, scene)
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        assert journal.load_hold() is Hold.ASKED


def test_after_a_resume_a_drain_ends_with_the_restart_again(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.desk.drain(until_restart=False)
        await bench.desk.resume()
        await bench.desk.drain(until_restart=True)

    play(tmp_path, scene)
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        assert journal.load_hold() is Hold.NONE


def test_the_key_is_looked_after_while_drained(tmp_path: Path) -> None:
    """A technician may take a day; a stop begins no check-in, and a drain is no stop."""

    async def scene(bench: Bench) -> None:
        await bench.desk.drain(until_restart=False)
        await settle()
        assert bench.engine.is_quiet()

    play(tmp_path, scene)


def test_a_word_of_a_later_release_holds_sales_back(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    try:
        journal.put_hold(Hold.ASKED)
        with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as later:
            later.execute("UPDATE settings SET value = 'later' WHERE name = 'hold'")
        assert journal.load_hold() is Hold.ASKED
    finally:
        journal.close()


def test_health_is_proven_by_a_write_once_a_minute(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        for _ in range(130):
            await bench.desk.prove_health()
            await asyncio.sleep(1)
        assert bench.journal.proofs == 3

    play(tmp_path, scene)


def test_a_disk_that_takes_no_writes_is_unhealthy_and_stops_sales(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.journal.is_full = True
        with pytest.raises(ApiError) as caught:
            await bench.desk.prove_health()
        assert (caught.value.code, caught.value.reasons) == ("unhealthy", ("journal_failed",))
        assert bench.desk.status().reasons == ("journal_failed",)
        with pytest.raises(JournalUnavailable):
            await bench.desk.drain(until_restart=False)
        bench.journal.is_full = False
        await asyncio.sleep(6)
        await bench.desk.prove_health()
        assert bench.desk.status().reasons == ()

    play(tmp_path, scene)


def test_a_journal_that_hangs_is_unhealthy(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.journal.released.clear()
        with pytest.raises(ApiError, match="have not answered") as caught:
            await bench.desk.prove_health()
        assert caught.value.code == "unhealthy"
        bench.journal.released.set()

    play(tmp_path, scene)


def test_a_restored_journal_sells_after_a_person_has_said_so(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.take_hold(Hold.RESTORED)
        assert await refused(bench) == "not_ready"
        status = bench.desk.status()
        # Whoever finds a terminal drained says that it may sell again; this one is to be compared first.
        assert (status.reasons, status.is_draining) == (("journal_restored",), False)
        assert status.restored == RestoredFrom(copied_at=None)
        with pytest.raises(ApiError) as caught:
            await bench.desk.resume()
        assert caught.value.code == "restored_unconfirmed"
        assert bench.desk.status().reasons == ("journal_restored",), "nothing half done"
        assert bench.journal.store.load_hold() is Hold.RESTORED
        await bench.desk.resume(is_compared=True)
        assert bench.desk.status().restored is None
        await bench.desk.resume(is_compared=True)
        await bench.open()

    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        journal.put_hold(Hold.RESTORED)
    play(tmp_path, scene)
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        assert journal.load_hold() is Hold.NONE


@pytest.mark.parametrize("until_restart", [False, True])
def test_a_drain_of_a_restored_journal_lasts_beyond_the_confirmation(tmp_path: Path, *, until_restart: bool) -> None:
    """Its answer was: until it is resumed. A technician is at work, whatever others have compared."""

    async def scene(bench: Bench) -> None:
        bench.engine.take_hold(Hold.RESTORED)
        desk = Care(bench.engine, "d")
        await desk.drain(until_restart=until_restart)
        both = ("journal_restored", "draining")
        assert (desk.status().reasons, desk.status().is_draining) == (both, True)
        lasting = Hold.RESTORED if until_restart else Hold.RESTORED_ASKED
        assert bench.journal.store.load_hold() is lasting
        with pytest.raises(ApiError, match="compared"):
            await desk.resume()
        assert (desk.status().reasons, bench.journal.store.load_hold()) == (both, lasting), "nothing half done"
        await desk.resume(is_compared=True)
        assert (desk.status().reasons, desk.status().restored) == (("draining",), None)
        assert bench.journal.store.load_hold() is (Hold.NONE if until_restart else Hold.ASKED)
        await desk.resume()
        assert (desk.status().reasons, bench.journal.store.load_hold()) == ((), Hold.NONE)

    play(tmp_path, scene)


def test_a_confirmation_that_comes_late_ends_no_drain(tmp_path: Path) -> None:
    """Two people have read the same status; the other one has confirmed, and drained for a repair."""

    async def scene(bench: Bench) -> None:
        await bench.desk.drain(until_restart=False)
        await bench.desk.resume(is_compared=True)
        assert bench.desk.status().reasons == ("draining",)
        assert bench.journal.store.load_hold() is Hold.ASKED

    play(tmp_path, scene)


# --- copies ----------------------------------------------------------------------------------------------------------


def test_the_journal_is_copied_once_a_week(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    times: list[int] = []

    async def scene(bench: Bench) -> None:
        copies = Copies(bench.engine, file, lambda: 0)
        for days in (0, 6, 7, 8, 15):
            bench.clock.days = days
            if copies.is_due():
                assert await copies.make()
                times.append(days)
        assert copies.last == copied_at(file)
        assert Copies(bench.engine, file, lambda: 0).last == copies.last

    play(tmp_path, scene, has_threads=True)
    assert times == [0, 7, 15]


def test_no_copy_is_made_while_a_customer_is_served(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"

    async def scene(bench: Bench) -> None:
        running = asyncio.create_task(Copies(bench.engine, file, lambda: 0).run())
        await bench.open()
        await bench.desk.present_code("order", CODE)
        await asyncio.sleep(2 * LOOK_EVERY_S)
        assert copied_at(file) is None
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    play(tmp_path, scene)


def test_damage_that_a_copy_finds_ends_the_sales(tmp_path: Path) -> None:
    """Nobody reads the old pages of a journal but once a week for its copy."""
    file = tmp_path / "spoilt" / "journal.db"
    with closing(SqliteJournal(file)) as journal:
        fill(journal)
    file.write_bytes(garbled(file.read_bytes()))

    async def scene(bench: Bench) -> None:
        copies = Copies(bench.engine, file, lambda: 0)
        with pytest.raises(JournalDamaged, match="terminald restore"):
            await copies.look()
        assert copied_at(file) is None

    play(tmp_path, scene, has_threads=True)


def test_a_copy_that_finds_no_room_is_tried_again_and_stops_nothing(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"

    async def scene(bench: Bench) -> None:
        copies = Copies(bench.engine, file, lambda: 10**18)
        with pytest.raises(JournalUnavailable, match="no room"):
            await copies.make()
        assert copies.is_due()
        await bench.open()

    play(tmp_path, scene, has_threads=True)
