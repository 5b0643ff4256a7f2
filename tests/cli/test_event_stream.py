"""Server-sent events, in whatever pieces they arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.cli.event_stream import MAX_LINE, EventDecoder, StreamEvent

STREAM = (
    b"retry: 1000\nid: 7\n\n"
    b"id: 8\nevent: sale\ndata: {\xe2\x80\xa8}\n\n"
    b":\n\n"
    b"id: 9\r\nevent: print\r\ndata:1\r\ndata: 2\r\n\r\n"
    b"unknown: field\n\n"
)
EVENTS = [
    StreamEvent(id=7),
    StreamEvent(id=8, topic="sale", data=b"{\xe2\x80\xa8}"),
]


def decode(*chunks: bytes) -> list[StreamEvent]:
    decoder = EventDecoder(5)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@given(st.lists(st.integers(0, len(STREAM))))
def test_chunking_does_not_matter(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(places)]
    assert decode(*chunks) == decode(STREAM)


def test_events_have_position_topic_and_data() -> None:
    found = decode(STREAM)
    assert found[:2] == EVENTS
    assert StreamEvent(id=9, topic="print", data=b"1\n2") in found


def test_a_sign_of_life_is_an_event_without_topic() -> None:
    assert decode(b":\n\n")[0] == StreamEvent(id=5)


def test_what_is_not_complete_is_no_event() -> None:
    assert decode(b"id: 9\nevent: sale\ndata: {}") == []


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="does not end"):
        decode(b"x" * (MAX_LINE + 1))


def test_a_position_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        decode(b"id: x\n\n")
