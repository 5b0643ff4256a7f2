"""Logging: one line per event, with named fields, and never a secret or a whole payment code (I7).

Everything is rewritten before any formatter or journal sees it: registered secrets become ``***``, and so does what
looks like a key or a signature, 32 hexadecimal digits; every run of 16 or more digits is shown as its first and last
four, because that is what a payment code looks like. Identifiers that may look the same (the gateway's ``sn`` has 16
digits) are safe in their own fields only: those of :data:`IDENTIFIERS` keep their digits, the message and all other
fields do not.

Under systemd the journal gets the fields by an allow-list, and the number of the line's kind (``logs_ids``); elsewhere
there are plain lines. Nobody waits for the log: what can not be handed over is dropped, and what repeats itself too
fast is left out. The next line is preceded by how many those were.
"""

import contextlib
import datetime as dt
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol, TextIO, TypedDict, Unpack

from terminald.core.ids import Secret
from terminald.logs_ids import LogId
from terminald.logs_journal import SOCKET, JournalSocket
from terminald.logs_limit import Limit

#: What systemd calls us.
SYSLOG_IDENTIFIER = "terminald"
#: Longer texts say no more.
MAX_TEXT = 8192
#: Fields are names, states and short texts. All of them, a message and a traceback fit into one datagram.
MAX_FIELD = 512
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
#: What keys and signatures look like: one that just came is not known as a secret yet, and a signature never is.
_DIGEST = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{32}(?![0-9A-Za-z])")
#: A text, all its fields and a traceback, each cut before: the datagram is below the 208 KiB that every kernel takes.
_MAX_MESSAGE: Final = 3 * MAX_TEXT

_log = logging.getLogger(__name__)


class Fields(TypedDict, total=False):
    """The fields that a log line may have, after its ``log_id``; in the journal their names are upper case."""

    sale: str
    reference: str
    client_sn: str
    sn: str
    terminal_sn: str
    refund: str
    job: str
    device: str
    kind: str
    request: int
    from_state: str
    to_state: str
    event: str
    command: str
    reason: str
    code: str | None
    detail: str | None
    path: str
    count: int
    key_version: int | None
    amount_fen: int
    elapsed_ms: int | None


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
    """Return the text without registered secrets, without whole payment codes, and without what may be a key."""
    return _CODE.sub(lambda found: f"{found[0][:4]}…{found[0][-4:]}", _DIGEST.sub("***", redact_identifier(text)))


def redact_identifier(text: str) -> str:
    """Return the text without registered secrets; its digits stay."""
    for secret in _longest_first:
        text = text.replace(secret, "***")
    return text


def escape(text: str, *, limit: int = MAX_TEXT) -> str:
    """Return the text on one line: what cannot be printed is written as an escape, so that no line can be forged."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= limit else f"{text[:limit]}…"


def log_event(
    logger: logging.Logger,
    log_id: LogId,
    *,
    level: int | None = None,
    exc_info: bool | BaseException | None = None,
    **fields: Unpack[Fields],
) -> None:
    """Log one event with its fields. The text is the id's, and constant; everything that varies is a field.

    Level takes the place of the id's. The fields are shown in the order of :class:`Fields`, whatever theirs is here.
    """
    logger.log(
        log_id.level if level is None else level,
        "%s",
        log_id.text,
        exc_info=exc_info,
        extra={"log_id": log_id, "fields": fields},
        stacklevel=2,
    )


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
        log_id = _id_of(record)
        named = {} if log_id is None else {"log_id": log_id.word}
        record.__dict__["fields"] = named | _clean(record.__dict__.get("fields"))
        return True


def _id_of(record: logging.LogRecord) -> LogId | None:
    """Return the id of a line of ours; a library's has none."""
    found: object = record.__dict__.get("log_id")
    return found if isinstance(found, LogId) else None


def _clean(fields: object) -> dict[str, str]:
    """Return the allowed fields as redacted text."""
    if not isinstance(fields, Mapping):
        return {}
    return {
        name: escape((redact_identifier if name in IDENTIFIERS else redact)(str(fields[name])), limit=MAX_FIELD)
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


class Output(Protocol):
    """Where records go that :class:`Redaction` has rewritten."""

    def put(self, record: logging.LogRecord) -> bool:
        """Hand one over, and return whether that worked. Raises nothing."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class JournalOutput:
    """journald, with allowed fields only."""

    def __init__(self, address: str = SOCKET) -> None:
        """Address is where journald listens."""
        self._socket = JournalSocket(address)

    def put(self, record: logging.LogRecord) -> bool:
        """See :meth:`Output.put`. Never waits."""
        return self._socket.send(_entry(record))

    def close(self) -> None:
        """See :meth:`Output.close`."""
        self._socket.close()


class LineOutput:
    """Plain lines in a stream, which stays open."""

    def __init__(self, stream: TextIO) -> None:
        """The stream is the process's standard error, or like it."""
        self._stream = stream
        self._formatter = LineFormatter()

    def put(self, record: logging.LogRecord) -> bool:
        """See :meth:`Output.put`."""
        try:
            self._stream.write(f"{self._formatter.format(record)}\n")
            self._stream.flush()
        except (OSError, ValueError):  # a pipe that nobody reads any more, or a stream that was closed
            return False
        return True

    def close(self) -> None:
        """See :meth:`Output.close`."""


def _entry(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    """Yield the fields of an entry of the journal: these, and no others."""
    fields: dict[str, str] = record.__dict__["fields"]
    log_id = _id_of(record)
    yield "MESSAGE", _message(record)[:_MAX_MESSAGE]
    if log_id is not None:
        yield "MESSAGE_ID", log_id.message_id
    yield "PRIORITY", str(next((number for level, number in _PRIORITIES if record.levelno >= level), 7))
    yield "SYSLOG_IDENTIFIER", SYSLOG_IDENTIFIER
    yield "LOGGER", record.name
    yield "CODE_FILE", record.pathname
    yield "CODE_LINE", str(record.lineno)
    yield "CODE_FUNC", record.funcName or ""
    for name, value in fields.items():
        yield name.upper(), value


class Door(logging.Handler):
    """The one handler of the process: what passes is limited, rewritten and handed over; what does not is counted."""

    def __init__(self, output: Output, limit: Limit | None = None) -> None:
        """The output is closed with the handler."""
        super().__init__()
        self._output = output
        self._limit = limit or Limit()
        self._redaction = Redaction()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record over, after what is to be said of those before it."""
        now_s = time.monotonic()
        self._tell_suppressed(now_s)
        log_id = _id_of(record)
        if self._limit.admits(record.name if log_id is None else log_id.word, now_s):
            self._put(record)

    def flush(self) -> None:
        """Say how many lines were left out, of the kinds whose time is over."""
        with self.lock or contextlib.nullcontext():
            self._tell_suppressed(time.monotonic())

    def close(self) -> None:
        """Say how many lines were left out, and close the output."""
        with self.lock or contextlib.nullcontext():
            self._tell_suppressed(time.monotonic(), is_last=True)
            self._output.close()
        super().close()

    def _tell_suppressed(self, now_s: float, *, is_last: bool = False) -> None:
        for kind, count in self._limit.ended(now_s, is_last=is_last):
            self._put(_of_our_own(LogId.LINES_SUPPRESSED, kind=kind, count=count))

    def _put(self, record: logging.LogRecord) -> None:
        if self._lost and self._hand_over(_of_our_own(LogId.LINES_LOST, count=self._lost)):
            self._lost = 0
        if not self._hand_over(record):
            self._lost += 1

    def _hand_over(self, record: logging.LogRecord) -> bool:
        self._redaction.filter(record)
        return self._output.put(record)


def _of_our_own(log_id: LogId, **fields: Unpack[Fields]) -> logging.LogRecord:
    """Return a record about the log itself."""
    extra = {"log_id": log_id, "fields": fields}
    return _log.makeRecord(_log.name, log_id.level, __file__, 0, "%s", (log_id.text,), None, extra=extra)


def is_journal(stream: TextIO, named: str) -> bool:
    """Tell whether the stream is the one that systemd connected to the journal and named in ``$JOURNAL_STREAM``."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a file at all, or closed
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def configure(level: str, *, stream: TextIO, address: str = SOCKET) -> None:
    """Send the logs of the process to the journal when the stream is connected to it, else as lines to the stream.

    Level is one of the configuration's names, and holds for our own loggers; others are heard from WARNING on. Address
    is where journald listens; where nothing is there, in a sandbox of its own, there are lines all the same. May be
    called again.
    """
    root = logging.getLogger()
    for old in _doors():
        root.removeHandler(old)
        old.close()
    is_connected = is_journal(stream, os.environ.get("JOURNAL_STREAM", "")) and Path(address).is_socket()
    root.addHandler(Door(JournalOutput(address) if is_connected else LineOutput(stream)))
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(_LEVELS[level])
    for name in _PINNED:
        logging.getLogger(name).setLevel(logging.WARNING)


def tell_suppressed() -> None:
    """Say how many lines were left out by now, of the kinds whose time is over: when nothing else is said."""
    for door in _doors():
        door.flush()


def _doors() -> list[Door]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, Door)]
