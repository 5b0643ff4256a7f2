"""Transcripts of revokes, and of the return of all that is left: revoked where that is possible, else refunded."""

import pytest

from terminald.core.commands import EnqueuePrint
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OutcomeUnknown,
    QueryFailed,
    RefundConfirmed,
    RefundRefused,
    RequestNotSent,
    RequestRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.refund import Asked
from terminald.core.return_events import RefundFailed
from terminald.core.schedule import SECOND
from tests.core.machine_builders import AMOUNT, CLIENT_SN, REFUND_ID, SALE_ID
from tests.core.refund_life import (
    OWED,
    PART,
    REFUND_TURN,
    RETURN_ASKED,
    REVOKE_ASKED,
    REVOKE_TURN,
    RefundLife,
    S,
    all_back,
    fault,
    left,
    query,
    refund,
    revoke,
    told,
)

SLIP = EnqueuePrint(sale_id=SALE_ID, slip="refund", about=REFUND_ID)
PAID, REST = OrderPaid(facts=left(AMOUNT)), OrderPartlyReturned(facts=left(AMOUNT - PART))
REFUSED = RefundRefused(fault=fault("UPAY_TCP_ORDER_NOT_REFUNDABLE"))


@pytest.mark.parametrize("asked", [REVOKE_ASKED, RETURN_ASKED], ids=["revoke", "return"])
def test_a_whole_payment_is_revoked(asked: Asked) -> None:
    life = RefundLife(asked)
    assert life.tell(REVOKE_TURN) == (revoke(1),)
    assert life.tell(ReversalConfirmed()) == (all_back(), SLIP)
    assert life.is_in(S.DONE)


def test_a_return_that_can_not_be_revoked_is_refunded() -> None:
    life = RefundLife(RETURN_ASKED, REVOKE_TURN)
    assert life.tell(ReversalRefused()) == (refund(2, AMOUNT),)
    assert life.tell(RefundConfirmed()) == (all_back(), SLIP)


def test_a_revoke_that_is_refused_is_refused() -> None:
    """Nothing else was asked for: the host may ask for a refund."""
    life = RefundLife(REVOKE_ASKED, REVOKE_TURN)
    assert life.tell(ReversalRefused()) == (query(2),)
    assert life.is_in(S.CHECKING)
    assert life.tell(PAID) == (told(RefundFailed, AMOUNT),)
    assert life.is_in(S.REFUSED)


def test_a_revoke_beside_a_refund_is_refused() -> None:
    life = RefundLife(REVOKE_ASKED, REVOKE_TURN, RequestNotSent(), RetryDue())
    assert life.tell(REST) == (told(RefundFailed, AMOUNT),)


def test_a_revoke_that_is_refused_while_an_earlier_one_may_arrive_is_asked_about_again() -> None:
    life = RefundLife(REVOKE_ASKED, REVOKE_TURN, OutcomeUnknown(), RetryDue(), PAID, ReversalRefused())
    assert life.tell(PAID) == ()
    assert life.is_in(S.CHECKING)
    assert life.tell(RetryDue()) == (query(5),)
    assert life.tell(OrderClosed()) == (all_back(), SLIP)


def test_a_revoke_that_is_refused_beside_an_error_of_the_gateways_own_is_asked_about_later() -> None:
    """I11."""
    life = RefundLife(REVOKE_ASKED, REVOKE_TURN, ReversalRefused())
    assert life.tell(OrderErrored()) == ()
    assert life.is_in(S.CHECKING)
    assert life.wake() == (query(3),)
    assert life.tell(OrderErrored()) == (revoke(4),)


@pytest.mark.parametrize(
    "answer",
    [ReversalPending(), OutcomeUnknown(), AnswerMismatched(), RequestNotSent(), RequestRefused(), OrderAbsent()],
)
def test_a_revoke_without_a_clear_answer_is_settled_by_a_query(answer: Answer) -> None:
    life = RefundLife(RETURN_ASKED, REVOKE_TURN)
    assert life.tell(answer) == ()
    assert life.is_in(S.CHECKING)
    assert life.wake() == (query(2),)
    assert life.tell(PAID) == (revoke(3),)
    assert life.is_in(S.REVOKING)


@pytest.mark.parametrize("proof", [OrderClosed(), OrderReturned()])
def test_the_orders_state_accounts_for_the_revoke(proof: Answer) -> None:
    life = RefundLife(RETURN_ASKED, REVOKE_TURN, OutcomeUnknown(), RetryDue())
    assert life.tell(proof) == (all_back(), SLIP)


@pytest.mark.parametrize("answer", [OrderPending(), OrderAbsent(), AnswerMismatched(), QueryFailed()])
def test_a_query_about_a_revoke_that_says_nothing_is_asked_again(answer: Answer) -> None:
    life = RefundLife(RETURN_ASKED, REVOKE_TURN, OutcomeUnknown(), RetryDue())
    assert life.tell(answer) == ()
    assert life.is_in(S.CHECKING)
    assert life.wakes_with(RetryDue, in_ms=4 * SECOND)


def test_a_revoke_that_ends_in_errors_again_and_again_becomes_a_refund() -> None:
    """CANCEL_ERROR: there is another way."""
    life = RefundLife(RETURN_ASKED, REVOKE_TURN)
    revokes = 1
    while life.is_in(S.REVOKING):
        life.tell(ReversalPending())
        assert life.wake() == (query(life.refund.token),)
        life.tell(OrderErrored())
        revokes += life.is_in(S.REVOKING)
    assert revokes == 4
    assert life.in_flight == refund(life.refund.token, AMOUNT)
    assert life.refund.attention is not None
    assert life.tell(RefundConfirmed()) == (all_back(), SLIP)


# --- somebody else gave back a part meanwhile ------------------------------------------------------------------------


def test_a_return_that_finds_a_part_gone_is_of_the_rest() -> None:
    life = RefundLife(RETURN_ASKED, REVOKE_TURN, OutcomeUnknown(), RetryDue())
    assert life.tell(OrderPartlyReturned(facts=left(250))) == (refund(3, 250),)
    assert life.tell(RefundConfirmed()) == (all_back(250), SLIP)


@pytest.mark.parametrize("asked", [RETURN_ASKED, OWED], ids=["asked for", "owed"])
def test_a_return_that_is_refused_because_it_is_too_much_is_repeated_for_the_rest(asked: Asked) -> None:
    """Under its number: what was refused was not carried out."""
    too_much = RefundRefused(fault=fault("REFUNDABLE_AMOUNT_NOT_ENOUGH"))
    life = RefundLife(asked, REVOKE_TURN, ReversalRefused(), too_much)
    assert life.tell(OrderPartlyReturned(facts=left(250, f"{CLIENT_SN}-x"))) == (refund(4, 250),)
    assert (life.refund.left, life.refund.amount) == (250, 250)
    assert life.tell(RefundConfirmed()) == (all_back(250), SLIP)


def test_a_return_of_the_rest_that_is_refused_as_well_is_held_up_or_refused() -> None:
    rest = OrderPartlyReturned(facts=left(250, f"{CLIENT_SN}-x"))
    for asked, state in ((OWED, S.BLOCKED), (RETURN_ASKED, S.REFUSED)):
        life = RefundLife(asked, REFUND_TURN, REFUSED, rest, REFUSED)
        assert life.tell(rest) == ((told(RefundFailed, 250),) if state is S.REFUSED else ())
        assert life.is_in(state)
