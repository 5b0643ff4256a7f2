"""I6 by exhaustion: the whole product of terminal and gateway, every message lost, every commit a crash."""

from collections import deque
from functools import cache

import pytest

from terminald.core.custody_events import ProofDue
from terminald.core.custody_table import TABLE, CustodyState
from tests.core.custody_world import SAYS_SO, Pair, held, is_served, start, successors

S = CustodyState
#: Far more than there are; reaching it means that the states are not finite.
MAX_STATES = 200_000

Reached = dict[Pair, tuple[Pair, str] | None]


@cache
def reach(*, ages: bool) -> Reached:
    """Every reachable state, with the state and the happening that first led to it."""
    seen: Reached = {start(): None, start("b"): None}
    queue = deque(seen)
    while queue:
        pair = queue.popleft()
        for name, after in successors(pair, ages=ages):
            if after not in seen:
                seen[after] = (pair, name)
                queue.append(after)
        assert len(seen) < MAX_STATES
    return seen


def story(reached: Reached, pair: Pair) -> str:
    """How it came to that, for a failed test."""
    lines: list[str] = []
    at: Pair | None = pair
    while at is not None:
        came = reached[at]
        lines.append(f"{came[1] if came else 'start'}: {at.custody.state.value} {held(at)} at {at.gateway}")
        at = came[0] if came else None
    return "\n".join(reversed(lines))


def test_the_search_is_whole() -> None:
    reached = reach(ages=False)
    assert {pair.custody.state for pair in reached} == set(S)
    assert len(reached) > 500


def test_the_terminal_holds_an_accepted_key_or_says_so() -> None:
    """I6."""
    reached = reach(ages=False)
    for pair in reached:
        assert is_served(pair) or pair.custody.state in SAYS_SO, story(reached, pair)


def test_one_lost_answer_never_costs_the_key() -> None:
    """I6: the key is lost only after two check-ins in a row without an answer."""
    reached = reach(ages=False)
    lost = [pair for pair in reached if not is_served(pair)]
    assert lost
    for pair in lost:
        assert "RECHECKING" not in story(reached, pair)  # names are values
        assert "rechecking" in story(reached, pair)


@pytest.mark.parametrize("ages", [False, True])
def test_a_lost_key_is_found_out_by_the_next_proof(ages: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """I6: whoever holds no accepted key is locked out as soon as a proof is answered, and says so."""
    reached = reach(ages=ages)
    for pair in reached:
        if is_served(pair) or not pair.is_up or ProofDue not in TABLE[pair.custody.state]:
            continue
        asked = [after for name, after in successors(pair) if name == "ProofDue"]
        answered = [two for one in asked for name, two in successors(one) if name == "prove: arrives"]
        told = [three for two in answered for name, three in successors(two) if name == "KeyRefused"]
        assert told, story(reached, pair)
        assert {three.custody.state for three in told} == {S.LOCKED_OUT}, story(reached, pair)


def test_where_keys_age_only_an_old_key_is_lost_without_a_word() -> None:
    reached = reach(ages=True)
    for pair in reached:
        assert is_served(pair) or pair.has_aged or pair.custody.state in SAYS_SO, story(reached, pair)


def test_every_state_can_come_back_to_fresh_while_a_key_is_accepted() -> None:
    """I5: nothing waits for ever; a person's request at most brings it back."""
    reached = reach(ages=False)
    back: dict[Pair, list[Pair]] = {pair: [] for pair in reached}
    for pair in reached:
        for _, after in successors(pair):
            back[after].append(pair)
    good = deque(pair for pair in reached if pair.custody.state is S.FRESH)
    can = set(good)
    while good:
        for before in back[good.popleft()]:
            if before not in can:
                can.add(before)
                good.append(before)
    stuck = [pair for pair in reached if is_served(pair) and pair not in can and not pair.requests]
    assert not stuck, story(reached, stuck[0])
