"""The look through a long journal: beside the sales, so that a start does not take longer the more was ever sold.

What a start reads is what is open, and what it writes is found damaged where it is: SQLite says so. What is damaged and
neither read nor written waits for this look, which ends the process as damage that is found in use does.
"""

import asyncio
import logging
import threading
from functools import partial
from pathlib import Path
from typing import Final

from terminald.adapters.journal_file import is_longer, look_through
from terminald.errors import JournalDamaged, JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: What is looked through before the start goes on: a slow card reads so much in a second.
SMALL_BYTES: Final = 16_000_000


async def check_beside(file: Path, most_bytes: int = SMALL_BYTES) -> None:
    """Look through a journal that the start did not look through; return when it is found whole, or can not be read.

    Cancelled, it is left to itself: SQLite looks through a table in one go, and a stop does not wait for that.

    Raises:
        JournalDamaged: it is damaged.
    """
    if not is_longer(file, most_bytes):
        return
    loop = asyncio.get_running_loop()
    found: asyncio.Future[JournalDamaged | None] = loop.create_future()

    def tell(fault: JournalDamaged | None) -> None:
        if not found.done():
            found.set_result(fault)

    def look() -> None:
        fault: JournalDamaged | None = None
        try:
            look_through(file)
        except JournalDamaged as exc:
            fault = exc
        except JournalUnavailable as exc:
            log_event(_log, LogId.JOURNAL_UNCHECKED, reason=str(exc))
        if not loop.is_closed():
            loop.call_soon_threadsafe(partial(tell, fault))

    threading.Thread(target=look, name="journal-check", daemon=True).start()
    if (fault := await found) is not None:
        raise fault
