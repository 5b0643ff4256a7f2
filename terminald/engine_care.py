"""What the engine does for whoever looks after the terminal: its state, a drain, a proof of its health."""

import asyncio
import logging
from collections.abc import Callable

from terminald.adapters.ports import Status
from terminald.adapters.ports_care import DiskStatus, Forgotten, RestoredFrom
from terminald.core import book as books
from terminald.core.ids import Instant, WallTime
from terminald.core.readiness import Hold
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import MINUTE
from terminald.engine import Engine
from terminald.errors import ApiError, JournalError
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: How long a proof of health may take. A write to a card takes up to seconds while it tidies up; one that hangs for
#: longer serves no customer either.
HEALTH_S = 10.0
#: A proof of the disk is a write: whoever asks more often is answered by a read.
PROOF_EVERY = MINUTE


class Care:
    """Implements :class:`terminald.adapters.ports_care.CareDesk` on an engine, and the status."""

    def __init__(self, engine: Engine, device_id: str) -> None:
        """Device_id is the terminal's fingerprint."""
        self._engine = engine
        self._device_id = device_id
        self._started = engine.world.clock.now().instant
        self._proven: Instant | None = None
        #: What is on disk of it: what the next start begins with.
        self._lasting = engine.hold
        #: Of when the copy is from which the journal was restored last; None where it was not, or nobody knows.
        self.copied_at: WallTime | None = None
        #: Returns what is known of the disk, where that is looked after.
        self.look_at_disk: Callable[[], DiskStatus | None] = lambda: None

    # --- sales held back ---------------------------------------------------------------------------------------------

    async def drain(self, *, until_restart: bool) -> None:
        """Begin no more sales, and close the one that waits for its code; repeatable.

        Until the restart: unless there is a drain that lasts, which an update in the middle of it does not end. A
        restored journal is held back beside it: neither ends with the other.
        """
        await self._engine.request(lambda: self._drain(until_restart=until_restart))

    async def _drain(self, *, until_restart: bool) -> None:
        on_disk = self._lasting if until_restart else self._lasting.with_drain()
        await self._hold(self._engine.hold.with_drain(), on_disk=on_disk)

    async def resume(self, *, is_compared: bool = False) -> None:
        """End a drain; repeatable. Where a person says that the journal is compared: end that hold, and no drain.

        Raises:
            ApiError: restored_unconfirmed; nothing was changed.
        """
        await self._engine.request(lambda: self._resume(is_compared=is_compared))

    async def _resume(self, *, is_compared: bool) -> None:
        hold = self._engine.hold
        if is_compared:
            await self._hold(hold.once_compared(), on_disk=self._lasting.once_compared())
        elif hold.is_restored:
            raise ApiError("restored_unconfirmed", "No sale is begun before somebody says that it was compared.")
        else:
            await self._hold(Hold.NONE, on_disk=Hold.NONE)

    async def _hold(self, hold: Hold, *, on_disk: Hold) -> None:
        engine = self._engine
        await engine.written(engine.world.journal.put_hold(on_disk))
        self._lasting = on_disk
        if engine.hold is not hold and hold is Hold.NONE:
            log_event(log, LogId.SALES_RESUMED, from_state=engine.hold.value)
        elif engine.hold is not hold:
            log_event(log, LogId.SALES_HELD)
        engine.take_hold(hold)

    # --- old sales ---------------------------------------------------------------------------------------------------

    async def forgotten(self) -> Forgotten:
        """Return from where on the journal has everything."""
        return await self._engine.world.journal.forgotten()

    # --- health ------------------------------------------------------------------------------------------------------

    async def prove_health(self) -> None:
        """Return after a round trip through loop and journal, with a write at most once a minute.

        Raises:
            ApiError: unhealthy; the detail says what is.
        """
        if not self._engine.recovered.is_set():
            raise ApiError("unhealthy", "terminald is starting: what was open is not taken up yet")
        try:
            async with asyncio.timeout(HEALTH_S):
                await self._engine.request(self._prove)
        except TimeoutError:
            raise ApiError("unhealthy", f"engine and journal have not answered within {HEALTH_S:g} s") from None
        except JournalError as exc:
            raise ApiError("unhealthy", f"the journal can not be used: {exc}", reasons=("journal_failed",)) from exc

    async def _prove(self) -> None:
        engine, instant = self._engine, self._engine.world.clock.now().instant
        if self._proven is not None and instant - self._proven < PROOF_EVERY:
            await engine.world.journal.events_after(engine.last_seq, 1)
            return
        await engine.written(engine.world.journal.prove())
        self._proven = instant

    # --- status ------------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """Return the present state of everything."""
        engine, now = self._engine, self._engine.world.clock.now()
        custody, key = engine.keeper.custody, engine.keeper.status()
        terminal = custody.terminal if custody else None
        book, customer = engine.book, books.sale_with_customer(engine.book)
        disk = self.look_at_disk()
        return Status(
            reasons=tuple(reason.value for reason in engine.reasons()),
            terminal_sn=terminal.terminal_sn if terminal else "",
            device_id=self._device_id,
            activated_at=terminal.activated_at if terminal else None,
            key=key,
            checkins=engine.keeper.checkins,
            is_gateway_reachable=engine.link.is_reachable,
            last_answer_at=engine.link.last_answer_at,
            devices=tuple(engine.devices.values()),
            sale=customer.id if customer else None,
            unresolved=len(books.unresolved(book)),
            attention=sum(one.attention is not None for one in (*books.views(book), *([key] if key else ())))
            + (disk is not None and disk.slow_since is not None),
            disk=disk,
            print_queue=sum(not job.state.is_final for job in book.jobs.values()),
            is_clock_synchronized=now.is_trusted,
            is_draining=engine.is_draining or engine.hold.is_asked,
            is_in_flight=engine.is_in_flight() or self._awaits_goods(),
            uptime_s=(now.instant - self._started) // 1000,
            restored=RestoredFrom(copied_at=self.copied_at) if engine.hold.is_restored else None,
        )

    def _awaits_goods(self) -> bool:
        """Whether the host, or a kiosk's action, is at work on what was paid for: it has its own time for that."""
        sales = self._engine.book.sales.values()
        return any((one.state, one.delivery) == (SaleState.PAID, DeliveryState.PENDING) for one in sales)
