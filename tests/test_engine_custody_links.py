"""An outage of the link is noted, its end is seen within minutes, and then the key is renewed (I6)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from terminald.adapters.ports import LinkReport, LinkState
from terminald.core.custody import LEAST_WAIT, OUTAGE_AFTER
from terminald.core.custody_events import KeyUnanswered, RenewalDue
from terminald.core.custody_table import Rotation
from terminald.engine_link import IDLE_S, RETRY_LONGEST_S
from tests.engine_bench import Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

HOUR_S, OUTAGE_S = 3_600.0, OUTAGE_AFTER / 1000
Scene = Callable[["Link"], Awaitable[None]]


class Link:
    """A link that is away when the test says so."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._probe = bench.gateway.probe
        self.is_there = True
        bench.gateway.probe = self.probe  # type: ignore[method-assign] # the same gateway on a bad line

    async def probe(self) -> LinkReport:
        report = await self._probe()
        return report if self.is_there else LinkReport(state=LinkState.DOWN)

    async def be_away(self, seconds: float) -> None:
        """Go away unseen, and come back in the middle of the longest wait between two looks."""
        self.is_there = False
        await asyncio.sleep(seconds)
        self.is_there = True

    @property
    def rotation(self) -> Rotation:
        custody = self.bench.engine.keeper.custody
        assert custody is not None
        return custody.rotation

    def out_since_s(self) -> float | None:
        since = self.rotation.out_since
        return None if since is None else since / 1000

    @property
    def checkins(self) -> int:
        return self.bench.gateway.asked_for_key.count("check in")


def play(path: Path, scene: Scene) -> None:
    async def run() -> None:
        async with engine_bench(path / "journal.db") as bench:
            await scene(Link(bench))

    run_virtually(run())


def test_the_key_is_renewed_within_two_minutes_after_the_link_is_back_and_once(tmp_path: Path) -> None:
    async def scene(link: Link) -> None:
        await asyncio.sleep(7 * HOUR_S)
        await link.be_away(40 * HOUR_S / 60)
        assert (link.checkins, link.rotation.out_since is not None) == (0, True)
        await asyncio.sleep(RETRY_LONGEST_S * 1.25 + 10)
        assert (link.checkins, link.rotation.out_since, link.rotation.was_out) == (1, None, False)
        await asyncio.sleep(23 * HOUR_S)
        assert link.checkins == 1

    play(tmp_path, scene)


def test_a_young_key_is_renewed_six_hours_after_its_renewal(tmp_path: Path) -> None:
    async def scene(link: Link) -> None:
        await link.bench.engine.request(lambda: link.bench.engine.keeper.apply(RenewalDue()))
        await settle()
        assert link.checkins == 1
        await link.be_away(2 * HOUR_S)
        await asyncio.sleep(LEAST_WAIT / 1000 - 2 * HOUR_S - 10)
        assert link.checkins == 1
        await asyncio.sleep(20)
        assert link.checkins == 2

    play(tmp_path, scene)


def test_while_all_is_well_nothing_is_asked_for_it_and_nobody_wakes_up(tmp_path: Path) -> None:
    async def scene(link: Link) -> None:
        wakeup = link.bench.engine.keeper.next_wakeup()
        assert wakeup is not None
        assert isinstance(wakeup.event, RenewalDue)
        asked, probes = list(link.bench.gateway.asked_for_key), link.bench.gateway.probes
        seq = link.bench.engine.last_seq
        await asyncio.sleep(6 * HOUR_S)
        assert (link.bench.gateway.asked_for_key, link.bench.engine.last_seq) == (asked, seq)
        assert link.bench.gateway.probes - probes <= 6 * HOUR_S / IDLE_S + 1

    play(tmp_path, scene)


def test_a_silence_of_some_minutes_is_no_outage(tmp_path: Path) -> None:
    async def scene(link: Link) -> None:
        await asyncio.sleep(7 * HOUR_S)
        for _ in range(5):
            await link.be_away(OUTAGE_S - RETRY_LONGEST_S * 1.25 - 1)
            await asyncio.sleep(HOUR_S)
        assert (link.checkins, link.rotation.was_out) == (0, False)

    play(tmp_path, scene)


def test_an_outage_that_can_not_be_written_down_before_it_is_over_is_none(tmp_path: Path) -> None:
    """Nobody would ever end it."""

    async def scene(link: Link) -> None:
        await asyncio.sleep(7 * HOUR_S)
        link.bench.journal.is_full = True
        await link.be_away(2 * HOUR_S)
        assert not link.bench.engine.is_journal_writable
        await asyncio.sleep(2 * RETRY_LONGEST_S)
        link.bench.journal.is_full = False
        await asyncio.sleep(HOUR_S)
        assert (link.checkins, link.rotation.out_since) == (0, None)

    play(tmp_path, scene)


def test_a_link_that_comes_back_while_its_loss_is_written_down_ends_the_outage(tmp_path: Path) -> None:
    async def scene(link: Link) -> None:
        await asyncio.sleep(7 * HOUR_S)
        link.is_there = False
        await asyncio.sleep(IDLE_S + 60)
        link.bench.journal.released.clear()
        await link.be_away(OUTAGE_S)
        await asyncio.sleep(2 * RETRY_LONGEST_S)
        assert link.rotation.out_since is None
        link.bench.journal.released.set()
        await asyncio.sleep(0.1)
        assert (link.checkins, link.rotation.out_since) == (1, None)

    play(tmp_path, scene)


def test_a_renewal_that_comes_before_the_monitor_looks_ends_the_outage_for_good(tmp_path: Path) -> None:
    """The key falls due within the minute after the link is back: it is renewed then, and next a day later."""

    async def scene(link: Link) -> None:
        engine = link.bench.engine
        await engine.request(lambda: engine.keeper.apply(RenewalDue()))
        await settle()
        due_s = link.rotation.due / 1000 - asyncio.get_running_loop().time()
        await asyncio.sleep(due_s - 2 * HOUR_S)
        await link.be_away(2 * HOUR_S - 1)
        assert (link.checkins, link.rotation.out_since is not None) == (1, True)
        await asyncio.sleep(2)
        assert (link.checkins, engine.link.is_reachable) == (2, False)
        seq = engine.last_seq
        await asyncio.sleep(RETRY_LONGEST_S * 1.25)
        assert (link.rotation.out_since, link.rotation.was_out, engine.link.is_reachable) == (None, False, True)
        assert engine.last_seq <= seq + 1
        await asyncio.sleep(17 * HOUR_S)
        assert link.checkins == 2

    play(tmp_path, scene)


def test_a_link_that_is_lost_again_before_the_monitor_looks_is_another_outage(tmp_path: Path) -> None:
    """It began when the gateway was heard last."""

    async def scene(link: Link) -> None:
        engine = link.bench.engine
        await asyncio.sleep(7 * HOUR_S)
        link.is_there = False
        await asyncio.sleep(HOUR_S)
        lost = link.rotation
        assert lost.out_since is not None
        await engine.request(lambda: engine.keeper.apply(RenewalDue()))
        await settle()
        heard = asyncio.get_running_loop().time()
        assert (link.checkins, link.rotation.out_since) == (1, None)
        await asyncio.sleep(OUTAGE_S - 1)
        assert link.out_since_s() is None
        await asyncio.sleep(2)
        assert link.out_since_s() == pytest.approx(heard, abs=1)

    play(tmp_path, scene)


def test_half_an_hour_is_enough_even_if_every_proof_of_some_minutes_is_lost(tmp_path: Path) -> None:
    """The monitor goes on proving the link, and each of its proofs has the key proven at once."""

    async def scene(link: Link) -> None:
        await asyncio.sleep(7 * HOUR_S)
        await link.be_away(HOUR_S)
        link.bench.gateway.proofs = [KeyUnanswered() for _ in range(8)]
        await asyncio.sleep(HOUR_S / 2)
        assert link.checkins == 1

    play(tmp_path, scene)


def test_a_link_that_is_proven_has_no_key_proven_while_somebody_is_served(tmp_path: Path) -> None:
    async def scene(link: Link) -> None:
        bench = link.bench
        await bench.open("first")
        await bench.desk.cancel("first")
        bench.gateway.proofs = [KeyUnanswered()]
        await bench.engine.request(lambda: bench.engine.keeper.apply(RenewalDue()))
        await settle()
        assert link.rotation.retry is not None
        asked, probes = list(bench.gateway.asked_for_key), bench.gateway.probes
        await bench.open("second")
        await settle()
        assert (bench.gateway.asked_for_key, bench.gateway.probes) == (asked, probes + 1)
        await bench.desk.cancel("second")

    play(tmp_path, scene)
