import asyncio
import os
from pathlib import Path

import pytest

from terminald.adapters.printer_file import FilePrinter
from terminald.errors import DeviceAbsent, DeviceLost


def test_jobs_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "receipts.bin"

    async def scene() -> None:
        printer = FilePrinter(path=path)
        await printer.open()
        assert path.read_bytes() == b""
        await printer.write(b"one")
        path.rename(tmp_path / "old")
        await printer.write(b"two")
        await printer.write(b"three")
        await printer.close()

    asyncio.run(scene())
    assert (tmp_path / "old").read_bytes() == b"one"
    assert path.read_bytes() == b"twothree"


def test_a_missing_directory_is_absent(tmp_path: Path) -> None:
    async def scene() -> None:
        printer = FilePrinter(path=tmp_path / "none" / "receipts.bin")
        with pytest.raises(DeviceAbsent, match="No such file or directory; 0 of 0"):
            await printer.open()

    asyncio.run(scene())


def test_a_directory_that_goes_away_loses_the_printer(tmp_path: Path) -> None:
    directory = tmp_path / "there"
    directory.mkdir()

    async def scene() -> None:
        printer = FilePrinter(path=directory / "receipts.bin")
        await printer.open()
        (directory / "receipts.bin").unlink()
        directory.rmdir()
        with pytest.raises(DeviceAbsent, match="0 of 3 bytes sent"):
            await printer.write(b"xyz")
        with pytest.raises(DeviceLost):
            await printer.run()

    asyncio.run(scene())


def test_a_device_is_not_a_file() -> None:
    async def scene() -> None:
        with pytest.raises(DeviceAbsent, match="choose driver serial or usb"):
            await FilePrinter(path=Path("/dev/full")).open()

    asyncio.run(scene())


def test_a_named_pipe_without_a_reader_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    async def scene() -> None:
        with pytest.raises(DeviceAbsent):
            await FilePrinter(path=tmp_path / "pipe").open()

    asyncio.run(scene())


def test_a_file_says_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        printer = FilePrinter(path=tmp_path / "receipts.bin")
        printer.listen(print)
        assert not printer.can_answer
        assert printer.stalled_s() == 0
        printer.prolong(1.0)
        with pytest.raises(DeviceAbsent, match="can not be asked"):
            await printer.ask(b"x")

    asyncio.run(scene())
