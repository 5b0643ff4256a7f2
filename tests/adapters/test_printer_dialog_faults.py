"""The printer's dialog against the faults of the simulated printer."""

import asyncio
from pathlib import Path

import pytest

from terminald.adapters.printer_markers import Confirm
from terminald.adapters.printer_serial import SerialPrinter
from terminald.core.events import Blockage, JobInterrupted, JobLost, JobPrinted, JobSent
from terminald.simulator.printer import ANSWERS, Manner, Model, SimulatedPrinter
from terminald.wire.escpos import Profile
from tests.adapters.scripted_printer import QUICK
from tests.adapters.test_printer_lines import SHORT, Station, serial_on, station

CONFIRMS: tuple[Confirm, ...] = ("gs_r", "process_id")


@pytest.mark.parametrize("confirm", CONFIRMS)
@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_printer_that_was_switched_off_for_new_paper_is_not_printed_twice(
    confirm: Confirm, tmp_path: Path, *, hangs_up: bool
) -> None:
    """A printer whose cable was out may have printed; nobody can tell it from this one.

    That is so whether it is back soon or late. It comes back as another device, so only its link is a name for it.
    """
    link = tmp_path / "printer"

    async def scene() -> None:
        model = Model(mm_per_second=100)
        async with (
            SimulatedPrinter(link=link, model=model) as simulated,
            station(SerialPrinter(device=str(link), baudrate=921_600, flow="none", grace_s=2.0), confirm) as made,
        ):
            job = made.print(SHORT)
            await simulated.wait_received(30)
            simulated.set_paper(is_out=True)
            assert isinstance(await made.wait_told(), JobInterrupted)
            simulated.power_off(hangs_up=hangs_up)
            await (made.wait_absent() if hangs_up else made.wait_reported(Blockage.OFFLINE))
            simulated.set_paper(is_out=False)
            simulated.power_on()
            assert isinstance(await job, JobSent)
            await made.wait_reported(None)
            assert isinstance(await made.print(SHORT), JobPrinted | JobSent)
            assert len(simulated.receipts) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("confirm", CONFIRMS)
@pytest.mark.parametrize("is_unplugged", [False, True])
def test_a_picture_that_was_broken_off_takes_nothing_of_the_next_job(
    confirm: Confirm, tmp_path: Path, *, is_unplugged: bool
) -> None:
    """The cable is pulled in the middle of it, or the process ends there and the next one prints."""
    link = tmp_path / "printer"
    raster = Profile(columns=32, width_dots=384, encoding="raster", cut="full")
    picture = b"\x1dv0\x00\x30\x00\x18\x00" + b"\xaa" * (48 * 24)
    assert len(picture) <= raster.longest_command

    def line() -> SerialPrinter:
        return SerialPrinter(device=str(link), baudrate=921_600, flow="rtscts", grace_s=2.0)

    async def print_next(simulated: SimulatedPrinter, made: Station) -> None:
        assert isinstance(await made.print(SHORT), JobPrinted | JobSent)
        assert (await simulated.wait_receipt(1)).text.split()[-3:] == ["Cola", "合计", "￥3.50"]

    async def scene() -> None:
        async with SimulatedPrinter(link=link, bytes_per_second=3000, buffer_bytes=600) as simulated:
            async with station(line(), confirm, flush=raster.longest_command) as made:
                start = simulated.received
                job = made.print(b"\x1b@" + picture * 40)
                await simulated.wait_received(start + raster.longest_command + 100)
                if is_unplugged:
                    simulated.unplug()
                    await made.wait_absent()
                    simulated.plug_in()
                    assert isinstance(await job, JobLost)
                    await print_next(simulated, made)
                else:
                    job.cancel()
                    await asyncio.wait({job})
            if not is_unplugged:
                async with station(line(), confirm, flush=raster.longest_command) as made:
                    await print_next(simulated, made)

    asyncio.run(scene())


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_every_way_to_answer_works(name: str) -> None:
    """A printer that answers nothing works too."""

    async def scene() -> None:
        model = Model(manner=Manner(answers=ANSWERS[name]))
        async with SimulatedPrinter(model=model) as simulated, station(serial_on(simulated, "none")) as made:
            for _ in range(2):
                assert isinstance(await made.print(SHORT), JobPrinted | JobSent)
            await simulated.wait_receipt(2)
            assert [report.state.value for report in made.reports] == ["ready"]

    asyncio.run(scene())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("garbage", [0.3, 1.0])
def test_garbage_in_the_place_of_answers_keeps_nothing_from_being_printed(garbage: float, seed: int) -> None:
    async def scene() -> None:
        model = Model(manner=Manner(garbage=garbage), seed=seed)
        async with (
            SimulatedPrinter(model=model) as simulated,
            station(serial_on(simulated, "none"), timing=QUICK) as made,
        ):
            for _ in range(4):
                assert isinstance(await made.print(SHORT), JobPrinted | JobSent)
            await simulated.wait_receipt(4)

    asyncio.run(scene())


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_stuck_cutter_interrupts_and_a_freed_one_goes_on(confirm: Confirm) -> None:
    async def scene() -> None:
        model = Model(manner=Manner(is_asb_unasked=True), mm_per_second=200)
        async with SimulatedPrinter(model=model) as simulated, station(serial_on(simulated, "none"), confirm) as made:
            simulated.set_cutter(is_jammed=True)
            job = made.print(SHORT)
            told = await made.wait_told()
            assert isinstance(told, JobInterrupted)
            assert told.by is Blockage.CUTTER
            simulated.set_cutter(is_jammed=False)
            assert isinstance(await job, JobPrinted)
            assert len(simulated.receipts) == 1

    asyncio.run(scene())
