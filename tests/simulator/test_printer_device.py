import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from terminald.simulator.printer import BUFFER_BYTES, BUSY_FREE, SimulatedPrinter
from tests.simulator.printer_host import CUT, Host


def test_a_receipt_for_each_cut_as_text_and_picture(tmp_path: Path) -> None:
    (tmp_path / "receipt-0007.png").touch()

    async def scene() -> None:
        async with SimulatedPrinter(out=tmp_path, link=tmp_path / "printer") as printer:
            host = Host(tmp_path / "printer")
            host.send(b"one\n" + CUT + b"two\n")
            first = await printer.wait_receipt(1)
            host.send(CUT)
            second = await printer.wait_receipt(2)
            host.close()
        assert (first.text, second.text) == ("one\n", "two\n")
        assert (first.png, second.png) == (tmp_path / "receipt-0008.png", tmp_path / "receipt-0009.png")
        assert (printer.received, printer.unknown, printer.overrun) == (14, 0, 0)

    asyncio.run(scene())
    assert not (tmp_path / "printer").is_symlink()
    with Image.open(tmp_path / "receipt-0008.png") as picture:
        assert picture.width == 384


def test_what_was_never_cut_is_torn_off_at_the_end(tmp_path: Path) -> None:
    async def scene() -> SimulatedPrinter:
        async with SimulatedPrinter(out=tmp_path) as printer:
            host = Host(printer.device)
            host.send(b"one\n\x1bd\x04two\n\x1bd\x04")
            await printer.wait_received(14)
            await printer.wait_printed()
            assert printer.receipts == []
            host.close()
        return printer

    (receipt,) = asyncio.run(scene()).receipts
    assert receipt.text == "one\ntwo\n"
    assert receipt.png == tmp_path / "receipt-0001.png"
    with Image.open(tmp_path / "receipt-0001.png") as picture:
        assert picture.width == 384


@pytest.mark.parametrize(
    ("break_it", "mend_it", "answers"),
    [
        (lambda p: p.set_paper(is_out=True), lambda p: p.set_paper(is_out=False), b"\x1a\x32\x12\x7e"),
        (lambda p: p.set_cover(is_open=True), lambda p: p.set_cover(is_open=False), b"\x1a\x16\x12\x12"),
        (lambda p: p.set_online(is_online=False), lambda p: p.set_online(is_online=True), b"\x1a\x12\x12\x12"),
    ],
)
def test_status_is_answered_at_once_and_a_stopped_printer_goes_on_later(
    break_it: Callable[[SimulatedPrinter], None], mend_it: Callable[[SimulatedPrinter], None], answers: bytes
) -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            host = Host(printer.device)
            host.send(b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04")
            assert await host.answer(4) == b"\x12\x12\x12\x12"
            break_it(printer)
            host.send(b"held\n" + CUT + b"\x1dr\x01\x1d(H\x06\x0000ABCD")
            host.send(b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04")
            assert await host.answer(4) == answers
            assert printer.receipts == []
            mend_it(printer)
            assert await host.answer(8) == b"\x00\x37\x22ABCD\x00"
            assert (await printer.wait_receipt(1)).text == "held\n"
            host.close()

    asyncio.run(scene())


def test_a_stopped_printer_holds_the_host_off() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(flow="xonxoff") as printer:
            host = Host(printer.device)
            printer.set_paper(is_out=True)
            assert await host.answer(1) == b"\x13"
            printer.set_paper(is_out=False)
            assert await host.answer(1) == b"\x11"
            host.close()

    asyncio.run(scene())


def test_bytes_beyond_the_buffer_are_lost_without_flow_control() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(flow="none") as printer:
            host = Host(printer.device)
            printer.set_online(is_online=False)
            for _ in range(5):
                host.send(b"x" * 1000)
                await printer.wait_received(1000)
            await printer.wait_received(5000)
            assert printer.overrun == 5000 - BUFFER_BYTES
            host.close()

    asyncio.run(scene())


def test_a_full_buffer_stops_the_line_and_nothing_is_lost() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            host = Host(printer.device)
            printer.set_online(is_online=False)
            for count in (1000, 2000, 3000, 4000):
                host.send(b"x" * 999 + b"\n")
                await printer.wait_received(count)
            assert printer.received >= BUFFER_BYTES - BUSY_FREE
            host.send(b"y" * 999 + b"\n" + CUT)
            assert printer.received == 4000
            printer.set_online(is_online=True)
            text = (await printer.wait_receipt(1)).text
            assert (text.count("x"), text.count("y")) == (999 * 4, 999)
            assert printer.overrun == 0
            host.close()

    asyncio.run(scene())


def test_a_slow_printer_takes_its_time() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(bytes_per_second=10_000) as printer:
            host = Host(printer.device)
            started = asyncio.get_running_loop().time()
            host.send(b"x" * 500 + b"\n" + CUT)
            await printer.wait_receipt(1)
            assert asyncio.get_running_loop().time() - started >= 0.04
            host.close()

    asyncio.run(scene())


def test_unplugging_hangs_the_line_up() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            host = Host(printer.device)
            printer.unplug()
            with pytest.raises(OSError, match="Input/output error"):
                host.send(b"x")
            printer.set_paper(is_out=True)
            host.close()

    asyncio.run(scene())


def test_the_program_says_where_it_is_and_obeys_what_is_typed(tmp_path: Path) -> None:
    code = (
        "import argparse, sys; from terminald.simulator import printer; parser = argparse.ArgumentParser();"
        "printer.add_arguments(parser); sys.exit(printer.main(parser.parse_args()))"
    )
    link = tmp_path / "printer"
    command = [sys.executable, "-c", code, "--link", str(link), "--out", str(tmp_path), "--width", "576"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == f"printer on {link}\n"
        assert 'driver = "serial"' in process.stdout.readline()
        assert "paper out" in process.stdout.readline()
        process.stdin.write("sing\n\nPaper  out\npaper ok\n")
        process.stdin.flush()
        assert "not a command" in process.stdout.readline()
        fd = os.open(link, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"hello\n" + CUT)
        assert process.stdout.readline() == f"printed {tmp_path / 'receipt-0001.png'}\n"
        os.write(fd, b"not cut\n\x1d(H\x06\x0000ABCD")
        answer = b""
        while len(answer) < 7:  # it is on paper then
            answer += os.read(fd, 7)
        os.close(fd)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert process.stdout.readline() == f"printed {tmp_path / 'receipt-0002.png'}\n"
    assert not link.is_symlink()
