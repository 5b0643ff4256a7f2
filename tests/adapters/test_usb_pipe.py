import errno
from pathlib import Path

import pytest

from terminald.adapters.usb_pipe import open_pipe
from tests.adapters.usb_world import BULK, INTERRUPT, KEYBOARD, VENDOR, FakeInterface, FakeUsb, bus

IDS = (0x0416, 0x5011)


def test_what_is_written_arrives_through_the_pipe_that_was_found() -> None:
    printer = FakeUsb()
    pipe = open_pipe(*IDS, backend=bus(FakeUsb(product=1), printer), nodes=Path("/n"))
    assert pipe.node == Path("/n/001/011")
    assert pipe.write(b"\x1b@abc") == 5
    printer.says += b"\x12"
    assert (pipe.read(), pipe.read(), pipe.can_read) == (b"\x12", b"", True)
    pipe.close()
    pipe.close()
    assert bytes(printer.taken) == b"\x1b@abc"
    assert printer.history == ["open", "claim 0", "release 0", "close"]


@pytest.mark.parametrize(
    ("interfaces", "claimed", "says"),
    [
        ((FakeInterface(number=2, kind=VENDOR),), ["claim 2"], b"!"),
        ((FakeInterface(number=0, kind=VENDOR), FakeInterface(number=1)), ["claim 1"], b"!"),
        ((FakeInterface(number=0, kind=KEYBOARD), FakeInterface(number=1, kind=VENDOR)), ["claim 1"], b"!"),
        ((FakeInterface(pipes=((0x02, BULK),)),), ["claim 0"], b""),
        ((FakeInterface(pipes=((0x82, INTERRUPT), (0x01, INTERRUPT), (0x04, BULK))),), ["claim 0"], b""),
        (
            (FakeInterface(pipes=((0x01, BULK),)), FakeInterface(alternate=1)),
            ["claim 0", "setting 0 1"],
            b"!",
        ),
        ((FakeInterface(), FakeInterface(alternate=1)), ["claim 0"], b"!"),
    ],
)
def test_pipes_are_found_in_the_interface_of_a_printer_else_of_the_vendor(
    interfaces: tuple[FakeInterface, ...], claimed: list[str], says: bytes
) -> None:
    printer = FakeUsb(interfaces=interfaces)
    pipe = open_pipe(*IDS, backend=bus(printer))
    assert printer.history == ["open", *claimed]
    assert pipe.can_read is bool(says)
    printer.says += b"!"
    assert pipe.read() == says
    assert pipe.write(b"x") == 1
    pipe.close()


@pytest.mark.parametrize(
    ("printer", "number", "words"),
    [
        (FakeUsb(product=0x5012), errno.ENOENT, "no USB device 0416:5011"),
        (FakeUsb(open_fault=errno.EACCES), errno.EACCES, "denied"),
        (FakeUsb(claim_fault=errno.EBUSY), errno.EBUSY, "busy"),
        (FakeUsb(interfaces=(FakeInterface(kind=KEYBOARD),)), errno.ENXIO, "no interface for print data"),
        (FakeUsb(interfaces=(FakeInterface(pipes=((0x81, BULK),)),)), errno.ENXIO, "no interface for print data"),
        (FakeUsb(is_configured=False), None, "Configuration not set"),
    ],
)
def test_what_can_not_be_used_says_why_and_is_let_go(printer: FakeUsb, number: int | None, words: str) -> None:
    with pytest.raises(OSError, match=words) as found:
        open_pipe(*IDS, backend=bus(printer))
    assert found.value.errno == number
    assert printer.history.count("open") == printer.history.count("close")
    assert "release 0" not in printer.history


def test_of_two_the_one_that_can_be_used_is() -> None:
    held, free = FakeUsb(claim_fault=errno.EBUSY), FakeUsb()
    open_pipe(*IDS, backend=bus(held, free)).close()
    assert free.history == ["open", "claim 0", "release 0", "close"]


def driven_by(devices: Path, driver: str) -> None:
    interface = devices / "1-4.2:1.0"
    interface.mkdir(parents=True)
    (interface / "driver").symlink_to(f"../../../bus/usb/drivers/{driver}")


def test_the_kernels_printer_driver_lends_the_device_and_gets_it_back(tmp_path: Path) -> None:
    driven_by(tmp_path, "usblp")
    printer = FakeUsb(has_driver=True)
    open_pipe(*IDS, backend=bus(printer), devices=tmp_path).close()
    assert printer.history == ["open", "detach 0", "claim 0", "release 0", "attach 0", "close"]


@pytest.mark.parametrize("driver", ["ftdi_sio", ""])
def test_no_other_driver_is_sent_away(tmp_path: Path, driver: str) -> None:
    if driver:
        driven_by(tmp_path, driver)
    printer = FakeUsb(has_driver=True)
    with pytest.raises(OSError, match=f"the kernel's driver {driver or 'unknown'} has it") as found:
        open_pipe(*IDS, backend=bus(printer), devices=tmp_path)
    assert found.value.errno == errno.EBUSY
    assert printer.history == ["open", "close"]


def test_a_busy_printer_takes_what_it_has_room_for_and_it_is_counted() -> None:
    printer = FakeUsb(room=3)
    pipe = open_pipe(*IDS, backend=bus(printer))
    assert [pipe.write(b"abcde"), pipe.write(b"de")] == [3, 0]
    pipe.close()


def test_a_pipe_that_refuses_is_opened_again_for_the_next_job() -> None:
    printer = FakeUsb()
    pipe = open_pipe(*IDS, backend=bus(printer))
    printer.fault = errno.EPIPE
    with pytest.raises(OSError, match="No such device"):
        pipe.write(b"x")
    with pytest.raises(OSError, match="No such device"):
        pipe.read()
    assert printer.history[-1] == "clear 3"
    pipe.close()


def test_closing_what_is_gone_raises_nothing(tmp_path: Path) -> None:
    driven_by(tmp_path, "usblp")
    printer = FakeUsb(has_driver=True)
    pipe = open_pipe(*IDS, backend=bus(printer), devices=tmp_path)
    printer.power_off()
    pipe.close()
    assert printer.history[-1] == "close"
