"""The life of a device: open, serve, close, wait, again.

A device may be absent at start, go away at any moment, or have a bug in its driver. None of this reaches the rest of
terminald other than as a report (I8).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from terminald.adapters.ports import Device, DeviceReport, DeviceSink, DeviceState
from terminald.errors import DeviceAbsent, DeviceError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before a device is opened again: doubling, and at least half of each wait is kept.

    An absent device costs one failed ``open(2)`` a try, so it is looked for more often: one that is plugged in again is
    back within 2 s. A device that was up for ``stable_s`` begins again at ``first_s``.
    """

    first_s: float = 0.5
    longest_s: float = 5.0
    longest_absent_s: float = 2.0
    stable_s: float = 10.0


BACKOFF: Final = Backoff()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    detail: str
    is_absence: bool = False
    bug: Exception | None = None


async def supervise(
    device: Device,
    report: DeviceSink,
    *,
    jitter: Callable[[], float],
    backoff: Backoff = BACKOFF,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> NoReturn:
    """Keep a device in service until cancelled; cancellation closes the device and propagates.

    Reports READY after each opening, and ABSENT when the device is not in service, once per cause. Jitter returns a
    number in [0, 1). No exception of the device gets out; one that is no DeviceError is logged with its traceback.
    """
    loop = asyncio.get_running_loop()
    record = _Record(device, report)
    delay_s = backoff.first_s
    while True:
        opened_at: float | None = None
        try:
            fault = await _attempt(device.open())
            if fault is None:
                opened_at = loop.time()
                record.ready()
                fault = await _attempt(device.run()) or _Fault(detail="stopped by itself")
        finally:
            leftover = await _attempt(device.close())
        if opened_at is not None and loop.time() - opened_at >= backoff.stable_s:
            delay_s = backoff.first_s
        record.failed(fault, leftover)
        longest_s = backoff.longest_absent_s if fault.is_absence else backoff.longest_s
        await sleep(min(delay_s, longest_s) * (1 + jitter()) / 2)
        delay_s = min(delay_s * 2, backoff.longest_s)


async def _attempt(step: Awaitable[None]) -> _Fault | None:
    try:
        await step
    except DeviceError as exc:
        return _Fault(detail=exc.detail, is_absence=isinstance(exc, DeviceAbsent))
    except Exception as exc:  # noqa: BLE001 - the supervisor's loop: a driver's bug is the device's fault (I8)
        # The message could quote what the device sent (I7).
        return _Fault(detail=f"unexpected {type(exc).__name__}; the log says where", bug=exc)
    return None


class _Record:
    """What was last said about the device, so that nothing is said twice."""

    def __init__(self, device: Device, report: DeviceSink) -> None:
        self._device = device
        self._report = report
        self._is_failing = False
        self._last: DeviceReport | None = None

    def ready(self) -> None:
        _log.info("%s %s: ready", self._device.kind, self._device.name)
        self._is_failing = False
        self._say(DeviceState.READY, "")

    def failed(self, fault: _Fault, leftover: _Fault | None) -> None:
        level = logging.DEBUG if self._is_failing else logging.WARNING
        self._is_failing = True
        _log.log(level, "%s %s: %s", self._device.kind, self._device.name, fault.detail, exc_info=fault.bug)
        if leftover is not None:
            _log.log(
                level,
                "%s %s: closing: %s",
                self._device.kind,
                self._device.name,
                leftover.detail,
                exc_info=leftover.bug,
            )
        self._say(DeviceState.ABSENT, fault.detail)

    def _say(self, state: DeviceState, detail: str) -> None:
        report = DeviceReport(name=self._device.name, kind=self._device.kind, state=state, detail=detail)
        if report != self._last:
            self._last = report
            self._report(report)
