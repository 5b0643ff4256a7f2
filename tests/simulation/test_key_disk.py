"""A full disk when the key is due: nothing is sent that is not on record first, and no time is lost after it (I6)."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.agenda import DAY, HOUR, MINUTE
from tests.simulation.key_daemon import Daemon
from tests.simulation.key_reason import Reason, Span
from tests.simulation.key_script import Profile, Script
from tests.simulation.key_year import History, Year, fast_directory

pytestmark = pytest.mark.simulation

#: A night without power: the key is renewed when it is over, and once more some hours later, as it foretells others.
#: Then the terminal is switched off until the first of these keys is dead, and the second is not.
NIGHT: Span = (DAY, DAY + 15 * HOUR)
RENEWED = NIGHT[1]
OFF: Span = (RENEWED + 11 * HOUR, RENEWED + 50 * HOUR)


class ForgetfulDaemon(Daemon):
    """Does not try again what could not be written."""

    def free_disk(self) -> None:
        self._inbox.clear()
        super().free_disk()


@pytest.fixture
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_directory()) as directory:
        yield Path(directory) / "journal.db"


def live(file: Path, *full: Span, daemon_type: type[Daemon] = Daemon) -> tuple[Year, Sequence[int]]:
    """Live through some days without customers; return when a check-in was sent, too."""
    history = History(0, file, daemon_type)
    profile = Profile(name="scripted", is_lossy=False, sales_a_day=0, busy_days=0)
    history.script = Script(profile=profile, off=[NIGHT, OFF], full_disks=list(full))
    year = history.live(5)
    # That there is no check-in while there is no power is what the script asks for.
    found = tuple(one for one in year.violations if not one.text.startswith("daily"))
    return replace(year, violations=found), [at for at in history.judge.checkins if RENEWED <= at < OFF[0]]


def test_a_terminal_that_can_write_renews_its_key_in_time(file: Path) -> None:
    year, checkins = live(file)
    assert (year.violations, year.lock_outs) == ((), ())
    assert len(checkins) == 2


def test_nothing_is_sent_while_the_disk_is_full_and_the_lock_out_that_comes_of_it_is_announced(file: Path) -> None:
    """The intent is on disk before a check-in is sent: without a disk there is none, and the key dies of age."""
    year, checkins = live(file, (RENEWED + HOUR, OFF[0]))
    assert [one.reason for one in year.lock_outs] == [Reason.FULL_DISK]
    assert all(one.is_announced for one in year.lock_outs)
    assert year.violations == ()
    assert len(checkins) == 1


def test_as_soon_as_there_is_room_on_the_disk_the_key_is_renewed(file: Path) -> None:
    full = (RENEWED + HOUR, OFF[0] - 30 * MINUTE)
    year, checkins = live(file, full)
    assert (year.violations, year.lock_outs) == ((), ())
    assert len(checkins) == 2
    assert full[1] <= checkins[1] <= full[1] + MINUTE


def test_the_judge_finds_a_terminal_that_does_not_go_on_when_there_is_room(file: Path) -> None:
    year, _ = live(file, (RENEWED + HOUR, OFF[0] - 30 * MINUTE), daemon_type=ForgetfulDaemon)
    assert [one.reason for one in year.lock_outs] == [Reason.AVOIDABLE]
    assert [one.text.partition(":")[0] for one in year.violations] == ["I6"]
