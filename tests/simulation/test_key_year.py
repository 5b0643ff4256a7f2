"""Years of the key, and judges that find what is wrong (I6, I7)."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.ports import Batch
from terminald.core.custody_events import (
    CheckinRequested,
    CheckinUnanswered,
    CustodyAnswer,
    KeyAccepted,
    KeyUnanswered,
    RenewalDue,
)
from terminald.core.events import Event
from terminald.core.tables import Wakeup
from terminald.engine_custody import CustodyKeeper
from tests.simulation.key_daemon import Daemon
from tests.simulation.key_port import KeyPort
from tests.simulation.key_script import profile_of
from tests.simulation.key_year import fast_directory, live_year

pytestmark = pytest.mark.simulation

#: Of each way of life these days of one year, nearly four years in all; ``make soak-key`` lives through many more.
DAYS_LIVED = 120


@pytest.fixture
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_directory()) as directory:
        yield Path(directory) / "journal.db"


@pytest.mark.parametrize("seed", range(11), ids=lambda seed: profile_of(seed).name)
def test_power_cuts_outages_clock_steps_and_lost_messages_cost_nobody_the_key(seed: int, file: Path) -> None:
    """I6, I7: nobody is locked out who could act, whatever could not be helped is said, and no key is shown."""
    year = live_year(seed, file, days=DAYS_LIVED)
    assert [violation.text for violation in year.violations] == []
    assert all(one.is_unavoidable and one.is_announced for one in year.lock_outs)
    assert year.counts["renewals"] > 0


def test_a_seed_gives_one_year(file: Path) -> None:
    one, two = (live_year(9, file.with_name(name), days=20) for name in ("one.db", "two.db"))
    assert one == two


# --- what a broken terminald would do --------------------------------------------------------------------------------


class BlindRetry(KeyPort):
    """Sends a check-in again when its answer is lost."""

    async def check_in(self) -> CustodyAnswer:
        answer = await super().check_in()
        return await super().check_in() if isinstance(answer, CheckinUnanswered) else answer


class BlindRetryDaemon(Daemon):
    port_type = BlindRetry


class WriteBehindDaemon(Daemon):
    """Uses a new key before it is on disk."""

    def _write(self, batch: Batch) -> None:
        if batch.entries[0].record.cause == "KeyRenewed":
            self.later(1000, lambda: Daemon._write(self, batch))
        else:
            super()._write(batch)


class RudeDaemon(Daemon):
    """Asks for a new key when a customer comes."""

    def is_quiet(self) -> bool:
        return True

    def open_sale(self) -> None:
        super().open_sale()
        self.take(RenewalDue(), None)


class ImpatientKeeper(CustodyKeeper):
    """Takes a lost answer for a person's request."""

    async def apply(self, event: Event, token: int | None = None) -> None:
        await super().apply(event, token)
        if isinstance(event, CheckinUnanswered):
            await super().apply(CheckinRequested())


class ImpatientDaemon(Daemon):
    keeper_type = ImpatientKeeper


class SleepyKeeper(CustodyKeeper):
    """Never wakes up by itself."""

    def next_wakeup(self) -> Wakeup | None:
        return None


class SleepyDaemon(Daemon):
    keeper_type = SleepyKeeper


class StubbornKeeper(CustodyKeeper):
    """Does not believe that its third key works."""

    async def apply(self, event: Event, token: int | None = None) -> None:
        custody = self.custody
        is_third = custody is not None and custody.rotation.version > 2
        await super().apply(KeyUnanswered() if is_third and isinstance(event, KeyAccepted) else event, token)


class StubbornDaemon(Daemon):
    keeper_type = StubbornKeeper


class CarelessKeeper(CustodyKeeper):
    """Does not mind that the link was away."""

    def next_wakeup(self) -> Wakeup | None:
        self._down_since = None
        return super().next_wakeup()


class CarelessDaemon(Daemon):
    keeper_type = CarelessKeeper


class SilentDaemon(Daemon):
    """Calls nobody."""

    def _write(self, batch: Batch) -> None:
        assert batch.custody is not None
        rotation = replace(batch.custody.rotation, attention=None)
        super()._write(replace(batch, custody=replace(batch.custody, rotation=rotation)))


class LeakyDaemon(Daemon):
    """Tells the host what the key is."""

    def _write(self, batch: Batch) -> None:
        assert batch.custody is not None
        body = batch.custody.terminal.current_key.reveal().encode()
        super()._write(replace(batch, entries=(replace(batch.entries[0], topic="key", body=body),)))


CALM, ORDINARY, WEEKS, LINKED = 0, 1, 5, 10


@pytest.mark.parametrize(
    ("daemon_type", "seed", "days", "rule"),
    [
        (BlindRetryDaemon, ORDINARY, 40, "proof"),
        (ImpatientDaemon, ORDINARY, 40, "six hours"),
        (RudeDaemon, CALM, 3, "quiet"),
        (WriteBehindDaemon, CALM, 3, "I6"),
        (SleepyDaemon, CALM, 4, "I6"),
        (SleepyDaemon, CALM, 2, "daily"),
        (CarelessDaemon, LINKED, 40, "I6"),
        (StubbornDaemon, CALM, 1, "rest"),
        (SilentDaemon, WEEKS, 30, "announced"),
        (LeakyDaemon, CALM, 1, "I7"),
    ],
)
def test_the_judge_finds_what_is_broken(daemon_type: type[Daemon], seed: int, days: int, rule: str, file: Path) -> None:
    year = live_year(seed, file, daemon_type, days=days)
    assert rule in {violation.text.partition(":")[0] for violation in year.violations}
    assert all(violation.story for violation in year.violations)
