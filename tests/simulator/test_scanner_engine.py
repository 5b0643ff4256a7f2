"""A simulated scanner that repeats what stays before it, that a host triggers, or that speaks at another speed."""

import random
import termios
import time
from collections.abc import Iterator

import pytest

from terminald.simulator.scanner import (
    ENGINES,
    PREFIXES,
    SUFFIXES,
    ScannerWindow,
    SimulatedScanner,
    at_wrong_speed,
    converse,
)
from tests.simulator.scanner_host import Host

CODE = "130812345678901147"
LINE = CODE.encode() + b"\r"
GM65, SSI = ENGINES["gm65"], ENGINES["ssi"]


@pytest.fixture
def scanner() -> Iterator[SimulatedScanner]:
    with SimulatedScanner() as scanner:
        yield scanner


@pytest.mark.parametrize("suffix", SUFFIXES.values())
@pytest.mark.parametrize("prefix", PREFIXES.values())
def test_what_is_shown_is_read_with_prefix_and_suffix(scanner: SimulatedScanner, prefix: str, suffix: str) -> None:
    expected = f"{prefix}{CODE}{suffix}".encode()
    with Host(scanner.path) as host, ScannerWindow(scanner, prefix=prefix, suffix=suffix) as window:
        window.show(CODE)
        assert host.read(len(expected)) == expected


def test_a_phone_that_stays_is_read_once_or_in_continuous_mode_again_and_again(scanner: SimulatedScanner) -> None:
    with Host(scanner.path) as host:
        with ScannerWindow(scanner, interval_s=0.01) as window:
            window.leave(CODE)
            assert window.wait(lambda: window.reads == 1)
            assert not window.wait(lambda: window.reads > 1, 0.05)
        with ScannerWindow(scanner, is_continuous=True, interval_s=0.02) as window:
            started = time.monotonic()
            window.leave(CODE)
            assert window.wait(lambda: window.reads == 3)
            assert time.monotonic() - started >= 0.04
            window.take_away()
            reads = window.reads
            assert not window.wait(lambda: window.reads > reads, 0.05)
        assert host.read(len(LINE) * (reads + 1)) == LINE * (reads + 1)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_triggered_engine_reads_between_on_and_off_alone(scanner: SimulatedScanner, kind: str) -> None:
    engine = ENGINES[kind]
    with Host(scanner.path) as host, ScannerWindow(scanner, engine=engine, interval_s=0.01) as window:
        window.show(CODE)
        assert not window.wait(lambda: window.reads > 0, 0.03)
        host.send(engine.off + engine.on[:1])
        assert window.wait(lambda: window.heard == ["off"])
        host.send(engine.on[1:])
        assert window.wait(lambda: window.reads == 1)
        expected = engine.answer * 2 + LINE
        assert host.read(len(expected)) == expected
        assert window.is_lit is engine.latches
        window.leave(CODE)
        host.send(engine.on)
        assert window.wait(lambda: window.reads >= 2)
        host.send(engine.on + engine.off)
        assert window.wait(lambda: window.heard == ["off", "on", "on", "on", "off"])
        reads = window.reads
        assert not window.wait(lambda: window.reads > reads, 0.03)


def test_an_engine_says_that_it_does_not_understand_or_nothing(scanner: SimulatedScanner) -> None:
    with Host(scanner.path) as host:
        with ScannerWindow(scanner, engine=SSI) as window:
            host.send(b"hello")
            assert host.read(len(SSI.refusal)) == SSI.refusal
            assert window.heard == ["?"]
        with ScannerWindow(scanner) as deaf:
            host.send(SSI.on)
            deaf.show(CODE)
            assert host.read(len(LINE)) == LINE
            assert (deaf.heard, deaf.is_lit) == ([], True)


def test_what_is_held_before_an_unplugged_scanner_is_read_when_it_is_back(scanner: SimulatedScanner) -> None:
    with ScannerWindow(scanner) as window:
        scanner.unplug()
        window.show(CODE)
        assert not window.wait(lambda: window.reads > 0, 0.02)
        scanner.replug()
        assert window.wait(lambda: window.reads == 1)


def test_a_person_types_what_is_held_before_the_window(
    scanner: SimulatedScanner, capsys: pytest.CaptureFixture[str]
) -> None:
    with Host(scanner.path) as host, ScannerWindow(scanner, engine=GM65, interval_s=0.01) as window:
        converse(scanner, [CODE], window=window)
        assert capsys.readouterr().out == "dark: it is read when the host switches the engine on\n"
        host.send(GM65.on)
        assert host.read(26) == GM65.answer + LINE
        converse(scanner, [f":leave {CODE}"], window=window)
        host.send(GM65.on)
        assert host.read(26) == GM65.answer + LINE
        converse(scanner, [":away"], window=window)
        host.send(GM65.on)
        assert host.read(7) == GM65.answer
        assert not window.wait(lambda: window.reads > 2, 0.03)
        assert capsys.readouterr().out == ""


def test_bytes_at_nearly_the_same_speed_are_the_same() -> None:
    data = random.Random(1).randbytes(500)
    for read_at in (9200, 9400, 9600, 9800, 10_000):
        assert at_wrong_speed(data, sent_at=9600, read_at=read_at) == data
    assert at_wrong_speed(b"", sent_at=9600, read_at=1200) == b""


def test_bytes_at_another_speed_are_what_a_uart_makes_of_them() -> None:
    """Worked out by hand: "U" is 0 10101010 1 on the line, and "\\xf0" 0 00001111 1."""
    assert at_wrong_speed(b"\xf0", sent_at=9600, read_at=19200) == b"\x00"
    assert at_wrong_speed(b"\xf0", sent_at=9600, read_at=4800) == b"\xfe"
    assert at_wrong_speed(b"U", sent_at=9600, read_at=19200) == b"\x66\xe6"
    assert at_wrong_speed(b"\xff", sent_at=19200, read_at=4800) == b""


def test_a_host_at_another_speed_gets_garbage_and_is_not_understood() -> None:
    with SimulatedScanner(baudrate=9600) as scanner, Host(scanner.path) as host:
        with ScannerWindow(scanner, engine=SSI) as window:
            host.set_speed(termios.B4800)
            garbage = at_wrong_speed(LINE, sent_at=9600, read_at=4800)
            scanner.scan(CODE)
            assert host.read(len(garbage)) == garbage
            host.send(SSI.on)
            assert window.wait(lambda: bool(window.heard))
            assert "on" not in window.heard
        host.set_speed(termios.B9600)
        while host.has_more():
            host.read(1)
        scanner.scan(CODE)
        assert host.read(len(LINE)) == LINE
