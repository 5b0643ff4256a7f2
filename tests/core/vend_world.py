"""A terminal in a vending machine: the world of the money tests, a machine with its driver, and what came out of it."""

from dataclasses import dataclass, field, replace

from terminald.core import book as books
from terminald.core import vend as vends
from terminald.core.commands import ApproveVend, Command, DenyVend, OrderText
from terminald.core.events import Event, PowerReturned
from terminald.core.ids import Duration, Reference, SaleId
from terminald.core.money import Fen
from terminald.core.sale_table import DeliveryState, Sale, SaleOrder, SaleState
from terminald.core.schedule import SECOND
from terminald.core.stimuli import Advance, OpenVend, ToVend
from terminald.core.vend import VendAsked
from terminald.core.vend_events import (
    AdapterLost,
    ApprovalNotSent,
    ApprovalRejected,
    ApprovalSent,
    MachineReset,
    RequestGone,
    VendCanceled,
    VendEvent,
    VendFailed,
    VendSucceeded,
)
from terminald.core.vend_table import OF_MACHINE, Vend, VendState
from tests.core.gateway_model import Pick
from tests.core.money_world import World

MACHINE = "snacks"
AMOUNT = Fen(350)
#: Most requests in one history: more would only repeat.
MOST_VENDS = 4
DOUBTS: tuple[type[VendEvent], ...] = (VendCanceled, MachineReset, RequestGone)


def vend_order(reference: str = "vend-1", methods: tuple[str, ...] = ("scan",)) -> SaleOrder:
    """Return what the engine asks for when a machine asks for money."""
    return SaleOrder(
        reference=Reference(reference),
        amount=AMOUNT,
        methods=methods,
        text=OrderText(subject="snacks 5", operator="kiosk"),
        wants_receipt=False,
        qr_payway="3" if "qr" in methods else "",
        reports_delivery=True,
        is_vend=True,
        window=Duration(60 * SECOND),
    )


def asked(request: int = 1, *, returns_unknown: bool = False) -> VendAsked:
    """Return a request as the engine passes it on: two minutes for an answer, three for the result."""
    return VendAsked(
        machine=MACHINE,
        request=request,
        price="3.50",
        item="5",
        answer_window=Duration(105 * SECOND),
        result_window=Duration(180 * SECOND),
        returns_unknown=returns_unknown,
    )


@dataclass(slots=True, eq=False)
class Machine:
    """A machine and its driver: one request at a time, numbered as long as the process lives."""

    count: int = 0
    #: What is asked for, and which vend that is; None: the machine is at rest, or was denied.
    asks: SaleId | None = None
    #: The request that was approved last and has had no result.
    approved: SaleId | None = None
    #: Whether something else than a result was told of it since.
    is_doubtful: bool = False
    approvals: list[SaleId] = field(default_factory=list)
    dispensed: set[SaleId] = field(default_factory=set)


class VendWorld(World):
    """One terminal, its gateway and its vending machine."""

    def __init__(self, *, returns_unknown: bool = False) -> None:
        """Begin at noon with a machine at rest."""
        super().__init__()
        self.returns_unknown = returns_unknown
        self.machine = Machine()
        #: Everything that ever was.
        self.vends: dict[SaleId, Vend] = {}
        #: Approvals and denials that have not reached the driver.
        self.errands: list[ApproveVend | DenyVend] = []
        self.intended: set[SaleId] = set()
        self.was_unknown: set[SaleId] = set()

    # --- the engine --------------------------------------------------------------------------------------------------

    def perform(self, command: Command) -> None:
        """Keep it for the driver; an approval is on disk by now, and so is its payment."""
        assert isinstance(command, ApproveVend | DenyVend)
        if isinstance(command, ApproveVend):
            assert command.sale_id not in self.intended, "approved twice"
            self.intended.add(command.sale_id)
            vend, sale = self.vends[command.sale_id], self.sales[command.sale_id]
            assert (vend.state, vend.request) == (VendState.APPROVING, command.request)
            assert sale.state is SaleState.PAID
            assert sale.paid == AMOUNT
        self.errands.append(command)

    def tell(self, event: VendEvent) -> None:
        """Bring what the driver tells to the vend that it is about, as the engine does."""
        vend = books.find_vend(self.book, MACHINE, event.request)
        if vend is not None:
            self.apply(ToVend(sale_id=vend.sale_id, event=event))

    def select(self, pick: Pick) -> None:
        """Somebody selects. The driver tells first what it means for the request before."""
        machine = self.machine
        if machine.asks or (machine.approved and not machine.is_doubtful):
            self.doubt(RequestGone)
        machine.count += 1
        machine.asks = machine.approved = None
        if books.sale_with_customer(self.book) is not None or len(self.vends) >= MOST_VENDS:
            return  # denied: somebody is being served
        sale_id = SaleId(self.name("vend"))
        machine.asks = sale_id
        methods = (("scan",), ("qr",), ("scan", "qr"))[pick(3)]
        request = asked(machine.count, returns_unknown=self.returns_unknown)
        self.apply(OpenVend(sale_id=sale_id, order=vend_order(sale_id, methods), asked=request))

    def run_errand(self, number: int = 0) -> None:
        """Let the driver do what it was asked."""
        errand = self.errands.pop(number)
        event = self._carry_out(errand)
        if event is not None:
            self.tell(event)

    def _carry_out(self, errand: ApproveVend | DenyVend) -> VendEvent | None:
        machine = self.machine
        if isinstance(errand, DenyVend):
            if errand.request == machine.count:
                machine.asks = None
            return None
        if errand.request != machine.count or machine.asks is None:
            return ApprovalNotSent(request=errand.request, reason="the machine does not ask for it any more")
        assert errand.sale_id == machine.asks, "an approval for the customer before"
        sale = self.sales[errand.sale_id]
        assert sale.paid == AMOUNT, "approved unpaid"
        machine.approvals.append(errand.sale_id)
        machine.approved, machine.asks, machine.is_doubtful = machine.asks, None, False
        return ApprovalSent(request=errand.request)

    # --- the machine -------------------------------------------------------------------------------------------------

    def dispense(self) -> None:
        """It dispenses what it was told to, and says so."""
        if self.machine.approved:
            self.machine.dispensed.add(self.machine.approved)
            self.machine.approved = None
            self.tell(VendSucceeded(request=self.machine.count))

    def fail(self) -> None:
        """It can not dispense, and says so."""
        if self.machine.approved or self.machine.asks:
            self.machine.approved = self.machine.asks = None
            self.tell(VendFailed(request=self.machine.count))

    def reject(self) -> None:
        """The adapter does not pass the approval on."""
        if self.machine.approved:
            self.machine.approvals.remove(self.machine.approved)
            self.machine.approved = None
            self.tell(ApprovalRejected(request=self.machine.count))

    def doubt(self, kind: type[VendEvent]) -> None:
        """It tells something that ends a request without a result; what it does then is its own business."""
        if self.machine.asks:
            self.machine.asks = None
            self.tell(kind(request=self.machine.count))
        elif self.machine.approved and not self.machine.is_doubtful:
            self.machine.is_doubtful = True
            self.tell(kind(request=self.machine.count))

    def unplug(self) -> None:
        """The adapter goes away: of what was approved nothing will be heard."""
        is_new = self.machine.asks or (self.machine.approved and not self.machine.is_doubtful)
        self.machine.asks = self.machine.approved = None
        if is_new:
            self.tell(AdapterLost(request=self.machine.count))

    def restart(self, event: Event, pick: Pick = lambda _: 0) -> None:
        """What was on its way to the driver has reached it, or never will; a new process counts from the start."""
        for errand in self.errands:
            if pick(2):
                self._carry_out(errand)
        self.errands = []
        if isinstance(event, PowerReturned) and self.machine.approved and pick(2):
            self.machine.dispensed.add(self.machine.approved)
        self.machine = replace(self.machine, count=0, asks=None, approved=None)
        super().restart(event)

    # --- what is checked ---------------------------------------------------------------------------------------------

    def note(self, done: Advance) -> None:
        """Keep what was committed; a vend and its sale are never on disk one without the other."""
        super().note(done)
        for vend in done.vends:
            assert vend.sale_id in self.sales
            before = self.vends.get(vend.sale_id)
            is_new = before is None or before.state is not vend.state
            if vend.state is VendState.UNKNOWN and is_new:
                self.check_unknown(vend)
            self.vends[vend.sale_id] = vend
        assert {sale.id for sale in done.sales} >= {vend.sale_id for vend in done.vends}

    def check_unknown(self, vend: Vend) -> None:
        """It is recorded and announced, and the configuration has decided about the money, unless a person has."""
        self.was_unknown.add(vend.sale_id)
        sale = self.sales[vend.sale_id]
        is_called = sale.attention is not None and sale.attention.code == "delivery_overdue"
        is_settled = sale.state in (SaleState.RETURNING, SaleState.RETURNED, SaleState.COMPLETED)
        assert is_settled or (is_called and not vend.returns_unknown)

    def check(self) -> None:
        """The same, and what holds between a vend and its sale."""
        super().check()
        waiting = {one.sale_id for one in self.errands if isinstance(one, ApproveVend)}
        for vend in self.vends.values():
            sale = self.sales[vend.sale_id]
            self.check_pair(vend, sale)
            if vend.state.is_final:
                continue
            assert self.book.vends[vend.sale_id] == vend
            is_at_sale = vend.state in (VendState.CANCELING, VendState.RETURNING) and not sale.state.is_final
            assert vends.next_wakeup(vend) or vend.sale_id in waiting or is_at_sale, vend
        assert sum(one.state.is_on_sale and not self.sales[one.sale_id].paid for one in self.vends.values()) <= 1

    def check_pair(self, vend: Vend, sale: Sale) -> None:
        """One state of the vend says what states its sale can be in."""
        with_customer = sale.state.is_with_customer
        assert with_customer == (vend.state in (VendState.REQUESTED, VendState.PAYING)), (vend, sale)
        if vend.state in (VendState.CANCELING, VendState.DENIED):
            assert sale.state in (SaleState.CANCELING, SaleState.CANCELED), (vend, sale)
        if vend.state is VendState.RETURNING:
            assert sale.state is SaleState.RETURNING, (vend, sale)
        if vend.state is VendState.RETURNED:
            assert sale.state is SaleState.RETURNED, (vend, sale)
        if vend.state is VendState.DONE:
            assert sale.delivery is DeliveryState.DELIVERED or sale.delivery is DeliveryState.CLOSED, (vend, sale)

    def _is_waited_for(self, sale: Sale) -> bool:
        vend = self.vends.get(sale.id)
        return super()._is_waited_for(sale) or (vend is not None and not vend.state.is_final)

    def _help(self) -> bool:
        if self.errands:
            self.run_errand()
            return True
        return super()._help()

    def check_end(self) -> None:
        """Paid XOR returned or never charged, unless it was unknown; never approved unpaid, never twice."""
        super().check_end()
        for sale_id, vend in self.vends.items():
            assert vend.state.is_final
            assert self.machine.approvals.count(sale_id) <= 1
            self.check_books(vend, self.sales[sale_id])

    def check_books(self, vend: Vend, sale: Sale) -> None:
        """What the vend has come to is what the books of the gateway and of the machine say."""
        orders = [self.gateway.orders[one] for one in sale.attempts if one in self.gateway.orders]
        kept = sum(one.kept for one in orders)
        assert sum(one.kept > 0 for one in orders) <= 1, "charged twice"
        is_out = sale.id in self.machine.dispensed
        assert not is_out or sale.paid, "dispensed unpaid"
        if sale.id in self.closed_by_hand:
            return
        if sale.id not in self.machine.approvals and sale.id not in self.was_unknown:
            assert not kept, "kept for nothing"
        if vend.state in (VendState.DENIED, VendState.RETURNED):
            assert not kept
            assert not is_out or sale.id in self.was_unknown or sale.returned, "given away"
        if vend.state is VendState.DONE:
            assert is_out
        if vend.state is VendState.UNKNOWN:
            assert sale.id in self.was_unknown


class HostileWorld(VendWorld):
    """The same with a machine that says anything at any time: what it says is believed, and never costs twice."""

    def babble(self, pick: Pick) -> None:
        """Say anything about any of the last requests."""
        number = max(1, self.machine.count - pick(2))
        kind = OF_MACHINE[pick(len(OF_MACHINE))]
        assert issubclass(kind, VendEvent)
        if issubclass(kind, ApprovalNotSent):
            self.tell(kind(request=number, reason="no reason"))
        elif kind is not ApprovalSent:
            self.tell(kind(request=number))

    def check_books(self, vend: Vend, sale: Sale) -> None:
        """Charged once, and nothing is kept of what was denied or went back."""
        orders = [self.gateway.orders[one] for one in sale.attempts if one in self.gateway.orders]
        assert sum(one.kept > 0 for one in orders) <= 1, "charged twice"
        if sale.id not in self.closed_by_hand and vend.state in (VendState.DENIED, VendState.RETURNED):
            assert not any(one.kept for one in orders)
