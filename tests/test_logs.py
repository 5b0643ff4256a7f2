import contextlib
import io
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald import logs
from terminald.core.ids import PaymentCode, Secret
from terminald.logs import (
    Door,
    Fields,
    JournalOutput,
    LineOutput,
    configure,
    escape,
    is_journal,
    log_event,
    protect,
    redact,
    tell_suppressed,
)
from terminald.logs_ids import LogId
from terminald.logs_journal import JournalSocket, encode
from terminald.logs_limit import MAX_KINDS, Limit
from tests.journald import Journald, fields

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
        handler.close()
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
    log_event(logger, LogId.ATTEMPT_CHANGED, elapsed_ms=5, event="a b", sale="01JD", from_state="polling")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO terminald\.test: "
        r'attempt log_id=attempt_changed sale=01JD from_state=polling event="a b" elapsed_ms=5\n',
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
    log_event(logger, LogId.SERVING, reference=CODE, detail=f"code {CODE}")
    logger.info(CODE)
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
    log_event(logger, LogId.SERVING, sn=KEY, detail=f"{KEY}-longer")
    try:
        fail(KEY)
    except ValueError:
        logger.exception("failed")
    text = written(stream)
    assert KEY not in text
    assert "longer" not in text
    assert "sn=*** detail=***\n" in text
    assert "serving" in text


@given(st.text(), st.text(), st.text("0123456789", min_size=16, max_size=24))
def test_no_text_around_a_code_uncovers_it(before: str, after: str, code: str) -> None:
    """I7."""
    assert not re.search("[0-9]{16}", redact(f"{before}{code}{after}"))


@given(st.text(max_size=40))
def test_text_without_long_runs_of_digits_stays_as_it_is(text: str) -> None:
    shown = re.sub("[0-9]{5,}", "", text)
    assert redact(shown) == shown


def test_identifiers_keep_their_digits_in_their_own_fields_only(stream: TextIO) -> None:
    log_event(logger, LogId.SERVING, sn="7894259244067344", reason="7894259244067344")
    assert "serving log_id=serving sn=7894259244067344 reason=7894…7344\n" in written(stream)


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
    log_event(logger, LogId.SERVING, detail=forged, reason='a" to_state="paid')
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


# --- journald -------------------------------------------------------------------------------------------------------


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    """A journald to which the process logs."""
    journald = Journald(tmp_path / "socket")
    log_to(journald.path)
    yield journald
    journald.close()


def log_to(path: Path, limit: Limit | None = None) -> None:
    logging.getLogger().addHandler(Door(JournalOutput(str(path)), limit))
    logging.getLogger("terminald").setLevel(logging.DEBUG)


def test_the_journal_gets_allowed_fields_only(journald: Journald) -> None:
    log_event(logger, LogId.ATTENTION_RAISED, client_sn="0123456789012345678", amount_fen=350)
    logger.info("scanned %s", CODE, extra={"fields": {"secret": KEY, "sn": None, "event": CODE}, "PASSWORD": KEY})
    logger.info("other", extra={"fields": "text", "log_id": "text"})
    first, second, third = journald.read()
    where = first.pop("CODE_FILE"), first.pop("CODE_LINE"), first.pop("CODE_FUNC")
    assert where[0] == __file__
    assert where[2] == "test_the_journal_gets_allowed_fields_only"
    assert first == {
        "MESSAGE": "a person is called log_id=attention_raised client_sn=0123456789012345678 amount_fen=350",
        "MESSAGE_ID": LogId.ATTENTION_RAISED.message_id,
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "terminald",
        "LOGGER": "terminald.test",
        "LOG_ID": "attention_raised",
        "CLIENT_SN": "0123456789012345678",
        "AMOUNT_FEN": "350",
    }
    assert second["MESSAGE"] == "scanned 2812…3456 event=2812…3456"
    assert second["EVENT"] == "2812…3456"
    assert third.keys() == {*USUAL, "CODE_FILE", "CODE_LINE", "CODE_FUNC"}
    assert KEY.encode() not in b"".join(journald.received)
    assert CODE.encode() not in b"".join(journald.received)


#: What a line of a library has in the journal, besides where it stands.
USUAL = {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "LOGGER"}


def test_the_journal_gets_tracebacks_in_the_message_and_nowhere_else(journald: Journald) -> None:
    try:
        fail(CODE)
    except ValueError:
        log_event(logger, LogId.CRASHED, exc_info=True)
    (entry,) = journald.read()
    text = f"{LogId.CRASHED.text} log_id=crashed\n    KeyError: '2812…3456'\n    \n    The above"
    assert entry["MESSAGE"].startswith(text)
    assert entry["MESSAGE"].endswith("ValueError: 2812…3456")
    assert CODE not in repr(entry)
    assert entry["PRIORITY"] == "2"


def test_secrets_in_exceptions_are_on_no_wire(journald: Journald) -> None:
    """I7: in the exception, its cause, its notes, its arguments, and in a group of others."""
    protect(Secret(KEY))
    parts = [ValueError(f"key {KEY}"), OSError(5, f"code {CODE}", f"/run/{CODE}"), KeyError(Secret(KEY))]
    group = ExceptionGroup(f"sign={KEY}", [*parts, ExceptionGroup(CODE, [TypeError(KEY.encode(), CODE)])])
    group.add_note(f"signed {KEY} for {CODE}")
    try:
        raise group from RuntimeError(f"{CODE}{KEY}")
    except ExceptionGroup:
        log_event(logger, LogId.CRASHED, exc_info=True, detail=f"{KEY}\n{CODE}", path=f"/{CODE}")
        logging.getLogger("asyncio").exception("task %r", parts, stack_info=True)
    assert len(journald.read()) == 2
    sent = b"".join(journald.received)
    assert KEY.encode() not in sent
    assert not re.search(rb"[0-9]{16}", sent)
    assert b"***" in sent


@given(st.text(), st.text(), st.sampled_from(sorted(Fields.__annotations__)))
def test_no_value_makes_a_field(before: str, after: str, name: str) -> None:
    value = f"{before}\nPRIORITY=0\nMESSAGE_ID={'0' * 32}\n{after}"
    sent = encode([(name.upper(), value), ("LAST", "1")])
    shown = value.encode(errors="replace").decode()
    assert list(fields(sent)) == [(name.upper(), shown), ("LAST", "1")]


@pytest.mark.parametrize(("level", "priority"), [("debug", "7"), ("info", "6"), ("error", "3")])
def test_levels_are_the_priorities_of_syslog(level: str, priority: str, journald: Journald) -> None:
    getattr(logger, level)("said")
    assert journald.read()[0]["PRIORITY"] == priority


def test_the_longest_entry_fits_into_one_datagram(journald: Journald) -> None:
    """I11: letters of four bytes, in every field, the text and the traceback."""
    long = "\U0001f4b3" * 100_000
    try:
        fail(long)
    except ValueError:
        logger.critical(long, exc_info=True, extra={"fields": dict.fromkeys(Fields.__annotations__, long)})
    (entry,) = journald.read()
    assert entry.keys() > {name.upper() for name in Fields.__annotations__}
    assert 100_000 < len(journald.received[0]) < 200_000


def test_a_journal_that_is_away_or_comes_back_stops_nobody_and_is_told_what_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    log_to(path)
    logger.warning("nothing is there")
    first = Journald(path)
    log_event(logger, LogId.SERVING)
    lost, said = first.read()
    assert (lost["LOG_ID"], lost["COUNT"], lost["MESSAGE_ID"]) == ("lines_lost", "1", LogId.LINES_LOST.message_id)
    assert said["LOG_ID"] == "serving"
    first.close()
    logger.warning("nobody reads")
    logger.warning("nobody reads")
    path.unlink()
    second = Journald(path)
    logger.warning("told")
    assert [one.get("COUNT") for one in second.read()] == ["2", None]
    second.close()


def test_a_journal_that_hangs_stops_nobody_and_every_lost_line_is_counted(tmp_path: Path) -> None:
    """Each line is one datagram, and of those that nobody reads the kernel keeps few."""
    total = 5000
    journald = Journald(tmp_path / "socket")
    log_to(journald.path, Limit(burst=2 * total))
    for _ in range(total):
        logger.info("x")
    kept = journald.read()
    assert 0 < len(kept) < total
    logger.info("again")
    lost, again = journald.read()
    assert (lost["LOG_ID"], again["MESSAGE"]) == ("lines_lost", "again")
    assert int(lost["COUNT"]) == total - len(kept)
    journald.close()


def test_a_closed_socket_takes_nothing_and_raises_nothing(tmp_path: Path) -> None:
    sender = JournalSocket(str(tmp_path / "socket"))
    sender.close()
    sender.close()
    assert not sender.send([("MESSAGE", "x")])


def test_the_journal_is_used_when_systemd_connected_the_stream_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journald = Journald(tmp_path / "socket")
    with tempfile.TemporaryFile("w+") as stream:
        status = os.fstat(stream.fileno())
        named = f"{status.st_dev}:{status.st_ino}"
        assert is_journal(stream, named)
        assert not is_journal(stream, "1:1")
        assert not is_journal(io.StringIO(), named)
        monkeypatch.setenv("JOURNAL_STREAM", named)
        configure("info", stream=stream, address=str(journald.path))
        logger.info("one")
        configure("info", stream=io.StringIO(), address=str(journald.path))
        logger.info("two")
        assert [one["MESSAGE"] for one in journald.read()] == ["one"]
        configure("info", stream=stream, address=str(tmp_path / "not there"))
        logger.info("three")
        assert written(stream).endswith("INFO terminald.test: three\n")
    journald.close()


def test_fields_do_not_collide_with_those_of_journald() -> None:
    taken = {"message", "message_id", "priority", "syslog_identifier", "logger", "log_id"}
    taken |= {"code_file", "code_line", "code_func", "unit", "user_unit", "documentation", "tid", "errno"}
    assert not taken & set(Fields.__annotations__)
    assert set(Fields.__annotations__) >= logs.IDENTIFIERS


# --- what is too much -----------------------------------------------------------------------------------------------


def test_what_repeats_itself_is_left_out_and_its_number_told() -> None:
    limit = Limit(burst=2, window_s=30)
    assert [limit.admits("a", 0), limit.admits("a", 29), limit.admits("a", 29)] == [True, True, False]
    assert limit.admits("b", 29)
    assert list(limit.ended(29.9)) == []
    assert list(limit.ended(30)) == [("a", 1)]
    assert list(limit.ended(1000)) == []
    assert limit.admits("a", 31)


def test_the_number_of_kinds_is_bounded() -> None:
    """I11."""
    limit = Limit(burst=1)
    assert all(limit.admits(f"{number}", 0) for number in range(MAX_KINDS + 1))
    assert not limit.admits("one more", 0)
    assert not limit.admits("5", 0)
    assert sorted(limit.ended(0, is_last=True)) == [("5", 1), ("others", 1)]


def test_each_kind_has_a_limit_of_its_own_and_what_was_left_out_is_said_at_the_end() -> None:
    stream = io.StringIO()
    door = Door(LineOutput(stream), Limit(burst=1, window_s=3600))
    logger.addHandler(door)
    logger.setLevel(logging.INFO)
    try:
        for _ in range(3):
            log_event(logger, LogId.SERVING, detail=CODE)
            log_event(logger, LogId.STOPPING)
        logging.getLogger("terminald.test.other").error("other")
    finally:
        logger.removeHandler(door)
        logger.setLevel(logging.NOTSET)
        door.flush()
        door.close()
    said = [line.split(": ", 1)[1] for line in written(stream).splitlines()]
    assert said == [
        "serving log_id=serving detail=2812…3456",
        "stopping log_id=stopping",
        "other",
        "lines suppressed log_id=lines_suppressed kind=serving count=2",
        "lines suppressed log_id=lines_suppressed kind=stopping count=2",
    ]


def test_what_was_left_out_is_said_before_the_next_line_or_when_it_is_asked_for() -> None:
    stream = io.StringIO()
    door = Door(LineOutput(stream), Limit(burst=1, window_s=0))
    logging.getLogger().addHandler(door)
    suppressing = Limit(burst=0, window_s=0)
    other = io.StringIO()
    logging.getLogger().addHandler(Door(LineOutput(other), suppressing))
    logger.warning("one")
    logger.warning("two")
    assert "kind=terminald.test count=1\n" in written(other)
    assert written(other).count("suppressed") == 2
    tell_suppressed()
    assert written(other).count("suppressed log_id") == 2
    assert "suppressed" not in written(stream)


def test_a_stream_that_takes_nothing_stops_nobody() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", buffering=1) as broken:
        configure("info", stream=broken)
        for _ in range(3):
            log_event(logger, LogId.SERVING)
        second = io.StringIO()
        configure("info", stream=second)
        log_event(logger, LogId.STOPPING)
        assert "stopping" in written(second)
        with contextlib.suppress(BrokenPipeError):
            broken.close()
    configure("info", stream=second)
    second.close()
    log_event(logger, LogId.STOPPING)


@pytest.mark.parametrize("text", ["sign=%s", "%s", "'%s'", "a/%s/b", "%s,"])
def test_what_looks_like_a_key_or_a_signature_is_hidden_before_it_is_known(text: str) -> None:
    """I7: 32 hexadecimal digits that stand alone."""
    for digest in ("0123456789abcdef" * 2, "0123456789ABCDEF" * 2):
        assert redact(text % digest) == text % "***"
        assert redact(text % f"{digest}0").count("***") == 0
