"""What a step asks for is performed here, after its commit: each request as a task of its own."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from terminald.adapters.ports import Clock, Journal, KeyGateway
from terminald.adapters.ports_devices import Scanner
from terminald.adapters.ports_receipts import ReceiptSender
from terminald.adapters.ports_vending import Vmc
from terminald.core.book import SaleView
from terminald.core.commands import (
    ApproveVend,
    ArmScanners,
    Command,
    DenyVend,
    DisarmScanners,
    GatewayCommand,
    SendJob,
)
from terminald.core.events import Answer, PrintAnswer, PrinterAbsent
from terminald.core.ids import SaleId, WallTime
from terminald.core.spool import PrintJob
from terminald.core.stimuli import Stimulus, ToAttempt, ToJob, ToRefund, ToVend
from terminald.engine_link import LinkMonitor


@dataclass(slots=True, kw_only=True)
class World:
    """Everything outside that the engine uses. A reload exchanges the receipts and the look at the disk."""

    journal: Journal
    gateway: KeyGateway
    clock: Clock
    scanners: Sequence[Scanner]
    receipts: ReceiptSender | None
    #: Salt of the digests by which a payment code is recognised again.
    salt: bytes
    #: Gives a new identifier that was never used before: 26 letters and digits, sortable by time.
    new_id: Callable[[WallTime], str]
    #: 0 ≤ jitter < 1.
    jitter: Callable[[], float]
    #: Whether the disk has the configured free space.
    has_disk_space: Callable[[], bool]
    #: By their configured names.
    vmcs: Mapping[str, Vmc] = field(default_factory=dict)


class Performer:
    """Performs commands, and tells of each completion once."""

    def __init__(
        self,
        world: World,
        *,
        ask: Callable[[GatewayCommand], Awaitable[Answer]],
        link: LinkMonitor,
        spawn: Callable[[Coroutine[None, None, None]], object],
        complete: Callable[[Stimulus], None],
        view: Callable[[SaleId], SaleView | None],
    ) -> None:
        """Ask is the gateway; spawn carries a request out as a task of its own; complete takes what came of it."""
        self._world = world
        self._ask = ask
        self._link = link
        self._spawn = spawn
        self._complete = complete
        self._view = view
        #: Requests about orders that have no answer yet.
        self.asked = 0

    def perform(self, command: Command) -> None:
        """Begin to perform one command."""
        match command:
            case GatewayCommand():
                self.asked += 1
                self._spawn(self._ask_gateway(command))
            case SendJob():
                self._spawn(self._send_job(command))
            case ArmScanners():
                for scanner in self._world.scanners:
                    scanner.arm()
                self._link.prove()
            case DisarmScanners():
                for scanner in self._world.scanners:
                    scanner.disarm()
            case ApproveVend():
                self._spawn(self._approve(command))
            case DenyVend():
                self._spawn(self._deny(command))
            case _:
                raise TypeError(f"nobody performs {type(command).__name__}")

    async def _ask_gateway(self, command: GatewayCommand) -> None:
        try:
            answer = await self._ask(command)
        finally:
            self.asked -= 1
        self._link.note(answer)
        if command.refund_id is not None:
            self._complete(ToRefund(refund_id=command.refund_id, event=answer, token=command.token))
        else:
            self._complete(ToAttempt(client_sn=command.client_sn, event=answer, token=command.token))

    async def _send_job(self, command: SendJob) -> None:
        job = next(job for job in self._sale_of(command).jobs if job.id == command.job_id)
        answer: PrintAnswer = PrinterAbsent(evidence="no printer is configured")
        if self._world.receipts is not None:
            look, tell = partial(self._look, command, job), partial(self._tell_job, command)
            answer = await self._world.receipts.send(job, look, tell)
        self._tell_job(command, answer)

    async def _approve(self, command: ApproveVend) -> None:
        vmc = self._world.vmcs[command.machine]
        told = await vmc.approve(command.request, command.price)
        self._complete(ToVend(sale_id=command.sale_id, event=told))

    async def _deny(self, command: DenyVend) -> None:
        if command.request is not None:
            await self._world.vmcs[command.machine].deny(command.request)

    def _look(self, command: SendJob, job: PrintJob) -> SaleView | None:
        is_over = self._world.clock.now().instant >= job.expires
        return None if is_over else self._sale_of(command)

    def _sale_of(self, command: SendJob) -> SaleView:
        shown = self._view(command.sale_id)
        if shown is None:
            raise LookupError(f"{command.job_id} has no sale")
        return shown

    def _tell_job(self, command: SendJob, answer: PrintAnswer) -> None:
        self._complete(ToJob(job_id=command.job_id, event=answer, token=command.token))
