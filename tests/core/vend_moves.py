"""What a vending machine and its driver do: each move does one thing that is possible."""

from collections.abc import Callable

from terminald.core import events
from terminald.core.return_events import Delivered, Undelivered
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import DAY, SECOND
from terminald.core.stimuli import ToSale, ToVend
from terminald.core.vend_events import ApprovalDue
from terminald.core.vend_table import VendState
from tests.core import gateway_moves, host_moves
from tests.core.gateway_model import Pick
from tests.core.gateway_moves import MOVES
from tests.core.host_moves import choose, scan
from tests.core.machine_builders import after
from tests.core.vend_world import DOUBTS, VendWorld


def select(world: VendWorld, pick: Pick) -> None:
    """Somebody selects, seldom while the machine is at something else."""
    if not (world.machine.asks or world.machine.approved) or not pick(12):
        world.select(pick)


def go_on(world: VendWorld, _: Pick) -> None:
    """The wake-up of a vend that is paid comes at once."""
    paid = [one.sale_id for one in world.book.vends.values() if one.state is VendState.PAID]
    for sale_id in paid:
        world.apply(ToVend(sale_id=sale_id, event=ApprovalDue()))


def run_errand(world: VendWorld, pick: Pick) -> None:
    """The driver does what it was asked."""
    if world.errands:
        world.run_errand(pick(len(world.errands)))


def dispense(world: VendWorld, _: Pick) -> None:
    """The machine dispenses."""
    world.dispense()


def fail(world: VendWorld, pick: Pick) -> None:
    """The machine can not dispense."""
    if world.machine.approved or not pick(4):
        world.fail()


def reject(world: VendWorld, _: Pick) -> None:
    """The adapter does not pass the approval on."""
    world.reject()


def doubt(world: VendWorld, pick: Pick) -> None:
    """The machine cancels, is reset, or is at rest without a result; it may have dispensed."""
    if not world.machine.approved and pick(4):
        return
    if world.machine.approved and pick(2):
        world.machine.dispensed.add(world.machine.approved)
    world.doubt(DOUBTS[pick(len(DOUBTS))])


def unplug(world: VendWorld, pick: Pick) -> None:
    """The adapter goes away."""
    if not world.machine.approved and pick(4):
        return
    if world.machine.approved and pick(2):
        world.machine.dispensed.add(world.machine.approved)
    world.unplug()


def report_by_hand(world: VendWorld, pick: Pick) -> None:
    """A person says what came out, where the machine has not."""
    unknown = [one.sale_id for one in world.vends.values() if one.state is VendState.UNKNOWN]
    if sale_id := choose(pick, [one for one in unknown if one in world.book.sales]):
        sale = world.book.sales[sale_id]
        if sale.state is SaleState.PAID and sale.delivery is DeliveryState.OVERDUE:
            is_out = sale_id in world.machine.dispensed
            world.apply(ToSale(sale_id=sale_id, event=Delivered() if is_out else Undelivered()))


def kill(world: VendWorld, pick: Pick) -> None:
    """The process is killed, or the power of board and machine."""
    if pick(3):
        return
    world.in_flight = [one for one in world.in_flight if one.answer is None and pick(2)]
    for flight in world.in_flight:
        world.gateway.carry_out(flight.command, pick, world.now)
    world.now = after(world.now, (0, 5 * SECOND, DAY)[pick(3)])
    world.restart((events.Recovered(), events.PowerReturned())[pick(2)], pick)


VendMove = Callable[[VendWorld, Pick], None]
_LEFT_OUT = (host_moves.open_sale, host_moves.report, gateway_moves.kill)
#: Repeated ones happen more often.
VEND_MOVES: tuple[VendMove, ...] = (
    *(move for move in MOVES if move not in _LEFT_OUT),
    *(select, select, select, run_errand, run_errand, run_errand, run_errand, go_on, go_on, go_on, go_on),
    *(dispense, fail, reject, doubt, unplug, report_by_hand, kill, scan, scan),
)
