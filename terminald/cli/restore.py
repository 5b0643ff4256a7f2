"""``terminald restore``: the weekly copy takes the place of a damaged journal."""

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from terminald.adapters import journal_restore
from terminald.adapters.journal_copy import copied_at
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.state_directory import lock
from terminald.app_chores import JOURNAL_NAME
from terminald.cli.confirm import ask
from terminald.cli.outcome import DONE, CommandFailed
from terminald.config import Config, load
from terminald.errors import JournalCorrupt, JournalUnavailable
from terminald.logs import escape

_WORD = "restore"


def restore(args: argparse.Namespace) -> int:
    """Move a damaged journal aside as evidence, and go on with the copy and what can still be read."""
    config = load(args.config)
    file = config.state.directory / JOURNAL_NAME
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    with lock(config.state.directory):
        if journal_restore.is_interrupted(file):
            journal_restore.finish(file, stamp)
            print("The restore that was interrupted is finished.")
            return DONE
        fault = _fault(config)
        if fault is None:
            raise CommandFailed(f"{file} is whole: there is nothing to restore")
        copied = copied_at(file)
        if copied is None:
            raise CommandFailed(
                f"{fault}. There is no copy of it",
                advice="move the files journal* away, where they are kept as evidence, and activate anew: "
                "terminald activate. Look for the sales of the last days in the merchant's console",
            )
        print(f"{escape(str(fault))}\nThe copy is of {_local(copied.wall, config)}.", file=sys.stderr)
        if not args.yes and ask(f'To put it in the place of the journal, type "{_WORD}": ') != _WORD:
            raise CommandFailed("not confirmed; nothing was changed")
        done = journal_restore.restore(file, stamp)
    print("\n".join(_told(done, config)))
    return DONE


def _fault(config: Config) -> JournalCorrupt | None:
    try:
        SqliteJournal(config.state.directory / JOURNAL_NAME).close()
    except JournalCorrupt as exc:
        return exc
    except JournalUnavailable as exc:
        raise CommandFailed(str(exc)) from exc
    return None


def _told(done: journal_restore.Restored, config: Config) -> Iterator[str]:
    since = _local(done.copied.wall, config)
    yield f"Restored from the copy of {since}. The damaged files are kept as evidence in {done.evidence}."
    yield f"Of the sales after it {done.saved} could be read in the damaged file and are there as well."
    if done.lost:
        yield f"{len(done.lost)} could not, and are not known any more: {', '.join(done.lost)}"
    elif not done.is_whole:
        yield "There may have been others, which are not known any more."
    if not done.has_keys:
        yield "The terminal's key could not be read: activate it with a new code (terminald activate)."
    yield "No sale is begun before you say so. Next:"
    yield "  1. Start the daemon. What was open and is known is followed to its end by itself; for goods that are not"
    yield "     reported a person is called, and no money goes back before the third step."
    yield f"  2. Compare each day since {since} with the gateway's: terminald report --day DAY --verify, and the"
    yield "     merchant's console for payments that are not listed here. Give back, in the console, what nobody was"
    yield "     served for: terminald neither completes nor returns a sale that it does not know."
    yield "  3. terminald resume: it asks whether that is done."


def _local(wall: int, config: Config) -> str:
    return datetime.fromtimestamp(wall / 1000, UTC).astimezone(config.gateway.timezone).strftime("%F %H:%M")
