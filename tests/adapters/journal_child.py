"""A process that commits without end and says each sequence number after its commit, until it is killed."""

import sys
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.state_directory import lock
from terminald.core.events import PayConfirmed
from terminald.core.ids import Instant, WallTime
from terminald.core.schedule import Now
from tests.adapters.journal_samples import Shop


def main(directory: Path) -> None:
    with lock(directory):
        journal = SqliteJournal(directory / "journal.db")
        count = journal.last_seq()
        instant = Instant(journal.open_boot("boot", count).offset + count)
        shop = Shop(journal.commit, Now(instant=instant, wall=WallTime(instant)), count)
        while True:
            shop.pass_time(1)
            sale_id = shop.open_sale()
            print(shop.seq, flush=True)  # noqa: T201 - the parent reads it
            client_sn = shop.scan(sale_id)
            print(shop.seq, flush=True)  # noqa: T201 - the parent reads it
            shop.answer(client_sn, PayConfirmed())
            print(shop.seq, flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
