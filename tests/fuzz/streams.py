"""Streams of devices: scanners, keyboards, printers, and the adapter of a vending machine."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from terminald.core.ids import PaymentCode
from terminald.core.money import MAX_AMOUNT, Fen
from terminald.wire.barcode import FRAME_LIMIT, SUFFIXES, Framer, NotPaymentCode, Suffix, classify
from terminald.wire.keyboard import KeyFramer
from terminald.wire.printer_status import (
    CAUSE,
    ERROR,
    PAPER,
    PRINTER,
    AutomaticStatus,
    ProcessId,
    QueuedStatus,
    RealTimeStatus,
    ReplyReader,
    read_state,
)
from terminald.wire.qibixx import LINE_LIMIT, Asked, AskedWrongly, Lines, Other, Scale, approve, display, understand
from tests.adapters.kernel_keyboard import DROPPED, packed, packet, typed
from tests.fuzz.target import Target, always, same_however_cut
from tests.wire.qibixx_partner import SETTINGS, Partner
from tests.wire.test_printer_status import written

CODE: Final = "130812345678901147"
_PATTERN: Final = re.compile("[0-9]{16,24}")
_STEP_MS: Final = 40
#: What may stand before and after a frame, and what engines say of themselves, which is taken out.
_AROUND: Final = bytes((0x00, 0x02, 0x03, 0x09, 0x0A, 0x0D))
_REPLIES: Final = tuple(map(bytes.fromhex, ("02000001003331", "04D00000FF2C", "05D1000006FF24")))
_CODE_IN_WORDS: Final = re.compile(r"[0-9]{8,}")

# --- serial scanners -------------------------------------------------------------------------------------------------


def _suffix(data: bytes) -> tuple[Suffix, bytes]:
    """Take the suffix of a scanner from the first byte of an input."""
    return SUFFIXES[data[0] % len(SUFFIXES) if data else 0], data[1:]


def _check_frame(frame: str) -> None:
    assert 0 < len(frame) <= FRAME_LIMIT
    assert frame.isascii()
    assert frame.isprintable()
    judged = classify(frame, _PATTERN)
    match judged:
        case PaymentCode():
            assert judged.reveal() in frame
            assert _PATTERN.fullmatch(judged.reveal())
            assert judged.reveal() not in repr(judged), "I7: the code is shown"
        case NotPaymentCode():
            assert not _CODE_IN_WORDS.search(judged.detail), "I7: the frame is repeated"


def _is_whole(frame: bytes, line: bytes) -> bool:
    """Whether a frame stands somewhere in the line with a beginning and an end of its own."""
    for found in re.finditer(b"(?=%b)" % re.escape(frame), line):
        before, after = line[: found.start()], line[found.start() + len(frame) :]
        if (not before or before[-1] in _AROUND or before.endswith(_REPLIES)) and (not after or after[0] in _AROUND):
            return True
    return False


def check_scanner(data: bytes, make: Callable[[Suffix], Framer] = Framer) -> None:
    """Frame what a serial scanner sends in one instant. The first byte chooses the suffix."""
    suffix, line = _suffix(data)

    def told(pieces: list[bytes]) -> tuple[list[str], int | None, tuple[int, int, int]]:
        framer = make(suffix)
        frames = [frame for piece in pieces for frame in framer.feed(piece, 0)]
        until = framer.deadline()
        while (deadline := framer.deadline()) is not None:
            frames += framer.idle(deadline)
            following = framer.deadline()
            assert following is None or following > deadline, "the clock would spin"
        return frames, until, (framer.dropped, framer.garbled, framer.truncated)

    frames, _, _ = same_however_cut(line, told)
    for frame in frames:
        _check_frame(frame)
        assert _is_whole(frame.encode(), line), "a code that was not scanned, or a part of one"


def _instants(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Read pauses and pieces from an input: a byte for the pause before, one for the length, and the piece."""
    while data:
        pause, size = data[0], data[1] if len(data) > 1 else 0
        yield pause * _STEP_MS // 4, data[2 : 2 + size]
        data = data[2 + size :]


def check_scanner_times(data: bytes) -> None:
    """Frame what a serial scanner sends with pauses: each instant may be cut, and a timer may be late or not come."""
    suffix, script = _suffix(data)
    whole, pieces = Framer(suffix), Framer(suffix)
    now_ms, sent = 0, b""
    for pause_ms, piece in _instants(script):
        now_ms += pause_ms
        sent += piece
        if pause_ms % 3 == 0:
            for frame in (told := whole.idle(now_ms)):
                _check_frame(frame)
            assert pieces.idle(now_ms) == told
        frames = whole.feed(piece, now_ms) if piece else []
        assert [frame for byte in piece for frame in pieces.feed(bytes((byte,)), now_ms)] == frames
        for frame in frames:
            _check_frame(frame)
            assert frame.encode() in sent
        assert whole.deadline() == pieces.deadline()
    assert (whole.dropped, whole.garbled, whole.truncated) == (pieces.dropped, pieces.garbled, pieces.truncated)


# --- keyboard scanners -----------------------------------------------------------------------------------------------


def check_key_events(data: bytes, make: Callable[[Suffix], KeyFramer] = KeyFramer) -> None:
    """Read events of the kernel. The first byte chooses the suffix."""
    suffix, events = _suffix(data)

    def told(pieces: list[bytes]) -> tuple[list[str], int | None, bool, tuple[int, int, int]]:
        framer = make(suffix)
        framer.begin(held=(), is_caps=False)
        frames = [frame for piece in pieces for frame in framer.feed(piece, 0)]
        return frames, framer.deadline(), framer.is_torn, (framer.dropped, framer.garbled, framer.truncated)

    frames, _, is_torn, _ = same_however_cut(events, told)
    for frame in frames:
        _check_frame(frame)
    if is_torn:
        _check_recovery(suffix, events)


def _check_recovery(suffix: Suffix, events: bytes) -> None:
    """After lost events no half of a code comes out, and the second whole code does."""
    framer = KeyFramer(suffix)
    framer.begin(held=(), is_caps=False)
    framer.feed(events, 0)
    part = -len(events) % len(packed((0, 0, 0)))
    assert framer.feed(bytes(part), 0) == []  # the rest of an event that was cut by the input's end
    framer.resume((), 0)
    end = "\t" if suffix == "tab" else "\n"
    remainder = framer.feed(typed(CODE[7:] + end), 1)
    again = framer.feed(typed(CODE + end), 2)
    assert remainder == [], "I1: the end of a code is taken for a code"
    assert again in ([], [CODE])
    assert suffix not in ("auto", "cr", "tab") or again == [CODE]


def check_keys(data: bytes) -> None:
    """Press and release keys: each byte is the number of a key, those from 128 on are pressed alone, or released."""
    events = b""
    is_down: dict[int, bool] = {}
    for byte in data[1:200]:
        key = byte & 0x7F
        if byte == 0xFF:
            events += packed(DROPPED)
        elif byte & 0x80:
            is_down[key] = not is_down.get(key, False)
            events += packed(*packet(key, int(is_down[key])))
        else:
            events += packed(*packet(key, 1)) + packed(*packet(key, 0))
    check_key_events(data[:1] + events)


# --- printers --------------------------------------------------------------------------------------------------------


def check_printer(data: bytes, make: Callable[[], ReplyReader] = ReplyReader) -> None:
    """Tell a printer's replies apart. What they mean is said without fail."""

    def told(pieces: list[bytes]) -> tuple[object, ...]:
        reader = make()
        return tuple(reply for piece in pieces for reply in reader.feed(piece))

    same_however_cut(data, told)
    replies = make().feed(data)
    assert len(replies) <= len(data)
    assert make().feed(b"".join(map(written, replies))) == replies
    for reply in replies:
        match reply:
            case ProcessId():
                assert len(reply.tag) == 4
            case AutomaticStatus():
                assert len(reply.data) == 4
            case RealTimeStatus():
                for question in (PRINTER, CAUSE, ERROR, PAPER):
                    state = read_state({question: reply.bits})
                    assert (state.blocked_by is None) <= (state.words == "" or "near its end" in state.words)
            case QueuedStatus():
                assert isinstance(reply.has_paper, bool)


# --- vending machines ------------------------------------------------------------------------------------------------

_SCALES: Final = tuple(Scale(decimal_places=places, scale_factor=factor) for places, factor in ((2, 1), (1, 5), (0, 1)))


def check_adapter_lines(data: bytes, make: Callable[[], Lines] = Lines) -> None:
    """Cut a Qibixx adapter's bytes into lines, and say what each means."""

    def told(pieces: list[bytes]) -> tuple[list[str], int]:
        lines = make()
        return [line for piece in pieces for line in lines.feed(piece)], lines.dropped

    found, _ = same_however_cut(data, told)
    for line in found:
        assert 0 < len(line) <= LINE_LIMIT
        assert line.isascii()
        assert line.isprintable()
        for scale in _SCALES:
            heard = understand(line, scale)
            match heard:
                case Asked():
                    assert 0 <= heard.amount <= MAX_AMOUNT
                    assert heard.amount * 10**scale.decimal_places % scale.scale_factor == 0
                    # What was asked is what is approved: one line, and no other command.
                    assert re.fullmatch(rb"C,VEND,[0-9.]+\n", approve(heard.price))
                    assert re.fullmatch(r"[0-9A-Za-z_-]{0,16}", heard.item)
                case AskedWrongly() | Other():
                    assert len(heard.text) <= 61
        assert re.fullmatch(rb"C,DISPLAY,[^,\r\n]{0,32}\n", display(line))


#: What is written to an adapter, each on a line of its own; nothing else ever is.
_COMMAND: Final = re.compile(r"C,[01]|C,SETCONF,[a-z-]+=[0-9A-Za-z-]+|C,START,[0-9.]+|C,VEND,-1|C,REVALUE,0")
_TOLD: Final = re.compile(r"[A-Z][A-Za-z]+ [0-9]+")


def check_adapter_talk(data: bytes) -> None:
    """Hold a conversation: lines of an adapter; ``+N`` waits N ms, ``!`` and what follows is the terminal's doing."""
    partner = Partner(credit=Fen(5000) if data[:1] == b"\n" else None, settings=SETTINGS)
    partner.open()
    request, lines = 0, Lines()
    for raw in data.splitlines(keepends=True)[:100]:
        said: list[str] = []
        if pause := re.fullmatch(rb"\+([0-9]{1,6})\s*", raw):
            said = partner.wait(int(pause[1]))
        elif raw.startswith(b"!"):
            said = _do(partner, raw[1:2], request)
        else:
            for line in lines.feed(raw + b"\n"):
                answer = partner.say(line)
                assert len(answer) <= 4, "I11: one line has a bounded answer"
                said += answer
        assert all(_COMMAND.fullmatch(text) or _TOLD.fullmatch(text) for text in said), said
        request = max([request, *(int(text.split()[1]) for text in said if text.startswith("VendRequested"))])
        assert all(note.isprintable() and len(note) < 400 for note in partner.notes)
        if partner.has_failed():
            break


def _do(partner: Partner, what: bytes, request: int) -> list[str]:
    match what:
        case b"a":
            partner.approve(request, "1.00")
        case b"d":
            return partner.take(partner.talk.deny(request, partner.now_ms))
        case b"o":
            return partner.set_open(is_open=True)
        case b"c":
            return partner.set_open(is_open=False)
    return []


_SET_UP: Final = b"c,0\n" + b"c,SET,OK\n" * len(SETTINGS) + b"c,1\nc,STATUS,INACTIVE\nc,STATUS,DISABLED\n"
_ADAPTER: Final = tuple(
    f"{line}\n".encode()
    for line in (
        "c,STATUS,ENABLED", "c,STATUS,IDLE", "c,STATUS,ONLINE", "c,STATUS,VEND,1.00,7", "c,STATUS,VEND,3.50,65535",
        "c,STATUS,VEND,-1.00,1", "c,STATUS,VEND,1e3,1", "c,VEND,SUCCESS", "c,STATUS,REVALUE", "c,UNKNOWN", "c,SET,ERR",
        'c,ERR,"cashless is on"', 'c,ERR,"cashless is off"', "c,ERR,VEND 1", "c,ERR,VEND 3", "c,ERR,VEND 5",
        'c,ERR,"VEND -3"', 'c,ERR,"START -3"', 'c,ERR,"SETCONF -1"', "r,ACK", "c,0", "c,1",
    )
)  # fmt: skip
_MOVES: Final = (b"+100\n", b"+2000\n", b"+60000\n", b"!a\n", b"!d\n", b"!o\n", b"!c\n")
_LINE: Final = CODE.encode() + b"\r\n"
_PAUSED: Final = bytes((9,)) + bytes((9, len(_LINE))) + _LINE

STREAMS: Final = (
    Target(
        name="scanner",
        opened=always(check_scanner),
        longest=FRAME_LIMIT + 128,
        samples=tuple(
            bytes((at,)) + body
            for at in range(len(SUFFIXES))
            for body in (
                _LINE, _LINE * 3, b"\x02" + CODE.encode() + b"\x03", b"]Q1" + CODE.encode() + b"\t",
                b"https://qr.alipay.com/fkx1\r", b"6901234567892\r", bytes.fromhex("02000001003331") + _LINE,
                b"\xff\x00" + _LINE,
            )
        ),
        words=(b"\r", b"\n", b"\t", b"\x02", b"\x03", b"\x00", bytes.fromhex("04D00000FF2C"),
               bytes.fromhex("05D1000006FF24"), bytes.fromhex("0200000100"), CODE.encode(), b"0" * FRAME_LIMIT),
    ),
    Target(
        name="scanner_times",
        opened=always(check_scanner_times),
        samples=(_PAUSED, b"\x01" + bytes((60, 9)) + CODE[:9].encode() + bytes((1, 10)) + CODE[9:].encode() + b"\r"),
        words=(b"\x0d", bytes((200, 0)), bytes((9, len(_LINE))) + _LINE, bytes((255, 1, 13))),
    ),
    Target(
        name="keyboard_events",
        opened=always(check_key_events),
        samples=tuple(
            bytes((at,)) + body
            for at in (0, 1, 4, 5)
            for body in (typed(f"{CODE}\n"), typed("Ab1\t"), typed("13") + packed(DROPPED) + typed("7\n"))
        ),
        words=(packed(DROPPED), typed("1"), typed("\n"), typed("\t"), typed("A"), packed(*packet(58, 1))),
        longest=4096,
        examples=60,
    ),
    Target(
        name="keyboard_keys",
        opened=always(check_keys),
        samples=(b"\x00" + bytes((2, 4, 11, 9, 28)), b"\x04" + bytes((0xAA, 30, 0xAA, 15)), b"\x00\x02\xff\x03\x1c"),
        words=(b"\x1c", b"\x0f", b"\xaa", b"\x3a", b"\xff", b"\x9d"),
        longest=200,
        examples=60,
    ),
    Target(
        name="printer",
        opened=always(check_printer),
        samples=(b"\x12\x12\x12\x12", b"\x00", b"\x14\x00\x00\x0f", b"\x37\x22A001\x00", b"\x13\x11\x16\x0c",
                 b"\x37\x22A0\x1301\x00\x12", b"\x37\x22A0\x12"),
        words=(b"\x37\x22", b"\x11", b"\x13", b"\x10", b"\x12", b"\x00", b"\x37"),
        longest=256,
    ),
    Target(
        name="adapter_lines",
        opened=always(check_adapter_lines),
        longest=3 * LINE_LIMIT,
        samples=(b"".join(_ADAPTER), _SET_UP, b"\xffc,STATUS,VEND,1.00,7\r\n", b"x" * (LINE_LIMIT + 1) + b"\nc,0\n"),
        words=(*_ADAPTER, b"c,STATUS,VEND,", b"\r", b"\xff", b"0.005", b"9" * 17),
    ),
    Target(
        name="adapter_talk",
        opened=always(check_adapter_talk),
        samples=(
            _SET_UP + b"c,STATUS,ENABLED\nc,STATUS,VEND,1.00,7\n!a\nc,VEND,SUCCESS\n",
            b"\n" + _SET_UP + b"c,STATUS,ENABLED\n+100\nc,STATUS,IDLE\nc,STATUS,VEND,1.00,7\n!d\n!c\n",
            _SET_UP + b"c,STATUS,ENABLED\nc,STATUS,VEND,1.00,7\nc,ERR,VEND 5\n!a\n+200000\n",
        ),
        words=(*_ADAPTER, *_MOVES, _SET_UP),
    ),
)  # fmt: skip
