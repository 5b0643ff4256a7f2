"""Inputs that are large, deep or endless: what comes of them is small, whatever they are (I11)."""

import socket
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from terminald.cli.event_stream import MAX_LINE, EventDecoder
from terminald.config import load
from terminald.errors import ConfigError
from terminald.wire import upay
from terminald.wire.api import MAX_BODY, decode_sale_request
from terminald.wire.api_problems import PROBLEMS
from terminald.wire.barcode import SUFFIXES, Framer, Suffix
from terminald.wire.keyboard import KeyFramer
from terminald.wire.printer_status import ReplyReader
from terminald.wire.qibixx import Lines
from tests.adapters.kernel_keyboard import typed
from tests.fuzz.callers import CARD, check_body
from tests.fuzz.corpus import failure
from tests.fuzz.gateway import check_answer
from tests.system.rig import Bench, bench
from tests.wire.api_samples import DEFAULTS
from tests.wire.upay_answers import ASKED

MEBI = 1024 * 1024
#: As much as a decoder may hold of a stream that does not end: what its own bounds are, and room for Python's objects.
_HELD = 128 * 1024
_PIECE = 4096

#: JSON that is small on the wire and large, deep, or none, in memory.
STRANGE = {
    "deep arrays": b"[" * 60_000,
    "deep arrays, closed": b"[" * 30_000 + b"]" * 30_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a deep field": b'{"result_code":"200","reference":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    "a huge number": b'{"result_code":"200","amount":' + b"9" * 60_000 + b"}",
    "a huge exponent": b'{"result_code":"200","amount":1e99999999}',
    "NaN": b'{"result_code":"200","amount":NaN}',
    "infinity": b'{"result_code":"200","amount":-Infinity}',
    "half a character": b'{"result_code":"200","reference":"\\ud800","amount":1,"subject":"\\udfff"}',
    "half a character, raw": b'{"reference":"\xed\xa0\x80","amount":1,"subject":"x"}',
    "a name twice": b'{"result_code":"200","result_code":"200","amount":1,"amount":2}',
    "many names": b"{" + b",".join(b'"%d":0' % number for number in range(5_000)) + b"}",
    "a long name": b'{"' + b"x" * 60_000 + b'":1}',
    "a mark before": b'\xef\xbb\xbf{"result_code":"200"}',
    "other letters": '{"result_code":"200"}'.encode("utf-16"),
    "zeros": bytes(60_000),
}


def peak_of(work: Callable[[], object]) -> int:
    """Return how much more memory was held at some moment than before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def _decode_sale(body: bytes) -> None:
    decode_sale_request(body, DEFAULTS)


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
def test_strange_json_keeps_the_contract_of_answers_and_of_calls(body: bytes) -> None:
    assert failure(check_answer, body) is None
    assert failure(check_body, body) is None
    assert peak_of(lambda: upay.read_envelope(200, body)) < 4 * MEBI
    assert peak_of(lambda: failure(_decode_sale, body)) < 4 * MEBI


@pytest.mark.parametrize("body", [b"9" * 10 * MEBI, b"[" * 10 * MEBI, b'{"result_code":"200"}'.ljust(10 * MEBI)])
def test_an_answer_that_is_too_large_is_not_looked_at(body: bytes) -> None:
    assert peak_of(lambda: upay.decode_submit(200, body, asked=ASKED)) < 64 * 1024


Feed = Callable[[bytes], object]


def _scanner(suffix: Suffix) -> Feed:
    framer = Framer(suffix)
    return lambda data: framer.feed(data, 0)


def _keyboard() -> Feed:
    framer = KeyFramer("auto")
    return lambda data: framer.feed(data, 0)


ENDLESS: dict[str, tuple[Callable[[], Feed], bytes]] = {
    **{f"scanner, {suffix}": (partial(_scanner, suffix), b"1") for suffix in SUFFIXES},
    "scanner, replies": (partial(_scanner, "auto"), b"\x02\x00\x00\x01"),
    "keyboard": (_keyboard, typed("1")),
    "printer": (lambda: ReplyReader().feed, b"\x10\x37\x22"),
    "adapter": (lambda: Lines().feed, b"c,STATUS"),
    "adapter, noise": (lambda: Lines().feed, b"\xff"),
}


@pytest.mark.parametrize(("made", "unit"), ENDLESS.values(), ids=ENDLESS)
def test_what_does_not_end_is_not_kept(made: Callable[[], Feed], unit: bytes) -> None:
    feed, piece = made(), unit * (_PIECE // len(unit))
    feed(piece)

    def work() -> None:
        for _ in range(64):
            feed(piece)

    assert peak_of(work) < _HELD


def test_a_line_of_events_that_does_not_end_is_an_error() -> None:
    decoder = EventDecoder()
    assert list(decoder.feed(b"x" * MAX_LINE)) == []
    with pytest.raises(ValueError, match="does not end"):
        list(decoder.feed(b"x"))


def _load(file: Path) -> Callable[[bytes], None]:
    def read(text: bytes) -> None:
        file.write_bytes(text)
        load(file)

    return read


HUGE: dict[str, bytes] = {
    "brackets": b"a = " + b"[" * 50_000,
    "dots": b"a." * 30_000 + b"b = 1",
    "dots and quotes": b'"a" . ' * 10_000 + b"b = 1",
    "dots in a table's name": b"[" + b"a." * 30_000 + b"b]",
    "tables": b"[[a]]\n" * 10_000,
    "no end": b"x" * 10 * MEBI,
    "one word": b"x" * 60_000,
    "quotes": b'"' * 60_000,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_a_configuration_that_is_none_is_refused_in_little_memory(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "t.toml"

    def work() -> None:
        found = failure(_load(file), text)
        assert isinstance(found, ConfigError)
        assert len(str(found)) < 100_000

    assert peak_of(work) < 32 * MEBI


# --- the daemon ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("hostile")) as made:
        made.start()
        made.wait_ready()
        yield made


def resident_kib(terminal: Bench) -> int:
    assert terminal.daemon is not None
    status = Path(f"/proc/{terminal.daemon.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def raw(terminal: Bench, *pieces: bytes) -> bytes:
    """Send pieces for as long as they are taken, and return what comes until the daemon closes."""
    said = b""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(45)
        sock.connect(str(terminal.directory / "api.sock"))
        try:
            for piece in pieces:
                sock.sendall(piece)
            while piece := sock.recv(65_536):
                said += piece
        except (BrokenPipeError, ConnectionResetError):
            return said
    return said


def head(*lines: str, path: str = "/v1/sales") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: t", "Connection: close", *lines, "", ""]).encode()


_JSON = "Content-Type: application/json"
HOSTILE: dict[str, tuple[tuple[bytes, ...], tuple[int, ...]]] = {
    "a large body": ((head(_JSON, f"Content-Length: {10 * MEBI}"), *[b"9" * MEBI] * 10), (413,)),
    "a large body in chunks": (
        (head(_JSON, "Transfer-Encoding: chunked"), *[b"100000\r\n" + b"9" * MEBI + b"\r\n"] * 10), (413,),
    ),
    "a small body of deep JSON": ((head(_JSON, "Content-Length: 60000"), b"[" * 60_000), (400, 422)),
    "the largest body": ((head(_JSON, f"Content-Length: {MAX_BODY}"), b"9" * MAX_BODY), (400, 422)),
    "a long line of the head": ((b"GET /v1/status HTTP/1.1\r\nHost: " + b"t" * MEBI + b"\r\n\r\n",), (400, 431)),
    "a long target": ((b"GET /" + b"v" * MEBI + b" HTTP/1.1\r\nHost: t\r\n\r\n",), (400, 404, 414)),
    "many lines of the head": ((b"GET /v1/status HTTP/1.1\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n",), (400, 431)),
    "two lengths": ((head(_JSON, "Content-Length: 2", "Content-Length: 3"), b"{}"), (400,)),
    "a length and chunks": ((head(_JSON, "Content-Length: 2", "Transfer-Encoding: chunked"), b"0\r\n\r\n"), (400, 422)),
    "a length below zero": ((head(_JSON, "Content-Length: -1"), b"{}"), (400,)),
    "no HTTP": ((bytes(range(256)) * 16,), (400,)),
    "TLS": ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600) + b"\r\n\r\n",), (400,)),
    "a code in no JSON": (
        (head(_JSON, "Content-Length: 18", path="/v1/sales/x/payment-code"), CARD.encode()), (400, 422),
    ),
}  # fmt: skip


@pytest.mark.system
@pytest.mark.parametrize(("pieces", "statuses"), HOSTILE.values(), ids=HOSTILE)
def test_the_daemon_refuses_it_and_lives(terminal: Bench, pieces: tuple[bytes, ...], statuses: tuple[int, ...]) -> None:
    before = resident_kib(terminal)
    said = raw(terminal, *pieces)
    # Where it refuses before all was sent, the kernel may take its words away again.
    if said:
        assert said.startswith(b"HTTP/1.1 ")
        status = int(said[9:12])
        assert status in statuses
        assert status in {problem.status for problem in PROBLEMS.values()}
        assert CARD.encode() not in said
    assert terminal.api.get("/v1/health").json()["healthy"] is True
    assert resident_kib(terminal) - before < 8 * 1024
    log = terminal.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert CARD not in log
