"""Lines of a Qibixx adapter: cut, understood, written. The rows are those of the field facts' message table."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.money import MAX_AMOUNT, Fen
from terminald.wire import qibixx
from terminald.wire.qibixx import (
    DISPLAY_LIMIT,
    LINE_LIMIT,
    SHOWN_LIMIT,
    Asked,
    AskedWrongly,
    Heard,
    Lines,
    Other,
    Scale,
    Sign,
    Status,
    read_price,
    understand,
)

CENTS = Scale(decimal_places=2, scale_factor=1)
WORDS = ("c,STATUS,ENABLED", "c,VEND,SUCCESS", 'c,ERR,"VEND -3"', "r,ACK", "x,80,12,10,0bff", "c,STATUS,VEND,1.00,5")

plain_lines = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=LINE_LIMIT).map(str.strip)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


# --- lines -----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=8))
def test_how_bytes_are_divided_makes_no_difference(data: bytes, places: list[int]) -> None:
    whole, divided = Lines(), Lines()
    assert [line for part in cut(data, places) for line in divided.feed(part)] == whole.feed(data)
    assert divided.dropped == whole.dropped


@given(st.lists(st.tuples(plain_lines, st.sampled_from(["\r", "\n", "\r\n"]))))
def test_lines_end_with_cr_lf_or_both(ended: list[tuple[str, str]]) -> None:
    data = "".join(text + end for text, end in ended).encode()
    assert Lines().feed(data) == [text for text, _ in ended if text]


@given(st.binary(max_size=300), st.sampled_from(WORDS))
def test_a_line_after_noise_is_read_when_the_noise_ends_with_what_is_no_text(noise: bytes, line: str) -> None:
    assert Lines().feed(noise + b"\xff" + line.encode() + b"\r\n")[-1] == line


@given(st.binary(max_size=4 * LINE_LIMIT))
def test_no_bytes_make_it_grow_or_raise(data: bytes) -> None:
    """I11: what is kept is bounded, whatever comes."""
    lines = Lines()
    for line in lines.feed(data):
        assert 0 < len(line) <= LINE_LIMIT
        assert isinstance(understand(line, CENTS), Heard)
    assert len(lines._line) <= LINE_LIMIT


def test_a_line_that_is_too_long_is_dropped_to_its_end() -> None:
    lines = Lines()
    assert lines.feed(b"c" * LINE_LIMIT) == []
    assert lines.feed(b"c") == []
    assert lines.feed(b"c,VEND,SUCCESS\nr,ACK\n") == ["r,ACK"]
    assert lines.dropped == 1


def test_a_line_that_is_too_long_is_counted_whatever_noise_follows_and_however_it_arrives() -> None:
    data = b"x" * (LINE_LIMIT + 1) + b"\x04c,0\n"
    whole, pieces = Lines(), Lines()
    assert whole.feed(data) == [line for byte in data for line in pieces.feed(bytes((byte,)))] == ["c,0"]
    assert whole.dropped == pieces.dropped == 1


def test_what_is_garbled_in_the_middle_is_not_mended() -> None:
    assert understand(Lines().feed(b"c,STATUS,VEND,1\xff.00,5\n")[0], CENTS) == Other(text=".00,5")
    assert Lines().feed(b"c,VEND,SUCCESS\x00\n") == []


def test_a_line_of_which_the_beginning_was_not_seen_can_be_forgotten() -> None:
    lines = Lines()
    lines.feed(b"c,STATUS,")
    lines.reset()
    assert lines.feed(b"r,ACK\n") == ["r,ACK"]


# --- meaning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ("c,STATUS,INACTIVE", Status.INACTIVE),
        ("c,STATUS,DISABLED", Status.DISABLED),
        ("c,STATUS,ENABLED", Status.ENABLED),
        ("c,STATUS,ONLINE", Status.ENABLED),
        ("c,STATUS,IDLE", Status.IDLE),
        ("c,STATUS,IDLE,99.99", Status.IDLE),
        ("c,STATUS,REVALUE,1.00", Sign.REVALUE),
        ("c,STATUS,VEND,1.00,5", Asked(price="1.00", amount=Fen(100), item="5")),
        ("c,STATUS,VEND, 1.00 , 5 ", Asked(price="1.00", amount=Fen(100), item="5")),
        ("c,STATUS,VEND,2", Asked(price="2", amount=Fen(200), item="")),
        ("c,STATUS,VEND,2.0,65535", Asked(price="2.0", amount=Fen(200), item="")),
        ("c,STATUS,VEND,2.00,5,more", Asked(price="2.00", amount=Fen(200), item="5")),
        ("c,STATUS,VEND,2.00,?!", Asked(price="2.00", amount=Fen(200), item="")),
        ("c,STATUS,VEND,0,1", Asked(price="0", amount=Fen(0), item="1")),
        ("c,STATUS,VEND,-1,1", AskedWrongly(text="-1,1", fault="is negative")),
        ("c,STATUS,VEND", AskedWrongly(text="", fault="is not a price")),
        ("c,VEND,SUCCESS", Sign.SUCCEEDED),
        ("c,ERR,VEND 1", Sign.CANCELED),
        ('c,ERR,"VEND 1"', Sign.CANCELED),
        ("c,ERR,VEND 3", Sign.FAILED),
        ('c,ERR, "VEND  3" ', Sign.FAILED),
        ("c,ERR,VEND 5", Sign.RESET),
        ('c,ERR,"VEND -3"', Sign.REJECTED),
        ("c,ERR,VEND -3", Sign.REJECTED),
        ('c,ERR,"VEND -2"', Sign.REJECTED),
        ('c,ERR,"START -3"', Sign.SESSION_REFUSED),
        ("c,ERR,START -2", Sign.SESSION_REFUSED),
        ('c,ERR,"SETCONF -2"', Sign.SETTING_REFUSED),
        ('c,ERR,"cashless is on"', Sign.IS_ON),
        ("c,ERR,cashless is off", Sign.IS_OFF),
        ("c,SET,OK", Sign.SETTING_TAKEN),
        ("c,SET,ERR", Sign.SETTING_REFUSED),
        ("c,UNKNOWN,SETCONF", Sign.NOT_UNDERSTOOD),
        ("c,UNKNOWN", Sign.NOT_UNDERSTOOD),
        ("c,0", Sign.SWITCHED_OFF),
        ("c,1", Sign.SWITCHED_ON),
    ],
)
def test_each_row_of_the_message_table(line: str, heard: Heard) -> None:
    assert understand(line, CENTS) == heard


@pytest.mark.parametrize(
    "line",
    [
        *("r,ACK", "x,00,12345,10,130000640005", "x,ACK", "d,STATUS,VEND", "v,4.0.2.0,0123456789", "c,ERR,-3", "c", ""),
        *("c,STATUS", "c,STATUS,SOMETHING", "c,ERR", "c,ERR,VEND 2", "c,SET", "c,2", "c,VEND,FAILURE"),
        *("C,VEND,1.00", "C,STATUS,VEND,1.00,5", "C,1", "C,DISPLAY,c VEND SUCCESS", "rc,VEND,SUCCESS"),
    ],
)
def test_everything_else_means_nothing(line: str) -> None:
    assert understand(line, CENTS) == Other(text=line)


def test_of_an_unknown_line_only_its_beginning_is_kept() -> None:
    heard = understand("c,STATUS,VEND," + "9" * 200, CENTS)
    assert isinstance(heard, AskedWrongly)
    assert len(heard.text) == SHOWN_LIMIT + 1


@given(st.text(max_size=80))
def test_any_text_after_any_beginning_is_understood_somehow(text: str) -> None:
    for beginning in ("", "c,", "c,STATUS,", "c,STATUS,VEND,", "c,ERR,", "c,SET,"):
        assert isinstance(understand(beginning + text, CENTS), Heard)


# --- prices ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 3), st.integers(1, 100), st.integers(0, 0xFFFF))
def test_every_price_that_a_machine_can_ask_is_read_exactly_or_is_no_whole_fen(
    decimal_places: int, scale_factor: int, steps: int
) -> None:
    price = steps * scale_factor * Decimal(10) ** -decimal_places
    scale = Scale(decimal_places=decimal_places, scale_factor=scale_factor)
    fen = price * 100
    expected = int(fen) if fen == int(fen) else "has parts of a fen"
    assert read_price(f"{price:f}", scale) == expected


@given(st.integers(0, MAX_AMOUNT))
def test_an_amount_is_written_as_it_is_read(fen: int) -> None:
    assert read_price(qibixx.write_amount(fen), CENTS) == fen


@given(st.text(max_size=300))
def test_no_price_raises(text: str) -> None:
    read = read_price(text, CENTS)
    assert isinstance(read, str) or 0 <= read <= MAX_AMOUNT


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-1.00", "is negative"),
        ("-0", "is negative"),
        ("1.005", "has parts of a fen"),
        ("0.0000000000000001", "has parts of a fen"),
        ("99999999.9900000000000001", "is more than can be paid"),
        ("100000000", "is more than can be paid"),
        ("9999999999999999.9999999999999999", "is more than can be paid"),
        *((text, "is not a price") for text in ("", "NaN", "sNaN", "Infinity", "-Infinity", "1e5", "1E+400", "0x10")),
        *((text, "is not a price") for text in ("1.", ".5", "1..0", "1,00", "+1", "1 0", "1_0", "١", "9" * 17, "--1")),
    ],
)
def test_what_can_not_be_charged_is_refused_in_words(text: str, fault: str) -> None:
    assert read_price(text, CENTS) == fault


@pytest.mark.parametrize(
    ("decimal_places", "scale_factor", "text", "read"),
    [
        (2, 5, "0.35", 35),
        (2, 5, "0.36", "is not in steps of 0.05, which decimal_places and scale_factor say"),
        (0, 1, "10", 1000),
        (0, 1, "1.50", "is not in steps of 1, which decimal_places and scale_factor say"),
        (0, 100, "100", 10_000),
        (1, 1, "1.50", 150),
        (3, 1, "1.500", 150),
        (3, 25, "0.025", "has parts of a fen"),
    ],
)
def test_a_price_is_in_the_steps_that_are_configured(
    decimal_places: int, scale_factor: int, text: str, read: int | str
) -> None:
    assert read_price(text, Scale(decimal_places=decimal_places, scale_factor=scale_factor)) == read


# --- commands --------------------------------------------------------------------------------------------------------


def test_commands_are_written_as_in_the_message_table() -> None:
    assert qibixx.SWITCH_OFF == b"C,0\n"
    assert qibixx.SWITCH_ON == b"C,1\n"
    assert qibixx.DENY == b"C,VEND,-1\n"
    assert qibixx.REFUSE_REVALUE == b"C,REVALUE,0\n"
    assert qibixx.set_value("mdb-currency-code", "0x1156") == b"C,SETCONF,mdb-currency-code=0x1156\n"
    assert qibixx.start_session(Fen(9999)) == b"C,START,99.99\n"
    assert qibixx.approve("1.0") == b"C,VEND,1.0\n"
    assert qibixx.display("Present your code") == b"C,DISPLAY,Present your code\n"
    two_lines = "Show your".ljust(16) + "payment code"
    assert qibixx.display(two_lines) == f"C,DISPLAY,{two_lines}\n".encode()


@given(st.text())
def test_no_text_for_the_display_becomes_another_command(text: str) -> None:
    command = qibixx.display(text)
    shown = command.removeprefix(b"C,DISPLAY,").removesuffix(b"\n")
    assert len(shown) <= DISPLAY_LIMIT
    assert not set(shown) & set(b",\r\n")
    assert shown.decode("ascii").isprintable()
