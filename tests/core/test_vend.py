"""A vend's table: every row as a transcript, told to a vend that has come to the state by its own history."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core import vend as vends
from terminald.core import vend_events as v
from terminald.core.commands import ApproveVend, CancelSale, Command, DenyVend, ReportGoods
from terminald.core.events import CancelRequested, Event, PowerReturned, Recovered
from terminald.core.ids import Instant
from terminald.core.money import Fen
from terminald.core.return_events import Delivered, DeliveryLapsed, DeliveryOverdue, PartUndelivered, Undelivered
from terminald.core.sale_table import DeliveryState, Sale, SaleState
from terminald.core.schedule import SECOND, Now
from terminald.core.tables import Wakeup
from terminald.core.vend_table import DOUBTS, FINAL, OF_MACHINE, OF_SALE, TABLE, Vend, VendState
from terminald.errors import IllegalTransition
from tests.core.machine_builders import EVENT_TYPES, NOON, RULES, SALE_ID, after, make_event
from tests.core.till import Till
from tests.core.vend_world import MACHINE, asked, vend_order

S = VendState
APPROVE = ApproveVend(sale_id=SALE_ID, machine=MACHINE, request=1, price="3.50")
DENY = DenyVend(machine=MACHINE, request=1)
CANCEL = CancelSale(sale_id=SALE_ID, event=CancelRequested(reason="machine"))
CANCEL_LATE = CancelSale(sale_id=SALE_ID, event=CancelRequested(reason="expired"))
OUT = ReportGoods(sale_id=SALE_ID, event=Delivered())
NOT_OUT = ReportGoods(sale_id=SALE_ID, event=Undelivered())
UNSAID = ReportGoods(sale_id=SALE_ID, event=DeliveryOverdue())
LAPSED = ReportGoods(sale_id=SALE_ID, event=DeliveryLapsed())
RESTARTS: tuple[type[Event], ...] = (Recovered, PowerReturned)

#: How a vend comes to each state.
WAYS: dict[VendState, tuple[type[Event], ...]] = {
    S.REQUESTED: (),
    S.PAYING: (v.SalePaying,),
    S.PAID: (v.SalePaying, v.SalePaid),
    S.APPROVING: (v.SalePaid, v.ApprovalDue),
    S.APPROVED: (v.SalePaid, v.ApprovalDue, v.ApprovalSent),
    S.DONE: (v.SalePaid, v.ApprovalDue, v.ApprovalSent, v.VendSucceeded),
    S.CANCELING: (v.VendCanceled,),
    S.DENIED: (v.SaleCanceled,),
    S.RETURNING: (v.SalePaid, v.VendCanceled),
    S.RETURNED: (v.SalePaid, v.VendCanceled, v.SaleReturned),
    S.UNKNOWN: (v.SalePaid, v.ApprovalDue, v.ApprovalSent, v.MachineReset),
    S.CLOSED: (v.SalePaid, v.VendCanceled, v.SaleCompleted),
}
Expected = tuple[VendState, tuple[Command, ...]]


def each(kinds: tuple[type[Event], ...], to: VendState, *asks: Command) -> dict[type[Event], Expected]:
    """The same of several events."""
    return dict.fromkeys(kinds, (to, asks))


UNANSWERED: dict[type[Event], Expected] = {
    v.SalePaid: (S.PAID, ()),
    v.SaleCanceling: (S.CANCELING, (DENY,)),
    v.SaleCanceled: (S.DENIED, (DENY,)),
    **each((*DOUBTS, v.VendFailed, v.VendSucceeded), S.CANCELING, DENY, CANCEL),
    v.AnswerDue: (S.CANCELING, (DENY, CANCEL_LATE)),
    **each(RESTARTS, S.CANCELING, CANCEL),
}
#: Whatever is not here changes nothing, or is impossible.
ROWS: dict[VendState, dict[type[Event], Expected]] = {
    S.REQUESTED: {**UNANSWERED, v.SalePaying: (S.PAYING, ())},
    S.PAYING: {**UNANSWERED, v.SaleWaiting: (S.REQUESTED, ())},
    S.PAID: {
        v.ApprovalDue: (S.APPROVING, (APPROVE,)),
        v.VendSucceeded: (S.DONE, (OUT,)),
        **each((*DOUBTS, v.VendFailed, v.AnswerDue, v.SaleReturning), S.RETURNING, DENY, NOT_OUT),
        v.SaleReturned: (S.RETURNED, (DENY,)),
        **each(RESTARTS, S.RETURNING, NOT_OUT),
    },
    S.APPROVING: {
        v.ApprovalSent: (S.APPROVED, ()),
        v.ApprovalDoubted: (S.UNKNOWN, (UNSAID,)),
        v.VendSucceeded: (S.DONE, (OUT,)),
        **each((v.VendFailed, v.ApprovalRejected, v.ApprovalNotSent), S.RETURNING, DENY, NOT_OUT),
        **each(RESTARTS, S.UNKNOWN, UNSAID),
    },
    S.APPROVED: {
        v.VendSucceeded: (S.DONE, (OUT,)),
        **each((v.VendFailed, v.ApprovalRejected), S.RETURNING, NOT_OUT),
        **each((*DOUBTS, v.ResultOverdue, *RESTARTS), S.UNKNOWN, UNSAID),
        v.RequestGone: (S.APPROVED, ()),
    },
    S.DONE: {},
    S.CANCELING: {
        v.SaleCanceled: (S.DENIED, ()),
        v.SalePaid: (S.RETURNING, (NOT_OUT,)),
        **each(RESTARTS, S.CANCELING),
    },
    S.DENIED: {v.SalePaid: (S.RETURNING, (NOT_OUT,))},
    S.RETURNING: {
        v.SaleReturned: (S.RETURNED, ()),
        v.SaleCompleted: (S.CLOSED, ()),
        v.SalePaid: (S.RETURNING, (NOT_OUT,)),
        v.VendSucceeded: (S.RETURNING, (OUT,)),
        **each(RESTARTS, S.RETURNING),
    },
    S.RETURNED: {v.VendSucceeded: (S.RETURNED, (OUT,))},
    S.UNKNOWN: {
        v.VendSucceeded: (S.DONE, (OUT,)),
        **each((v.VendFailed, v.ApprovalRejected, v.ApprovalNotSent), S.RETURNING, NOT_OUT),
        v.SaleReturned: (S.RETURNED, ()),
        v.SalePaid: (S.UNKNOWN, (UNSAID,)),
    },
    S.CLOSED: {},
}


class VendLife:
    """One vend and its clock."""

    def __init__(self, *history: type[Event], returns_unknown: bool = False) -> None:
        """Record it, and tell it these events at once."""
        self.now: Now = NOON
        self.vend: Vend = vends.begin(asked(returns_unknown=returns_unknown), SALE_ID, now=NOON)
        for kind in history:
            self.tell(kind)

    def tell(self, kind: type[Event], *, later: int = 0) -> tuple[Command, ...]:
        """Tell one event, that many milliseconds later; return what was asked for."""
        self.now = after(self.now, later)
        self.vend, commands = vends.step(self.vend, make_event(kind), now=self.now)
        return commands


@pytest.mark.parametrize("state", S)
def test_every_row(state: VendState) -> None:
    for kind in EVENT_TYPES:
        life = VendLife(*WAYS[state])
        before = life.vend
        assert before.state is state
        if kind in ROWS[state]:
            to, asks = ROWS[state][kind]
            assert life.tell(kind) == asks, kind
            assert life.vend.state is to
            assert (life.vend.request is None) == (kind in RESTARTS)
        elif kind in (*OF_MACHINE, *OF_SALE):
            assert life.tell(kind) == (), kind
            is_doubted = state is S.APPROVING and kind in DOUBTS
            assert life.vend == replace(before, is_doubted=is_doubted)
        else:
            with pytest.raises(IllegalTransition) as refusal:
                life.tell(kind)
            assert (refusal.value.state, refusal.value.event) == (state.value, kind.__name__)


# --- the table -------------------------------------------------------------------------------------------------------


def test_a_machine_and_a_sale_may_tell_anything_at_any_time() -> None:
    of_vends = {kind for kind in EVENT_TYPES if issubclass(kind, v.VendEvent)} - {v.VendRequested}
    assert set(OF_MACHINE) == of_vends
    assert set(OF_SALE) == {kind for kind in EVENT_TYPES if issubclass(kind, v.SaleTold)}
    for state in S:
        assert set(TABLE[state]) >= {*OF_MACHINE, *OF_SALE}


def test_states_say_what_they_are() -> None:
    assert set(TABLE) == set(S) == set(WAYS) == set(ROWS)
    assert {state for state in S if state.is_final} == FINAL
    assert {state for state in S if state.is_on_sale} == {S.REQUESTED, S.PAYING, S.PAID, S.APPROVING, S.APPROVED}
    for state in S:
        assert all((kind in TABLE[state]) != state.is_final for kind in RESTARTS)


def test_every_state_can_reach_an_end_without_a_restart() -> None:
    """I5."""
    reaches_end = set(FINAL)
    for _ in S:
        reaches_end |= {
            state
            for state, table in TABLE.items()
            if any(row.to in reaches_end for kind, row in table.items() if kind not in RESTARTS)
        }
    assert reaches_end == set(S)


def test_a_machine_is_approved_from_paid_alone() -> None:
    """I4: and paid is entered on the word of the sale alone."""
    entries = {(s, kind, row.to) for s, table in TABLE.items() for kind, row in table.items() if row.to is not s}
    assert {(s, kind) for s, kind, to in entries if to is S.APPROVING} == {(S.PAID, v.ApprovalDue)}
    assert {kind for _, kind, to in entries if to is S.PAID} == {v.SalePaid}
    approving = [(s, kind) for s in S for kind, (_, asks) in ROWS[s].items() if APPROVE in asks]
    assert approving == [(S.PAID, v.ApprovalDue)]


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_request_is_answered_before_the_machine_gives_it_up() -> None:
    life = VendLife()
    at = Instant(NOON.instant + 105 * SECOND)
    assert vends.next_wakeup(life.vend) == Wakeup(at=at, event=v.AnswerDue())
    life.tell(v.SalePaying)
    assert vends.next_wakeup(life.vend) == Wakeup(at=at, event=v.AnswerDue())


def test_a_paid_request_is_approved_at_once() -> None:
    life = VendLife(v.SalePaying)
    life.tell(v.SalePaid, later=70 * SECOND)
    assert vends.next_wakeup(life.vend) == Wakeup(at=life.now.instant, event=v.ApprovalDue())


def test_what_is_paid_too_late_is_not_approved() -> None:
    life = VendLife(v.SalePaying, v.SalePaid)
    assert life.tell(v.ApprovalDue, later=105 * SECOND) == (DENY, NOT_OUT)
    assert life.vend.state is S.RETURNING


def test_a_result_is_waited_for_from_the_approval_on() -> None:
    life = VendLife(v.SalePaid, v.ApprovalDue)
    assert vends.next_wakeup(life.vend) is None
    life.tell(v.ApprovalSent, later=SECOND)
    assert vends.next_wakeup(life.vend) == Wakeup(at=Instant(NOON.instant + 181 * SECOND), event=v.ResultOverdue())
    life.tell(v.ResultOverdue, later=180 * SECOND)
    assert vends.next_wakeup(life.vend) is None
    assert life.vend.ended_at == life.now.wall


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_while_an_approval_is_on_its_way_counts_once_it_has_left(doubt: type[Event]) -> None:
    life = VendLife(v.SalePaid, v.ApprovalDue, doubt)
    assert life.tell(v.ApprovalSent) == (UNSAID,)
    assert life.vend.state is S.UNKNOWN
    never_left = VendLife(v.SalePaid, v.ApprovalDue, doubt)
    assert never_left.tell(v.ApprovalNotSent) == (DENY, NOT_OUT)
    assert never_left.vend.state is S.RETURNING


@pytest.mark.parametrize("kind", [v.VendCanceled, v.MachineReset, v.AdapterLost, v.ResultOverdue, *RESTARTS])
def test_the_configuration_decides_about_money_of_which_nobody_knows(kind: type[Event]) -> None:
    life = VendLife(*WAYS[S.APPROVED], returns_unknown=True)
    assert life.tell(kind) == (LAPSED,)
    assert life.vend.state is S.UNKNOWN


def test_an_approval_has_a_request() -> None:
    vend = replace(VendLife(v.SalePaid).vend, request=None)
    with pytest.raises(LookupError):
        vends.step(vend, v.ApprovalDue(), now=NOON)


# --- a vend and its sale ---------------------------------------------------------------------------------------------


def opened() -> Sale:
    till = Till(RULES)
    till.open(vend_order())
    return till.book.sales[SALE_ID]


@given(state=st.sampled_from(SaleState), before=st.sampled_from(SaleState))
def test_a_vend_is_told_what_is_new(state: SaleState, before: SaleState) -> None:
    sale, earlier = replace(opened(), state=state), replace(opened(), state=before)
    is_news = vends.standing(earlier) != vends.standing(sale)
    assert vends.change(earlier, sale) == (vends.standing(sale) if is_news else None)


def test_whether_a_sale_heeds_its_vend() -> None:
    sale, s, d = opened(), SaleState, DeliveryState
    heeded = {
        (type(event), state, delivery)
        for event in (CancelRequested(), DeliveryOverdue(), DeliveryLapsed(), Delivered(), Undelivered())
        for state in s
        for delivery in d
        if vends.is_heeded(replace(sale, state=state, delivery=delivery), event)
    }
    cancelable = (s.AWAITING_PAYMENT, s.SWITCHING, s.EXPIRING, s.PROCESSING, s.CANCELING, s.CANCELED)
    news = {*d} - {d.DELIVERED}
    assert heeded == {
        *((CancelRequested, state, delivery) for state in cancelable for delivery in d),
        *((kind, s.PAID, d.PENDING) for kind in (DeliveryOverdue, DeliveryLapsed)),
        *((Delivered, state, delivery) for state in (s.PAID, s.RETURNING, s.RETURNED) for delivery in news),
        *((Undelivered, s.PAID, delivery) for delivery in d),
        *((Undelivered, s.RETURNING, delivery) for delivery in news - {d.UNDELIVERED}),
        *((kind, s.COMPLETED, d.CLOSED) for kind in (Delivered, Undelivered)),
    }
    with pytest.raises(TypeError):
        vends.is_heeded(sale, PartUndelivered(amount=Fen(1)))
