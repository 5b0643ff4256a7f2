"""What the configuration makes of the machines' times."""

from pathlib import Path

import pytest

from terminald.app import rules_of
from terminald.config import load
from terminald.core.schedule import HOUR, MINUTE, Rules


def rules(tmp_path: Path, text: str, terminal_sn: str = "T1") -> Rules:
    file = tmp_path / "t.toml"
    file.write_text(text)
    return rules_of(load(file), terminal_sn)


def test_each_terminal_has_its_own_minute_for_ever_within_the_spread(tmp_path: Path) -> None:
    text = '[checkin]\nat = "04:30"\njitter = "30m"\n'
    found = [rules(tmp_path, text, f"T{number}").checkin_at for number in range(50)]
    assert found == [rules(tmp_path, text, f"T{number}").checkin_at for number in range(50)]
    assert all(at is not None and 4.5 * HOUR <= at <= 5 * HOUR for at in found)
    assert len({at // MINUTE for at in found if at is not None}) > 15


def test_without_a_spread_it_is_the_time_that_is_written(tmp_path: Path) -> None:
    assert rules(tmp_path, '[checkin]\nat = "23:59"\njitter = "0s"\n').checkin_at == 23 * HOUR + 59 * MINUTE


@pytest.mark.parametrize(("zone", "hours"), [("+08:00", 8), ("-03:00", -3)])
def test_its_day_is_the_gateways_business_day(zone: str, hours: int, tmp_path: Path) -> None:
    """Not the board's own zone, which is UTC on most images."""
    assert rules(tmp_path, f'[gateway]\ntimezone = "{zone}"\n').day_offset == hours * HOUR
