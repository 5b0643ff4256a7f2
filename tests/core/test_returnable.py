"""What is left to give back while all of it is on its way back: nothing, whatever the return itself amounts to (I9)."""

from terminald.core.commands import RefundOrder
from terminald.core.events import OrderFacts, OrderPartlyReturned, OutcomeUnknown, RefundConfirmed
from terminald.core.money import Fen
from terminald.core.refund_table import RefundKind
from tests.core.machine_builders import AMOUNT
from tests.core.till import sold


def test_of_a_payment_that_goes_back_whole_nothing_is_left_though_others_gave_back_a_part() -> None:
    """The return is of what the gateway has left; the part is no business of a refund of ours."""
    till = sold()
    assert till.seen().returnable == AMOUNT
    till.ask(AMOUNT, RefundKind.RETURN)
    till.refund(OutcomeUnknown(), 1)
    till.wake()
    asked = till.refund(OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(300))), 2).commands
    assert [(type(one), one.refund_amount) for one in asked if isinstance(one, RefundOrder)] == [(RefundOrder, 300)]
    assert sum(one.amount for one in till.seen().refunds) < AMOUNT
    assert till.seen().returnable == 0
    till.refund(RefundConfirmed(), 3)
    assert till.seen().returnable == 0
