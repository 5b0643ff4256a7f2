"""The life of a device: open, serve, close, wait, again.

A device may be absent at start, go away at any moment, or have a bug in its driver. None of this reaches the rest of
terminald other than as a report (I8).

Theory of operation: a device that can not be opened is waited for. Where the watch sees its place, a missing device
costs nothing until something comes there; one that is there and refuses is tried again by time as well, because not
everything that may change is told (another process lets go, a driver recovers). A device that goes away again and again
is called that once, opened less and less often, and is ready again only after it has stayed for a while.
"""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from terminald.adapters.device_watch import DeviceWatch, Lookout
from terminald.adapters.ports_devices import Device, DeviceReport, DeviceSink, DeviceState
from terminald.errors import DeviceAbsent, DeviceError, DeviceHeld, DeviceMissing
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: Causes that are reported one after the other while a device is not in service; after that, one in each such time.
CAUSES: Final = 8
CAUSE_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before a device is opened again: doubling, and at least half of each wait is kept.

    A device that is plugged in is to be open within 2 s. Where the watch sees its place, that is its business; where it
    does not, and where nothing tells of the change (another process lets go), the waits are shorter than that.
    """

    first_s: float = 0.5
    longest_s: float = 5.0
    longest_absent_s: float = 2.0  # absent, and not seen by the watch
    longest_held_s: float = 2.0
    longest_missing_s: float = 60.0  # seen by the watch: this is for what it should have told and did not
    longest_lost_s: float = 1.0  # after it went away
    longest_flapping_s: float = 10.0
    stable_s: float = 10.0  # up for so long: begins again at the first wait
    #: After a change: udev makes the node, its links, and then its permissions. Doubling while changes go on.
    settle_s: float = 0.1
    longest_settle_s: float = 1.0
    #: A refusal so soon after a change is not reported yet: the permissions may be under way.
    young_s: float = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapping:
    """When a device is called flapping, and when no more.

    More losses in the window than a technician makes who tries a plug. The log gets one entry for all that follow;
    what comes and goes so slowly that it is not flapping makes a pair of them in each calm time at most.
    """

    losses: int = 5
    window_s: float = 300.0
    calm_s: float = 60.0


BACKOFF: Final = Backoff()
FLAPPING: Final = Flapping()

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    detail: str
    error: DeviceError | None = None
    bug: Exception | None = None


async def supervise(
    device: Device,
    report: DeviceSink,
    *,
    jitter: Callable[[], float],
    watch: DeviceWatch | None = None,
    backoff: Backoff = BACKOFF,
    flapping: Flapping = FLAPPING,
    sleep: Sleep = asyncio.sleep,
) -> NoReturn:
    """Keep a device in service until cancelled; cancellation closes the device and propagates.

    Reports READY after each opening, and ABSENT when the device is not in service, once per cause. Jitter returns a
    number in [0, 1). No exception of the device gets out; one that is no DeviceError is logged with its traceback.
    """
    with contextlib.closing(Lookout(watch)) as lookout:
        pace = _Pace(backoff, lookout, jitter=jitter, sleep=sleep)
        await _Life(device, lookout, pace, _Record(device, report), flapping).go()


class _Life:
    """One device through all its openings."""

    def __init__(self, device: Device, lookout: Lookout, pace: "_Pace", record: "_Record", flapping: Flapping) -> None:
        self._device = device
        self._lookout = lookout
        self._pace = pace
        self._record = record
        self._flapping = flapping
        self._is_flapping = False
        self._losses: deque[float] = deque(maxlen=flapping.losses)

    async def go(self) -> NoReturn:
        while True:
            opened_at: float | None = None
            try:
                fault = await _attempt(self._open())
                if fault is None:
                    opened_at = _now()
                    fault = await self._serve()
            finally:
                leftover = await _attempt(self._device.close())
            if opened_at is not None:
                is_told = not self._is_flapping
                fault = self._lost(fault, opened_at)
                self._record.failed(fault, leftover, is_told=is_told)
                await self._pace.after_loss(_now() - opened_at, is_flapping=self._is_flapping)
            else:
                if self._is_flapping and _now() - self._losses[-1] >= self._flapping.calm_s:
                    self._end_flapping()  # it does not come back at all, and that is another fault
                is_told = not (self._is_flapping or self._pace.is_young(fault))
                self._record.failed(fault, leftover, is_told=is_told)
                await self._pace.after_absence(fault)

    async def _open(self) -> None:
        self._lookout.arm(self._device.watched)
        await self._device.open()

    async def _serve(self) -> _Fault:
        self._lookout.close()
        calm = None
        if self._is_flapping:
            calm = asyncio.get_running_loop().call_later(self._flapping.calm_s, self._be_calm)
        else:
            self._record.ready()
        try:
            return await _attempt(self._device.run()) or _Fault(detail="stopped by itself")
        finally:
            if calm is not None:
                calm.cancel()

    def _be_calm(self) -> None:
        self._end_flapping()
        self._record.ready()

    def _end_flapping(self) -> None:
        self._is_flapping = False
        self._losses.clear()

    def _lost(self, fault: _Fault, opened_at: float) -> _Fault:
        """Count a loss; return what to say of it."""
        now, rule = _now(), self._flapping
        if now - opened_at >= rule.calm_s:
            self._losses.clear()
        self._losses.append(now)
        span_s = now - self._losses[0]
        if not self._is_flapping and len(self._losses) == rule.losses and span_s <= rule.window_s:
            self._is_flapping = True
            said = (
                f"went away {rule.losses} times within {max(1, math.ceil(span_s))} s: check cable, power supply and hub"
            )
            calm = f"ready again when it has stayed for {rule.calm_s:.0f} s"
            return replace(fault, detail=f"{said}; {calm} (last: {fault.detail})")
        return fault


class _Pace:
    """When to try again."""

    def __init__(self, backoff: Backoff, lookout: Lookout, *, jitter: Callable[[], float], sleep: Sleep) -> None:
        self._backoff = backoff
        self._lookout = lookout
        self._jitter = jitter
        self._sleep = sleep
        self._lost_s = backoff.first_s
        self._absent_s = backoff.first_s
        self._settle_s = backoff.settle_s
        self._changed_at = -math.inf

    def is_young(self, fault: _Fault) -> bool:
        """Whether a refusal may be of the moment only. That a device is missing is true at once."""
        is_refusal = isinstance(fault.error, DeviceAbsent) and not isinstance(fault.error, DeviceMissing)
        return is_refusal and not self._lookout.is_blind and _now() - self._changed_at < self._backoff.young_s

    async def after_loss(self, up_s: float, *, is_flapping: bool) -> None:
        """Wait after the open device went away. No change cuts this short."""
        backoff = self._backoff
        self._absent_s = backoff.first_s
        if up_s >= backoff.stable_s:
            self._lost_s = backoff.first_s
        longest_s = backoff.longest_flapping_s if is_flapping else backoff.longest_lost_s
        await self._sleep(self._spread(min(self._lost_s, longest_s)))
        self._lost_s = min(self._lost_s * 2, backoff.longest_flapping_s)

    async def after_absence(self, fault: _Fault) -> None:
        """Wait after the device could not be opened."""
        backoff, wait_s = self._backoff, self._absent_s
        self._absent_s = min(wait_s * 2, backoff.longest_s)
        if self._lookout.is_blind:
            is_absence = isinstance(fault.error, DeviceAbsent)
            longest_s = backoff.longest_absent_s if is_absence else backoff.longest_s
            await self._sleep(self._spread(min(wait_s, longest_s)))
            return
        match fault.error:
            case DeviceMissing():
                wait_s = backoff.longest_missing_s
            case DeviceHeld():
                wait_s = min(wait_s, backoff.longest_held_s)
        if await self._sleep_or_change(self._spread(wait_s)):
            await self._settle()

    async def _settle(self) -> None:
        """Let what changes finish; a place where something changes all the time is looked at once a second."""
        backoff, now = self._backoff, _now()
        is_restless = now - self._changed_at < backoff.longest_s
        self._settle_s = min(self._settle_s * 2, backoff.longest_settle_s) if is_restless else backoff.settle_s
        self._changed_at = now
        self._absent_s = backoff.first_s
        await self._sleep(self._settle_s)

    async def _sleep_or_change(self, seconds: float) -> bool:
        """Return whether something has changed before the time was over."""
        change = asyncio.ensure_future(self._lookout.changed())
        timer = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait((change, timer), return_when=asyncio.FIRST_COMPLETED)
            return change.done()
        finally:
            change.cancel()
            timer.cancel()

    def _spread(self, seconds: float) -> float:
        return seconds * (1 + self._jitter()) / 2


class _Record:
    """What was last said about the device, so that nothing is said twice."""

    def __init__(self, device: Device, report: DeviceSink) -> None:
        self._device = device
        self._report = report
        self._is_failing = False
        self._last: DeviceReport | None = None
        self._causes = 0
        self._told_at = -math.inf

    def ready(self) -> None:
        log_event(_log, LogId.DEVICE_READY, device=self._device.name, kind=self._device.kind)
        self._is_failing = False
        self._causes = 0
        self._say(DeviceState.READY, "")

    def failed(self, fault: _Fault, leftover: _Fault | None, *, is_told: bool = True) -> None:
        level = logging.DEBUG if self._is_failing or not is_told else logging.WARNING
        self._log(level, fault, fault.detail)
        if leftover is not None:
            self._log(level, leftover, f"closing: {leftover.detail}")
        if is_told:
            self._is_failing = True
            self._say(DeviceState.ABSENT, fault.detail)

    def _log(self, level: int, fault: _Fault, detail: str) -> None:
        name, kind = self._device.name, self._device.kind
        log_event(_log, LogId.DEVICE_FAILED, level=level, exc_info=fault.bug, device=name, kind=kind, detail=detail)

    def _say(self, state: DeviceState, detail: str) -> None:
        report = DeviceReport(name=self._device.name, kind=self._device.kind, state=state, detail=detail)
        if report == self._last:
            return
        if state is DeviceState.ABSENT:
            if self._causes >= CAUSES and _now() - self._told_at < CAUSE_EVERY_S:
                return
            self._causes += 1
        self._last, self._told_at = report, _now()
        self._report(report)


async def _attempt(step: Awaitable[None]) -> _Fault | None:
    try:
        await step
    except DeviceError as exc:
        return _Fault(detail=exc.detail, error=exc)
    except Exception as exc:  # noqa: BLE001 - the supervisor's loop: a driver's bug is the device's fault (I8)
        # The message could quote what the device sent (I7).
        return _Fault(detail=f"unexpected {type(exc).__name__}; the log says where", bug=exc)
    return None


def _now() -> float:
    return asyncio.get_running_loop().time()
