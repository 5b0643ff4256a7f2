"""Making sure that nothing of an earlier job stands in the way of the next one: no unfinished command, and no answer.

A printer that was cut off in the middle of a picture takes what comes next for the rest of it, whoever sends it: the
next process too. So it is sent as many NULs as the longest command has bytes, which are white dots there, and which
printers ignore between two commands.

A printer keeps its buffer when the line is opened again, by this process or by the next one, and answers the markers in
it when it comes to them. Answers to GS r are all alike. So a printer that was just opened, or was silent, is sent a
marker on its own: one that has nothing to do answers at once, once, and then says nothing.
"""

import asyncio
from contextlib import suppress
from typing import Final

from terminald.adapters.ports_devices import Printer
from terminald.adapters.printer_condition import PrinterCondition
from terminald.adapters.printer_questions import Proof
from terminald.errors import DeviceError
from terminald.wire.printer_status import GS_R, QueuedStatus

#: An answer may be an earlier marker's that comes just then; twice, with nothing else meanwhile, it hardly is.
DRAINS: Final = 2


async def flush(printer: Printer, condition: PrinterCondition, size: int) -> None:
    """End a command that may have been broken off, where there may be one. Never raises a DeviceError."""
    if condition.is_whole or not size:
        return
    opening = condition.openings
    with suppress(DeviceError):
        await printer.write(bytes(size))
        condition.is_whole = condition.is_open and condition.openings == opening


async def settle(printer: Printer, condition: PrinterCondition) -> None:
    """Set the condition's is_settled when the printer has nothing more to answer. Never raises a DeviceError."""
    if condition.is_settled or not (printer.can_answer and condition.proves and condition.is_ready):
        return
    if condition.asks and not condition.answers:
        return
    opening, silences = condition.openings, condition.silences
    for _ in range(DRAINS):
        if not await _drains(printer, condition):
            return
    if condition.is_open and (opening, silences) == (condition.openings, condition.silences):
        condition.is_settled, condition.owed = True, 0


async def _drains(printer: Printer, condition: PrinterCondition) -> bool:
    """Whether a marker is answered at once, and only once."""
    timing, answers, heard = condition.timing, list[Proof](), asyncio.Event()

    def hear(proof: Proof) -> None:
        answers.append(proof)
        heard.set()

    with condition.questions.proofs(hear):
        try:
            async with asyncio.timeout(timing.answer_s):
                with condition.writing():
                    await printer.write(GS_R)
                await heard.wait()
        except (DeviceError, TimeoutError):
            return False
        await asyncio.sleep(timing.second_s / DRAINS)
    return len(answers) == 1 and isinstance(answers[0], QueuedStatus)
