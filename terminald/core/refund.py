"""Steps of a refund: how its turn begins, what an event teaches, and when to ask next."""

from dataclasses import dataclass, replace

from terminald.core.commands import Command
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    AttentionDue,
    Event,
    OrderAbsent,
    OrderErrored,
    OutcomeUnknown,
    PowerReturned,
    Recovered,
    RefundPending,
    RefundRefused,
    RequestRefused,
    RetryDue,
    ReversalPending,
)
from terminald.core.ids import ClientSn, Duration, RefundId, SaleId, WallTime
from terminald.core.money import NO_MONEY, Fen
from terminald.core.refund_answers import (
    ALL_IS_BACK,
    DAY_IS_OVER,
    ERRORED,
    FOR_NOW,
    GOODS_ARE_OUT,
    IS_REPLACED,
    LOST,
    UNHEARD,
    asks_too_much,
    doubt_ends,
    judged,
    left_by,
    less_is_left,
    may_have_moved,
)
from terminald.core.refund_table import GATEWAY_ASKS, TABLE, Refund, RefundKind, RefundState
from terminald.core.return_events import (
    LookTurn,
    NothingLeft,
    OrderGone,
    OrderStuck,
    RefundDoubted,
    RefundHeldUp,
    RefundMissing,
    RefundNeedless,
    RefundTurn,
    ReturnCalledOff,
    RevokeLapsed,
    RevokeLookTurn,
    RevokeRefused,
    RevokeTurn,
    Turn,
    TurnMissed,
)
from terminald.core.schedule import (
    BLOCKED_RETRY,
    RETRY_FIRST,
    REVERSAL_ATTENTION_AFTER,
    Now,
    Rules,
    day_end,
    day_of,
    later,
    retry_delay,
)
from terminald.core.tables import Attention, Wakeup, find_row

OPEN_TOO_LONG = "refund_open"
_ATTENTION: dict[type[Event], str] = {
    AnswerMismatched: "answer_mismatch",
    OrderErrored: "order_errored",
    OrderStuck: "order_errored",
    OrderAbsent: "order_lost",
    AttentionDue: OPEN_TOO_LONG,
}
_REFUSALS = (RefundRefused, RevokeRefused, RequestRefused)
#: After these nobody knows whether the request that was under way is still to arrive.
_UNCLEAR = (
    OutcomeUnknown,
    AnswerMismatched,
    OrderAbsent,
    RefundPending,
    ReversalPending,
    Recovered,
    PowerReturned,
)
_UNDER_WAY = frozenset({RefundState.REFUNDING, RefundState.REVOKING})


# --- steps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for: by the host, or because it is owed."""

    kind: RefundKind
    amount: Fen
    reference: str = ""
    is_owed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOrder:
    """The order that a sale was paid with."""

    sale_id: SaleId
    client_sn: ClientSn
    amount: Fen
    operator: str
    #: When it was paid, by the gateway's clock; None when the gateway said nothing that can be true.
    paid_at: WallTime | None
    #: Whether money of it is owed for goods that did not come out, whatever becomes of what was asked for.
    is_return_owed: bool = False


def begin(asked: Asked, number: int, paid: PaidOrder, *, now: Now, series: int = 0) -> Refund:
    """Record a refund, before its turn has come. Number counts the refunds of the sale, from 1.

    A journal that was restored does not know which numbers were given after its copy: it counts in another series.
    """
    name = f"r{number}s{series}" if series else f"r{number}"
    return Refund(
        id=RefundId(f"{paid.sale_id}-{name}"),
        sale_id=paid.sale_id,
        client_sn=paid.client_sn,
        order_amount=paid.amount,
        reference=asked.reference,
        kind=asked.kind,
        amount=asked.amount,
        left=paid.amount,
        request_no=name,
        operator=paid.operator,
        is_owed=asked.is_owed,
        state=RefundState.QUEUED,
        token=0,
        fault=None,
        refusal="",
        opened=now.instant,
        opened_at=now.wall,
        ended_at=None,
        retry=None,
        tries=0,
        attention=None,
    )


def turn(refund: Refund, paid: PaidOrder, left: Fen, *, now: Now, rules: Rules) -> Turn:
    """Return how a refund begins whose turn has come: what is left of the payment is known now.

    What is owed takes what is left; what was asked for is carried out as it was asked for, or not at all. What may have
    been carried out already is asked about first; not where others have taken so much that it can not have been.
    """
    if refund.refusal == ERRORED and paid.is_return_owed and left > 0:
        # A refund takes its place, which the gateway does not carry out where the revoke has moved the money.
        return TurnMissed(left=left, fault=IS_REPLACED)
    if may_have_moved(refund) and refund.amount <= left:
        return (RevokeLookTurn if refund.kind is RefundKind.REVOKE else LookTurn)(left=left)
    takes_the_rest = refund.is_owed or refund.kind is RefundKind.RETURN
    if left <= 0:
        return NothingLeft(left=left) if takes_the_rest else TurnMissed(left=left, fault=ALL_IS_BACK)
    if refund.kind is not RefundKind.REFUND and may_revoke(paid, left, now, rules):
        until = None if paid.paid_at is None else day_end(paid.paid_at, rules.day_offset)
        return RevokeTurn(left=left, until=until)
    if refund.kind is RefundKind.REVOKE:
        return TurnMissed(left=left, fault=DAY_IS_OVER if left == paid.amount else less_is_left(left))
    is_too_much = refund.amount > left and not takes_the_rest
    return TurnMissed(left=left, fault=less_is_left(left)) if is_too_much else RefundTurn(left=left)


def may_revoke(paid: PaidOrder, left: Fen, now: Now, rules: Rules) -> bool:
    """Whether the gateway may still revoke: nothing was refunded, and its day is not known to be over (I10)."""
    if left != paid.amount:
        return False
    if paid.paid_at is None or not now.is_trusted:
        return True
    return day_of(paid.paid_at, rules.day_offset) == day_of(now.wall, rules.day_offset)


def step(refund: Refund, event: Event, *, now: Now) -> tuple[Refund, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    event = judged(refund, event, now)
    row = find_row(TABLE, refund.state, event)
    asks_gateway = not GATEWAY_ASKS.isdisjoint(row.ask)
    after = _learn(refund, event, now)
    after = replace(after, state=row.to, token=after.token + asks_gateway)
    after = _arrange(refund.state, after, event, now, is_waiting=asks_gateway)
    return after, tuple(ask(after) for ask in row.ask)


def _learn(refund: Refund, event: Event, now: Now) -> Refund:
    """Keep what the event says beside its type."""
    refund = _measured(refund, event)
    if isinstance(event, RevokeTurn):
        refund = replace(refund, revoke_until=event.until)
    if isinstance(event, TurnMissed):
        refund = replace(refund, fault=event.fault)
    if isinstance(event, ReturnCalledOff):
        refund = replace(refund, fault=GOODS_ARE_OUT)
    if isinstance(event, Answer):
        refund = replace(refund, fault=event.fault or refund.fault)
    if isinstance(event, _REFUSALS):
        refund = replace(refund, refusal=_refusal(refund, event))
    if isinstance(event, _UNCLEAR) and refund.state in _UNDER_WAY:
        refund = replace(refund, unclear=now.instant)
    if isinstance(event, RevokeLapsed):
        refund = replace(refund, refusal=ERRORED)
    if isinstance(event, OrderGone) and refund.refusal != ERRORED:
        refund = replace(refund, refusal=LOST)
    if isinstance(event, OrderStuck | LookTurn | RevokeLookTurn) and refund.refusal != ERRORED:
        # The next look decides anew: a repeat may be taken then. A day that was over stays so.
        refund = replace(refund, refusal="")
    return _alarmed(refund, event, now)


def _alarmed(refund: Refund, event: Event, now: Now) -> Refund:
    """Call a person where the event wants one, unless for this one was called already, or has closed it.

    What is held up waits for a person: one is called for that, whatever was told or closed before (I5).
    """
    alarm = refund.attention
    if isinstance(event, RefundHeldUp | OrderGone | RevokeLapsed):
        code = _held_up_by(refund.refusal)
        is_news = alarm is None or alarm.code != code
    else:
        code = _ATTENTION.get(type(event), "")
        is_news = code != "" and alarm is None and code not in refund.attention_closed
    return replace(refund, attention=Attention(code=code, since=now.instant)) if is_news else refund


def _measured(refund: Refund, event: Event) -> Refund:
    """Set what is left of the payment, and how much of it goes back, where the event says it."""
    match event:
        case TurnMissed() | LookTurn() | RevokeLookTurn():
            return replace(refund, left=event.left)
        case Turn():
            return replace(refund, left=event.left, amount=_amount(refund, event.left))
        case RefundNeedless():
            return replace(refund, amount=NO_MONEY)
        case RefundMissing() | RefundHeldUp() if refund.kind is RefundKind.RETURN:
            # Somebody else gave back a part meanwhile: the return is of what is left.
            left = left_by(event, refund)
            return replace(refund, left=left, amount=left)
        case RefundMissing() if asks_too_much(event, refund):
            # The same, of a part that is owed: it was refused as too much, and so was never carried out (I9).
            left = left_by(event, refund)
            return replace(refund, left=left, amount=min(refund.amount, left))
    return refund


def _refusal(refund: Refund, event: Answer) -> str:
    if isinstance(event, RequestRefused) and refund.unclear is not None:
        return UNHEARD
    return event.fault.code if event.fault else "refused"


def _amount(refund: Refund, left: Fen) -> Fen:
    if refund.kind is not RefundKind.REFUND:
        return left
    return min(refund.amount, left) if refund.is_owed else refund.amount


def _held_up_by(refusal: str) -> str:
    if refusal in FOR_NOW:
        return "merchant_balance"
    if refusal in (LOST, ERRORED):
        return refusal
    return "not_refundable" if refusal == "UPAY_TCP_ORDER_NOT_REFUNDABLE" else "refund_refused"


def _arrange(before: RefundState, after: Refund, event: Event, now: Now, *, is_waiting: bool) -> Refund:
    """Set what goes with the state that is entered, and when to ask next."""
    state = after.state
    if state.is_final:
        return replace(after, retry=None, attention=None, ended_at=now.wall)
    if state in _UNDER_WAY and is_waiting:
        return replace(after, retry=None, refusal="")
    if is_waiting or state is RefundState.QUEUED:
        return replace(after, retry=None)
    if state is RefundState.BLOCKED:
        wait = int(BLOCKED_RETRY * (1 + now.jitter / 2))
        return replace(after, retry=later(now.instant, wait)) if state is not before else after
    if not isinstance(event, Answer):
        return after
    wait = retry_delay(after.tries, now.jitter)
    if isinstance(event, RefundDoubted):
        # Whoever waits for its end is told of it as soon as it can be believed.
        wait = min(wait, max(RETRY_FIRST, Duration(doubt_ends(after) - now.instant)))
    return replace(after, retry=later(now.instant, wait), tries=after.tries + 1)


def next_wakeup(refund: Refund) -> Wakeup | None:
    """Return the next moment at which this refund wants an event; None when it is final, or waits for its turn."""
    times = list[Wakeup]()
    if refund.retry is not None:
        times.append(Wakeup(at=refund.retry, event=RetryDue()))
    if _may_alarm(refund):
        times.append(Wakeup(at=later(refund.opened, REVERSAL_ATTENTION_AFTER), event=AttentionDue()))
    return min(times, key=lambda wakeup: wakeup.at, default=None)


def _may_alarm(refund: Refund) -> bool:
    is_told = refund.attention is not None or OPEN_TOO_LONG in refund.attention_closed
    return AttentionDue in TABLE[refund.state] and not is_told
