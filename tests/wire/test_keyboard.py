"""Typed codes come out as typed, or not at all."""

import itertools
import struct

import pytest
from evdev import ecodes
from hypothesis import given
from hypothesis import strategies as st

from terminald.wire.barcode import FRAME_LIMIT, QUIET_MS, STALE_MS, Suffix
from terminald.wire.keyboard import EVENT_SIZE, KeyFramer, types_codes
from tests.adapters.kernel_keyboard import DROPPED, code_of, packed, packet, strokes, typed

CODE = "130812345678901147"
OTHER = "284412345678905566"
UNTOUCHED: frozenset[int] = frozenset()

#: The US layout by the kernel's names of the keys: without Shift, with it.
ROWS = {
    **{f"KEY_{plain}": (plain, shifted) for plain, shifted in zip("1234567890", "!@#$%^&*()", strict=True)},
    "KEY_MINUS": "-_",
    "KEY_EQUAL": "=+",
    "KEY_LEFTBRACE": "[{",
    "KEY_RIGHTBRACE": "]}",
    "KEY_BACKSLASH": "\\|",
    "KEY_SEMICOLON": ";:",
    "KEY_APOSTROPHE": "'\"",
    "KEY_GRAVE": "`~",
    "KEY_COMMA": ",<",
    "KEY_DOT": ".>",
    "KEY_SLASH": "/?",
    "KEY_SPACE": "  ",
}
LETTERS = {f"KEY_{letter.upper()}": (letter, letter.upper()) for letter in "abcdefghijklmnopqrstuvwxyz"}
KEYPAD = {
    **{f"KEY_KP{digit}": digit for digit in "0123456789"},
    "KEY_KPDOT": ".",
    "KEY_KPMINUS": "-",
    "KEY_KPPLUS": "+",
    "KEY_KPASTERISK": "*",
    "KEY_KPSLASH": "/",
}
SHIFTS = ("KEY_LEFTSHIFT", "KEY_RIGHTSHIFT")
COMMANDING = ("KEY_LEFTCTRL", "KEY_RIGHTCTRL", "KEY_LEFTALT", "KEY_RIGHTALT", "KEY_LEFTMETA", "KEY_RIGHTMETA")
SILENT = (*SHIFTS, "KEY_CAPSLOCK", "KEY_NUMLOCK")
ENDS = ("KEY_ENTER", "KEY_KPENTER", "KEY_TAB")
KNOWN = {code_of(name) for name in (*ROWS, *LETTERS, *KEYPAD, *SILENT, *ENDS)}

words = st.text("0123456789ABCabcxyzXYZ:/?=", min_size=1, max_size=24)


#: How many movements arrive, how many do not, and how many of those still come after the kernel's notice.
losses = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 49), st.integers(1, 9)), max_size=4)


def told(moves: list[tuple[int, int]]) -> bytes:
    return b"".join(packed(*packet(*move)) for move in moves)


def begun(suffix: Suffix = "auto", *, held: frozenset[int] = UNTOUCHED, is_caps: bool = False) -> KeyFramer:
    framer = KeyFramer(suffix)
    framer.begin(held=held, is_caps=is_caps)
    return framer


def moved(*names: str) -> bytes:
    """Return the events of keys that are pressed (``KEY_A``), or released (``-KEY_A``)."""
    return b"".join(packed(*packet(code_of(name.removeprefix("-")), int(name[0] != "-"))) for name in names)


def pressed(name: str) -> bytes:
    return moved(name, f"-{name}")


def counters(framer: KeyFramer) -> tuple[int, int, int]:
    return framer.garbled, framer.truncated, framer.dropped


class TestKeys:
    @pytest.mark.parametrize("name", [*ROWS, *LETTERS])
    @pytest.mark.parametrize("shift", ["", *SHIFTS])
    @pytest.mark.parametrize("caps", ["", "lit", "typed", "both"])
    def test_every_key_types_what_is_printed_on_it(self, name: str, shift: str, caps: str) -> None:
        framer = begun(is_caps=caps in ("lit", "both"))
        around = (moved(shift), moved(f"-{shift}")) if shift else (b"", b"")
        toggle = pressed("KEY_CAPSLOCK") if caps in ("typed", "both") else b""
        data = pressed("KEY_1") + toggle + around[0] + pressed(name) + around[1] + pressed("KEY_1")
        is_capital = bool(shift) ^ (name in LETTERS and caps in ("lit", "typed"))
        expected = (ROWS | LETTERS)[name][is_capital]
        assert framer.feed(data + pressed("KEY_ENTER"), 0) == [f"1{expected}1"]

    @pytest.mark.parametrize("name", KEYPAD)
    @pytest.mark.parametrize("num_lock", [False, True])
    def test_the_keypad_types_numbers_whatever_num_lock_is(self, name: str, *, num_lock: bool) -> None:
        lock = pressed("KEY_NUMLOCK") if num_lock else b""
        assert begun().feed(lock + pressed(name) + lock + pressed("KEY_KPENTER"), 0) == [KEYPAD[name]]

    @pytest.mark.parametrize("name", KEYPAD)
    def test_with_shift_the_keypad_types_no_numbers(self, name: str) -> None:
        framer = begun()
        frames = framer.feed(moved(SHIFTS[0]) + pressed(name) + moved(f"-{SHIFTS[0]}") + pressed("KEY_ENTER"), 0)
        assert frames == ([] if KEYPAD[name] in "0123456789." else [KEYPAD[name]])

    def test_any_other_key_spoils_its_frame_and_no_other(self) -> None:
        framer = begun()
        for count, code in enumerate(sorted(set(range(ecodes.KEY_MAX + 1)) - KNOWN), 1):
            unknown = packed(*packet(code, 1), *packet(code, 0))
            assert framer.feed(typed(CODE[:9]) + unknown + typed(f"{CODE[9:]}\n{OTHER}\n"), 0) == [OTHER]
            assert counters(framer) == (count, 0, 0)

    @pytest.mark.parametrize("name", COMMANDING)
    def test_what_is_typed_as_a_command_is_no_text(self, name: str) -> None:
        """In ALT mode a scanner types the number of each character on the keypad."""
        framer = begun()
        one = moved(name) + b"".join(pressed(f"KEY_KP{digit}") for digit in "0049") + moved(f"-{name}")
        assert framer.feed(one * 4 + typed("\n" + CODE + "\n"), 0) == [CODE]
        held = begun(held=frozenset({code_of(name)}))
        assert held.feed(typed(CODE + "\n") + moved(f"-{name}") + typed(OTHER + "\n"), 0) == [OTHER]

    def test_a_key_that_is_held_counts_once(self) -> None:
        framer = begun()
        repeated = packed(*packet(code_of("KEY_1"), 2)) * 40
        shift = packed(*packet(code_of(SHIFTS[0]), 2)) * 40
        data = (
            moved("KEY_1") + repeated + moved("-KEY_1", SHIFTS[0]) + shift + pressed("KEY_A") + moved(f"-{SHIFTS[0]}")
        )
        assert framer.feed(data + typed("a\n"), 0) == ["1Aa"]

    def test_shift_may_be_held_on_either_side_and_from_before(self) -> None:
        both = moved(*SHIFTS, "KEY_A", "-KEY_A", f"-{SHIFTS[0]}", "KEY_A", "-KEY_A", f"-{SHIFTS[1]}")
        assert begun().feed(both + typed("a\n"), 0) == ["AAa"]
        framer = begun(held=frozenset({code_of(SHIFTS[1]), code_of("KEY_5")}))
        assert framer.feed(typed("a") + moved(f"-{SHIFTS[1]}") + typed("a\n"), 0) == ["Aa"]

    def test_a_keyboard_that_can_type_a_code_is_told_from_one_that_can_not(self) -> None:
        top = {code_of(f"KEY_{digit}") for digit in range(10)}
        keypad = {code_of(f"KEY_KP{digit}") for digit in range(10)}
        for end in ("KEY_ENTER", "KEY_KPENTER"):
            assert types_codes(top | {code_of(end)})
            assert types_codes(keypad | {code_of(end)})
        assert not types_codes(top | keypad)
        assert not types_codes({*top, code_of("KEY_ENTER")} - {code_of("KEY_7")})
        assert not types_codes({code_of("KEY_VOLUMEUP"), code_of("KEY_ENTER")})


class TestFrames:
    @pytest.mark.parametrize(
        ("suffix", "end"),
        [("auto", "KEY_ENTER"), ("auto", "KEY_KPENTER"), ("auto", "KEY_TAB"), ("cr", "KEY_ENTER"), ("tab", "KEY_TAB")],
    )
    def test_a_code_with_its_suffix_is_one_frame(self, suffix: Suffix, end: str) -> None:
        framer = begun(suffix)
        assert framer.feed((typed(f"]Q1{CODE}") + pressed(end)) * 2, 0) == [f"]Q1{CODE}"] * 2
        assert framer.deadline() is None

    @pytest.mark.parametrize(("suffix", "other"), [("cr", "KEY_TAB"), ("tab", "KEY_ENTER")])
    def test_another_end_than_the_configured_one_is_no_end(self, suffix: Suffix, other: str) -> None:
        framer = begun(suffix)
        end = pressed({"cr": "KEY_ENTER", "tab": "KEY_TAB"}[suffix])
        assert framer.feed(typed(CODE) + pressed(other) + typed(OTHER) + end, 0) == []
        assert framer.garbled == 1

    def test_a_silence_ends_a_frame_without_suffix(self) -> None:
        framer = begun("none")
        for now_ms, character in enumerate(CODE):
            assert framer.feed(typed(character), now_ms * 99) == []
        deadline_ms = framer.deadline()
        assert deadline_ms == 17 * 99 + 100
        assert framer.idle(deadline_ms) == [CODE]

    def test_a_slow_scanner_may_take_its_time_but_not_pause(self) -> None:
        framer = begun()
        for place, character in enumerate(CODE):
            assert framer.feed(typed(character), place * (STALE_MS - 1)) == []
        assert framer.feed(typed("\n"), 17 * (STALE_MS - 1) + 1) == [CODE]
        framer.feed(typed(CODE[:1]), 100_000)
        assert framer.deadline() == 100_000 + STALE_MS
        assert framer.feed(typed(CODE[1:] + "\n"), 100_000 + STALE_MS) == []
        assert counters(framer) == (0, 1, 0)

    def test_a_frame_has_a_limit(self) -> None:
        framer = begun()
        assert framer.feed(typed("7" * FRAME_LIMIT + "\n"), 0) == ["7" * FRAME_LIMIT]
        assert framer.feed(typed("7" * (FRAME_LIMIT + 30) + "\n" + CODE + "\n"), 0) == [CODE]
        assert counters(framer) == (0, 0, 1)

    def test_a_code_whose_beginning_was_discarded_is_discarded_whole(self) -> None:
        framer = begun()
        framer.feed(typed(CODE[:2]), 0)
        framer.discard()
        assert framer.feed(typed(CODE[2:] + "\n" + OTHER + "\n"), 1) == [OTHER]

    def test_a_new_device_knows_nothing_of_the_one_before(self) -> None:
        framer = begun(held=frozenset({code_of(SHIFTS[0])}), is_caps=True)
        framer.feed(typed("12") + packed(DROPPED) + typed("3")[:7], 0)
        framer.begin(held=(), is_caps=False)
        assert framer.feed(typed("a" + CODE + "\n"), 1) == [f"a{CODE}"]

    @given(st.lists(words, max_size=4), st.lists(st.integers(1, 2000), min_size=1))
    def test_framing_is_independent_of_chunking(self, texts: list[str], sizes: list[int]) -> None:
        stream = b"".join(typed(text + "\n") for text in texts)
        framer, frames = begun(), []
        for size in itertools.cycle(sizes):
            frames += framer.feed(stream[:size], 0)
            stream = stream[size:]
            if not stream:
                break
        assert frames == texts

    @given(st.lists(st.binary(max_size=100)))
    def test_no_bytes_raise(self, chunks: list[bytes]) -> None:
        framer = begun()
        for now_ms, chunk in enumerate(chunks):
            framer.feed(chunk, now_ms)
            if framer.is_torn:
                framer.resume((), now_ms)
        framer.idle(10_000)

    def test_an_event_has_the_size_that_the_kernel_gives_it(self) -> None:
        assert struct.calcsize("@l") * 2 + 8 == EVENT_SIZE


class TestLostEvents:
    def lose(self, framer: KeyFramer, now_ms: int = 0) -> None:
        framer.feed(packed(DROPPED), now_ms)
        assert framer.is_torn

    def test_nothing_is_believed_before_the_held_keys_are_known(self) -> None:
        framer = begun()
        assert framer.feed(typed(CODE) + packed(DROPPED) + typed("\n" + OTHER + "\n"), 0) == []
        assert framer.feed(typed(OTHER + "\n"), 0) == []
        assert framer.idle(QUIET_MS * 9) == []
        framer.resume((), QUIET_MS * 9)
        assert framer.feed(typed("99\n" + OTHER + "\n"), QUIET_MS * 9) == [OTHER]
        assert counters(framer) == (0, 0, 1)

    def test_what_was_complete_before_is_kept(self) -> None:
        assert begun().feed(typed(CODE + "\n12") + packed(DROPPED), 0) == [CODE]

    @pytest.mark.parametrize("suffix", ["auto", "none"])
    def test_the_remainder_is_no_code_even_if_nothing_was_typed_for_long_before(self, suffix: Suffix) -> None:
        """The silence before the lost events says nothing about the time in which they were typed."""
        framer = begun(suffix)
        self.lose(framer, 1_000_000)
        framer.resume((), 1_000_000)
        assert framer.idle(1_000_001) == []
        assert framer.feed(typed(CODE[5:]), 1_000_002) == []
        assert framer.feed(typed("\n"), 1_000_003) == []
        assert framer.idle(1_000_003 + QUIET_MS) == []
        assert framer.deadline() is None

    def test_silence_counts_from_the_moment_of_asking(self) -> None:
        """What the kernel removed then may have been typed at the last moment."""
        framer = begun()
        self.lose(framer)
        framer.resume((), QUIET_MS * 5)
        framer.idle(QUIET_MS * 5 + 1)
        assert framer.deadline() == QUIET_MS * 6
        assert framer.feed(typed(CODE[5:] + "\n" + OTHER + "\n"), QUIET_MS * 5 + 2) == [OTHER]

    def test_a_long_silence_ends_the_remainder_too(self) -> None:
        framer = begun()
        self.lose(framer)
        framer.resume((), 0)
        assert framer.deadline() == QUIET_MS
        assert framer.idle(QUIET_MS) == []
        assert framer.feed(typed(CODE + "\n"), QUIET_MS) == [CODE]

    def test_shift_is_what_the_device_says_after_the_loss(self) -> None:
        framer = begun()
        framer.feed(moved(SHIFTS[0]), 0)
        self.lose(framer)
        framer.resume((), 0)
        assert framer.feed(typed("\na\n"), 0) == ["a"]
        self.lose(framer)
        framer.resume({code_of(SHIFTS[1])}, 0)
        assert framer.feed(typed("\na") + moved(f"-{SHIFTS[1]}") + typed("a\n"), 0) == ["Aa"]

    @pytest.mark.parametrize("is_toggled_before", [True, False])
    def test_after_a_loss_the_case_of_a_scanner_that_uses_caps_lock_is_not_guessed(
        self, *, is_toggled_before: bool
    ) -> None:
        framer = begun()
        if is_toggled_before:
            framer.feed(pressed("KEY_CAPSLOCK") * 2, 0)
        self.lose(framer)
        framer.resume((), 0)
        framer.feed(typed("\n"), 0)
        assert framer.feed(typed("1a") + pressed("KEY_CAPSLOCK") + typed("2\n"), 0) == []
        assert framer.feed(typed("1a2\n"), 0) == []
        assert framer.feed(typed("12") + pressed("KEY_CAPSLOCK") + typed("3\n"), 0) == ["123"]
        framer.begin(held=(), is_caps=False)
        assert framer.feed(typed("1a2\n"), 0) == ["1a2"]

    def test_letters_of_other_scanners_are_not_affected_by_a_loss(self) -> None:
        framer = begun()
        self.lose(framer)
        framer.resume((), 0)
        assert framer.feed(typed("\nAb1\n"), 0) == ["Ab1"]

    @given(st.lists(words, max_size=5), losses)
    def test_no_loss_anywhere_makes_a_wrong_code(self, texts: list[str], losses: list[tuple[int, int, int]]) -> None:
        """Any number of losses, each up to the moment in which the device is asked for its keys."""
        framer, frames = begun(), []
        held: set[int] = set()
        rest = [move for text in texts for move in strokes(text + "\n")]
        for kept, lost, late in losses:
            before, missing, rest = rest[:kept], rest[kept : kept + lost], rest[kept + lost :]
            frames += framer.feed(told(before) + packed(DROPPED) + told(missing[-late:]), 0)
            for code, value in (*before, *missing):
                (held.add if value else held.discard)(code)
            framer.resume(held, 0)
        frames += framer.feed(told(rest), 0)
        typed_in_order = iter(texts)
        assert all(frame in typed_in_order for frame in frames)
