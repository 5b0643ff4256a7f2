"""Pulses on a line that tell a machine that it was paid, and an input by which it says that it can not serve.

A pulse can not be taken back, and nobody answers it: "sent" is all that is ever known. So that a pulse was begun is on
disk before its first edge; what is known to have ended is sent, and what was begun and not known to have ended may have
been. While a pulse is active nothing is waited for but its time, in a thread of its own; that only ever gets longer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.adapters.device_faults import opening_error
from terminald.adapters.gpio_lines import LineChoice, Lines, OutputLine, open_lines
from terminald.adapters.ports_actions import BeginStep
from terminald.adapters.ports_devices import DeviceReport, DeviceSink, DeviceState
from terminald.core.kiosk_action import ActionDone, ActionFailed, ActionOutcome
from terminald.core.money import Fen
from terminald.errors import DeviceLost, JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: The device's name in status and log, and its kind.
OUTPUT: Final = "output"
INHIBITED: Final = "the machine says that it can not serve (inhibit)"
#: How much later than it should a pulse may end before that is worth a line in the log.
_LATE: Final = 2.0
#: Debian's group of GPIO chips.
_GROUP: Final = "gpio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """The pulses of a sale."""

    width_s: float
    gap_s: float
    #: How many are sent for an amount.
    pulses_for: Callable[[Fen], int]
    #: Whether each is worth the same part of the amount.
    has_parts: bool


class GpioOutput:
    """Implements a device, :class:`terminald.adapters.ports_devices.Device`, and the action that it is for."""

    name = OUTPUT
    kind = OUTPUT

    def __init__(
        self,
        choice: LineChoice,
        train: Train,
        report: DeviceSink,
        *,
        opening: Callable[[str, LineChoice], Lines] = open_lines,
        hold: Callable[[float], None] = time.sleep,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Opening gives the lines; hold waits while a pulse is active, in a thread, and rest between two of them."""
        self._choice = choice
        self._train = train
        self._report = report
        self._opening = opening
        self._hold = hold
        self._rest = rest
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pulses")
        self._lines: Lines | None = None
        self._is_inhibited = False
        self._fault: asyncio.Future[str] | None = None
        self._pulse: asyncio.Future[None] | None = None

    # --- the device --------------------------------------------------------------------------------------------------

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return the chip's path, where the configuration says it."""
        return (Path(self._choice.chip),) if self._choice.chip.startswith("/") else ()

    async def open(self) -> None:
        """Take the lines; the output is inactive from now on.

        See :meth:`terminald.adapters.ports_devices.Device.open`.
        """
        try:
            self._lines = await asyncio.to_thread(self._opening, self.name, self._choice)
        except OSError as exc:
            raise await opening_error(self.name, exc.filename or self._choice.chip, exc, group=_GROUP) from exc
        self._is_inhibited = False

    async def run(self) -> None:
        """Watch the input until the lines are lost; see :meth:`terminald.adapters.ports_devices.Device.run`."""
        lines = self._lines
        if lines is None:
            raise DeviceLost(self.name, "the lines are not open")
        loop = asyncio.get_running_loop()
        self._fault = fault = loop.create_future()
        inhibit = lines.inhibit
        if inhibit is not None:
            self._look(lines)
            loop.add_reader(inhibit.fileno(), self._take_edges, lines)
        try:
            raise DeviceLost(self.name, await fault)
        finally:
            self._fault = None
            if inhibit is not None:
                loop.remove_reader(inhibit.fileno())

    async def close(self) -> None:
        """Let go of the lines, after the pulse that is under way: it would stay active."""
        lines, self._lines = self._lines, None
        if self._pulse is not None:
            # What went wrong with it has been told, or nobody is there any more to be told.
            await asyncio.gather(self._pulse, return_exceptions=True)
        if lines is not None:
            lines.release()

    def _take_edges(self, lines: Lines) -> None:
        try:
            if lines.inhibit is not None:
                lines.inhibit.forget_edges()
        except OSError as exc:
            self._lose(exc)
        else:
            self._look(lines)

    def _look(self, lines: Lines) -> None:
        """Tell whether the machine can serve, where that has changed."""
        try:
            is_inhibited = lines.inhibit is not None and lines.inhibit.is_active()
        except OSError as exc:
            self._lose(exc)
            return
        if is_inhibited != self._is_inhibited:
            self._is_inhibited = is_inhibited
            state, detail = (DeviceState.FAULTY, INHIBITED) if is_inhibited else (DeviceState.READY, "")
            self._report(DeviceReport(name=self.name, kind=self.kind, state=state, detail=detail))

    def _lose(self, exc: OSError) -> None:
        if self._fault is not None and not self._fault.done():
            self._fault.set_result(f"the lines of {self._choice.chip} do not answer: {exc.strerror or exc}")

    # --- the action --------------------------------------------------------------------------------------------------

    async def perform(self, sale: bytes, amount: Fen, begin: BeginStep) -> ActionOutcome:  # noqa: ARG002 - no line takes it
        """Send the pulses of an amount; see :class:`terminald.adapters.ports_actions.Action`."""
        steps, lines = self._train.pulses_for(amount), self._lines
        for number in range(1, steps + 1):
            fault = await self._send(lines, number, steps, begin)
            if fault:
                return ActionFailed(
                    evidence=f"pulse {number} of {steps}: {fault}",
                    certain=number - 1,
                    has_parts=self._train.has_parts,
                    steps=steps,
                )
            if number < steps:
                await self._rest(self._train.gap_s)
        return ActionDone()

    async def _send(self, lines: Lines | None, number: int, steps: int, begin: BeginStep) -> str:
        """Send one pulse; return what went wrong, empty when nothing did."""
        if lines is None or lines is not self._lines:
            return "the output is not there"
        try:
            if number == 1 and lines.inhibit is not None and lines.inhibit.is_active():
                return INHIBITED
            await begin(number, steps)
            loop = asyncio.get_running_loop()
            self._pulse = loop.run_in_executor(self._thread, self._pulse_once, lines.output)
            await asyncio.shield(self._pulse)
        except JournalUnavailable as exc:
            return f"it was not begun: {exc}"
        except OSError as exc:
            self._lose(exc)
            return f"the line does not answer: {exc.strerror or exc}"
        return ""

    def _pulse_once(self, line: OutputLine) -> None:
        """Blocks for the width of a pulse. The line is driven back in any case."""
        began = time.monotonic()
        try:
            line.set_active(is_active=True)
            self._hold(self._train.width_s)
        finally:
            line.set_active(is_active=False)
        took = time.monotonic() - began
        if took > _LATE * self._train.width_s:
            times = f"{took * 1000:.0f} ms instead of {self._train.width_s * 1000:.0f} ms"
            log_event(_log, LogId.PULSE_LATE, detail=times)
