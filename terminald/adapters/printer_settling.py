"""Making sure that nothing of an earlier job stands in the way of the next one: no unfinished command, and no answer.

A printer that was cut off in the middle of a picture takes what comes next for the rest of it, whoever sends it: the
next process too. So it is sent as many NULs as the longest command has bytes, which are white dots there, and which
printers ignore between two commands.

A printer keeps its buffer when the line is opened again, by this process or by the next one, and answers the markers in
it when it comes to them. Answers to GS r are all alike. So a printer that was just opened, or was silent, is sent a
marker on its own: one that has nothing to do answers at once, once, and then says nothing. An answer may be an earlier
marker's that comes just then; twice, with nothing else meanwhile, it hardly is.
"""

import asyncio
from contextlib import suppress

from terminald.adapters.ports_devices import Printer
from terminald.adapters.printer_condition import PrinterCondition
from terminald.adapters.printer_questions import Proof
from terminald.errors import DeviceError
from terminald.wire.printer_status import GS_R, QueuedStatus


async def flush(printer: Printer, condition: PrinterCondition, size: int) -> bool:
    """End a command that may have been broken off, where there may be one; whether that was tried.

    Never raises a DeviceError.
    """
    if condition.is_whole or not size:
        return False
    opening = condition.openings
    with suppress(DeviceError):
        await printer.write(bytes(size))
        condition.is_whole = condition.is_open and condition.openings == opening
    return True


async def settle(printer: Printer, condition: PrinterCondition, *, is_flushed: bool = False) -> None:
    """Set the condition's is_settled when the printer has nothing more to answer. Never raises a DeviceError.

    Is_flushed: it may have to finish a picture first, which takes the time of paper.
    """
    if condition.is_settled or not (printer.can_answer and condition.proves and condition.is_ready):
        return
    if condition.asks and not condition.answers:
        return
    opening, silences = condition.openings, condition.silences
    answer_s = condition.timing.answer_s
    for patience_s in (condition.timing.grace_s if is_flushed else answer_s, answer_s):
        if not await _drains(printer, condition, patience_s):
            return
    if condition.is_open and (opening, silences) == (condition.openings, condition.silences):
        condition.is_settled, condition.owed = True, 0


async def _drains(printer: Printer, condition: PrinterCondition, patience_s: float) -> bool:
    """Whether a marker is answered so soon, and only once."""
    opening, answers = condition.openings, list[Proof]()

    def hear(proof: Proof) -> None:
        answers.append(proof)
        condition.announce()

    with condition.questions.proofs(hear):
        try:
            async with asyncio.timeout(patience_s):
                with condition.writing():
                    await printer.write(GS_R)
                while not answers and condition.is_open and condition.openings == opening:
                    await condition.wait_news()
        except (DeviceError, TimeoutError):
            return False
        await asyncio.sleep(condition.timing.second_s / 2)
    return len(answers) == 1 and isinstance(answers[0], QueuedStatus)
