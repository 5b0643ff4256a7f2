"""Money taken is money told: random histories against a gateway with books of its own (I1, I2, I3, I4, I5, I9).

Every commit is judged by :class:`World`: one request that moves money is under way for an order; a submit goes out
once, and only when every other order of its sale is proven unpaid, by the gateway's books as well; a held code goes out
in the very commit in which the QR order is proven unpaid; nobody is told "paid" of money that is not there; no refund
asks for more than is left. When everything has settled, the host was told what the books say.
"""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from terminald.core.attempt_table import AttemptState
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.sale_table import DeliveryState, SaleState
from tests.core.gateway_model import Pick
from tests.core.gateway_moves import MOVES, Move, answer, pay
from tests.core.host_moves import open_sale, scan
from tests.core.money_world import World

#: Random walks, and the steps of each.
WALKS, STEPS = 2_000, 80
#: How many of a walk's first steps lead towards a payment.
SELLING = (open_sale, scan, pay, answer, answer, answer)

picks = st.integers(0, 10**6)


class Histories(RuleBasedStateMachine):
    """Whatever hypothesis finds to do."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(move=st.sampled_from(MOVES), number=picks)
    def something_happens(self, move: Move, number: int) -> None:
        move(self.world, random.Random(number).randrange)

    @rule(numbers=st.lists(picks, min_size=1, max_size=8))
    def something_is_sold(self, numbers: list[int]) -> None:
        for number in numbers:
            SELLING[number % len(SELLING)](self.world, random.Random(number).randrange)

    def teardown(self) -> None:
        self.world.settle_with(random.Random(0).randrange)


TestHistories = Histories.TestCase
TestHistories.settings = settings(deadline=None, max_examples=100, stateful_step_count=50)


def walk(seed: int) -> World:
    """Take a random walk with some of the moves only: what is rare among all is common among some."""
    source, world = random.Random(seed), World()
    pick: Pick = source.randrange
    moves = [move for move in MOVES if source.random() < 0.6 or move is answer]
    try:
        for _ in range(25 if seed % 3 else 0):
            source.choice(SELLING)(world, pick)
            if any(sale.paid for sale in world.sales.values()):
                break
        for _ in range(STEPS):
            source.choice(moves)(world, pick)
        world.settle_with(pick)
    except BaseException as error:
        error.add_note("\n".join(world.story))
        raise
    return world


@pytest.mark.parametrize("part", range(4))
def test_the_books_are_right_in_the_end(part: int) -> None:
    for seed in range(part, WALKS, 4):
        walk(seed)


def test_the_walks_come_everywhere() -> None:
    """What is never met is not tested."""
    sales, refunds, attempts, deliveries = set(), set(), set(), set()
    for seed in range(0, WALKS, 4):
        world = walk(seed)
        sales |= {(sale.state, sale.order.methods) for sale in world.sales.values()}
        refunds |= {(one.state, one.kind) for one in world.refunds.values()}
        attempts |= {(one.state, one.kind) for one in world.attempts.values()}
        deliveries |= {sale.delivery for sale in world.sales.values()}
    methods = (("scan",), ("qr",), ("scan", "qr"))
    ends = (SaleState.COMPLETED, SaleState.CANCELED, SaleState.RETURNED)
    assert sales >= {(state, way) for state in ends for way in methods}
    assert refunds >= {(RefundState.DONE, kind) for kind in RefundKind}
    assert refunds >= {(RefundState.REFUSED, kind) for kind in (RefundKind.REFUND, RefundKind.REVOKE)}
    unpaid = (AttemptState.DECLINED, AttemptState.REVERSED, AttemptState.UNSENT)
    assert attempts >= {(state, kind) for state in (AttemptState.PAID, *unpaid) for kind in ("scan", "qr")}
    assert deliveries == set(DeliveryState)
