"""The real daemon learns the time of day from the gateway, and keeps it."""

from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import SqliteJournal
from tests.system.rig import bench


@pytest.mark.system
def test_the_gateways_time_is_trusted_and_on_record(tmp_path: Path) -> None:
    with bench(tmp_path) as shop:
        shop.config.write_text(
            shop.config.read_text().replace("[readiness]", '[readiness]\nrequire = ["gateway", "clock"]')
        )
        shop.start()
        shop.wait_ready()
        assert shop.status()["clock"] == {"synchronized": True}
        assert shop.stop() == 0
        journal = SqliteJournal(tmp_path / "state" / "journal.db")
        floor = journal.time_floor()
        journal.close()
        assert floor is not None
        assert floor.wall > 0
