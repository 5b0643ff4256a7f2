"""What engines answer to commands never becomes a code, and never becomes a part of one."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.ids import PaymentCode
from terminald.wire.barcode import FRAME_LIMIT, GAP_MS, QUIET_MS, STALE_MS, SUFFIXES, Framer, Suffix, classify

CODE = "130812345678901147"
OTHER = "284412345678905566"
PATTERN = re.compile("[0-9A-Za-z]{16,24}")
GM65, ACK, NAK = bytes.fromhex("02000001003331"), bytes.fromhex("04D00000FF2C"), bytes.fromhex("05D1000006FF24")
REPLIES = (GM65, ACK, NAK)
ENDINGS: dict[Suffix, bytes] = {
    "auto": b"\r\n",
    "cr": b"\r",
    "lf": b"\n",
    "crlf": b"\r\n",
    "tab": b"\t",
    "none": b"",
}
TERMINATED = [suffix for suffix in SUFFIXES if suffix != "none"]
#: What a scanner may put before each code (STX; the AIM names of Code 128, QR and Data Matrix).
PREFIXES = ("", "\x02", "]C0", "]C1", "]Q1", "]Q3", "]d2", "\x02]Q1")


#: Marks in the record of a stream where everything had ended by a silence; no noise below is like it.
SILENCE = b"<silence>"


def silence(framer: Framer, now_ms: int) -> list[str]:
    """Do what the adapter does: one call at each deadline, until only bytes matter."""
    frames = []
    while (deadline_ms := framer.deadline()) is not None:
        now_ms = max(now_ms, deadline_ms)
        frames += framer.idle(now_ms)
    return frames


def codes_in(frames: list[str]) -> list[str]:
    found = [classify(frame, PATTERN) for frame in frames]
    return [code.reveal() for code in found if isinstance(code, PaymentCode)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_code_that_is_glued_behind_replies_is_exact(suffix: Suffix, reply: bytes, count: int) -> None:
    framer = Framer(suffix)
    frames = framer.feed(reply * count + CODE.encode() + ENDINGS[suffix], 0)
    assert frames + silence(framer, 0) == [CODE]
    assert (framer.garbled, framer.truncated) == (0, 0)


@pytest.mark.parametrize("suffix", TERMINATED)
@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_between_two_codes_touches_neither(suffix: Suffix, reply: bytes) -> None:
    framer = Framer(suffix)
    end = ENDINGS[suffix]
    assert framer.feed(CODE.encode() + end + reply + OTHER.encode() + end, 0) == [CODE, OTHER]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("at", [1, 9, len(CODE)])
def test_a_reply_inside_a_code_or_at_its_end_costs_the_code(suffix: Suffix, reply: bytes, at: int) -> None:
    framer = Framer(suffix)
    frames = framer.feed(CODE[:at].encode() + reply + CODE[at:].encode() + ENDINGS[suffix], 0)
    frames += silence(framer, 0)
    assert codes_in(frames) == []
    frames = framer.feed(OTHER.encode() + ENDINGS[suffix], 5000)
    assert frames + silence(framer, 5000) == [OTHER]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("pause_ms", [0, GAP_MS, GAP_MS + 1, STALE_MS - 1])
def test_a_reply_that_stalls_is_waited_for(suffix: Suffix, reply: bytes, pause_ms: int) -> None:
    """Its last two bytes alone, "31", would lengthen the next code."""
    for at in range(2, len(reply)):
        framer = Framer(suffix)
        frames = framer.feed(reply[:at], 0)
        frames += framer.idle(pause_ms)
        frames += framer.feed(reply[at:] + CODE.encode() + ENDINGS[suffix], pause_ms)
        assert frames + silence(framer, pause_ms) == [CODE]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("reply", REPLIES)
def test_arming_in_the_middle_of_a_reply_costs_nothing(suffix: Suffix, reply: bytes) -> None:
    for at in range(2, len(reply)):
        framer = Framer(suffix)
        framer.feed(reply[:at], 0)
        framer.discard()
        frames = framer.feed(reply[at:] + CODE.encode() + ENDINGS[suffix], 1)
        assert frames + silence(framer, 1) == [CODE]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_that_never_ends_is_forgotten(reply: bytes) -> None:
    for suffix in SUFFIXES:
        framer = Framer(suffix)
        framer.feed(reply[:-1], 0)
        assert silence(framer, 0) == []
        frames = framer.feed(CODE.encode() + ENDINGS[suffix], QUIET_MS * 3)
        assert frames + silence(framer, QUIET_MS * 3) == [CODE]


@pytest.mark.parametrize("reply", [bytes.fromhex("310000005500"), bytes.fromhex("5A01000290009 3A5".replace(" ", ""))])
def test_the_reply_of_an_engine_that_is_not_known_is_no_code(reply: bytes) -> None:
    for suffix in SUFFIXES:
        framer = Framer(suffix)
        frames = framer.feed(reply + CODE.encode() + ENDINGS[suffix], 0)
        assert set(codes_in(frames + silence(framer, 0))) <= {CODE}


@given(
    suffix=st.sampled_from(SUFFIXES),
    parts=st.lists(st.sampled_from((*REPLIES, *(reply[:5] for reply in REPLIES), b"", b"\xff", b"\x02"))),
    sizes=st.lists(st.integers(1, 9), min_size=1),
)
def test_codes_among_replies_and_their_ruins_are_exact_or_not_there(
    suffix: Suffix, parts: list[bytes], sizes: list[int]
) -> None:
    framer = Framer(suffix)
    stream = b"".join(part + CODE.encode() + ENDINGS[suffix] for part in parts)
    frames = []
    now_ms = turn = 0
    while stream:
        size = sizes[turn % len(sizes)]
        frames += framer.feed(stream[:size], now_ms)
        stream = stream[size:]
        now_ms += size
        turn += 1
    frames += silence(framer, now_ms)
    assert set(codes_in(frames)) <= ({CODE} if suffix != "none" or len(parts) == 1 else set())


class TestScans:
    """Ten thousand random codes through every chunking and suffix; a million bytes of noise."""

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("chunking", ["whole", "bytes", "packets of 16", "at random", "several codes"])
    def test_every_scan_is_exact(self, suffix: Suffix, chunking: str) -> None:
        """10,000 scans in all, a tenth of them behind an engine's reply."""
        draw = random.Random(f"{suffix} {chunking}")
        framer = Framer(suffix)
        expected, frames = [], []
        now_ms = 0
        waiting = b""
        for _ in range(10_000 // (len(SUFFIXES) * 5) + 1):
            code = "".join(draw.choices("0123456789", k=draw.randint(16, 24)))
            prefix = draw.choice(PREFIXES)
            reply = draw.choice(REPLIES) if draw.random() < 0.1 else b""
            expected.append(f"{prefix}{code}".lstrip("\x02"))
            waiting += reply + f"{prefix}{code}".encode() + ENDINGS[suffix]
            if chunking == "several codes" and suffix != "none" and draw.random() < 0.7:
                continue
            while waiting:
                size = {"whole": len(waiting), "several codes": len(waiting), "bytes": 1, "packets of 16": 16}.get(
                    chunking, draw.randint(1, 9)
                )
                frames += framer.feed(waiting[:size], now_ms)
                waiting = waiting[size:]
                now_ms += draw.randint(0, 9)
            if suffix == "none":
                now_ms += GAP_MS
                frames += framer.idle(now_ms)
            elif draw.random() < 0.5:
                now_ms += draw.randint(0, 2000)
                frames += framer.idle(now_ms)
        frames += framer.feed(waiting, now_ms)
        assert frames == expected
        assert codes_in(frames) == [frame[3:] if frame.startswith("]") else frame for frame in expected]
        assert (framer.dropped, framer.garbled, framer.truncated) == (0, 0, 0)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_million_bytes_of_noise_raise_nothing_and_join_nothing(self, suffix: Suffix) -> None:
        """A million in all: uniform noise, digits among it, torn replies, torn codes."""
        draw = random.Random(f"noise {suffix}")
        framer = Framer(suffix)
        frames: list[str] = []
        stream = bytearray()
        now_ms = 0
        while len(stream) < 1_000_000 // len(SUFFIXES) + 1:
            data = _noise(draw)
            frames += framer.feed(data, now_ms)
            stream += data
            if draw.random() < 0.5:
                now_ms += draw.choice((1, 20, GAP_MS, STALE_MS, QUIET_MS))
                frames += framer.idle(now_ms)
                if framer.deadline() is None:
                    stream += SILENCE
        frames += silence(framer, now_ms)
        assert all(0 < len(frame) <= FRAME_LIMIT and frame.isascii() and frame.isprintable() for frame in frames)
        assert len(frames) > 50
        pieces = _pieces(bytes(stream), suffix)
        assert [frame for frame in frames if frame not in pieces] == []
        assert all(len(code) <= 32 for code in codes_in(frames))
        assert codes_in(frames)


def _noise(draw: random.Random) -> bytes:
    kind = draw.randrange(5)
    if kind == 0:
        return draw.randbytes(draw.randint(1, 200))
    if kind == 1:
        return bytes(draw.choices(b"0123456789\r\n\t\0\x02\x03", k=draw.randint(1, 60)))
    if kind == 2:
        reply = draw.choice(REPLIES)
        return reply[draw.randint(0, 3) : draw.randint(3, 7)]
    code = "".join(draw.choices("0123456789", k=draw.randint(16, 24))).encode()
    if kind == 3:
        return code[draw.randint(0, 8) :] + draw.choice((b"", b"\r", b"\n", b"\t", b"\r\n"))
    return code * draw.choice((1, 1, 1, 2, 30)) + draw.choice((b"\r", b"\n", b"\t"))


def _pieces(stream: bytes, suffix: Suffix) -> set[str]:
    """Return everything that stands between two ends of frames, by a reading of its own: nothing may join over one.

    A reply is nothing where it follows an end, and a part of its piece anywhere else.
    """
    ends = {"auto": b"\r\n\t\x03\0", "tab": b"\t\x03", "cr": b"\r\x03", "none": b""}.get(suffix, b"\n\x03")
    before = b"(^|" + SILENCE + (b"|[" + ends + b"]" if ends else b"") + b")"
    replies = b"(?:[\0\x03\t\n\r]*(?:" + b"|".join(map(re.escape, REPLIES)) + b"))+"
    stream = re.sub(before + replies, rb"\1", stream)
    found = set()
    for piece in re.split(SILENCE + (b"|[" + ends + b"]" if ends else b""), stream):
        text = piece.lstrip(b"\0\x03\t\n\r\x02").rstrip(b"\0\x03\t\n\r")
        if text.isascii():
            found.add(text.decode())
    return found
