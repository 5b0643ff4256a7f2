"""A USB printer that the kernel has no driver for, driven from here by vendor and product.

Theory of operation: a job goes out in small transfers with a short limit each, in a thread of its own, so that what has
left is known to the byte, and nothing that left is sent again. A printer that can not go on lets the transfers pass
their limit; between two of them it can be asked how it is, where that does no harm to the job. A second thread reads,
for a while after the printer was spoken to; while nothing happens both rest.
"""

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from terminald.adapters.device_opening import CLOSE_LIMIT_S, OPEN_LIMIT_S, Opener
from terminald.adapters.device_watch import DeviceWatch, Lookout
from terminald.adapters.fd_reader import EMPTY_S, LISTEN_S, PAUSE_S
from terminald.adapters.fd_writer import ASK_S, GRACE_S, chunk_end, is_stop, job_deadline_s, unfinished
from terminald.adapters.usb_pipe import WRITE_MS, UsbPipe
from terminald.errors import DeviceAbsent, DeviceError, DeviceHeld, DeviceLost, DeviceMissing, DeviceTimeout
from terminald.wire.escpos_walk import stops

#: Full-speed USB moves far more; a printer takes bytes in this rhythm while paper is not what it waits for.
BYTES_PER_SECOND: Final = 20_000
#: How often an idle device is looked for where the watch does not see it. A job finds the loss at once.
LOOK_S: Final = 2.0
#: How long a printer is listened to after a question.
ANSWER_S: Final = 2.0

_NODES: Final = Path("/dev/bus/usb")
_WRITE_S: Final = WRITE_MS / 1000
_WHAT: Final = "the USB device"

T = TypeVar("T")


class LibusbPrinter:
    """Sends jobs to a USB device that is opened by libusb."""

    kind: str = "printer"
    notices_power_off: bool = True
    line_rate: float | None = None

    def __init__(
        self,
        *,
        connect: Callable[[], UsbPipe],
        name: str = "printer",
        grace_s: float = GRACE_S,
        watch: DeviceWatch | None = None,
        open_limit_s: float = OPEN_LIMIT_S,
        close_limit_s: float = CLOSE_LIMIT_S,
    ) -> None:
        """Connect is called in a thread at each opening; it raises what :func:`usb_pipe.open_pipe` raises."""
        self.name = name
        self._connect = connect
        self._grace_s = grace_s
        self._watch = watch
        self._close_limit_s = close_limit_s
        self._opener = Opener[UsbPipe](
            name, close=UsbPipe.close, open_limit_s=open_limit_s, close_limit_s=close_limit_s
        )
        self._line: _Line | None = None
        self._sink: Callable[[bytes], None] = _ignore
        self._one_job = asyncio.Lock()
        self.has_begun = False

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """From now on give what the printer sends to the sink."""
        self._sink = sink

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return where USB devices appear."""
        return (_NODES,)

    @property
    def can_answer(self) -> bool:
        """Whether the open device has a way back."""
        return self._line is not None and self._line.pipe.can_read

    async def open(self) -> None:
        """Open the device.

        Raises:
            DeviceAbsent: it is not there, may not be used, or does not answer.
        """
        try:
            pipe = await self._opener.open(_WHAT, self._connect)
        except OSError as exc:
            raise _refused(self.name, exc) from exc
        self._line = _Line(pipe, self._sink)

    async def run(self) -> None:
        """Watch the open device.

        Raises:
            DeviceLost: it is gone, or refused a transfer.
        """
        line = self._line
        if line is not None:
            with closing(Lookout(self._watch)) as lookout:
                line.on_loss = lookout.note
                await _until_gone(line, lookout)
            line.lose("unplugged")
        raise DeviceLost(self.name, f"{line.lost if line else 'closed'}: check the cable and the power")

    async def close(self) -> None:
        """Let go of the device. What it was given is the printer's."""
        line, self._line = self._line, None
        if line is not None:
            line.lose("closed")
            await line.stop_reading(self._close_limit_s)
            await self._opener.close(_WHAT, line.shut)

    async def write(self, data: bytes) -> None:
        """Send one whole job; returns when the printer has taken the last byte.

        Raises:
            DeviceAbsent: nothing was sent.
            DeviceLost, DeviceTimeout: detail says how many of how many bytes.
        """
        line, self.has_begun = self._line, False
        if line is None:
            raise DeviceAbsent(self.name, f"not open; 0 of {len(data)} bytes sent")
        deadline_s = job_deadline_s(data, bytes_per_second=BYTES_PER_SECOND, grace_s=self._grace_s)
        async with self._one_job:
            job = line.begin(data)
            line.listen(LISTEN_S)
            try:
                async with asyncio.timeout(deadline_s) as job.timeout:
                    while job.sent < len(data):
                        await line.push(job)
            except TimeoutError as exc:
                if job.sent == len(data):  # by the transfer that was under way
                    return
                after_s = line.now() - job.begun
                detail = f"it accepts nothing more after {after_s:.1f} s: paper, cover, cable"
                raise (DeviceTimeout if job.has_begun else DeviceAbsent)(self.name, job.count(detail)) from exc
            except OSError as exc:
                raise self._gone(job, line.lost or exc.strerror or str(exc)) from exc
            finally:
                line.job, self.has_begun = None, job.has_begun

    async def ask(self, request: bytes) -> None:
        """Send a few bytes that the printer obeys at once.

        Raises:
            DeviceAbsent: it is not open, or has no way back.
            DeviceLost: it went away.
            DeviceTimeout: it takes nothing now, or a job is under way and in the middle of a command.
        """
        line = self._line
        if line is None or not line.pipe.can_read:
            raise DeviceAbsent(self.name, "it can not answer")
        line.listen(ANSWER_S)
        try:
            await line.interject(request)
        except TimeoutError as exc:
            raise DeviceTimeout(self.name, str(exc)) from exc
        except OSError as exc:
            raise DeviceLost(self.name, line.lost or exc.strerror or str(exc)) from exc

    def stalled_s(self) -> float:
        """Return for how long the job under way has made no progress; 0 without one, and before its first byte."""
        job = self._line.job if self._line else None
        return asyncio.get_running_loop().time() - job.progress if job is not None and job.sent else 0.0

    def go_on(self) -> bool:
        """Return that no XOFF is obeyed here."""
        return False

    def prolong(self, by_s: float) -> None:
        """Give the job under way at least so much more time; no effect before its first byte."""
        job = self._line.job if self._line else None
        timeout = job.timeout if job is not None and job.sent else None
        when = asyncio.get_running_loop().time() + by_s
        if timeout is not None and not timeout.expired() and when > (timeout.when() or when):
            timeout.reschedule(when)

    def _gone(self, job: "_Job", detail: str) -> DeviceError:
        """Say that the device is gone. What the transfer that failed was to bring may have arrived all the same."""
        if not job.has_begun:
            return DeviceAbsent(self.name, job.count(detail))
        return DeviceLost(self.name, job.count(detail), may_be_whole=job.is_in_doubt and job.is_ending)


class _Job:
    """How far one job is."""

    def __init__(self, data: bytes, now: float) -> None:
        self.data = data
        self.sent = 0
        self.begun = self.progress = now
        self.timeout: asyncio.Timeout | None = None
        #: Whether a transfer is under way, or has failed: it may have brought more than was counted.
        self.is_in_doubt = False
        self._ends = stops(data)

    @property
    def has_begun(self) -> bool:
        return self.sent > 0 or self.is_in_doubt

    @property
    def next_chunk(self) -> bytes:
        return self.data[self.sent : chunk_end(self._ends, self.sent)]

    @property
    def is_interruptible(self) -> bool:
        return is_stop(self._ends, self.sent)

    @property
    def is_ending(self) -> bool:
        return self.sent + len(self.next_chunk) == len(self.data)

    def count(self, detail: str) -> str:
        return f"{detail}; {self.sent} of {len(self.data)} bytes sent"


class _Line:
    """An open pipe with its two threads. One transfer at a time in each direction."""

    def __init__(self, pipe: UsbPipe, sink: Callable[[bytes], None]) -> None:
        self.pipe = pipe
        self.job: _Job | None = None
        #: Why it can not be used any more.
        self.lost: str | None = None
        #: Called when that becomes known.
        self.on_loss: Callable[[], None] = _nothing
        self.now = asyncio.get_running_loop().time
        self._sink = sink
        self._turn = asyncio.Lock()
        self._writer = ThreadPoolExecutor(1, "usb-write")
        self._reader = ThreadPoolExecutor(1, "usb-read")
        self._until = 0.0
        #: Of a question that left in part: the printer takes the next byte for it, whatever that is.
        self._rest = b""
        self._reading: asyncio.Task[None] | None = None

    def lose(self, why: str) -> None:
        """Begin no more transfers."""
        if self.lost is None:
            self.lost = why
        self.on_loss()

    async def stop_reading(self, limit_s: float) -> None:
        """Wait for the reading under way, which is short unless the host's driver hangs."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading}, timeout=limit_s)

    def shut(self) -> None:
        """Wait for the transfers under way, and give the device back; blocks."""
        self._writer.shutdown()
        self._reader.shutdown()
        self.pipe.close()

    def begin(self, data: bytes) -> _Job:
        """Note that a job is under way."""
        self.job = _Job(data, self.now())
        return self.job

    async def push(self, job: _Job) -> None:
        """Try to send the next piece of a job, and count what left, also where the caller is cancelled meanwhile."""

        def count(taken: int) -> None:
            job.is_in_doubt = False
            if taken:
                job.sent += taken
                job.progress = self.now()

        def finish(taken: int) -> None:
            self._rest = self._rest[taken:]

        async with self._turn:
            if self._rest:
                await self._transfer(self._writer, partial(self.pipe.write, self._rest), finish)
                return
            job.is_in_doubt = self.lost is None
            await self._transfer(self._writer, partial(self.pipe.write, job.next_chunk), count)

    async def interject(self, request: bytes) -> None:
        """Send a few bytes between two commands of the job under way.

        Raises:
            TimeoutError: it can not be done now.
            OSError: the device is gone.
        """
        limit = self.now() + ASK_S

        left = request

        def count(taken: int) -> None:
            nonlocal left
            left = left[taken:]

        async with self._turn:
            if self.job is not None and not self.job.is_interruptible:
                raise TimeoutError("a job is under way")
            left = self._rest + request
            try:
                while left:
                    if self.now() + _WRITE_S > limit:
                        raise TimeoutError("it accepts nothing")
                    await self._transfer(self._writer, partial(self.pipe.write, left), count)
            finally:
                self._rest = unfinished(left, request)

    def listen(self, for_s: float) -> None:
        """Read from now on for so long."""
        self._until = max(self._until, self.now() + for_s)
        if self.pipe.can_read and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while self.now() < self._until:
            heard: list[bytes] = []
            try:
                await self._transfer(self._reader, self.pipe.read, heard.append)
            except OSError:  # whoever writes is told
                return
            data = b"".join(heard)
            if data:
                self._sink(data)
            await asyncio.sleep(PAUSE_S if data else EMPTY_S)

    async def _transfer(self, thread: Executor, transfer: Callable[[], T], count: Callable[[T], None]) -> None:
        """Carry out a transfer in its thread; what it did is counted even when nobody waits for it any more.

        Raises:
            OSError: it failed; that the device is gone is noted.
        """
        if self.lost is not None:
            raise OSError(errno.ENODEV, self.lost)
        running = asyncio.get_running_loop().run_in_executor(thread, transfer)
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            await asyncio.wait({running})
            with suppress(OSError):
                self._settle(thread, running, count)
            raise
        self._settle(thread, running, count)

    def _settle(self, thread: Executor, done: "asyncio.Future[T]", count: Callable[[T], None]) -> None:
        try:
            count(done.result())
        except OSError as exc:
            if thread is self._writer or exc.errno == errno.ENODEV:
                self.lose(exc.strerror or str(exc))
            raise


async def _until_gone(line: "_Line", lookout: Lookout) -> None:
    """Return when a transfer has found the device gone, or its node is."""
    while True:
        lookout.arm((line.pipe.node,))
        if line.lost is not None or not line.pipe.node.exists():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S if lookout.is_blind else None):
                await lookout.changed()


def _ignore(_: bytes) -> None:
    pass


def _nothing() -> None:
    pass


def _refused(name: str, exc: OSError) -> DeviceAbsent:
    kinds = {errno.ENODEV: DeviceMissing, errno.ENOENT: DeviceMissing, errno.EBUSY: DeviceHeld}
    return kinds.get(exc.errno or 0, DeviceAbsent)(name, f"{exc.strerror or exc}: {_advice(exc)}")


def _advice(exc: OSError) -> str:
    match exc.errno:
        case errno.ENOSYS:
            return "apt install libusb-1.0-0"
        case errno.EACCES | errno.EPERM:
            return "the service user must be in the group lp, and a udev rule must give the device to that group"
        case errno.EBUSY:
            return "another program or driver has it: end that program, or set the printer to the class of printers"
        case errno.ENXIO:
            return "check [printer] device: is it the printer's id?"
    return "check the cable, the power and [printer] device"
