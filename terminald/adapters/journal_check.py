"""The look through a long journal: beside the sales, so that a start does not take longer the more was ever sold.

What a start reads is what is open, and what it writes is found damaged where it is: SQLite says so. What is damaged and
neither read nor written waits for this look, which ends the process as damage that is found in use does.

What it costs: every page is read once, on a thread and a connection that only read; no commit waits for a lock. After
each slice of work it rests as long as it worked, so that half of a slow card and of a single core stay free: a commit
waits for the reads of one slice at most (SQLite before 3.41 can not be made to rest within a tree of pages; the kernel
still reads ahead for it no more than 128 KiB at a time). Priorities would be kinder, but the sandbox of the service
permits none. Until the end of the look the write-ahead file grows with every commit, and a key that was replaced
meanwhile stays in it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
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
#: How long the look works before it rests as long.
SLICE_S: Final = 0.02
#: The longest rest.
REST_S: Final = 0.2


async def check_beside(file: Path, most_bytes: int = SMALL_BYTES) -> None:
    """Look through a journal that the start did not look through; return when it is found whole, or can not be read.

    Cancelled, it is given up, and nobody waits for it: SQLite before 3.41 looks through a table in one go.

    Raises:
        JournalDamaged: it is damaged.
    """
    if not is_longer(file, most_bytes):
        return
    loop = asyncio.get_running_loop()
    found: asyncio.Future[JournalDamaged | None] = loop.create_future()
    given_up = threading.Event()

    def tell(fault: JournalDamaged | None) -> None:
        if not found.done():
            found.set_result(fault)

    def look() -> None:
        fault: JournalDamaged | None = None
        try:
            look_through(file, resting(given_up))
        except JournalDamaged as exc:
            fault = exc
        except JournalUnavailable as exc:
            if not given_up.is_set():
                log_event(_log, LogId.JOURNAL_UNCHECKED, reason=str(exc))
        # Closed between the two: nobody waits for it any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(partial(tell, fault))

    threading.Thread(target=look, name="journal-check", daemon=True).start()
    try:
        fault = await found
    finally:
        given_up.set()
    if fault is not None:
        raise fault


def resting(given_up: threading.Event, slice_s: float = SLICE_S) -> Callable[[], bool]:
    """Return what whoever works asks again and again: whether it is given up. After a slice of work it rests."""
    began = time.monotonic()

    def is_given_up() -> bool:
        nonlocal began
        worked = time.monotonic() - began
        if worked >= slice_s:
            given_up.wait(min(worked, REST_S))
            began = time.monotonic()
        return given_up.is_set()

    return is_given_up
