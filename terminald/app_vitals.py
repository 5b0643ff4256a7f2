"""What the service manager and whoever asks ``systemctl status`` are told while the daemon lives."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NoReturn

from terminald.adapters.ports import Status
from terminald.adapters.systemd import EXTEND_EVERY_S, extension, notify, reloading, status, watchdog_s
from terminald.engine import Engine
from terminald.logs import log_event, tell_suppressed
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: The watchdog is fed three times within its patience: a sign of life that is late once costs nothing.
_FEEDINGS: Final = 3
#: Not every change of readiness is an event while the journal fails: look at it as often as the engine does.
_LOOK_S: Final = 5.0
#: Changes of one moment are told as one: a sale has several within a few milliseconds.
_SETTLE_S: Final = 0.2


class _Phase(Enum):
    STARTING = auto()
    SERVING = auto()
    STOPPING = auto()


class Vitals:
    """READY, STATUS, WATCHDOG, EXTEND_TIMEOUT and STOPPING. One instance for the life of the process."""

    def __init__(self, engine: Engine, look: Callable[[], Status], *, answers: asyncio.Event) -> None:
        """Look returns the present state; answers is set when the API does."""
        self._engine = engine
        self._look = look
        self._answers = answers
        self._phase = _Phase.STARTING
        self._told = ""
        #: What the status says of the configuration, beside the rest.
        self.remark = ""

    async def run(self) -> None:
        """Tell until cancelled. Nothing here waits for the network or a device."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._heart())
            tasks.create_task(self._keep_status())
            # As long as the journal can not be written this takes: what was open is not taken up before.
            await self._engine.recovered.wait()
            await self._answers.wait()
            if self._phase is _Phase.STARTING:
                self._phase = _Phase.SERVING
                notify("READY=1", self._status())
                log_event(_log, LogId.SERVING)

    def stop(self) -> None:
        """Tell that the daemon is stopping; nothing is taken back after it."""
        self._phase = _Phase.STOPPING
        notify("STOPPING=1", self._status(), *self._more_time())

    def begin_reload(self) -> None:
        """Tell that the configuration is being read again; :meth:`end_reload` follows in any case."""
        if self._phase is _Phase.SERVING:
            notify(reloading(), status("reading the configuration"))

    def end_reload(self, remark: str) -> None:
        """Tell that the reload is over; the remark is what stays in the status, mostly empty."""
        self.remark = remark
        if self._phase is _Phase.SERVING:
            notify("READY=1", self._status())

    async def _heart(self) -> NoReturn:
        patience = watchdog_s()
        every_s = EXTEND_EVERY_S if patience is None else min(EXTEND_EVERY_S, patience / _FEEDINGS)
        while True:
            await self._engine.beat()
            # Before READY the watchdog is not armed, and time is what is needed; after it, this is food.
            is_fed = patience is not None and self._phase is not _Phase.STARTING
            if lines := (*(("WATCHDOG=1",) if is_fed else ()), *self._more_time()):
                notify(*lines)
            await asyncio.sleep(every_s)

    def _more_time(self) -> tuple[str, ...]:
        """Ask for time while the start waits for the journal, and while a stop waits for what is under way."""
        is_stop_waiting = self._phase is _Phase.STOPPING and self._engine.is_in_flight()
        return (extension(),) if self._phase is _Phase.STARTING or is_stop_waiting else ()

    async def _keep_status(self) -> NoReturn:
        while True:
            before, line = self._told, self._status()
            if line != before:
                notify(line)
            tell_suppressed()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._engine.wait_for_event(self._engine.last_seq)
            await asyncio.sleep(_SETTLE_S)

    def _status(self) -> str:
        self._told = status("; ".join(filter(None, (self._words(), self.remark))))
        return self._told

    def _words(self) -> str:
        look = self._look()
        match self._phase:
            case _Phase.STARTING if "journal_failed" in look.reasons:
                return "starting: waiting for the journal, which can not be written"
            case _Phase.STARTING:
                return "starting: taking up what was open"
            case _Phase.SERVING:
                return serving_words(look)
            case _Phase.STOPPING:
                return stopping_words(look)


def serving_words(look: Status) -> str:
    """Say in one line how the terminal is."""
    if look.sale is not None:
        words = "a sale is with a customer"
    elif look.reasons:
        words = "not ready: " + ", ".join(reason.replace("_", " ") for reason in look.reasons)
    else:
        words = "ready to take payments"
    followed = f"{look.unresolved} followed to their end" if look.unresolved else ""
    calls = f"{look.attention} for a person to look at" if look.attention else ""
    return "; ".join(filter(None, (words, followed, calls)))


def stopping_words(look: Status) -> str:
    """Say in one line what a stop waits for."""
    if look.sale is not None:
        return "stopping: a payment is followed to its end"
    if look.print_queue:
        return "stopping: a receipt is being printed"
    return "stopping: finishing what is open" if look.unresolved else "stopping"
