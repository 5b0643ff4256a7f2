"""The simulated printer, put together.

Theory of operation: the line (``printer_line``) brings bytes into the receive buffer (``printer_buffer``), from where
the interpreter (``printer_escpos``) makes things of them that the head (``printer_head``) puts on paper
(``printer_paper``). Real-time commands are obeyed where the bytes arrive, before the buffer; questions such as GS r
where the interpreter meets them; the process id when the head has nothing left to print (``printer_status``). The
condition stops interpreter and head, never the line.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from terminald.simulator.printer_buffer import BUFFER_BYTES, BUSY_FREE, PTY_BYTES, READY_FREE, Flow, ReceiveBuffer
from terminald.simulator.printer_escpos import Encoding, Interpreter, Item, RealTime, Request
from terminald.simulator.printer_head import Bell, Head
from terminald.simulator.printer_line import Line
from terminald.simulator.printer_paper import Paper, Sheet
from terminald.simulator.printer_status import Answers, Condition, Manner

#: How often a slow printer takes its next bytes, and how many a fast one takes at a time.
TICK_S, BITE = 0.01, 64
#: How long a head that is too hot takes to cool.
COOLING_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A receipt as it was cut off: its text, and its picture if a directory for it was given."""

    text: str
    png: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What kind of printer was bought.

    Attributes:
        mm_per_second: the head's speed; 0 takes no time.
        paper_mm: what is left on the first roll; None is more than anybody prints.
        busy_free, ready_free: bytes that are free in the buffer when it says XOFF (or takes nothing), and XON.
        on_the_way: bytes that a host with XON/XOFF is not blamed for, see :class:`ReceiveBuffer`; with 0 each byte
            after an XOFF counts.
        line_bytes_per_second: how fast what the host sends arrives, a tenth of the baud rate; 0 is at once. A buffer
            that is full keeps nothing off then but by the flow that it has.
        last_word: what the line says when a printer loses its power and the line stays: a break reads as a NUL.
        manner: how it answers.
        seed: decides what garbage looks like.
    """

    mm_per_second: float = 0
    paper_mm: float | None = None
    busy_free: int = BUSY_FREE
    ready_free: int = READY_FREE
    on_the_way: int = PTY_BYTES
    line_bytes_per_second: float = 0
    last_word: bytes = b""
    manner: Manner = field(default_factory=Manner)
    seed: int = 0


class SimulatedPrinter:
    """A printer behind :attr:`device`; an asynchronous context manager.

    Args:
        out: directory of the pictures ``receipt-0001.png`` …; numbers in use are passed over. None draws nothing.
        width_dots: 384, 512 or 576.
        encoding: the character set it was set to.
        flow: ``rtscts`` takes nothing while its buffer is full, as a held CTS does on a real line; ``xonxoff`` sends
            XOFF and XON; with the last two, bytes beyond the buffer are dropped and counted in :attr:`overrun`.
        bytes_per_second: how fast it reads what it has received; 0 is at once.
        buffer_bytes: what it can receive before it is printed.
        link: a symbolic link to the device, kept while the plug is in.
        model: everything else.

    Attributes:
        receipts: what was printed and cut off since the start.
        condition: what is the matter with it; to be looked at only.
        lost: bytes that came while it was switched off.
    """

    def __init__(  # noqa: PLR0913 - keywords that most callers leave out
        self,
        *,
        out: Path | None = None,
        width_dots: int = 384,
        encoding: Encoding = "gbk",
        flow: Flow = "rtscts",
        bytes_per_second: int = 0,
        buffer_bytes: int = BUFFER_BYTES,
        link: Path | None = None,
        model: Model | None = None,
    ) -> None:
        model = model or Model()
        self.receipts: list[Printed] = []
        self.condition = Condition()
        self.lost = 0
        self._out = out
        self._width_dots = width_dots
        self._encoding: Encoding = encoding
        self._bytes_per_second = bytes_per_second
        self._buffer = ReceiveBuffer(
            flow=flow,
            size=buffer_bytes,
            busy_free=model.busy_free,
            ready_free=model.ready_free,
            on_the_way=model.on_the_way,
        )
        self._last_word = model.last_word
        self._line = Line(link=link, on_readable=self._on_readable, bytes_per_second=model.line_bytes_per_second)
        self._answers = Answers(manner=model.manner, send=self._line.send, seed=model.seed)
        self._bell = Bell()
        self._head = Head(
            condition=self.condition,
            paper=Paper(width_dots=width_dots),
            mm_per_second=model.mm_per_second,
            keep=self._keep,
            report=self._note,
            bell=self._bell,
        )
        self._head.load(model.paper_mm)
        self._unknown = 0
        self._next_number = 1
        self._tasks: set[asyncio.Task[None]] = set()
        self._cooling: asyncio.TimerHandle | None = None
        self._is_on = False
        self._forget()

    def _forget(self) -> None:
        """Be as after switching on: nothing received, nothing set."""
        self._interpreter = Interpreter(width_dots=self._width_dots, encoding=self._encoding)
        self._real_time = RealTime()
        self._answers.forget()
        self._is_working = False
        self._head.clear()

    # --- what can be seen --------------------------------------------------------------------------------------------

    @property
    def manner(self) -> Manner:
        """How it answers; may be replaced at any time."""
        return self._answers.manner

    @manner.setter
    def manner(self, manner: Manner) -> None:
        self._answers.manner = manner

    @property
    def device(self) -> str:
        """Return the path of the pseudo terminal, of the last one while unplugged."""
        return self._line.device

    @property
    def received(self) -> int:
        """Count the bytes that it received while it was on."""
        return self._buffer.received

    @property
    def overrun(self) -> int:
        """Count the bytes of these that found no room in the buffer."""
        return self._buffer.overrun

    @property
    def unknown(self) -> int:
        """Count the commands and characters that were not understood."""
        return self._unknown + self._interpreter.unknown

    @property
    def is_stopped(self) -> bool:
        """Whether it prints nothing for now."""
        return self.condition.is_off_line or not self._is_on

    async def wait_receipt(self, count: int) -> Printed:
        """Wait until so many receipts have been printed since the start; return that one."""
        await self._bell.until(lambda: len(self.receipts) >= count)
        return self.receipts[count - 1]

    async def wait_received(self, count: int) -> None:
        """Wait until so many bytes have been received since the start."""
        await self._bell.until(lambda: self.received >= count)

    async def wait_lost(self, count: int) -> None:
        """Wait until so many bytes have come while it was switched off."""
        await self._bell.until(lambda: self.lost >= count)

    async def wait_stopped(self) -> None:
        """Wait until something stops it."""
        await self._bell.until(lambda: self.is_stopped)

    async def wait_printed(self) -> None:
        """Wait until everything that it has received is on paper."""
        await self._bell.until(lambda: not (self._buffer or self._is_working) and self._head.is_idle)

    # --- what a person or a test does to it --------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._out is not None:
            self._out.mkdir(parents=True, exist_ok=True)
            taken = [int(path.stem[-4:]) for path in self._out.glob("receipt-[0-9][0-9][0-9][0-9].png")]
            self._next_number = max(taken, default=0) + 1
        self.power_on()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = tuple(self._tasks)
        self.power_off(hangs_up=True)
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()
        await self._head.tear_off()

    def power_off(self, *, hangs_up: bool = False) -> None:
        """Switch off: what was not printed yet is lost, and every setting.

        The line stays, as with an adapter that has its power from the host, or hangs up, as with a printer's own USB.
        """
        if self._is_on:
            self._is_on = False
            self._end_work()
            self._unknown += self._interpreter.unknown
            self._forget()
            if not hangs_up:
                self._line.send(self._last_word)
        if hangs_up:
            self._line.close()
        self._note()

    def power_on(self) -> None:
        """Switch on, with the plug in. A blade that is jammed, and paper, are as they were."""
        if not self._is_on:
            self._is_on = True
            self.condition.is_cutter_stuck = self.condition.is_broken = False
            self._forget()
            said = self._buffer.restart()
            self._line.send(said)  # nobody hears it on a line that is only then opened
            self._begin_work()
        self.plug_in()

    def unplug(self) -> None:
        """Hang the line up, as pulling the cable of a USB adapter does; what was received is printed all the same."""
        self._line.close()

    def plug_in(self) -> None:
        """Be there again, as another device under the same link."""
        self._line.open()
        self._note()

    def set_paper(self, *, is_out: bool) -> None:
        """Take the paper out, or put a full roll in: what was received before is printed then."""
        self.load_paper(0 if is_out else None)

    def load_paper(self, mm: float | None = None) -> None:
        """Put in a roll with so much paper left, or a full one; the printer stops where it ends."""
        self._head.load(mm)
        self._note()

    def set_paper_low(self, *, is_low: bool) -> None:
        """Have the near-end sensor see that little paper is left, or not."""
        self.condition.is_paper_low = is_low
        self._note()

    def set_cover(self, *, is_open: bool) -> None:
        """Open or close the cover."""
        self.condition.is_cover_open = is_open
        self._note()

    def set_online(self, *, is_online: bool) -> None:
        """Switch the printer on-line or off-line by its button."""
        self.condition.is_switched_off_line = not is_online
        self._note()

    def set_cutter(self, *, is_jammed: bool) -> None:
        """Jam the blade, so that the next cut stops the printer, or free it, after which it goes on with that cut."""
        self._head.set_blade(is_jammed=is_jammed)
        self._note()

    def overheat(self, *, for_s: float = COOLING_S) -> None:
        """Have the head too hot to print; it goes on by itself when it has cooled."""
        if self._cooling is not None:
            self._cooling.cancel()
        self.condition.is_head_hot = True
        self._cooling = asyncio.get_running_loop().call_later(for_s, self.cool)
        self._note()

    def cool(self) -> None:
        """Have the head cool enough to print."""
        self.condition.is_head_hot = False
        self._note()

    def break_down(self) -> None:
        """Have an error that only switching off and on ends."""
        self.condition.is_broken = True
        self._note()

    def send(self, data: bytes) -> None:
        """Send bytes that nobody asked for."""
        self._line.send(data)

    # --- its inside --------------------------------------------------------------------------------------------------

    def _begin_work(self) -> None:
        self._tasks = {asyncio.create_task(self._work()), asyncio.create_task(self._head.run())}

    def _end_work(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = set()

    def _note(self) -> None:
        """Draw the consequences of a change: flow control, automatic status, whoever waits."""
        self._regulate()
        if self._is_on:
            self._answers.tell(self.condition)
        self._bell.ring()

    def _on_readable(self) -> None:
        data = self._line.read(self._buffer.readable if self._is_on else BUFFER_BYTES)
        if not self._is_on:
            self.lost += len(data)
            self._bell.ring()
            return
        self._buffer.arrive(data)
        for name, number in self._real_time.feed(data):
            if name == "EOT":
                self._answers.status("dle_eot", self.condition.real_time(number))
            else:
                self._recover(is_cleared=number == 2)  # noqa: PLR2004 - DLE ENQ 2
        self._note()

    def _recover(self, *, is_cleared: bool) -> None:
        """DLE ENQ 1: try again from the line of the error; 2: forget what was received first. For the cutter alone."""
        if not self.condition.is_cutter_stuck:
            return
        self.condition.is_cutter_stuck = False
        if is_cleared:
            self._end_work()
            self._buffer.drop()
            self._interpreter.drop_unfinished()
            self._head.clear()
            self._is_working = False
            self._begin_work()

    async def _work(self) -> None:
        """Interpret what is in the buffer, at the printer's own speed."""
        bite = max(1, int(self._bytes_per_second * TICK_S)) if self._bytes_per_second else BITE
        while True:
            await self._bell.until(lambda: len(self._buffer) > 0 and not self.is_stopped)
            self._is_working = True
            data = self._buffer.take(bite)
            self._regulate()
            for item in self._interpreter.feed(data):
                await self._bell.until(lambda: not self.is_stopped)
                await self._perform(item)
            self._is_working = False
            self._bell.ring()
            await asyncio.sleep(TICK_S if self._bytes_per_second else 0)

    async def _perform(self, item: Item) -> None:
        if not isinstance(item, Request):
            await self._head.put(item)
        elif item.about == "automatic":
            self._answers.set_automatic(is_on=any(item.tag))
            self._answers.tell(self.condition)
        elif item.about == "id":
            await self._head.idle()
            self._answers.answer("process_id", b"\x37\x22" + item.tag + b"\x00")
        else:
            self._answers.status("gs_r", self.condition.sensor() if item.about == "paper" else 0)

    def _regulate(self) -> None:
        if self._is_on:
            self._line.send(self._buffer.regulate(is_off_line=self.is_stopped))
            self._line.listen(on=self._buffer.readable > 0)
        else:
            self._line.listen(on=self._buffer.flow != "rtscts")

    async def _keep(self, sheet: Sheet) -> None:
        png = await asyncio.to_thread(self._save, sheet)
        self.receipts.append(Printed(text=sheet.text, png=png))

    def _save(self, sheet: Sheet) -> Path | None:
        if self._out is None:
            return None
        png = self._out / f"receipt-{self._next_number:04}.png"
        self._next_number += 1
        sheet.draw().save(png)
        return png
