"""I6 by exhaustion: the whole product of terminal and gateway, every message lost, every commit a crash."""

from collections import deque
from collections.abc import Iterator
from functools import cache

import pytest

from terminald.core.custody_events import ProofDue
from terminald.core.custody_table import TABLE, CustodyState
from tests.core.custody_world import SAYS_SO, Pair, held, is_finding_out, is_served, start, successors

S = CustodyState
#: Far more than there are; reaching it means that the states are not finite.
MAX_STATES = 200_000

Reached = dict[Pair, tuple[Pair, str] | None]


@cache
def reach(*, ages: bool, without: CustodyState | None = None) -> Reached:
    """Every reachable state, with the state and the happening that first led to it. A state may be left out."""
    seen: Reached = {start(): None, start("b"): None}
    queue = deque(seen)
    while queue:
        pair = queue.popleft()
        for name, after in successors(pair, ages=ages):
            if after not in seen and after.custody.state is not without:
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
        assert is_served(pair) or pair.custody.state in SAYS_SO or is_finding_out(pair), story(reached, pair)


def test_one_lost_answer_never_costs_the_key() -> None:
    """I6: the key is lost by a check-in that is known to be one after a lost answer, and by no other."""
    assert any(not is_served(pair) for pair in reach(ages=False))
    reached = reach(ages=False, without=S.RECHECKING)
    for pair in reached:
        assert is_served(pair), story(reached, pair)


def test_a_refusal_without_a_reason_stops_no_renewal() -> None:
    """I6: whatever the gateway refuses, without a lost answer the renewal goes on by itself."""
    reached = reach(ages=False, without=S.RECHECKING)
    assert S.STOPPED not in {pair.custody.state for pair in reached}
    assert any(held(pair) == tuple(reversed(pair.gateway)) for pair in reached if pair.custody.state is S.DOUBTFUL)


@pytest.mark.parametrize("ages", [False, True])
def test_a_lost_key_is_found_out_by_the_next_proof(ages: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """I6: whoever holds no accepted key is locked out as soon as a proof is answered, and says so."""
    reached = reach(ages=ages)
    for pair in reached:
        if is_served(pair) or not pair.is_up or ProofDue not in TABLE[pair.custody.state]:
            continue
        asked = [after for name, after in successors(pair) if name == "ProofDue"]
        told = list(refused(asked))
        assert told, story(reached, pair)
        assert {three.custody.state for three in told} == {S.LOCKED_OUT}, story(reached, pair)


def refused(asked: list[Pair]) -> Iterator[Pair]:
    """What follows where every query of a proof is refused."""
    for pair in asked:
        for name, after in successors(pair):
            if name == "KeyRefused":
                yield after
            elif name.startswith("prove") and name.endswith("is refused"):
                yield from refused([after])


def test_where_keys_age_only_an_old_key_is_lost_without_a_word() -> None:
    """The last key that was accepted died of age, and since then none has been."""
    reached = reach(ages=True)
    for pair in reached:
        is_said = pair.custody.state in SAYS_SO or is_finding_out(pair)
        assert is_served(pair) or pair.has_aged or is_said, story(reached, pair)


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
