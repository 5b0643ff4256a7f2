import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.events import Blockage
from terminald.wire.printer_status import (
    CAUSE,
    ERROR,
    PAPER,
    PRINTER,
    AutomaticStatus,
    PaperState,
    PrinterState,
    ProcessId,
    QueuedStatus,
    RealTimeStatus,
    Reply,
    ReplyReader,
    process_id,
    read_state,
)

TAGS = st.binary(min_size=4, max_size=4).map(lambda data: bytes(0x20 + byte % 0x5F for byte in data))
REPLIES = st.one_of(
    st.integers(0, 255).map(lambda bits: RealTimeStatus(bits=bits & ~0x93 | 0x12)),
    st.integers(0, 255).map(lambda bits: QueuedStatus(bits=bits & ~0x90)),
    st.tuples(st.integers(0, 255), st.binary(min_size=3, max_size=3)).map(
        lambda parts: AutomaticStatus(data=bytes((parts[0] & ~0x93 | 0x10, *(byte & ~0x10 for byte in parts[1]))))
    ),
    TAGS.map(lambda tag: ProcessId(tag=tag)),
)
FLOW = st.sampled_from((0x11, 0x13))


def written(reply: Reply) -> bytes:
    match reply:
        case RealTimeStatus() | QueuedStatus():
            return bytes((reply.bits,))
        case AutomaticStatus():
            return reply.data
    return b"\x37\x22" + reply.tag + b"\x00"


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(REPLIES), st.lists(st.integers(0, 999)), st.lists(st.tuples(st.integers(0, 999), FLOW)))
def test_replies_are_told_apart_however_they_are_divided_and_whatever_flow_control_is_between(
    replies: list[Reply], cuts: list[int], flow: list[tuple[int, int]]
) -> None:
    data = bytearray(b"".join(map(written, replies)))
    for place, byte in flow:
        data.insert(place % (len(data) + 1), byte)
    reader = ReplyReader()
    assert [reply for part in chunked(bytes(data), cuts) for reply in reader.feed(part)] == replies


@given(st.binary(), st.lists(st.integers(0, 999)))
def test_noise_raises_nothing_and_its_meaning_does_not_depend_on_how_it_is_divided(
    data: bytes, cuts: list[int]
) -> None:
    """I11: nothing is kept for long either."""
    reader, whole = ReplyReader(), ReplyReader()
    found = [reply for part in chunked(data, cuts) for reply in reader.feed(part)]
    assert found == list(whole.feed(data))
    assert len(b"".join(map(written, found))) <= len(data)


@given(st.binary(max_size=20))
def test_after_noise_a_reader_that_was_reset_understands_the_next_reply(noise: bytes) -> None:
    reader = ReplyReader()
    reader.feed(noise)
    reader.reset()
    assert reader.feed(b"\x12") == (RealTimeStatus(bits=0x12),)


def test_a_reply_that_breaks_off_is_dropped_and_the_next_one_is_understood() -> None:
    assert ReplyReader().feed(b"\x37\x12") == (RealTimeStatus(bits=0x12),)
    assert ReplyReader().feed(b"\x37\x22ab\x04\x1a") == (QueuedStatus(bits=0x04), RealTimeStatus(bits=0x1A))
    assert ReplyReader().feed(b"\x37\x22abcd\x12") == (RealTimeStatus(bits=0x12),)
    assert ReplyReader().feed(b"\x14\x00\x12") == (RealTimeStatus(bits=0x12),)


def test_a_byte_of_no_kind_is_dropped() -> None:
    assert ReplyReader().feed(b"\xff\x92\x91\x00") == (QueuedStatus(bits=0),)


def test_a_printer_that_answers_without_paper_has_printed_nothing() -> None:
    assert QueuedStatus(bits=0x03).has_paper
    assert not QueuedStatus(bits=0x0F).has_paper


@pytest.mark.parametrize(
    ("answers", "state", "blocked_by", "words"),
    [
        ({}, PrinterState(), None, ""),
        ({PRINTER: 0x12, CAUSE: 0x12, ERROR: 0x12, PAPER: 0x12}, PrinterState(), None, ""),
        ({PAPER: 0x1E}, PrinterState(paper=PaperState.NEAR_END), None, "near its end"),
        ({PAPER: 0x7E}, PrinterState(paper=PaperState.OUT), Blockage.PAPER, "new roll"),
        ({CAUSE: 0x32}, PrinterState(paper=PaperState.OUT), Blockage.PAPER, "new roll"),
        (
            {PRINTER: 0x1A, CAUSE: 0x16, PAPER: 0x72},
            PrinterState(paper=PaperState.OUT, is_cover_open=True, is_offline=True),
            Blockage.COVER,
            "close it",
        ),
        ({CAUSE: 0x52, ERROR: 0x1A}, PrinterState(is_cutter_stuck=True), Blockage.CUTTER, "blade"),
        ({CAUSE: 0x52}, PrinterState(is_in_error=True), Blockage.OFFLINE, "cool down"),
        ({CAUSE: 0x52, ERROR: 0x32}, PrinterState(is_in_error=True), Blockage.OFFLINE, "cool down"),
        ({PRINTER: 0x1A}, PrinterState(is_offline=True), Blockage.OFFLINE, "button"),
        ({CAUSE: 0x1A}, PrinterState(is_offline=True), Blockage.OFFLINE, "button"),
    ],
)
def test_the_answers_say_together_what_is_wrong(
    answers: dict[int, int], state: PrinterState, blocked_by: Blockage | None, words: str
) -> None:
    assert read_state(answers) == state
    assert state.blocked_by is blocked_by
    assert words in state.words
    assert bool(words) == bool(state.words)


@given(TAGS)
def test_a_process_id_is_asked_for_as_the_manual_says(tag: bytes) -> None:
    assert process_id(tag) == bytes.fromhex("1d28480600 3030") + tag


@pytest.mark.parametrize("tag", [b"", b"12345", b"123\n", b"123\x7f"])
def test_a_process_id_is_four_printable_characters(tag: bytes) -> None:
    with pytest.raises(ValueError, match="four printable"):
        process_id(tag)
