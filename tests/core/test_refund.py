"""Transcripts of refunds: what is told, what is asked for."""

from dataclasses import replace

import pytest

from terminald.core import refund as refunds
from terminald.core.commands import EnqueuePrint, RefundOrder
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    AttentionDue,
    Event,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OutcomeUnknown,
    PowerReturned,
    QueryFailed,
    Recovered,
    RefundConfirmed,
    RefundPending,
    RefundRefused,
    RequestNotSent,
    RequestRefused,
    RetryDue,
    ReversalPending,
)
from terminald.core.ids import WallTime
from terminald.core.money import Fen
from terminald.core.refund import Asked, begin
from terminald.core.refund_answers import ALREADY_RETURNED
from terminald.core.return_events import (
    ClosedByHand,
    NothingLeft,
    RefundClosed,
    RefundFailed,
    RefundTurn,
    RevokeTurn,
    TurnMissed,
)
from terminald.core.schedule import BLOCKED_RETRY, DAY, HOUR, LATE_REQUEST, REVERSAL_ATTENTION_AFTER, SECOND, Now
from terminald.core.tables import Attention
from tests.core.machine_builders import AMOUNT, CLIENT_SN, NOON, REFUND_ID, RULES, SALE_ID, after
from tests.core.refund_life import (
    OWED,
    OWED_PART,
    PAID_ORDER,
    PART,
    PART_ASKED,
    REFUND_TURN,
    RETURN_ASKED,
    REVOKE_ASKED,
    REVOKE_TURN,
    RefundLife,
    S,
    all_back,
    done,
    fault,
    left,
    query,
    refund,
    told,
)

SLIP = EnqueuePrint(sale_id=SALE_ID, slip="refund", about=REFUND_ID)
RESTARTS = pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
NOT_REFUNDABLE, NO_BALANCE = "UPAY_TCP_ORDER_NOT_REFUNDABLE", "ACCOUNT_BALANCE_NOT_ENOUGH"
PAID, REST = OrderPaid(facts=left(AMOUNT)), OrderPartlyReturned(facts=left(AMOUNT - PART))
REFUSED = RefundRefused(fault=fault(NOT_REFUNDABLE))


# --- a part ----------------------------------------------------------------------------------------------------------


def test_a_refund_is_recorded_and_waits_for_its_turn() -> None:
    """I9: its number is fixed before anything is sent."""
    life = RefundLife()
    assert (life.refund.id, life.refund.request_no) == (REFUND_ID, "r1")
    assert life.is_in(S.QUEUED)
    assert life.wakes_with(AttentionDue, in_ms=REVERSAL_ATTENTION_AFTER)
    assert life.tell(REFUND_TURN) == (refund(1),)
    assert life.tell(RefundConfirmed()) == (done(), SLIP)
    assert life.is_in(S.DONE)
    assert (life.refund.ended_at, life.wakeup) == (NOON.wall, None)


@pytest.mark.parametrize(
    "answer",
    [RefundPending(), OutcomeUnknown(), AnswerMismatched(), RequestNotSent(), RequestRefused(), OrderAbsent()],
)
def test_an_answer_that_proves_nothing_is_settled_by_a_query(answer: Answer) -> None:
    life = RefundLife(PART_ASKED, REFUND_TURN)
    assert life.tell(answer) == ()
    assert life.is_in(S.PROVING)
    assert life.wakes_with(RetryDue, in_ms=2 * SECOND)
    assert life.wake() == (query(2),)


@pytest.mark.parametrize(
    "proof",
    [
        OrderPartlyReturned(facts=left(AMOUNT - PART)),
        OrderPartlyReturned(facts=left(50, f"{CLIENT_SN}-r1")),
        OrderReturned(facts=left(0, f"{CLIENT_SN}-r1")),
    ],
    ids=["what is left", "its number", "its number, and nothing is left"],
)
def test_the_orders_state_accounts_for_it(proof: Answer) -> None:
    """ "A lost answer: query and compare client_tsn and net_amount" (documents, refund)."""
    life = RefundLife(PART_ASKED, REFUND_TURN, OutcomeUnknown(), RetryDue())
    assert life.tell(proof) == (done(), SLIP)
    assert life.is_in(S.DONE)


@pytest.mark.parametrize(
    "answer",
    [
        PAID,
        OrderPartlyReturned(facts=left(300)),
        OrderPartlyReturned(),
        OrderPartlyReturned(facts=left(AMOUNT - PART, f"{CLIENT_SN}-r7")),
        OrderReturned(),
        OrderClosed(),
    ],
    ids=["paid", "another part", "nobody knows how much", "another one of the same amount", "returned", "closed"],
)
def test_a_refund_that_is_missing_is_repeated_under_its_number(answer: Answer) -> None:
    """I9."""
    life = RefundLife(PART_ASKED, REFUND_TURN, OutcomeUnknown(), RetryDue())
    assert life.tell(answer) == (refund(3),)
    assert life.is_in(S.REFUNDING)
    assert life.tell(RefundConfirmed()) == (done(), SLIP)


@pytest.mark.parametrize("answer", [OrderPending(), OrderAbsent(), AnswerMismatched(), QueryFailed()])
def test_a_query_that_says_nothing_is_asked_again_ever_later(answer: Answer) -> None:
    life = RefundLife(PART_ASKED, REFUND_TURN, OutcomeUnknown())
    for number, seconds in enumerate((2, 4, 8, 16)):
        assert life.wakes_with(RetryDue, in_ms=seconds * SECOND)
        assert life.wake() == (query(2 + number),)
        assert life.tell(answer) == ()
        assert life.is_in(S.PROVING)
    codes = {OrderAbsent: "order_lost", AnswerMismatched: "answer_mismatch"}
    assert (life.refund.attention.code if life.refund.attention else None) == codes.get(type(answer))


def test_an_order_in_an_error_of_the_gateways_own_is_refunded_again_and_a_person_called() -> None:
    """REFUND_ERROR."""
    life = RefundLife(PART_ASKED, REFUND_TURN, RefundPending(), RetryDue())
    assert life.tell(OrderErrored()) == (refund(3),)
    assert life.refund.attention == Attention(code="order_errored", since=life.now.instant)


# --- refused ---------------------------------------------------------------------------------------------------------


def test_a_refusal_is_the_end_only_when_the_order_shows_that_nothing_was_moved() -> None:
    life = RefundLife(PART_ASKED, REFUND_TURN)
    assert life.tell(REFUSED) == (query(2),)
    assert life.is_in(S.PROVING)
    assert life.tell(PAID) == (told(RefundFailed),)
    assert life.is_in(S.REFUSED)
    assert (life.refund.fault, life.refund.attention) == (fault(NOT_REFUNDABLE), None)


def test_an_earlier_try_may_have_been_carried_out() -> None:
    """I9."""
    life = RefundLife(PART_ASKED, REFUND_TURN, OutcomeUnknown(), RetryDue(), PAID, REFUSED)
    assert life.tell(REST) == (done(), SLIP)
    assert life.is_in(S.DONE)


@pytest.mark.parametrize("unclear", [OutcomeUnknown(), AnswerMismatched(), Recovered(), PowerReturned()])
def test_while_an_earlier_try_may_still_arrive_nobody_is_told_of_a_refusal(unclear: Event) -> None:
    """I9: it would be carried out after the host was told that it was not."""
    life = RefundLife(PART_ASKED, REFUND_TURN, unclear)
    while life.now.instant < NOON.instant + LATE_REQUEST:
        assert life.is_in(S.PROVING)
        if life.in_flight is None:
            life.wake()
        while life.in_flight is not None:
            life.tell(REFUSED if isinstance(life.in_flight, RefundOrder) else PAID)
    assert life.is_in(S.REFUSED)


@pytest.mark.parametrize("refusal", [RefundRefused(), RequestRefused()])
def test_a_refusal_without_a_reason_is_one(refusal: Answer) -> None:
    life = RefundLife(PART_ASKED, REFUND_TURN, refusal, RetryDue())
    assert life.tell(PAID) == (told(RefundFailed),)


def test_a_refusal_beside_an_error_of_the_gateways_own_is_asked_about_later() -> None:
    """I11: repeated at once, the two would go round without a wait."""
    life = RefundLife(PART_ASKED, REFUND_TURN, REFUSED)
    assert life.tell(OrderErrored()) == ()
    assert life.is_in(S.PROVING)
    assert life.wakes_with(RetryDue, in_ms=2 * SECOND)
    assert life.wake() == (query(3),)
    assert life.tell(OrderErrored()) == (refund(4),)
    assert life.tell(REFUSED) == (query(5),)
    assert life.tell(OrderErrored()) == ()
    assert life.wakes_with(RetryDue, in_ms=4 * SECOND)


@pytest.mark.parametrize("asked", [PART_ASKED, OWED], ids=["asked for", "owed"])
def test_what_the_merchants_balance_does_not_allow_now_is_tried_again(asked: Asked) -> None:
    life = RefundLife(asked, REFUND_TURN, RefundRefused(fault=fault(NO_BALANCE)))
    assert life.tell(PAID) == ()
    assert life.is_in(S.BLOCKED)
    assert not life.refund.state.is_asking
    assert life.refund.attention == Attention(code="merchant_balance", since=NOON.instant)
    assert life.wakes_with(RetryDue, in_ms=BLOCKED_RETRY)
    assert life.wake() == ()
    assert life.is_in(S.QUEUED)
    assert life.refund.retry is None, "it waits for its turn, and has no other clock"
    assert life.wakeup is None
    amount = life.refund.amount
    assert life.tell(REFUND_TURN) == (refund(3, amount),), "under the same number (I9)"
    assert life.tell(RefundConfirmed())[1] == SLIP


@pytest.mark.parametrize("asked", [OWED, OWED_PART], ids=["all", "a part"])
@pytest.mark.parametrize(("code", "advice"), [(NOT_REFUNDABLE, "not_refundable"), ("OTHER", "refund_refused")])
def test_what_is_owed_is_never_refused(asked: Asked, code: str, advice: str) -> None:
    life = RefundLife(asked, REFUND_TURN, RefundRefused(fault=fault(code)))
    assert life.tell(PAID) == ()
    assert life.is_in(S.BLOCKED)
    assert life.refund.attention == Attention(code=advice, since=NOON.instant)
    for restart in (Recovered(), PowerReturned()):
        before = life.refund
        assert life.tell(restart) == ()
        assert life.refund == before, "it waits on"


# --- turns -----------------------------------------------------------------------------------------------------------


def at(wall: int, *, is_trusted: bool = True) -> Now:
    return replace(NOON, wall=WallTime(wall), is_trusted=is_trusted)


@pytest.mark.parametrize(
    ("asked", "amount", "now", "kind"),
    [
        (PART_ASKED, AMOUNT, NOON, RefundTurn),
        (RETURN_ASKED, AMOUNT, NOON, RevokeTurn),
        (RETURN_ASKED, AMOUNT - 1, NOON, RefundTurn),
        (RETURN_ASKED, AMOUNT, at(NOON.wall + DAY), RefundTurn),
        (RETURN_ASKED, AMOUNT, at(NOON.wall + DAY, is_trusted=False), RevokeTurn),
        (REVOKE_ASKED, AMOUNT, NOON, RevokeTurn),
        (REVOKE_ASKED, AMOUNT, at(NOON.wall + DAY), TurnMissed),
        (REVOKE_ASKED, AMOUNT, at(NOON.wall + DAY, is_trusted=False), RevokeTurn),
        (REVOKE_ASKED, AMOUNT - 1, NOON, TurnMissed),
        (PART_ASKED, PART - 1, NOON, TurnMissed),
        (OWED_PART, PART - 1, NOON, RefundTurn),
        (PART_ASKED, 0, NOON, TurnMissed),
        (OWED_PART, 0, NOON, NothingLeft),
        (RETURN_ASKED, 0, NOON, NothingLeft),
        (REVOKE_ASKED, 0, NOON, TurnMissed),
    ],
)
def test_how_a_refund_begins(asked: Asked, amount: int, now: Now, kind: type[Event]) -> None:
    """I10: the day is decided by a trusted clock, and else by the gateway's answer to a revoke."""
    waiting = RefundLife(asked).refund
    told_turn = refunds.turn(waiting, PAID_ORDER, Fen(amount), now=now, rules=RULES)
    assert type(told_turn) is kind
    assert told_turn.left == amount


def test_the_business_day_ends_at_midnight_of_the_gateway() -> None:
    midnight = NOON.wall + 12 * HOUR
    for wall, is_same in ((midnight - 1, True), (midnight, False), (NOON.wall - 12 * HOUR, True)):
        assert refunds.may_revoke(PAID_ORDER, AMOUNT, at(wall), RULES) is is_same
    unknown = replace(PAID_ORDER, paid_at=None)
    assert refunds.may_revoke(unknown, AMOUNT, at(midnight), RULES), "the gateway decides"


@pytest.mark.parametrize("asked", [RETURN_ASKED, OWED_PART])
def test_what_has_gone_back_already_is_done_without_a_request(asked: Asked) -> None:
    life = RefundLife(asked)
    (report,) = life.tell(NothingLeft(left=Fen(0)))
    assert life.is_in(S.DONE)
    assert life.refund.amount == 0
    assert report in (done(0), all_back(0))
    assert not life.requests


@pytest.mark.parametrize("asked", [PART_ASKED, REVOKE_ASKED])
def test_what_was_asked_for_and_others_gave_back_is_refused_without_a_request(asked: Asked) -> None:
    """It is told as what it is: it has moved no money by itself."""
    life = RefundLife(asked)
    missed = refunds.turn(life.refund, PAID_ORDER, Fen(0), now=NOON, rules=RULES)
    assert life.tell(missed) == (told(RefundFailed, asked.amount),)
    assert life.is_in(S.REFUSED)
    assert life.refund.fault is not None
    assert life.refund.fault.code == ALREADY_RETURNED
    assert not life.requests


@pytest.mark.parametrize("answer", [OrderReturned(), OrderClosed()])
@pytest.mark.parametrize(("asked", "state", "amount"), [(PART_ASKED, S.REFUSED, PART), (OWED_PART, S.DONE, 0)])
def test_a_part_that_was_refused_after_others_gave_all_of_it_back_was_not_carried_out(
    asked: Asked, state: object, amount: int, answer: Answer
) -> None:
    life = RefundLife(asked, REFUND_TURN, REFUSED)
    life.tell(answer)
    assert (life.refund.state, life.refund.amount) == (state, amount)
    assert life.refund.fault is not None
    assert life.refund.fault.code == ALREADY_RETURNED


@pytest.mark.parametrize("answer", [OrderReturned(), OrderClosed()])
def test_of_the_last_part_the_orders_state_is_a_proof(answer: Answer) -> None:
    """Nothing else was left, and nothing is left."""
    life = RefundLife(PART_ASKED, RefundTurn(left=PART), OutcomeUnknown(), RetryDue())
    assert life.tell(answer) == (done(), SLIP)


def test_all_that_others_gave_back_is_not_believed_while_an_earlier_try_may_arrive() -> None:
    """I9."""
    life = RefundLife(PART_ASKED, REFUND_TURN, OutcomeUnknown(), RetryDue(), OrderReturned(), REFUSED)
    assert life.tell(OrderReturned()) == ()
    assert life.is_in(S.PROVING)
    life.wake()
    life.tell(OrderReturned(), later=LATE_REQUEST)
    assert life.is_in(S.REFUSED)


# --- restarts and people ---------------------------------------------------------------------------------------------


@RESTARTS
@pytest.mark.parametrize(
    ("asked", "history", "state"),
    [
        (RETURN_ASKED, (REVOKE_TURN,), S.CHECKING),
        (RETURN_ASKED, (REVOKE_TURN, ReversalPending()), S.CHECKING),
        (PART_ASKED, (REFUND_TURN,), S.PROVING),
        (PART_ASKED, (REFUND_TURN, RefundPending()), S.PROVING),
    ],
    ids=["revoking", "checking", "refunding", "proving"],
)
def test_after_a_restart_a_query_comes_first(
    asked: Asked, history: tuple[Event, ...], state: object, restart: Event
) -> None:
    """I5, I9."""
    life = RefundLife(asked, *history)
    assert life.tell(restart, later=HOUR) == (query(2),)
    assert life.refund.state is state


@RESTARTS
def test_after_a_restart_it_waits_for_its_turn_on(restart: Event) -> None:
    life = RefundLife()
    before = life.refund
    assert life.tell(restart) == ()
    assert life.refund == before


def test_a_person_is_called_when_it_takes_too_long_and_called_once() -> None:
    life = RefundLife(PART_ASKED, REFUND_TURN)
    assert life.wakes_with(AttentionDue, in_ms=REVERSAL_ATTENTION_AFTER)
    assert life.wake() == ()
    assert life.refund.attention == Attention(code="refund_open", since=life.now.instant)
    assert life.is_in(S.REFUNDING)
    assert life.wakeup is None
    life.refund = replace(life.refund, attention=None, attention_closed=("refund_open",))
    assert life.wakeup is None


@pytest.mark.parametrize(
    ("history", "asks"),
    [
        ((), False),
        ((REFUND_TURN, RefundRefused(fault=fault(NO_BALANCE)), PAID), False),
    ],
    ids=["queued", "blocked"],
)
def test_a_person_may_settle_it_by_other_means(history: tuple[Event, ...], *, asks: bool) -> None:
    life = RefundLife(RETURN_ASKED, *history)
    assert life.refund.state.is_asking is asks
    assert life.tell(ClosedByHand()) == (told(RefundClosed, AMOUNT),)
    assert life.is_in(S.CLOSED)
    assert life.wakeup is None
    assert life.refund.ended_at == after(NOON, 0).wall


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_a_restored_journal_numbers_its_refunds_in_a_series_of_its_own() -> None:
    """It does not know which numbers were given after its copy: the gateway would take a new refund for an old one."""
    first = begin(PART_ASKED, 1, PAID_ORDER, now=NOON)
    restored = begin(PART_ASKED, 1, PAID_ORDER, now=NOON, series=2)
    assert (first.request_no, restored.request_no) == ("r1", "r1s2")
    assert first.id != restored.id
    assert len(begin(PART_ASKED, 9_999, PAID_ORDER, now=NOON, series=9_999).request_no) <= 20
