"""The board under the journal: the device id for life, and what happens when the state directory comes elsewhere.

An identity on two boards is renewed by both. Each renewal takes the other board's key away, and soon the gateway
accepts neither. So an identity is used on the board on which it began, until a person says that the other one is out of
service.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from terminald.adapters.fingerprint import SOURCES, Residence, derive_device_id, differing_source, read_board
from terminald.adapters.journal_copy import residence_in_copy
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.config import Config
from terminald.core.terminal import Terminal
from terminald.errors import ConfigError, WrongBoard
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

Sources = Mapping[str, Path]


def moved_source(journal: SqliteJournal, sources: Sources = SOURCES) -> str | None:
    """Return what tells that the journal is from another board; None where nothing does.

    A journal of a release that did not look at the board belongs to the board on which it is found.
    """
    return differing_source(journal.board(), read_board(sources), sources)


def settle_device_id(config: Config, journal: SqliteJournal, sources: Sources = SOURCES) -> str:
    """Return the terminal's fingerprint, deriving it once; note what is known of the board.

    Before the activation nothing depends on either: a copied card begins anew.

    Raises:
        WrongBoard: the identity is of another board.
        ConfigError: the configuration says another device id than the terminal's.
    """
    known, found = journal.board(), read_board(sources)
    if difference := differing_source(known, found, sources):
        terminal = journal.load_terminal()
        if terminal is not None:
            raise wrong_board(terminal, difference)
        device_id = _wanted(config, sources)
        journal.put_board(found, device_id=device_id)
        log_event(log, LogId.BOARD_NEW)
        return device_id
    if {**known, **found} != known:
        journal.put_board({**known, **found})
    stored = journal.device_id() or journal.fix_device_id(_wanted(config, sources))
    if config.terminal.device_id not in ("auto", stored):
        raise ConfigError([config.places.fault(("terminal", "device_id"), _must_not_change(config, stored, journal))])
    return stored


def residence_of_new_identity(config: Config, journal: SqliteJournal, sources: Sources = SOURCES) -> Residence:
    """Return where an identity that is asked for now will live. On another board's journal that is a new place.

    The gateway wants a device id once, and the other board may still use the one in the journal.

    Raises:
        ConfigError: see :func:`settle_device_id`.
    """
    if moved_source(journal, sources) is None or journal.load_terminal() is None:
        device_id = settle_device_id(config, journal, sources)
        return Residence(device_id=device_id, board=journal.board())
    return Residence(device_id=_wanted(config, sources), board=read_board(sources))


def remembered_device_id(config: Config, file: Path, sources: Sources = SOURCES) -> str:
    """Return the device id of a terminal whose journal can not be read, by its copy; empty where nobody knows it."""
    if is_copy_foreign(file, sources):
        return ""
    copied = residence_in_copy(file)
    fixed = "" if config.terminal.device_id == "auto" else config.terminal.device_id
    return (copied.device_id if copied else "") or fixed


def is_copy_foreign(file: Path, sources: Sources = SOURCES) -> bool:
    """Whether the journal's copy is of another board: then the damaged one may be as well, and of its terminal."""
    copied = residence_in_copy(file)
    return copied is not None and differing_source(copied.board, read_board(sources), sources) is not None


def adopt_board(journal: SqliteJournal, sources: Sources = SOURCES) -> None:
    """Let the identity live on this board from now on, under the device id that the gateway knows."""
    journal.put_board(read_board(sources))


def wrong_board(terminal: Terminal, difference: str) -> WrongBoard:
    """Return the error for an identity that is of another board."""
    return WrongBoard(
        f"this board is not the one of terminal {terminal.terminal_sn}: the state directory was moved or copied here "
        f"from a board with another {difference}. Two boards with one terminal renew one key, each takes the other's "
        "away, and in the end the gateway accepts neither. Nothing was begun",
        advice="the other board is out of service for good: terminald adopt. It still works, or this is a copy: "
        "terminald activate --replace gives this board an identity of its own, with a use of an activation code",
    )


def _wanted(config: Config, sources: Sources) -> str:
    wanted = config.terminal.device_id
    return derive_device_id(sources) if wanted == "auto" else wanted


def _must_not_change(config: Config, stored: str, journal: SqliteJournal) -> str:
    what = (
        f"is {config.terminal.device_id!r}, but this terminal has been {stored!r} from its first start on, and must "
        "stay so: the gateway renews the key only for the device id of the activation, and without renewal the key is "
        f'dead within 48 hours; allowed: "auto", which keeps the stored one, or {stored!r}'
    )
    if journal.load_terminal() is None:
        what += f"; as nothing is activated yet also another one, after you emptied {config.state.directory}"
    return what
