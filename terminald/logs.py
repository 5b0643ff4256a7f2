"""Logging: one line per event, with named fields, and never a secret or a whole payment code (I7).

Everything is rewritten by a filter before any formatter, handler or journal sees it: registered secrets become ``***``,
and every run of 16 or more digits is shown as its first and last four, because that is what a payment code looks like.
Identifiers that may look the same (the gateway's ``sn`` has 16 digits) are safe in their own fields only: those of
:data:`IDENTIFIERS` keep their digits, the message and all other fields do not.

Under systemd the journal gets the fields by an allow-list. The library's own ``JournalHandler`` is not used: it stores
the record's raw arguments.
"""

import datetime as dt
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import TextIO, TypedDict, Unpack

from systemd.journal import send as journal_send

from terminald.core.ids import Secret

#: What systemd calls us; the library would take the path of the program.
SYSLOG_IDENTIFIER = "terminald"
#: Longer texts say no more, and journald takes datagrams.
MAX_TEXT = 8192
#: A key a day for more than two years without a restart, besides those that last.
MAX_SECRETS = 1000
#: A shorter secret would be found in ordinary words.
MIN_SECRET = 6

#: Foreign loggers that say URLs and headers below WARNING, whatever level they set for themselves.
_PINNED = ("httpx", "httpcore", "uvicorn", "uvicorn.error", "uvicorn.access")
_OURS = "terminald"

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

_CODE = re.compile(r"[0-9]{16,}")


class Fields(TypedDict, total=False):
    """The fields that a log line may have; in the journal their names are upper case."""

    sale: str
    reference: str
    client_sn: str
    sn: str
    terminal_sn: str
    refund: str
    job: str
    device: str
    kind: str
    from_state: str
    to_state: str
    event: str
    command: str
    reason: str
    code: str
    detail: str
    path: str
    count: int
    key_version: int | None
    amount_fen: int
    elapsed_ms: int


#: Fields that keep runs of digits: identifiers that the gateway or we gave, and that customer service asks for.
IDENTIFIERS = frozenset({"sale", "client_sn", "sn", "terminal_sn"})

_secrets: tuple[str, ...] = ()  # the oldest first
_longest_first: tuple[str, ...] = ()  # the same: one may contain another


def protect(secret: Secret) -> None:
    """Hide this secret in everything that is logged from now on; when there are too many, the oldest is dropped."""
    global _secrets, _longest_first  # noqa: PLW0603 - logging is global to the process, and so is what it must not say
    value = secret.reveal()
    if len(value) >= MIN_SECRET:
        _secrets = (*(each for each in _secrets if each != value), value)[-MAX_SECRETS:]
        _longest_first = tuple(sorted(_secrets, key=len, reverse=True))


def redact(text: str) -> str:
    """Return the text without registered secrets and without whole payment codes."""
    return _CODE.sub(lambda found: f"{found[0][:4]}…{found[0][-4:]}", _without_secrets(text))


def _without_secrets(text: str) -> str:
    for secret in _longest_first:
        text = text.replace(secret, "***")
    return text


def escape(text: str) -> str:
    """Return the text on one line: what cannot be printed is written as an escape, so that no line can be forged."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def log_event(logger: logging.Logger, level: int, message: str, **fields: Unpack[Fields]) -> None:
    """Log one event with its fields. The message is constant; everything that varies is a field."""
    logger.log(level, "%s", message, extra={"fields": fields}, stacklevel=2)


class Redaction(logging.Filter):
    """Rewrite each record before it is formatted: message, fields and traceback, on lines of their own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave nothing in the record that must not be shown; every record passes."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, LookupError) as exc:
            message = f"{record.msg} (its arguments do not fit: {type(exc).__name__})"
        record.msg, record.args = escape(redact(message)), ()
        trace = record.exc_text or ""
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
        trace = "\n".join(part for part in (trace, record.stack_info) if part)
        record.exc_info, record.stack_info = None, None
        record.exc_text = "\n".join(escape(line) for line in redact(trace)[-MAX_TEXT:].splitlines()) or None
        record.__dict__["fields"] = _clean(record.__dict__.get("fields"))
        return True


def _clean(fields: object) -> dict[str, str]:
    """Return the allowed fields as redacted text."""
    if not isinstance(fields, Mapping):
        return {}
    return {
        name: escape(_without_secrets(str(fields[name])) if name in IDENTIFIERS else redact(str(fields[name])))
        for name in Fields.__annotations__
        if fields.get(name) is not None
    }


def _message(record: logging.LogRecord) -> str:
    """Return ``message key=value``, with the traceback on indented lines."""
    fields: dict[str, str] = record.__dict__["fields"]
    shown = " ".join((record.getMessage(), *(f"{name}={_quoted(value)}" for name, value in fields.items())))
    return shown if not record.exc_text else "\n    ".join((shown, *record.exc_text.splitlines()))


def _quoted(value: str) -> str:
    return value if re.fullmatch(r"[^\s\"=\\]+", value) else json.dumps(value, ensure_ascii=False)


class LineFormatter(logging.Formatter):
    """Plain lines: ``2026-01-31T12:00:00.000+08:00 INFO terminald.engine: message key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record that :class:`Redaction` has rewritten."""
        when = dt.datetime.fromtimestamp(record.created, tz=dt.UTC).astimezone().isoformat(timespec="milliseconds")
        return f"{when} {record.levelname} {record.name}: {_message(record)}"


class JournalHandler(logging.Handler):
    """Send records that :class:`Redaction` has rewritten to journald, with allowed fields only."""

    def __init__(self, send: Callable[..., object] = journal_send) -> None:
        """Send takes the journal's fields by keyword, as ``systemd.journal.send`` does."""
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry; a journal that does not take it is no reason to fail."""
        fields: dict[str, str] = record.__dict__["fields"]
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        try:
            self._send(
                _message(record),
                PRIORITY=str(priority),
                SYSLOG_IDENTIFIER=SYSLOG_IDENTIFIER,
                LOGGER=record.name,
                CODE_FILE=record.pathname,
                CODE_LINE=record.lineno,
                CODE_FUNC=record.funcName,
                **{name.upper(): value for name, value in fields.items()},
            )
        except OSError:
            self.handleError(record)


def is_journal(stream: TextIO, named: str) -> bool:
    """Tell whether the stream is the one that systemd connected to the journal and named in ``$JOURNAL_STREAM``."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a file at all, or closed
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def configure(level: str, *, stream: TextIO) -> None:
    """Send the logs of the process to the journal when the stream is connected to it, else as lines to the stream.

    Level is one of the configuration's names, and holds for our own loggers; others are heard from WARNING on. May be
    called again.
    """
    root = logging.getLogger()
    for old in [each for each in root.handlers if any(isinstance(one, Redaction) for one in each.filters)]:
        root.removeHandler(old)
    handler: logging.Handler = JournalHandler()
    if not is_journal(stream, os.environ.get("JOURNAL_STREAM", "")):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(LineFormatter())
    handler.addFilter(Redaction())
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(_LEVELS[level])
    for name in _PINNED:
        logging.getLogger(name).setLevel(logging.WARNING)
