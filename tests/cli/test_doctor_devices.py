"""The devices as ``terminald doctor`` meets them: real lines and sockets, a simulated scanner and printer."""

import ctypes
import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.adapters.accounts import group_name, user_name
from terminald.adapters.device_discovery import FoundDevice, Places
from terminald.cli.doctor_devices import check_printer, check_scanners, check_unmentioned, check_vending, toml_of
from terminald.cli.doctor_findings import Finding, Verdict
from terminald.cli.doctor_print import check_print, self_test, verdict_of
from terminald.cli.doctor_scan import check_scans, describe
from terminald.config import Config, ScannerConfig, load
from terminald.core.events import (
    Blockage,
    JobBlocked,
    JobBroken,
    JobInterrupted,
    JobLost,
    JobPrinted,
    JobSent,
    PrintAnswer,
    PrinterAbsent,
)
from terminald.core.receipt import QrMark
from terminald.core.self_test import SAMPLE, layout_self_test, ruler
from terminald.simulator.printer import ANSWERS, Manner, Model, SimulatedPrinter
from terminald.simulator.scanner import SimulatedScanner
from tests.cli.terminal_files import write_config
from tests.system.vending import VendingMachine
from tests.threaded_printer import ThreadedPrinter

CODE = "134679085213467908"
PATTERN = re.compile("^[0-9]{16,24}$")
#: Longer than any part of this takes on a machine that does other work too.
PATIENCE_S = 30.0

Capture = pytest.CaptureFixture[str]


def configured(directory: Path, more: str) -> Config:
    path = write_config(directory, "http://127.0.0.1:1")
    path.write_text(path.read_text() + more)
    return load(path)


def scanner_at(device: Path | str, more: str = "") -> str:
    return f'[[scanner]]\nname = "front"\ndevice = "{device}"\n{more}'


def serial_printer(device: Path | str, more: str = "") -> str:
    return f'[printer]\ndriver = "serial"\ndevice = "{device}"\n{more}'


@contextmanager
def held(directory: Path, device: Path) -> Iterator[int]:
    """Let another process have the state directory and the device; return its number."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.holding_child", str(directory), str(device)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        yield child.pid
    finally:
        child.communicate(timeout=PATIENCE_S)


@pytest.fixture
def scanner(tmp_path: Path) -> Iterator[SimulatedScanner]:
    with SimulatedScanner(link=tmp_path / "scanner") as made:
        yield made


# --- scanners --------------------------------------------------------------------------------------------------------


def test_a_scanner_is_opened_for_real(tmp_path: Path, scanner: SimulatedScanner) -> None:
    [found] = check_scanners(configured(tmp_path, scanner_at(tmp_path / "scanner")))
    assert (found.verdict, "can be opened" in found.what) == (Verdict.OK, True)
    assert scanner.scan(CODE)


def test_what_is_wrong_with_a_scanner_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, words, advice in (
        (tmp_path / "none", "is not there", "check the cable"),
        (tmp_path / "file", "is not a serial line", ""),
    ):
        [found] = check_scanners(configured(tmp_path, scanner_at(path)))
        assert (found.verdict, words in found.what, found.advice.startswith(advice)) == (Verdict.FAIL, True, True)


@pytest.mark.usefixtures("scanner")
def test_a_scanner_that_the_daemon_has_is_well_and_can_not_be_scanned_with(tmp_path: Path) -> None:
    config = configured(tmp_path, scanner_at(tmp_path / "scanner"))
    with held(config.state.directory, tmp_path / "scanner") as pid:
        [found] = check_scanners(config)
        assert (found.verdict, f"in use by terminald (process {pid})" in found.what) == (Verdict.OK, True)
        [found] = check_scans(config, 1.0)
        assert (found.verdict, found.what) == (Verdict.FAIL, f"front: held by terminald (process {pid})")
        assert "systemctl stop terminald.socket terminald" in found.advice
        assert "terminald events" in found.advice


@pytest.mark.usefixtures("scanner")
def test_a_scanner_that_another_program_has_is_not_terminalds(tmp_path: Path) -> None:
    config = configured(tmp_path, scanner_at(tmp_path / "scanner"))
    with held(tmp_path / "elsewhere", tmp_path / "scanner") as pid:
        [found] = check_scanners(config)
    assert (found.verdict, f"process {pid}" in found.what) == (Verdict.FAIL, True)
    assert found.advice == "stop that program, or choose another device"


def test_a_keyboard_scanner_is_looked_for_by_what_names_it(tmp_path: Path) -> None:
    for device, words, advice in (
        ("fffe:fffe", "with the id fffe:fffe is not there", "check the cable"),
        (f"{tmp_path}/none", f"{tmp_path}/none is not there", "check the cable"),
        (f"{tmp_path}/vendor.key", "is no input device", "take a path below /dev/input"),
    ):
        config = configured(tmp_path, scanner_at(device, 'driver = "hid"\n'))
        for found in (*check_scanners(config), *check_scans(config, 1.0)):
            assert (found.verdict, found.what.startswith("front: ")) == (Verdict.FAIL, True)
            assert words in found.what
            assert found.advice.startswith(advice)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every device")
def test_a_device_that_may_not_be_used_names_its_group(tmp_path: Path) -> None:
    device = next(one for one in (Path("/dev/mem"), Path("/dev/kmsg")) if one.exists())
    [found] = check_scanners(configured(tmp_path, scanner_at(device)))
    assert found.verdict is Verdict.FAIL
    group = device.stat().st_gid
    advice = f"adduser {user_name(os.geteuid())} {group_name(group)}" if group else "udev rule"
    assert advice in found.advice


# --- a scan ----------------------------------------------------------------------------------------------------------


def scanned(config: Config, scan: Callable[[], object], limit_s: float = PATIENCE_S) -> Finding:
    """Scan again and again until the doctor has said what arrived: nobody tells when it begins to listen."""
    said: list[Finding] = []
    doctor = threading.Thread(target=lambda: said.extend(check_scans(config, limit_s)))
    doctor.start()
    while doctor.is_alive():
        scan()
        doctor.join(1.5)
    [found] = said
    return found


def test_a_scan_is_described_and_never_shown(tmp_path: Path, scanner: SimulatedScanner) -> None:
    """I7."""
    config = configured(tmp_path, scanner_at(tmp_path / "scanner"))
    found = scanned(config, partial(scanner.scan, CODE))
    assert found.verdict is Verdict.OK
    assert found.what == "front: 18 characters, 1346…7908, suffix seen (auto): a payment code"


def test_a_scanner_without_a_suffix_is_told_by_its_first_scan(tmp_path: Path, scanner: SimulatedScanner) -> None:
    config = configured(tmp_path, scanner_at(tmp_path / "scanner"))
    found = scanned(config, lambda: scanner.send(CODE.encode()))
    assert (found.verdict, "without an end" in found.what) == (Verdict.FAIL, True)
    assert 'suffix = "none"' in found.advice
    config = configured(tmp_path, scanner_at(tmp_path / "scanner", 'suffix = "none"\n'))
    found = scanned(config, lambda: scanner.send(CODE.encode()))
    assert (found.verdict, "ended by silence, as configured: a payment code" in found.what) == (Verdict.OK, True)


def test_what_is_no_text_is_a_matter_of_speed(tmp_path: Path, scanner: SimulatedScanner) -> None:
    found = scanned(configured(tmp_path, scanner_at(tmp_path / "scanner")), lambda: scanner.send(b"\xf8\x98\x80\r"))
    assert (found.verdict, "not text" in found.what, "baudrate" in found.advice) == (Verdict.FAIL, True, True)


def test_a_flood_without_an_end_is_told(tmp_path: Path, scanner: SimulatedScanner) -> None:
    found = scanned(configured(tmp_path, scanner_at(tmp_path / "scanner")), lambda: scanner.send(b"7" * 600))
    assert (found.verdict, "more arrived than any code has" in found.what) == (Verdict.FAIL, True)


def test_a_scanner_that_says_nothing_or_is_pulled_out_is_told(tmp_path: Path, scanner: SimulatedScanner) -> None:
    config = configured(tmp_path, scanner_at(tmp_path / "scanner"))
    [found] = check_scans(config, 0.5)
    assert (found.verdict, found.what) == (Verdict.FAIL, "front: nothing arrived within 0 s")
    assert "trigger_on" in found.advice
    timer = threading.Timer(1.0, scanner.unplug)
    timer.start()
    [found] = check_scans(config, PATIENCE_S)
    timer.join()
    assert (found.verdict, "went away" in found.what, found.advice) == (Verdict.FAIL, True, "check the cable")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (CODE, "18 characters, 1346…7908, suffix seen (cr): a payment code"),
        (f"]Q1{CODE}", "18 characters, 1346…7908, AIM prefix ]Q1, suffix seen (cr): a payment code"),
        ("6901234567892", "13 characters, 6901…7892, suffix seen (cr): the scanner works; no payment code (product_b"),
        ("https://qr.alipay.com/fkx1234567", "no payment code (web_address)"),
        ("1234", "4 characters, …, suffix seen (cr): the scanner works; no payment code (too_short)"),
    ],
)
def test_what_arrived_is_named(frame: str, words: str) -> None:
    found = describe(ScannerConfig(name="front", device="/dev/null", suffix="cr"), frame, PATTERN)
    assert (found.verdict, words in found.what, frame in found.what) == (Verdict.OK, True, False)


def test_without_a_scanner_there_is_nothing_to_scan_with(tmp_path: Path) -> None:
    [found] = check_scans(configured(tmp_path, ""))
    assert found.verdict is Verdict.FAIL


# --- the printer -----------------------------------------------------------------------------------------------------


@contextmanager
def printer(link: Path, *, is_silent: bool = False) -> Iterator[ThreadedPrinter]:
    model = Model(manner=Manner(answers=ANSWERS["none"])) if is_silent else Model()
    with ThreadedPrinter(lambda: SimulatedPrinter(link=link, model=model)) as made:
        yield made


def test_a_printer_is_asked_how_it_is(tmp_path: Path) -> None:
    config = configured(tmp_path, serial_printer(tmp_path / "printer"))
    with printer(tmp_path / "printer") as made:
        [found] = check_printer(config)
        assert (found.verdict, "it answers, and nothing is wrong" in found.what) == (Verdict.OK, True)
        made.do(lambda: made.printer.set_paper_low(is_low=True))
        [found] = check_printer(config)
        assert (found.verdict, "the paper is near its end" in found.what) == (Verdict.WARN, True)
        made.do(lambda: made.printer.set_paper(is_out=True))
        [found] = check_printer(config)
        assert (found.verdict, found.advice) == (Verdict.FAIL, "put in a new roll")
        assert (made.printer.unknown, made.texts()) == (0, [])


def test_a_printer_that_answers_nothing_is_well_too(tmp_path: Path) -> None:
    config = configured(tmp_path, serial_printer(tmp_path / "printer"))
    with printer(tmp_path / "printer", is_silent=True):
        [found] = check_printer(config)
    assert (found.verdict, "does not answer questions" in found.what) == (Verdict.OK, True)
    asked_nothing = configured(tmp_path, serial_printer(tmp_path / "printer", 'status = "none"\n'))
    with printer(tmp_path / "printer"):
        [found] = check_printer(asked_nothing)
    assert (found.verdict, "it is not asked" in found.what) == (Verdict.OK, True)


def test_a_printer_that_the_daemon_has_is_well_and_prints_no_ticket(tmp_path: Path) -> None:
    config = configured(tmp_path, serial_printer(tmp_path / "printer"))
    with printer(tmp_path / "printer"), held(config.state.directory, tmp_path / "printer") as pid:
        [found] = check_printer(config)
        assert (found.verdict, f"in use by terminald (process {pid})" in found.what) == (Verdict.OK, True)
        [found] = check_print(config, None, ())
        assert (found.verdict, f"held by terminald (process {pid})" in found.what) == (Verdict.FAIL, True)


def test_a_usb_printer_by_its_ids_is_looked_for_and_not_taken_for_a_path(tmp_path: Path) -> None:
    config = configured(tmp_path, '[printer]\ndriver = "usb"\ndevice = "fffe:0202"\n')
    [found] = check_printer(config)
    assert (found.verdict, bool(found.advice)) == (Verdict.FAIL, True)
    try:
        ctypes.CDLL("libusb-1.0.so.0")
    except OSError:  # a machine without it can not look
        assert (found.what, found.advice) == ("usb: libusb is missing", "apt install libusb-1.0-0")
    else:
        assert "fffe:0202" in found.what


def test_a_printer_on_the_network_is_connected_to(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        more = f'[printer]\ndriver = "network"\ndevice = "127.0.0.1:{port}"\nstatus = "none"\n'
        [found] = check_printer(configured(tmp_path, more))
        assert (found.verdict, f"127.0.0.1:{port}" in found.what) == (Verdict.OK, True)
    [found] = check_printer(configured(tmp_path, more))
    assert found.verdict is Verdict.FAIL


def test_a_printers_file_must_be_writable(tmp_path: Path) -> None:
    for device, verdict in ((f"{tmp_path}/receipts.bin", Verdict.OK), (f"{tmp_path}/none/receipts.bin", Verdict.FAIL)):
        [found] = check_printer(configured(tmp_path, f'[printer]\ndriver = "file"\ndevice = "{device}"\n'))
        assert found.verdict is verdict
    assert not (tmp_path / "receipts.bin").exists()


# --- the ticket ------------------------------------------------------------------------------------------------------


def test_the_ticket_is_printed_as_receipts_are(tmp_path: Path) -> None:
    config = configured(tmp_path, serial_printer(tmp_path / "printer"))
    with printer(tmp_path / "printer") as made:
        [found] = check_print(config, None, ("http://127.0.0.1:1: no connection",))
        assert (found.verdict, found.what.startswith("printed: ")) == (Verdict.OK, True)
        [text] = made.texts()
    joined = re.sub(r"\s", "", text)
    for part in ("lobby-7", "device-1", "未激活", socket.gethostname(), "noconnection", SAMPLE, ruler(32)):
        assert part.replace(" ", "") in joined
    assert "nothingiswrong" in joined
    assert made.printer.unknown == 0


def test_a_printer_that_says_nothing_leaves_the_ticket_unverified(tmp_path: Path) -> None:
    config = configured(tmp_path, serial_printer(tmp_path / "printer"))
    with printer(tmp_path / "printer", is_silent=True) as made:
        [found] = check_print(config, None, ())
        assert (found.verdict, found.what.startswith("unverified: ")) == (Verdict.NOTE, True)
        assert "look at it" in found.advice
        deadline = time.monotonic() + PATIENCE_S
        while not made.texts() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(made.texts()) == 1


def test_a_printer_without_paper_blocks_the_ticket_and_says_what_to_do(tmp_path: Path) -> None:
    config = configured(tmp_path, serial_printer(tmp_path / "printer"))
    with printer(tmp_path / "printer") as made:
        made.do(lambda: made.printer.set_paper(is_out=True))
        [found] = check_print(config, None, ())
        assert (found.verdict, found.what, found.advice) == (
            Verdict.FAIL,
            "blocked: the paper is out",
            "put in a new roll",
        )
        assert made.texts() == []


def test_a_line_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    line, other = pty.openpty()
    try:
        more = serial_printer(os.ttyname(other), 'flow = "xonxoff"\nstatus = "none"\n')
        config = configured(tmp_path, more)
        stop = threading.Event()

        def hold() -> None:
            while not stop.wait(0.05):
                os.write(line, b"\x13")

        holding = threading.Thread(target=hold)
        holding.start()
        [found] = check_print(config, None, (), limit_s=2.0)
        stop.set()
        holding.join()
        assert (found.verdict, found.what.startswith("blocked: ")) == (Verdict.FAIL, True)
    finally:
        os.close(line)
        os.close(other)


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (JobPrinted(evidence="e"), Verdict.OK, "printed: e"),
        (JobSent(evidence="e"), Verdict.NOTE, "unverified: e"),
        (JobBlocked(evidence="the cover is open: close it", by=Blockage.COVER), Verdict.FAIL, "blocked: the cover is"),
        (JobInterrupted(evidence="e", by=Blockage.PAPER), Verdict.FAIL, "blocked: e"),
        (JobLost(evidence="e"), Verdict.FAIL, "not printed: e"),
        (JobBroken(evidence="e"), Verdict.FAIL, "not printed: e"),
        (PrinterAbsent(evidence="e"), Verdict.FAIL, "not printed: e"),
    ],
)
def test_what_became_of_the_ticket_is_said_with_what_to_do(answer: PrintAnswer, verdict: Verdict, words: str) -> None:
    found = verdict_of(answer)
    assert (found.verdict, found.what.startswith(words), bool(found.advice)) == (verdict, True, True)


def test_without_a_printer_there_is_no_ticket(tmp_path: Path) -> None:
    config = configured(tmp_path, "")
    [found] = check_print(config, None, ())
    assert found.verdict is Verdict.FAIL
    assert list(check_printer(config)) == []
    marks = layout_self_test(self_test(config, None, ()), columns=32)
    assert any(isinstance(mark, QrMark) for mark in marks)


# --- devices that are not configured ---------------------------------------------------------------------------------


def test_what_is_plugged_in_and_not_configured_is_told_with_lines_that_configure_it(tmp_path: Path) -> None:
    for name in ("ttyACM0", "ttyACM1", "ttyACM2"):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / name).write_text("")
    (tmp_path / "dev/usb").mkdir()
    (tmp_path / "dev/usb/lp0").write_text("")
    config = configured(tmp_path, scanner_at(tmp_path / "dev/ttyACM1").replace("front", "scanner-1"))
    places = Places(nodes=tmp_path / "dev", inputs=tmp_path, printers=tmp_path, usb=tmp_path)
    found = list(check_unmentioned(config, places))
    assert {one.verdict for one in found} == {Verdict.NOTE}
    lines = "\n".join(line for one in found for line in one.lines)
    path = write_config(tmp_path, "http://127.0.0.1:1")
    path.write_text(f"{path.read_text()}{lines}\n{scanner_at(tmp_path / 'dev/ttyACM1').replace('front', 'scanner-1')}")
    completed = load(path)
    assert [one.name for one in completed.scanners] == ["scanner-2", "scanner-3", "scanner-1"]
    assert completed.printer.device == str(tmp_path / "dev/usb/lp0")
    assert list(check_unmentioned(completed, places)) == []


@pytest.mark.parametrize("device", ["/dev/ttyACM0", '/dev/serial/by-id/usb-"\\x\N{GRINNING FACE}', "1a2c:0001"])
def test_lines_are_toml_whatever_a_device_calls_itself(device: str) -> None:
    for kind in ("scanner", "printer"):
        found = FoundDevice(kind=kind, driver="serial", device=device, node="", name="x")
        read = tomllib.loads("\n".join(toml_of(found, {"scanner-1"})))
        assert device in str(read[kind][0]["device"] if kind == "scanner" else read[kind]["device"])


# --- as it is typed --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("scanner")
def test_scan_and_print_are_asked_for_and_told_as_json(
    tmp_path: Path, capsys: Capture, scanner: SimulatedScanner
) -> None:
    receipts = tmp_path / "receipts.bin"
    configured(tmp_path, scanner_at(tmp_path / "scanner") + f'[printer]\ndriver = "file"\ndevice = "{receipts}"\n')
    arguments = ["--config", str(tmp_path / "terminald.toml"), "doctor"]
    main([*arguments, "--json"])
    checks = {one["check"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert not checks & {"scan", "print"}
    assert not receipts.exists()
    is_over = threading.Event()

    def scan() -> None:
        while not is_over.wait(0.3):
            scanner.scan(CODE)

    scanning = threading.Thread(target=scan)
    scanning.start()
    main([*arguments, "--json", "--scan", "--print"])
    is_over.set()
    scanning.join()
    said = capsys.readouterr().out
    told = {one["check"]: one for one in json.loads(said)["findings"]}
    assert told["scan"]["what"].endswith("a payment code")
    assert told["print"]["what"].startswith("unverified: ")
    assert CODE not in said
    assert receipts.stat().st_size > 500


# --- vending machines ------------------------------------------------------------------------------------------------


def test_an_adapter_is_set_up_and_stays_off_the_bus(tmp_path: Path) -> None:
    link = tmp_path / "vmc"
    config = configured(tmp_path, f'\n[[vending]]\nname = "snacks"\ndevice = "{link}"\n')
    with VendingMachine(link) as machine:
        (finding,) = check_vending(config)
        assert (finding.verdict, machine.status()) == (Verdict.OK, "OFF")
        assert finding.what.startswith(f"snacks: {link} takes its settings")
        assert machine.books().judge() == []
    (finding,) = check_vending(config)
    assert finding.verdict is Verdict.FAIL


def test_a_vending_machine_of_the_daemon_is_left_to_it(tmp_path: Path) -> None:
    assert list(check_vending(configured(tmp_path, ""))) == []
