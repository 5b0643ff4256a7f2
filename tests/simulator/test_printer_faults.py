"""The simulated printer fails on its pseudo terminal as real ones do on their cables."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from terminald.simulator.printer import ANSWERS, BUFFER_BYTES, BUSY_FREE, Manner, Model, SimulatedPrinter
from terminald.simulator.printer_line import TICK_S
from tests.simulator.printer_host import CUT, DONE, FINE, PAPER, PROCESS_ID, STATUS, Host, send_slowly

XON, XOFF = b"\x11", b"\x13"
#: A line of text is 30 dots at 8 dots per millimetre.
LINE_MM = 3.75
LINES = b"".join(b"line %d\n" % number for number in range(1, 13))
#: So slow that it does not come to an end while a test looks at it.
STANDSTILL = 0.01


def play(scene: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scene())


# --- paper, cover, cutter, head --------------------------------------------------------------------------------------


def test_the_near_end_of_the_roll_stops_nothing() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            with Host(printer.device) as host:
                printer.set_paper_low(is_low=True)
                assert await host.ask(STATUS, 4) == b"\x12\x12\x12\x1e"
                assert await host.ask(PAPER, 1) == b"\x03"
                printer.set_paper_low(is_low=False)
                assert await host.ask(STATUS, 4) == FINE
                printer.load_paper(150)
                assert await host.ask(STATUS, 4) == b"\x12\x12\x12\x1e"
                printer.load_paper()
                assert await host.ask(STATUS + PAPER, 5) == FINE + b"\x00"

    play(scene)


def test_paper_that_ends_in_a_job_stops_it_at_a_line_and_new_paper_goes_on_there() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(model=Model(paper_mm=4 * LINE_MM)) as printer:
            with Host(printer.device) as host:
                host.send(LINES + CUT + PAPER + PROCESS_ID)
                await printer.wait_stopped()
                assert await host.ask(STATUS, 4) == b"\x1a\x32\x12\x7e"
                assert (printer.receipts, host.heard()) == ([], b"")
                printer.load_paper(5 * LINE_MM)
                await printer.wait_stopped()
                printer.set_paper(is_out=False)
                assert await host.answer(8) == b"\x00" + DONE
                assert (await printer.wait_receipt(1)).text == LINES.decode()

    play(scene)


def test_an_image_is_stopped_by_the_end_of_the_paper_and_is_whole_at_last() -> None:
    image = b"\x1dv0\x00\x02\x00\x60\x00" + bytes(range(192))

    async def scene() -> None:
        async with SimulatedPrinter(model=Model(paper_mm=7)) as printer:
            with Host(printer.device) as host:
                host.send(image + CUT)
                await printer.wait_stopped()
                printer.load_paper()
                assert (await printer.wait_receipt(1)).text == "[image 16x96]\n"

    play(scene)


def test_gs_r_proves_that_a_job_was_read_and_the_process_id_that_it_was_printed() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(model=Model(mm_per_second=400, paper_mm=10 * LINE_MM)) as printer:
            with Host(printer.device) as host:
                host.send(LINES + PAPER + PROCESS_ID)
                assert await host.answer(1) == b"\x03"
                await printer.wait_stopped()
                assert host.heard() == b""
                printer.load_paper()
                assert await host.answer(7) == DONE

    play(scene)


def test_a_slow_head_takes_the_time_of_its_paper() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(model=Model(mm_per_second=500)) as printer:
            with Host(printer.device) as host:
                started = asyncio.get_running_loop().time()
                host.send(LINES + PAPER + PROCESS_ID)
                await host.answer(8)
                assert asyncio.get_running_loop().time() - started >= 12 * LINE_MM / 500
                await printer.wait_printed()

    play(scene)


def test_a_jammed_cutter_stops_at_the_cut_and_is_tried_again() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            with Host(printer.device) as host:
                host.send(b"\x10\x05\x02")  # nothing to recover from
                printer.set_cutter(is_jammed=True)
                assert await host.ask(b"one\n" + STATUS, 4) == FINE
                host.send(CUT + PAPER)
                await printer.wait_stopped()
                assert await host.ask(STATUS, 4) == b"\x1a\x52\x1a\x12"
                host.send(b"\x10\x05\x01")
                await asyncio.sleep(0.01)
                assert await host.ask(STATUS, 4) == b"\x1a\x52\x1a\x12"
                printer.set_cutter(is_jammed=False)
                assert (await printer.wait_receipt(1)).text == "one\n"
                assert await host.answer(1) == b"\x00"

    play(scene)


def test_a_request_to_recover_forgets_what_was_received_but_no_setting() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            with Host(printer.device) as host:
                printer.set_cutter(is_jammed=True)
                host.send(b"\x1ba\x02one\n" + CUT + PROCESS_ID + b"two\n" + PAPER)
                await printer.wait_stopped()
                assert await host.ask(b"\x10\x05\x02" + STATUS, 4) == FINE
                printer.set_cutter(is_jammed=False)
                host.send(b"three\n" + CUT + PROCESS_ID)
                assert await host.answer(7) == DONE
                assert printer.receipts[0].text == " " * 29 + "one\n" + " " * 27 + "three\n"

    play(scene)


def test_a_head_that_is_too_hot_cools_by_itself() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            with Host(printer.device) as host:
                printer.overheat(for_s=60)
                assert await host.ask(b"x\n" + CUT + STATUS, 4) == b"\x1a\x52\x52\x12"
                printer.overheat(for_s=0.01)
                await printer.wait_receipt(1)
                assert await host.ask(STATUS, 4) == FINE

    play(scene)


def test_what_is_broken_recovers_by_switching_off_alone() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            with Host(printer.device) as host:
                printer.break_down()
                assert await host.ask(b"\x10\x05\x01" + STATUS, 4) == b"\x1a\x52\x32\x12"
                printer.power_off()
                printer.power_on()
                assert await host.ask(STATUS, 4) == FINE

    play(scene)


# --- the buffer and the line -----------------------------------------------------------------------------------------


def test_xoff_and_xon_come_at_their_thresholds_and_what_does_not_fit_is_lost() -> None:
    async def scene() -> None:
        model = Model(mm_per_second=STANDSTILL, on_the_way=0)
        async with SimulatedPrinter(flow="xonxoff", model=model) as printer:
            with Host(printer.device) as host:
                await send_slowly(printer, host, b"\n" * (BUFFER_BYTES - BUSY_FREE - 1))
                assert host.heard() == b""
                await send_slowly(printer, host, b"\n" * 101)  # the interpreter has taken some
                assert await host.answer(1) == XOFF
                await send_slowly(printer, host, b"\n" * 500)
                lost = printer.overrun
                assert 0 < lost <= 500 + 101 - BUSY_FREE
                await send_slowly(printer, host, b"\n" * 100)
                assert printer.overrun == lost + 100
                assert await host.ask(STATUS * 20, 80) == FINE * 20
                assert printer.overrun == lost + 100

    play(scene)


def test_a_host_that_obeys_xoff_loses_nothing_though_a_pseudo_terminal_holds_much() -> None:
    job = b"".join(b"%05d\n" % number for number in range(6000))

    async def scene() -> None:
        async with SimulatedPrinter(flow="xonxoff", bytes_per_second=400_000) as printer:
            with Host(printer.device) as host:
                await host.send_obediently(job)
                await printer.wait_received(len(job))
                await printer.wait_printed()
                await host.send_obediently(CUT)
                printed = "".join([(await printer.wait_receipt(number)).text for number in range(1, 6)])
                assert printed == job.decode()
                assert printer.overrun == 0

    play(scene)


def test_a_host_without_flow_control_loses_what_a_slow_printer_can_not_hold_and_the_rest_is_garbage() -> None:
    """The header of the image is lost, so that its bytes are printed as text."""
    image = b"\x1dv0\x00\x30\x00\x64\x00" + b"#" * 4800

    async def scene() -> None:
        async with SimulatedPrinter(flow="none") as printer:
            with Host(printer.device) as host:
                printer.set_online(is_online=False)
                await send_slowly(printer, host, b"x" * 4090 + image[:100])
                printer.set_online(is_online=True)
                await printer.wait_printed()
                await send_slowly(printer, host, image[100:] + b"\n" + CUT)
                text = (await printer.wait_receipt(1)).text
                assert printer.overrun == 94
                assert text.count("#") > 4000

    play(scene)


def test_cts_keeps_everything_off_and_questions_too() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(flow="rtscts", model=Model(mm_per_second=STANDSTILL)) as printer:
            with Host(printer.device) as host:
                host.send(b"\n" * (BUFFER_BYTES * 2))
                await printer.wait_received(BUFFER_BYTES - BUSY_FREE)
                await asyncio.sleep(0.05)
                taken = printer.received
                host.send(STATUS)
                await asyncio.sleep(0.05)
                assert host.heard() == b""
                assert printer.received == taken
                assert printer.overrun == 0

    play(scene)


def test_a_question_is_answered_while_the_printer_is_off_line_and_its_buffer_full() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(flow="none") as printer:
            with Host(printer.device) as host:
                printer.set_paper(is_out=True)
                await send_slowly(printer, host, b"x" * 5000)
                assert await host.ask(STATUS, 4) == b"\x1a\x32\x12\x7e"
                assert printer.overrun == 5000 - BUFFER_BYTES

    play(scene)


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
def test_a_question_inside_an_image_is_answered_and_the_image_is_whole(piece: int) -> None:
    job = b"\x1dv0\x00\x03\x00\x04\x00" + STATUS + CUT

    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            with Host(printer.device) as host:
                for at in range(0, len(job), piece):
                    host.send(job[at : at + piece])
                    await printer.wait_received(min(at + piece, len(job)))
                assert await host.answer(4) == FINE
                assert (await printer.wait_receipt(1)).text == "[image 24x4]\n"

    play(scene)


# --- power and plug --------------------------------------------------------------------------------------------------


def test_switching_off_loses_the_buffer_and_the_settings_and_the_line_may_stay() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(flow="none", model=Model(paper_mm=2 * LINE_MM)) as printer:
            with Host(printer.device) as host:
                host.send(b"\x1ba\x02\x1da\x0e" + LINES + CUT + PAPER)
                assert await host.answer(8) == b"\x10\x00\x03\x0f\x18\x00\x0f\x0f"
                await printer.wait_stopped()
                printer.power_off()
                host.send(b"to nobody" + STATUS)
                await printer.wait_lost(21)
                assert host.heard() == b""
                printer.load_paper()
                printer.power_on()
                assert await host.ask(b"after\n" + CUT + PROCESS_ID, 7) == DONE
                text = (await printer.wait_receipt(1)).text
                assert text == " " * 26 + "line 1\n" + " " * 26 + "line 2\nafter\n"

    play(scene)


@pytest.mark.parametrize("word", [b"", b"\x00", b"\xf0"])
def test_a_line_that_stays_breaks_when_the_printer_is_switched_off(word: bytes) -> None:
    async def scene() -> None:
        async with SimulatedPrinter(model=Model(last_word=word)) as simulated:
            with Host(simulated.device) as host:
                simulated.power_off()
                simulated.power_off()
                assert host.heard() == word
                simulated.power_on()
                assert await host.ask(STATUS, 4) == FINE

    asyncio.run(scene())


@pytest.mark.parametrize("is_on", [True, False])
def test_a_line_takes_the_time_of_its_bytes(*, is_on: bool) -> None:
    """A question behind a text waits for it to arrive, and what is sent to a printer that is off is lost as slowly."""

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        async with SimulatedPrinter(flow="none", model=Model(line_bytes_per_second=960)) as simulated:
            with Host(simulated.device) as host:
                for _ in range(2):
                    await asyncio.sleep(0.1)  # an idle line saves nothing up
                    begun = loop.time()
                    if is_on:
                        assert await host.ask(b"x" * 285 + STATUS[:3], 1) == FINE[:1]
                    else:
                        simulated.power_off()
                        host.send(b"x" * 288)
                        await simulated.wait_lost(simulated.lost + 288)
                    assert loop.time() - begun > 0.3 - 2 * TICK_S

    asyncio.run(scene())


def test_a_printer_says_that_it_is_ready_when_it_is_switched_on_again() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(flow="xonxoff") as printer:
            with Host(printer.device) as host:
                printer.set_paper(is_out=True)
                assert await host.answer(1) == XOFF
                printer.set_paper(is_out=False)
                assert await host.answer(1) == XON
                printer.power_off()
                printer.power_on()
                assert await host.answer(1) == XON
                assert host.heard() == b""

    play(scene)


def test_switching_off_hangs_up_the_line_of_a_printer_with_its_own_usb(tmp_path: Path) -> None:
    link = tmp_path / "printer"

    async def scene() -> None:
        async with SimulatedPrinter(link=link) as printer:
            with Host(link) as host:
                printer.set_paper(is_out=True)
                await send_slowly(printer, host, b"lost\n" + CUT)
                printer.power_off(hangs_up=True)
                with pytest.raises(OSError, match="Input/output error"):
                    host.send(b"x")
                assert not link.is_symlink()
                printer.power_on()
                printer.set_paper(is_out=False)
            with Host(link) as host:
                host.send(b"new\n" + CUT)
                assert (await printer.wait_receipt(1)).text == "new\n"

    play(scene)
    assert not link.is_symlink()


def test_a_pulled_cable_loses_nothing_that_was_received(tmp_path: Path) -> None:
    link = tmp_path / "printer"

    async def scene() -> None:
        async with SimulatedPrinter(link=link) as printer:
            with Host(link) as host:
                printer.set_cover(is_open=True)
                await send_slowly(printer, host, b"kept\n" + CUT)
                printer.unplug()
            printer.set_cover(is_open=False)
            assert (await printer.wait_receipt(1)).text == "kept\n"
            printer.plug_in()
            with Host(link) as host:
                assert await host.ask(STATUS, 4) == FINE

    play(scene)


def test_a_link_that_can_not_be_made_leaves_no_line_open(tmp_path: Path) -> None:
    async def scene() -> None:
        link = tmp_path / "printer"
        link.with_name("printer.new").mkdir()
        with pytest.raises(OSError, match=r"printer\.new"):
            async with SimulatedPrinter(link=link):
                pass

    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - not paths but numbers
    play(scene)
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - same


# --- how it answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "answers"), [("all", FINE + b"\x00" + DONE), ("clone", FINE + b"\x00"), ("status", FINE), ("none", b"")]
)
def test_printers_answer_more_or_less(kind: str, answers: bytes) -> None:
    async def scene() -> None:
        manner = Manner(answers=ANSWERS[kind], is_asb_unasked=kind != "all")
        async with SimulatedPrinter(model=Model(manner=manner)) as printer:
            with Host(printer.device) as host:
                host.send(STATUS + b"x\n" + CUT + PAPER + PROCESS_ID + b"end\n" + CUT)
                await printer.wait_receipt(2)
                assert (await host.answer(len(answers)), host.heard()) == (answers, b"")

    play(scene)


def test_answers_may_come_late_and_in_order() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(model=Model(manner=Manner(delay_s=0.02))) as printer:
            with Host(printer.device) as host:
                loop = asyncio.get_running_loop()
                started = loop.time()
                assert await host.ask(PAPER + PROCESS_ID, 8) == b"\x00" + DONE
                assert loop.time() - started >= 0.02
                host.send(STATUS)
                await printer.wait_received(24)
                printer.power_off()
                printer.power_on()
                await asyncio.sleep(0.03)
                assert host.heard() == b""

    play(scene)


def test_status_may_be_garbage_the_same_for_the_same_seed() -> None:
    async def answers() -> bytes:
        model = Model(manner=Manner(garbage=0.5), seed=3)
        async with SimulatedPrinter(model=model) as printer:
            with Host(printer.device) as host:
                return await host.ask(STATUS * 10, 40)

    said = asyncio.run(answers())
    assert said == asyncio.run(answers())
    assert 10 < said.count(b"\x12") < 30


def test_automatic_status_is_sent_when_it_was_asked_for_and_at_each_change() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            with Host(printer.device) as host:
                assert await host.ask(b"x\n\x1da\x0e", 4) == b"\x10\x00\x00\x0f"
                printer.set_cover(is_open=True)
                printer.set_cover(is_open=True)
                printer.set_paper(is_out=True)
                assert await host.answer(8) == b"\x38\x00\x00\x0f\x38\x00\x0f\x0f"
                printer.set_cover(is_open=False)
                printer.set_paper(is_out=False)
                assert await host.answer(8) == b"\x18\x00\x0f\x0f\x10\x00\x00\x0f"
                printer.overheat()
                printer.break_down()
                assert await host.answer(8) == b"\x18\x40\x00\x0f\x18\x60\x00\x0f"
                printer.power_off()
                printer.power_on()
                printer.set_paper_low(is_low=True)
                assert host.heard() == b""

    play(scene)


def test_automatic_status_may_come_unasked_and_other_bytes_as_well() -> None:
    async def scene() -> None:
        async with SimulatedPrinter(model=Model(manner=Manner(is_asb_unasked=True))) as printer:
            with Host(printer.device) as host:
                assert await host.answer(4) == b"\x10\x00\x00\x0f"
                printer.set_paper_low(is_low=True)
                assert await host.answer(4) == b"\x10\x00\x03\x0f"
                assert await host.ask(b"\x1da\x00" + PAPER, 1) == b"\x03"
                printer.set_paper_low(is_low=False)
                printer.send(b"\xff")
                assert await host.answer(1) == b"\xff"

    play(scene)
