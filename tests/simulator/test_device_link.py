"""The links of simulated devices, whose directory need not be there: the first of them is started before any other."""

import asyncio
from pathlib import Path

import pytest

from terminald.simulator import device_link
from terminald.simulator.printer import SimulatedPrinter
from terminald.simulator.scanner import SimulatedScanner
from terminald.simulator.vmc import SimulatedVmc


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "trial" / "device"


def is_device(link: Path) -> bool:
    return link.is_char_device()


def test_a_scanner_makes_the_directory_of_its_link(link: Path) -> None:
    with SimulatedScanner(link=link) as scanner:
        assert str(link.readlink()) == scanner.device
    assert not link.is_symlink()


def test_a_printer_makes_the_directory_of_its_link(link: Path) -> None:
    async def scene() -> None:
        async with SimulatedPrinter(link=link):
            assert is_device(link)

    asyncio.run(scene())
    assert not link.is_symlink()


def test_a_vending_machine_makes_the_directory_of_its_link(link: Path) -> None:
    async def scene() -> None:
        async with SimulatedVmc(link=link):
            assert is_device(link)

    asyncio.run(scene())
    assert not link.is_symlink()


def test_a_file_in_the_link_s_place_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "device"
    file.write_text("kept")
    with pytest.raises(FileExistsError, match="is not a symbolic link"):
        device_link.claim(file)
    assert file.read_text() == "kept"


def test_a_link_that_names_another_device_by_now_is_left(tmp_path: Path) -> None:
    link = tmp_path / "device"
    device_link.point(link, "/dev/null")
    device_link.withdraw(link, "/dev/zero")
    assert str(link.readlink()) == "/dev/null"
    device_link.withdraw(link, "/dev/null")
    assert not link.is_symlink()
