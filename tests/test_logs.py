import io
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald import logs
from terminald.core.ids import PaymentCode, Secret
from terminald.logs import Fields, JournalHandler, Redaction, configure, escape, is_journal, log_event, protect, redact

CODE = "281234567890123456"
KEY = "5d41402abc4b2a76b9719d911017c592"

logger = logging.getLogger("terminald.test")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("terminald")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def stream() -> TextIO:
    stream = io.StringIO()
    configure("debug", stream=stream)
    return stream


def fail(text: str) -> None:
    raise ValueError(text) from KeyError(text)


def written(stream: TextIO) -> str:
    stream.seek(0)
    return stream.read()


def test_a_line_says_when_how_bad_who_what_and_with_what(stream: TextIO) -> None:
    log_event(logger, logging.INFO, "attempt", sale="01JD", from_state="polling", event="a b", elapsed_ms=5)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO terminald\.test: "
        r'attempt sale=01JD from_state=polling event="a b" elapsed_ms=5\n',
        written(stream),
    )


def test_configuring_again_replaces_the_former_output(stream: TextIO) -> None:
    second = io.StringIO()
    configure("warning", stream=second)
    logger.info("not said")
    logger.warning("said")
    assert written(stream) == ""
    assert written(second).count("said") == 1


@pytest.mark.parametrize("name", ["httpx", "httpcore", "httpcore.http11", "uvicorn.error", "anyone"])
def test_foreign_loggers_are_heard_from_warning_on(name: str, stream: TextIO) -> None:
    logging.getLogger(name).info("HTTP Request: POST https://x")
    logging.getLogger(name).debug("headers")
    assert written(stream) == ""
    logging.getLogger(name).warning("heard")
    assert "heard" in written(stream)


def test_codes_are_masked_wherever_they_stand(stream: TextIO) -> None:
    """I7."""
    logger.info("scanned %s", CODE)
    logger.info(f"scanned x{CODE}y")  # noqa: G004 - what a careless caller writes
    logger.info({"code": CODE})
    logger.info("%s", PaymentCode(CODE))
    log_event(logger, logging.INFO, CODE, reference=CODE, detail=f"code {CODE}")
    try:
        fail(f"bad code {CODE}")
    except ValueError:
        logger.exception("failed", stack_info=True)
    text = written(stream)
    assert CODE not in text
    assert not re.search("[0-9]{16}", text)
    assert text.count("2812…3456") == 9


def test_secrets_are_hidden_wherever_they_stand(stream: TextIO) -> None:
    """I7."""
    protect(Secret(KEY))
    protect(Secret(f"{KEY}-longer"))
    protect(Secret("a"))
    logger.info("key %r", KEY)
    logger.info("%s", Secret(KEY))
    logger.error("key %d", KEY)
    log_event(logger, logging.INFO, "checked in", sn=KEY, detail=f"{KEY}-longer")
    try:
        fail(KEY)
    except ValueError:
        logger.exception("failed")
    text = written(stream)
    assert KEY not in text
    assert "longer" not in text
    assert "sn=*** detail=***\n" in text
    assert "checked in" in text


@given(st.text(), st.text(), st.text("0123456789", min_size=16, max_size=24))
def test_no_text_around_a_code_uncovers_it(before: str, after: str, code: str) -> None:
    """I7."""
    assert not re.search("[0-9]{16}", redact(f"{before}{code}{after}"))


@given(st.text(max_size=40))
def test_text_without_long_runs_of_digits_stays_as_it_is(text: str) -> None:
    shown = re.sub("[0-9]{5,}", "", text)
    assert redact(shown) == shown


def test_identifiers_keep_their_digits_in_their_own_fields_only(stream: TextIO) -> None:
    log_event(logger, logging.INFO, "sn 7894259244067344", sn="7894259244067344", reason="7894259244067344")
    assert "sn 7894…7344 sn=7894259244067344 reason=7894…7344\n" in written(stream)


def test_the_number_of_secrets_is_bounded() -> None:
    """I11."""
    for number in range(logs.MAX_SECRETS + 1):
        protect(Secret(f"secret-{number:04}"))
    protect(Secret("secret-0001"))
    assert redact("secret-0000 secret-0001 secret-1000") == "secret-0000 *** ***"
    protect(Secret("another one"))
    assert redact("secret-0001 secret-0002") == "*** secret-0002"


@given(st.text())
def test_no_text_makes_a_second_line(text: str) -> None:
    assert len(escape(text).splitlines()) <= 1
    assert escape(text).isprintable()


def test_no_text_forges_a_line(stream: TextIO) -> None:
    forged = "x\n2026-01-01T00:00:00.000+08:00 INFO terminald: sale=1 paid\x1b[2J\u2028y"
    logger.info("got %s", forged)
    log_event(logger, logging.INFO, "got", detail=forged, reason='a" to_state="paid')
    try:
        fail(forged)
    except ValueError:
        logger.exception("failed")
    lines = written(stream).splitlines()
    assert sum(not line.startswith("    ") for line in lines) == 3
    assert all(line.isprintable() for line in lines)
    assert 'reason="a\\" to_state=\\"paid"' in lines[1]


def test_long_texts_are_cut_after_they_were_redacted(stream: TextIO) -> None:
    """I11."""
    logger.info("%s", "x" * (logs.MAX_TEXT - 10) + CODE)
    try:
        fail("y" * 100_000 + CODE)
    except ValueError:
        logger.exception("failed")
    text = written(stream)
    assert "28123456" not in text
    assert len(text) < 3 * logs.MAX_TEXT


def test_a_message_whose_arguments_do_not_fit_is_still_logged(stream: TextIO) -> None:
    logger.info("%d", CODE)
    assert "INFO terminald.test: %d (its arguments do not fit: TypeError)\n" in written(stream)


class Journal:
    """What journald was sent."""

    def __init__(self) -> None:
        self.entries: list[dict[str, object]] = []

    def send(self, message: str, **fields: object) -> None:
        self.entries.append({"MESSAGE": message, **fields})


@pytest.fixture
def journal() -> Iterator[Journal]:
    journal = Journal()
    handler = JournalHandler(journal.send)
    handler.addFilter(Redaction())
    logging.getLogger().addHandler(handler)
    logging.getLogger("terminald").setLevel(logging.DEBUG)
    yield journal
    logging.getLogger().removeHandler(handler)


def test_the_journal_gets_allowed_fields_only(journal: Journal) -> None:
    log_event(logger, logging.WARNING, "attempt", client_sn="0123456789012345678", amount_fen=350)
    logger.info("scanned %s", CODE, extra={"fields": {"secret": KEY, "sn": None, "event": CODE}, "PASSWORD": KEY})
    logger.info("other", extra={"fields": "text"})
    first, second, third = journal.entries
    where = first.pop("CODE_FILE"), first.pop("CODE_LINE"), first.pop("CODE_FUNC")
    assert where[0] == __file__
    assert where[2] == "test_the_journal_gets_allowed_fields_only"
    assert first == {
        "MESSAGE": "attempt client_sn=0123456789012345678 amount_fen=350",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "terminald",
        "LOGGER": "terminald.test",
        "CLIENT_SN": "0123456789012345678",
        "AMOUNT_FEN": "350",
    }
    assert second["MESSAGE"] == "scanned 2812…3456 event=2812…3456"
    assert second["EVENT"] == "2812…3456"
    assert third["MESSAGE"] == "other"
    assert KEY not in json.dumps(journal.entries, default=str)
    assert CODE not in json.dumps(journal.entries, default=str)


def test_the_journal_gets_tracebacks_in_the_message_and_nowhere_else(journal: Journal) -> None:
    try:
        fail(CODE)
    except ValueError:
        logger.critical("failed", exc_info=True)
    (entry,) = journal.entries
    assert str(entry["MESSAGE"]).startswith("failed\n    KeyError: '2812…3456'\n    \n    The above")
    assert str(entry["MESSAGE"]).endswith("ValueError: 2812…3456")
    assert CODE not in repr(entry)
    assert entry["PRIORITY"] == "2"


@pytest.mark.parametrize(("level", "priority"), [("debug", "7"), ("info", "6"), ("error", "3")])
def test_levels_are_the_priorities_of_syslog(level: str, priority: str, journal: Journal) -> None:
    getattr(logger, level)("said")
    assert journal.entries[0]["PRIORITY"] == priority


def test_a_journal_that_takes_nothing_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    def send(message: str, **fields: object) -> None:
        raise OSError(28, "No space left on device", message, None, str(fields))

    handler = JournalHandler(send)
    handler.addFilter(Redaction())
    logger.addHandler(handler)
    try:
        logger.warning("scanned %s", CODE)
    finally:
        logger.removeHandler(handler)
    assert CODE not in capsys.readouterr().err


def test_the_journal_is_used_when_systemd_connected_the_stream_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryFile("w+") as stream:
        status = os.fstat(stream.fileno())
        named = f"{status.st_dev}:{status.st_ino}"
        assert is_journal(stream, named)
        assert not is_journal(stream, "1:1")
        assert not is_journal(io.StringIO(), named)
        monkeypatch.setenv("JOURNAL_STREAM", named)
        configure("info", stream=stream)
        assert [type(each) for each in logging.getLogger().handlers if isinstance(each, JournalHandler)]
        configure("info", stream=io.StringIO())
        assert not [type(each) for each in logging.getLogger().handlers if isinstance(each, JournalHandler)]


def test_fields_do_not_collide_with_those_of_journald() -> None:
    taken = {"message", "priority", "syslog_identifier", "logger", "code_file", "code_line", "code_func"}
    assert not taken & set(Fields.__annotations__)
    assert set(Fields.__annotations__) >= logs.IDENTIFIERS
