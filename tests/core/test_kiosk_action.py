"""What an action that did not come to its end means for the money."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.ids import SaleId
from terminald.core.kiosk_action import ActionFailed, ActionMark, owed, was_begun
from terminald.core.money import Fen
from tests.core.machine_builders import SALE_ID


@pytest.mark.parametrize(
    ("failed", "amount"),
    [
        (ActionFailed(evidence="exit code 1"), None),
        (ActionFailed(evidence="the line went away", certain=2, steps=5), None),
        (ActionFailed(evidence="the line went away", certain=0, steps=5, has_parts=True), None),
        (ActionFailed(evidence="the line went away", certain=2, steps=5, has_parts=True), 300),
    ],
)
def test_a_failed_action_gives_back_what_did_not_certainly_come_out(failed: ActionFailed, amount: int | None) -> None:
    assert owed(Fen(500), failed) == amount


@given(st.integers(1, 100), st.integers(1, 10_000), st.data())
def test_never_more_than_was_paid_goes_back_and_never_less_than_what_may_be_missing(
    steps: int, worth: int, data: st.DataObject
) -> None:
    certain = data.draw(st.integers(0, steps - 1))
    amount = Fen(steps * worth)
    part = owed(amount, ActionFailed(evidence="", certain=certain, has_parts=True, steps=steps))
    assert (amount if part is None else part) == (steps - certain) * worth


def test_an_action_was_begun_only_when_its_own_mark_says_so() -> None:
    """An action that was not begun provably did nothing; one that was is not begun again."""
    mark = ActionMark(sale_id=SALE_ID, begun=1, steps=3)
    assert was_begun(mark, SALE_ID)
    assert not was_begun(mark, SaleId("another"))
    assert not was_begun(None, SALE_ID)
