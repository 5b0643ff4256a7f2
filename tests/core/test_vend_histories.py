"""Paid XOR returned or never charged: random histories of a vending machine, its driver, and a gateway with books.

Every commit is judged by :class:`VendWorld`: an approval leaves once for a request, after its payment is on disk and
while the machine asks for that very request; a vend and its sale agree; whatever is open waits for something. When
everything has settled, the vends have come to what the gateway's and the machine's books say.
"""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from terminald.core.sale_table import SaleState
from terminald.core.vend_table import VendState
from tests.core.gateway_moves import answer, pay
from tests.core.host_moves import scan
from tests.core.vend_moves import VEND_MOVES, VendMove, go_on, run_errand, select
from tests.core.vend_world import HostileWorld, VendWorld

#: Random walks, and the steps of each.
WALKS, STEPS = 1_200, 80
#: How many of a walk's first steps lead towards an approval.
SELLING: tuple[VendMove, ...] = (select, scan, scan, pay, answer, answer, answer, go_on, go_on, run_errand)

picks = st.integers(0, 10**6)


class Histories(RuleBasedStateMachine):
    """Whatever hypothesis finds to do."""

    def __init__(self) -> None:
        super().__init__()
        self.world = VendWorld()

    @initialize(returns_unknown=st.booleans())
    def begin(self, *, returns_unknown: bool) -> None:
        self.world = VendWorld(returns_unknown=returns_unknown)

    @rule(move=st.sampled_from(VEND_MOVES), number=picks)
    def something_happens(self, move: VendMove, number: int) -> None:
        move(self.world, random.Random(number).randrange)

    @rule(numbers=st.lists(picks, min_size=1, max_size=8))
    def something_is_sold(self, numbers: list[int]) -> None:
        for number in numbers:
            SELLING[number % len(SELLING)](self.world, random.Random(number).randrange)

    def teardown(self) -> None:
        self.world.settle_with(random.Random(0).randrange)


TestHistories = Histories.TestCase
TestHistories.settings = settings(deadline=None, max_examples=60, stateful_step_count=50)


def walk(seed: int) -> VendWorld:
    """Take a random walk with some of the moves only: what is rare among all is common among some."""
    source = random.Random(seed)
    world, pick = VendWorld(returns_unknown=seed % 5 == 0), source.randrange
    always = (answer, go_on, run_errand)
    moves = [move for move in VEND_MOVES if source.random() < 0.6 or move in always]
    try:
        for _ in range(25 if seed % 3 else 0):
            source.choice(SELLING)(world, pick)
            if world.machine.approved:
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
    seen, unknown = set(), set()
    for seed in range(0, WALKS, 4):
        world = walk(seed)
        seen |= {(vend.state, world.sales[vend.sale_id].state) for vend in world.vends.values()}
        unknown |= {world.vends[one].state for one in world.was_unknown}
    assert {sale for _, sale in seen} == {SaleState.COMPLETED, SaleState.CANCELED, SaleState.RETURNED}
    ends = (VendState.DONE, VendState.DENIED, VendState.RETURNED, VendState.UNKNOWN)
    assert {state for state, _ in seen} >= set(ends)
    assert unknown >= {VendState.DONE, VendState.UNKNOWN, VendState.RETURNED}


def test_a_machine_may_say_anything_at_any_time() -> None:
    for seed in range(300):
        source = random.Random(seed)
        world, pick = HostileWorld(returns_unknown=seed % 3 == 0), source.randrange
        try:
            for _ in range(STEPS):
                source.choice((*SELLING, *VEND_MOVES))(world, pick)
                if not pick(3):
                    world.babble(pick)
            world.settle_with(pick)
        except BaseException as error:
            error.add_note("\n".join(world.story))
            raise
