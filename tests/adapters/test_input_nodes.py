"""Which input device is the scanner, and what is asked of an open one."""

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from evdev import ecodes

from terminald.adapters.input_nodes import (
    EVIOCGKEY,
    EVIOCGLED,
    EVIOCGRAB,
    EVIOCSMASK,
    InputNode,
    NoSuchKeyboard,
    Seen,
    choose,
    open_keyboard,
)
from terminald.config_keyboard import KeyboardChoice, parse_keyboard

PORT = "usb-0000:01:00.0-1.2"
ID = parse_keyboard("05F9:2206")


@pytest.fixture
def fd() -> Iterator[int]:
    reading, writing = os.pipe()
    yield reading
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            assert each == reading


def seen(
    event: int, *, usb_id: str = "05f9:2206", port: str = f"{PORT}/input0", name: str = "Scanner", types: bool = True
) -> Seen:
    node = InputNode(fd=-1, path=f"/dev/input/event{event}")
    return Seen(node=node, usb_id=usb_id, port=port, name=name, types_codes=types)


class TestChoosing:
    @pytest.mark.parametrize(
        ("value", "is_meant"),
        [
            ("05f9:2206", True),
            ("05F9:2206", True),
            ("05f9:2207", False),
            (f"{PORT}/input0", True),
            (f"{PORT}/input1", False),
            (PORT, True),
            ("usb-0000:01:00.0-1", False),
            ("Scanner", True),
            ("scanner", False),
            ("Scan", False),
            ("/dev/input/event3", True),
            ("/dev/input/event4", False),
        ],
    )
    def test_a_device_is_named_by_id_port_name_or_path(self, value: str, *, is_meant: bool) -> None:
        assert seen(3).is_meant_by(parse_keyboard(value)) == is_meant

    def test_of_several_nodes_the_one_that_types_codes_is_taken(self) -> None:
        nodes = [seen(3, types=False), seen(4, port=f"{PORT}/input1"), seen(5, port=f"{PORT}/input2", types=False)]
        assert choose(ID, nodes, 0) is nodes[1]

    @pytest.mark.parametrize(
        ("choice", "nodes", "forbidden", "said"),
        [
            (ID, [], 0, "an input device with the id 05f9:2206 is not there; check the cable"),
            (ID, [], 3, "no permission to look at 3 input devices, among which .* may be; .* group input"),
            (ID, [seen(3, types=False)], 2, "is there, but types no codes; set the scanner to keyboard mode"),
            (
                ID,
                [seen(3), seen(4, port="usb-2/input0")],
                0,
                '2 keyboards have the id 05f9:2206; set device to "usb-0000:01:00.0-1.2/input0" or "usb-2/input0"',
            ),
            (
                parse_keyboard("Scanner"),
                [seen(3, port=""), seen(4, port="")],
                0,
                "2 keyboards have the name Scanner; set device to /dev/input/event3 or /dev/input/event4",
            ),
            (parse_keyboard("/dev/x"), [seen(3, types=False)], 0, "/dev/x is there, but types no codes"),
        ],
    )
    def test_what_can_not_be_chosen_is_said_in_words(
        self, choice: KeyboardChoice, nodes: list[Seen], forbidden: int, said: str
    ) -> None:
        with pytest.raises(NoSuchKeyboard, match=said):
            choose(choice, nodes, forbidden)

    def test_what_is_no_event_node_is_passed_over_in_a_search_and_a_fault_as_a_path(self, tmp_path: Path) -> None:
        (tmp_path / "event0").touch()
        (tmp_path / "event1").symlink_to("/dev/null")
        (tmp_path / "event2").symlink_to("nowhere")
        (tmp_path / "mouse0").touch()
        before = len([*Path("/proc/self/fd").iterdir()])
        with pytest.raises(NoSuchKeyboard, match="is not there"):
            open_keyboard(ID, directory=tmp_path)
        with pytest.raises(NoSuchKeyboard, match="is not there"):
            open_keyboard(ID, directory=tmp_path / "absent")
        for name, number in (("event0", errno.ENOTTY), ("event1", errno.ENOTTY), ("event2", errno.ENOENT)):
            with pytest.raises(OSError, match=os.strerror(number)):
                open_keyboard(parse_keyboard(str(tmp_path / name)))
        assert len([*Path("/proc/self/fd").iterdir()]) == before


class TestRequests:
    def test_the_numbers_are_those_of_the_kernel(self) -> None:
        """_IOC of linux/ioctl.h, as most machines have it: direction, size, type, number."""

        def ioc(direction: int, number: int, size: int) -> int:
            return direction << 30 | size << 16 | ord("E") << 8 | number

        write, read = 1, 2
        assert ioc(write, 0x90, struct.calcsize("i")) == EVIOCGRAB
        assert ioc(write, 0x93, struct.calcsize("=IIQ")) == EVIOCSMASK
        assert ioc(read, 0x18, (ecodes.KEY_MAX + 1) // 8) == EVIOCGKEY
        assert ioc(read, 0x19, struct.calcsize("@Q")) == EVIOCGLED

    def test_bits_are_numbered_as_the_kernel_does(self) -> None:
        def ioctl(_fd: int, request: int, argument: int | bytearray) -> None:
            assert request in (EVIOCGKEY, EVIOCGLED)
            assert isinstance(argument, bytearray)
            width = struct.calcsize("@L") * 8
            words = [0] * (len(argument) * 8 // width)
            for bit in (ecodes.KEY_LEFTSHIFT, ecodes.KEY_MAX) if request == EVIOCGKEY else (ecodes.LED_CAPSL,):
                words[bit // width] |= 1 << bit % width
            argument[:] = struct.pack(f"@{len(words)}L", *words)

        node = InputNode(fd=-1, path="/dev/x", ioctl=ioctl)
        assert node.held_keys() == {ecodes.KEY_LEFTSHIFT, ecodes.KEY_MAX}
        assert node.is_caps_on()

    def test_a_kernel_without_masks_is_good_enough_and_a_lost_device_is_not(self, fd: int) -> None:
        def gone(*_: object) -> None:
            raise OSError(errno.ENODEV, "No such device")

        InputNode(fd=fd, path="a pipe").narrow()
        with pytest.raises(OSError, match="No such device"):
            InputNode(fd=fd, path="/dev/x", ioctl=gone).narrow()

    def test_requests_reach_the_kernel_and_closing_never_fails(self, fd: int) -> None:
        node = InputNode(fd=fd, path="a pipe")
        for request in (node.grab, node.held_keys, node.is_caps_on):
            with pytest.raises(OSError, match=os.strerror(errno.ENOTTY)):
                request()
        node.close()
        node.close()
