"""The frame decoder drops what is in doubt, whole; the classifier judges form alone."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.ids import PaymentCode
from terminald.wire.barcode import (
    FRAME_LIMIT,
    GAP_MS,
    QUIET_MS,
    STALE_MS,
    SUFFIXES,
    Framer,
    NotPaymentCode,
    Suffix,
    bare,
    classify,
)

CODE = "130812345678901147"
OTHER = "284412345678905566"
PATTERN = re.compile("^[0-9]{16,24}$")
ENDINGS: dict[Suffix, bytes] = {
    "auto": b"\r\n",
    "cr": b"\r",
    "lf": b"\n",
    "crlf": b"\r\n",
    "tab": b"\t",
    "none": b"",
}

#: Bytes that mean something to a framer, more often than not.
line_bytes = st.lists(
    st.one_of(
        st.sampled_from([b"\r", b"\n", b"\t", b"\0", b"\x02", b"\x03", CODE.encode(), bytes.fromhex("02000001003331")]),
        st.binary(max_size=8),
    )
).map(b"".join)


def suffixes(*, timed: bool = True) -> list[Suffix]:
    return [suffix for suffix in SUFFIXES if timed or suffix != "none"]


def counters(framer: Framer) -> tuple[int, int, int]:
    return framer.dropped, framer.garbled, framer.truncated


def silence(framer: Framer, now_ms: int) -> list[str]:
    """Do what the adapter does: one call at each deadline, until only bytes matter."""
    frames = []
    while (deadline_ms := framer.deadline()) is not None:
        now_ms = max(now_ms, deadline_ms)
        frames += framer.idle(now_ms)
    return frames


class TestFrames:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_code_with_its_suffix_is_one_frame(self, suffix: Suffix) -> None:
        framer = Framer(suffix)
        frames = framer.feed(CODE.encode() + ENDINGS[suffix], 0)
        assert frames + silence(framer, 0) == [CODE]
        assert framer.deadline() is None

    @pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\t", b"\0", b"\x03"])
    def test_auto_knows_every_end(self, end: bytes) -> None:
        framer = Framer("auto")
        assert framer.feed((CODE.encode() + end) * 2, 0) == [CODE, CODE]

    @pytest.mark.parametrize("suffix", suffixes(timed=False))
    def test_stx_etx_and_empty_frames_are_no_content(self, suffix: Suffix) -> None:
        framer = Framer(suffix)
        end = ENDINGS[suffix]
        data = b"\0\r\n\x03" + end + b"\x02" + end + b"\x02" + CODE.encode() + b"\x03" + end + end + b"\0"
        assert framer.feed(data, 0) == [CODE]
        assert counters(framer) == (0, 0, 0)

    def test_a_carriage_return_inside_is_no_end_when_the_suffix_is_line_feed(self) -> None:
        framer = Framer("crlf")
        assert framer.feed(b"1234\r5678\r\n" + CODE.encode() + b"\r\n", 0) == [CODE]
        assert framer.garbled == 1

    @pytest.mark.parametrize("noise", [b"\xff", b"\x01", b"\x7f", "支".encode()])
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_frame_with_other_bytes_than_printable_ascii_is_dropped(self, suffix: Suffix, noise: bytes) -> None:
        framer = Framer(suffix)
        frames = framer.feed(CODE[:9].encode() + noise + CODE[9:].encode() + ENDINGS[suffix], 0)
        assert frames + silence(framer, 0) == []
        assert counters(framer) == (0, 1, 0)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_start_of_text_that_is_sent_twice_is_no_content(self, suffix: Suffix) -> None:
        framer = Framer(suffix)
        frames = framer.feed(b"\x02\x02" + CODE.encode() + ENDINGS[suffix] + b"\x02\x02", 0)
        assert frames + silence(framer, 0) == ([] if suffix == "none" else [CODE])

    def test_a_nul_of_a_disturbed_line_is_no_end_when_the_suffix_is_known(self) -> None:
        framer = Framer("cr")
        assert framer.feed(CODE.encode() + b"\x0012\r", 0) == []
        assert framer.garbled == 1

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_the_answer_to_a_command_is_no_part_of_a_code(self, suffix: Suffix) -> None:
        framer = Framer(suffix)
        frames = framer.feed(bytes.fromhex("02000001003331") + CODE.encode() + ENDINGS[suffix], 0)
        assert frames + silence(framer, 0) == [CODE]

    def test_the_digits_in_an_unknown_binary_answer_do_not_lengthen_a_code(self) -> None:
        framer = Framer("auto")
        assert framer.feed(bytes.fromhex("02000002003331") + CODE.encode() + b"\r" + OTHER.encode() + b"\r", 0) == [
            OTHER
        ]
        assert framer.garbled == 1

    @pytest.mark.parametrize("suffix", suffixes(timed=False))
    def test_an_endless_frame_is_dropped_up_to_the_next_end(self, suffix: Suffix) -> None:
        framer = Framer(suffix)
        end = ENDINGS[suffix]
        assert framer.feed(b"7" * (FRAME_LIMIT * 3), 0) == []
        assert framer.feed(CODE.encode() + end + OTHER.encode() + end, 0) == [OTHER]
        assert counters(framer) == (1, 0, 0)

    def test_the_longest_frame_is_kept(self) -> None:
        assert Framer("cr").feed(b"7" * FRAME_LIMIT + b"\r", 0) == ["7" * FRAME_LIMIT]
        assert Framer("cr").feed(b"7" * (FRAME_LIMIT + 1) + b"\r", 0) == []


class TestTime:
    def test_a_frame_that_is_open_too_long_is_dropped_and_not_delivered(self) -> None:
        framer = Framer("auto")
        assert framer.feed(CODE.encode(), 100) == []
        assert framer.deadline() == 100 + STALE_MS
        assert framer.idle(100 + STALE_MS - 1) == []
        assert framer.truncated == 0
        assert framer.idle(100 + STALE_MS) == []
        assert framer.truncated == 1

    @pytest.mark.parametrize("is_seen", [True, False])
    def test_the_late_half_of_a_code_is_not_taken_for_a_code(self, *, is_seen: bool) -> None:
        """The line stalls after two characters; what follows would pass as a shorter code."""
        framer = Framer("cr")
        framer.feed(CODE[:2].encode(), 0)
        if is_seen:
            framer.idle(STALE_MS)
        assert framer.feed(CODE[2:].encode() + b"\r", STALE_MS + 1) == []
        assert framer.feed(OTHER.encode() + b"\r", STALE_MS + 2) == [OTHER]
        assert counters(framer) == (0, 0, 1)

    def test_after_a_long_silence_a_broken_frame_is_over(self) -> None:
        framer = Framer("cr")
        framer.feed(b"9", 0)
        framer.idle(STALE_MS)
        assert framer.deadline() == QUIET_MS
        framer.idle(QUIET_MS)
        assert framer.deadline() is None
        assert framer.feed(CODE.encode() + b"\r", QUIET_MS + 1) == [CODE]

    def test_a_silence_that_nobody_saw_does_not_end_a_broken_frame(self) -> None:
        framer = Framer("cr")
        framer.feed(b"9", 0)
        framer.idle(STALE_MS)
        assert framer.feed(CODE.encode() + b"\r", QUIET_MS * 5) == []

    def test_without_suffix_a_gap_ends_a_frame(self) -> None:
        framer = Framer("none")
        framer.feed(CODE[:5].encode(), 0)
        framer.feed(CODE[5:].encode(), GAP_MS - 1)
        assert framer.idle(GAP_MS) == []
        assert framer.deadline() == 2 * GAP_MS - 1
        assert framer.idle(2 * GAP_MS - 1) == [CODE]
        assert framer.feed(OTHER.encode(), 500) == []
        assert framer.idle(550) == [OTHER]

    def test_without_suffix_an_end_that_comes_all_the_same_is_cut_off(self) -> None:
        framer = Framer("none")
        framer.feed(CODE.encode() + b"\r\n", 0)
        assert framer.idle(GAP_MS) == [CODE]

    def test_without_suffix_nothing_but_noise_is_no_frame(self) -> None:
        framer = Framer("none")
        framer.feed(b"\x02\r\0", 0)
        assert framer.idle(GAP_MS) == []
        assert counters(framer) == (0, 0, 0)

    def test_without_suffix_a_gap_that_nobody_saw_drops_both_halves(self) -> None:
        """A late reader can not know whether the second part arrived in time."""
        framer = Framer("none")
        framer.feed(CODE[:17].encode(), 0)
        assert framer.feed(CODE[17:].encode(), GAP_MS) == []
        assert framer.idle(2 * GAP_MS) == []
        assert framer.truncated == 1
        framer.feed(OTHER.encode(), 1000)
        assert framer.idle(1000 + GAP_MS) == [OTHER]

    def test_without_suffix_an_endless_frame_is_dropped_up_to_a_gap(self) -> None:
        framer = Framer("none")
        framer.feed(b"7" * (FRAME_LIMIT * 3), 0)
        framer.feed(CODE.encode(), 10)
        assert framer.idle(10 + GAP_MS) == []
        assert counters(framer) == (1, 0, 0)

    def test_the_gap_is_at_least_five_characters_of_a_slow_line(self) -> None:
        framer = Framer("none", baudrate=300)
        framer.feed(b"1", 0)
        assert framer.deadline() == 167

    def test_a_clock_that_runs_backwards_does_no_harm(self) -> None:
        framer = Framer("auto")
        framer.feed(CODE.encode(), 1000)
        assert framer.feed(b"\r", 0) == [CODE]


class TestDiscarding:
    @pytest.mark.parametrize("suffix", suffixes(timed=False))
    def test_a_frame_that_began_before_is_dropped_with_its_remainder(self, suffix: Suffix) -> None:
        framer = Framer(suffix)
        end = ENDINGS[suffix]
        framer.feed(CODE[:2].encode(), 0)
        framer.discard()
        assert framer.feed(CODE[2:].encode() + end + OTHER.encode() + end, 1) == [OTHER]

    def test_between_frames_nothing_is_dropped(self) -> None:
        framer = Framer("auto")
        framer.feed(CODE.encode() + b"\r", 0)
        framer.discard()
        assert framer.feed(b"\n" + OTHER.encode() + b"\r", 1) == [OTHER]

    def test_after_lost_bytes_the_frame_under_way_is_dropped(self) -> None:
        framer = Framer("auto")
        framer.feed(CODE.encode() + b"\r", 0)
        framer.resynchronise()
        assert framer.feed(CODE[1:].encode() + b"\r" + OTHER.encode() + b"\r", 1) == [OTHER]

    def test_another_line_begins_anew(self) -> None:
        framer = Framer("auto")
        framer.feed(b"12", 0)
        framer.discard()
        framer.reset()
        assert framer.feed(CODE.encode() + b"\r", 1) == [CODE]


class TestProperties:
    @given(suffix=st.sampled_from(SUFFIXES), instants=st.lists(line_bytes, max_size=5), data=st.data())
    def test_framing_is_independent_of_chunking(
        self, suffix: Suffix, instants: list[bytes], data: st.DataObject
    ) -> None:
        whole, pieces = Framer(suffix), Framer(suffix)
        expected, got = [], []
        now_ms = 0
        for chunk in instants:
            now_ms += data.draw(st.sampled_from([0, 1, GAP_MS, STALE_MS, QUIET_MS]))
            expected += whole.feed(chunk, now_ms)
            cuts = sorted(data.draw(st.lists(st.integers(0, len(chunk)), max_size=6)))
            for start, stop in zip([0, *cuts], [*cuts, len(chunk)], strict=True):
                got += pieces.feed(chunk[start:stop], now_ms)
            if data.draw(st.booleans()):
                now_ms += data.draw(st.sampled_from([0, GAP_MS, STALE_MS, QUIET_MS]))
                expected += whole.idle(now_ms)
                got += pieces.idle(now_ms)
            assert whole.deadline() == pieces.deadline()
        assert got == expected
        assert counters(pieces) == counters(whole)

    @given(suffix=st.sampled_from(SUFFIXES), chunks=st.lists(st.tuples(line_bytes, st.integers(0, 2000))))
    def test_no_bytes_raise_and_every_frame_is_bounded_text(
        self, suffix: Suffix, chunks: list[tuple[bytes, int]]
    ) -> None:
        framer = Framer(suffix)
        frames = []
        now_ms = 0
        for chunk, wait_ms in chunks:
            frames += framer.feed(chunk, now_ms)
            now_ms += wait_ms
            frames += framer.idle(now_ms)
        for frame in frames + silence(framer, now_ms):
            assert 0 < len(frame) <= FRAME_LIMIT
            assert frame.isascii()
            assert frame.isprintable()
            assert isinstance(classify(frame, PATTERN), PaymentCode | NotPaymentCode)
        assert framer.deadline() is None

    @given(
        suffix=st.sampled_from(suffixes(timed=False)),
        cut=st.integers(1, len(CODE) - 1),
        stall_ms=st.integers(0, 3000),
        wakes=st.lists(st.integers(1, 3000)),
    )
    def test_a_stalled_code_is_whole_or_not_there(
        self, suffix: Suffix, cut: int, stall_ms: int, wakes: list[int]
    ) -> None:
        """However long the line stalls, no half is delivered while the silence is shorter than QUIET_MS."""
        framer = Framer(suffix)
        frames = framer.feed(CODE[:cut].encode(), 0)
        for wake_ms in sorted(wake for wake in wakes if wake < min(stall_ms, QUIET_MS)):
            frames += framer.idle(wake_ms)
        frames += framer.feed(CODE[cut:].encode() + ENDINGS[suffix], stall_ms)
        assert frames == ([CODE] if stall_ms < STALE_MS else [])

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_ten_thousand_codes_in_random_pieces_come_out_exactly(self, suffix: Suffix) -> None:
        draw = random.Random(20)
        codes = ["".join(draw.choices("0123456789", k=draw.randint(16, 24))) for _ in range(10_000)]
        framer = Framer(suffix)
        now_ms = 0
        frames = []
        for code in codes:
            data = code.encode() + ENDINGS[suffix]
            while data:
                size = draw.randint(1, 9)
                frames += framer.feed(data[:size], now_ms)
                data = data[size:]
                now_ms += draw.randint(0, 9)
            if suffix == "none":
                now_ms += GAP_MS
                frames += framer.idle(now_ms)
        assert frames == codes
        assert counters(framer) == (0, 0, 0)


class TestClassify:
    @pytest.mark.parametrize("code", ["1234567890123456", CODE, "0112345678901234567", "9" * 24])
    @pytest.mark.parametrize("prefix", ["", "]Q1", "]C0", "]d2"])
    def test_a_payment_code_is_taken_as_text_without_prefix(self, prefix: str, code: str) -> None:
        result = classify(prefix + code, PATTERN)
        assert isinstance(result, PaymentCode)
        assert result.reveal() == code

    @pytest.mark.parametrize(
        ("frame", "reason"),
        [
            ("69012349", "product_barcode"),
            ("690123456789", "product_barcode"),
            ("6901234567892", "product_barcode"),
            ("]E06901234567892", "product_barcode"),
            (f"]E0{CODE}", "product_barcode"),
            ("16901234567899", "product_barcode"),
            ("https://qr.alipay.com/fkx0123456789", "web_address"),
            ("HTTPS://QR.95516.COM/00010000", "web_address"),
            ("]Q1wxp://f2f0abcdef", "web_address"),
            ("www.example.com", "web_address"),
            ("http:broken", "web_address"),
            ("9" * 25, "too_long"),
            ("9" * 33, "too_long"),
            ("fp" + "a" * 33, "too_long"),
            ("", "too_short"),
            ("]Q1", "too_short"),
            ("1234567", "too_short"),
            ("9" * 15, "too_short"),
            ("hello", "not_a_payment_code"),
            ("13081234567890 1147", "not_a_payment_code"),
            ("1308123456789-1147", "not_a_payment_code"),
            ("１３０８１２３４５６７８９０１１４７", "not_a_payment_code"),
            (f"{CODE}\n", "not_a_payment_code"),
        ],
    )
    def test_what_is_no_payment_code_has_a_reason(self, frame: str, reason: str) -> None:
        result = classify(frame, PATTERN)
        assert isinstance(result, NotPaymentCode)
        assert result.reason == reason

    def test_the_pattern_of_the_configuration_decides_within_the_hard_limits(self) -> None:
        anything = re.compile(".*")
        assert classify("A" * 32, anything) == PaymentCode("A" * 32)
        assert isinstance(classify("A" * 33, anything), NotPaymentCode)
        assert isinstance(classify("6901234567892", anything), NotPaymentCode)
        assert isinstance(classify("a b", anything), NotPaymentCode)
        only_wechat = re.compile("1[0-5][0-9]{16}")
        assert classify(CODE + "1", only_wechat) == classify("hello", only_wechat)

    @given(frame=st.text(max_size=600))
    def test_any_text_is_judged_and_never_quoted(self, frame: str) -> None:
        """I7: the sentence for the customer holds nothing of what was scanned."""
        result = classify(frame, PATTERN)
        if isinstance(result, NotPaymentCode):
            reference = classify("6901234567892", PATTERN)
            assert isinstance(reference, NotPaymentCode)
            assert result.detail.endswith("Please show the payment code of your app.")
            assert result.detail == classify_again(result.reason).detail
        else:
            assert PATTERN.fullmatch(result.reveal())

    def test_the_bare_frame_has_no_prefix(self) -> None:
        assert bare("]E06901234567892") == "6901234567892"
        assert bare("6901234567892") == "6901234567892"
        assert bare("]") == "]"


def classify_again(reason: str) -> NotPaymentCode:
    """Return the same refusal for another frame."""
    samples = {
        "product_barcode": "69012349",
        "web_address": "wxp://x",
        "too_long": "9" * 40,
        "too_short": "1",
        "not_a_payment_code": "?",
    }
    result = classify(samples[reason], PATTERN)
    assert isinstance(result, NotPaymentCode)
    return result
