"""A vend and its sale in one commit, whoever moves which (I3, I4): transcripts of whole requests."""

from dataclasses import replace

import pytest

from terminald.core import book as books
from terminald.core import stimuli
from terminald.core import vend_events as v
from terminald.core.book import Book
from terminald.core.commands import ApproveVend, ArmScanners, DenyVend, DisarmScanners
from terminald.core.events import (
    CancelRequested,
    Event,
    OrderAbsent,
    OrderFacts,
    OrderPaid,
    PayConfirmed,
    PayDeclined,
    PowerReturned,
    Recovered,
    RefundConfirmed,
    ReversalConfirmed,
    ReversalRefused,
)
from terminald.core.ids import Instant, SaleId
from terminald.core.refund_table import RefundKind
from terminald.core.return_events import Delivered, Undelivered
from terminald.core.sale_table import DeliveryState, Sale, SaleState
from terminald.core.schedule import CODE_LIFE, SECOND
from terminald.core.stimuli import Advance, OpenVend, Stimulus, ToVend
from terminald.core.vend_table import Vend, VendState
from tests.core.machine_builders import AMOUNT, SALE_ID, after, make_event
from tests.core.till import Till, changes
from tests.core.vend_world import MACHINE, asked, vend_order

APPROVE = ApproveVend(sale_id=SALE_ID, machine=MACHINE, request=1, price="3.50")
DENY = DenyVend(machine=MACHINE, request=1)
S, V = SaleState, VendState


class Machine(Till):
    """A terminal in a vending machine that asks for money."""

    def __init__(self, *, returns_unknown: bool = False) -> None:
        super().__init__()
        #: Also what the book has forgotten.
        self.vends: dict[SaleId, Vend] = {}
        self.sales: dict[SaleId, Sale] = {}
        self.opened = self.apply(
            OpenVend(sale_id=SALE_ID, order=vend_order(), asked=asked(returns_unknown=returns_unknown))
        )

    def apply(self, stimulus: Stimulus, *, later: int = 0) -> Advance:
        """The same, and keep what was committed."""
        done = super().apply(stimulus, later=later)
        self.vends |= {vend.sale_id: vend for vend in done.vends}
        self.sales |= {sale.id: sale for sale in done.sales}
        return done

    def vend(self, kind: type[Event], *, later: int = 0) -> Advance:
        """Tell the vend an event."""
        return self.apply(ToVend(sale_id=SALE_ID, event=make_event(kind)), later=later)

    def pay(self) -> Advance:
        """Let the customer present a code, and the gateway confirm it."""
        self.scan()
        return self.attempt(PayConfirmed(), 1)

    def approved(self) -> "Machine":
        """Pay and approve."""
        self.pay()
        self.wake()
        self.vend(v.ApprovalSent)
        return self

    def refuse_revoke(self) -> Advance:
        """Let the revoke that is under way be refused."""
        self.refund(ReversalRefused(), 1)
        return self.refund(OrderPaid(facts=OrderFacts(net_amount=AMOUNT)), 2)

    def states(self) -> tuple[VendState, SaleState]:
        """Return the states of both."""
        return self.vends[SALE_ID].state, self.sales[SALE_ID].state


def test_a_request_opens_its_sale_in_the_same_commit() -> None:
    machine = Machine()
    assert changes(machine.opened) == [
        ("sale", "SaleOpened", "", "awaiting_payment"),
        ("vend", "VendRequested", "", "requested"),
    ]
    assert machine.opened.commands == (ArmScanners(),)
    assert [vend.sale_id for vend in machine.opened.vends] == [sale.id for sale in machine.opened.sales] == [SALE_ID]
    assert machine.seen().vend == machine.opened.vends[0]
    window = machine.book.sales[SALE_ID].window_ends - machine.now.instant
    assert window == 60 * SECOND, "half of what the machine waits"


def test_what_is_paid_is_approved_in_the_next_commit() -> None:
    """I4: the payment is on disk, then the intent, and then the machine is told."""
    machine = Machine()
    scanned, paid = machine.scan(), machine.attempt(PayConfirmed(), 1)
    assert ("vend", "SalePaying", "requested", "paying") in changes(scanned)
    assert changes(paid) == [
        ("attempt", "PayConfirmed", "submitting", "paid"),
        ("sale", "AttemptPaid", "processing", "paid"),
        ("vend", "SalePaid", "paying", "paid"),
    ]
    assert paid.commands == ()
    approving = machine.wake()
    assert changes(approving) == [("vend", "ApprovalDue", "paid", "approving")]
    assert approving.commands == (APPROVE,)
    assert machine.vend(v.ApprovalSent).commands == ()
    assert changes(machine.vend(v.VendSucceeded)) == [
        ("vend", "VendSucceeded", "approved", "done"),
        ("sale", "Delivered", "paid", "completed"),
    ]


def test_what_the_machine_does_not_want_any_more_is_canceled_in_the_same_commit() -> None:
    """I3."""
    machine = Machine()
    done = machine.vend(v.VendCanceled)
    assert changes(done) == [
        ("vend", "VendCanceled", "requested", "canceling"),
        ("sale", "CancelRequested", "awaiting_payment", "canceled"),
        ("vend", "SaleCanceled", "canceling", "denied"),
    ]
    assert done.commands == (DENY, DisarmScanners())
    assert machine.seen().sale.reason == "machine"


def test_what_is_with_the_gateway_is_denied_at_once_and_undone() -> None:
    """I3: whether it is paid or not, the machine has its answer."""
    machine = Machine()
    machine.scan()
    done = machine.wake()
    assert machine.states() == (V.CANCELING, S.CANCELING)
    assert machine.seen().sale.reason == "expired"
    assert DENY in done.commands
    machine.attempt(PayDeclined(), 1)
    assert machine.states() == (V.DENIED, S.CANCELED)


def test_the_time_that_the_machine_waits_ends_a_payment() -> None:
    machine = Machine()
    machine.apply(ToVend(sale_id=SALE_ID, event=v.AnswerDue()), later=105 * SECOND)
    assert (machine.states(), machine.seen().sale.reason) == ((V.DENIED, S.CANCELED), "expired")


def test_a_declined_code_may_be_followed_by_another() -> None:
    machine = Machine()
    machine.scan()
    machine.attempt(PayDeclined(), 1)
    assert machine.states() == (V.REQUESTED, S.AWAITING_PAYMENT)


def test_a_customer_who_does_not_come_is_denied() -> None:
    machine = Machine()
    done = machine.wake()
    assert machine.states() == (V.DENIED, S.CANCELED)
    assert done.commands == (DisarmScanners(), DENY)


@pytest.mark.parametrize("kind", [v.VendFailed, v.ApprovalRejected])
def test_what_was_not_dispensed_goes_back(kind: type[Event]) -> None:
    machine = Machine().approved()
    done = machine.vend(kind)
    assert machine.states() == (V.RETURNING, S.RETURNING)
    assert len(done.commands) == 1, "the refund"
    machine.refund(ReversalConfirmed(), 1)
    assert machine.states() == (V.RETURNED, S.RETURNED)


def test_money_that_nobody_asks_for_any_more_goes_back() -> None:
    machine = Machine()
    machine.pay()
    done = machine.vend(v.RequestGone)
    assert machine.states() == (V.RETURNING, S.RETURNING)
    assert DENY in done.commands


@pytest.mark.parametrize("kind", [v.MachineReset, v.AdapterLost, v.VendCanceled, v.ResultOverdue])
def test_silence_after_an_approval_is_kept_and_told_to_a_person(kind: type[Event]) -> None:
    """MDB/ICP 4.2: a reset between approval and success is a success; a person is called all the same."""
    machine = Machine().approved()
    machine.vend(kind)
    sale = machine.seen().sale
    assert machine.states() == (V.UNKNOWN, S.PAID)
    assert (sale.delivery, sale.attention and sale.attention.code) == (DeliveryState.OVERDUE, "delivery_overdue")
    machine.vend(v.VendSucceeded)
    assert machine.states() == (V.DONE, S.COMPLETED)
    assert machine.seen().attention is None


def test_silence_after_an_approval_gives_the_money_back_where_the_configuration_says_so() -> None:
    machine = Machine(returns_unknown=True).approved()
    machine.vend(v.MachineReset)
    assert machine.states() == (V.UNKNOWN, S.RETURNING)
    machine.refund(ReversalConfirmed(), 1)
    assert machine.states() == (V.RETURNED, S.RETURNED)
    machine.vend(v.VendSucceeded)
    attention = machine.seen().attention
    assert attention is not None
    assert attention.code == "delivered_and_returned"


@pytest.mark.parametrize("returns_unknown", [False, True])
def test_a_machine_at_rest_may_still_say_what_came_out(*, returns_unknown: bool) -> None:
    """I3: in which order an adapter tells rest and result is not known; nothing goes back for goods that came out."""
    machine = Machine(returns_unknown=returns_unknown).approved()
    assert machine.vend(v.RequestGone).commands == ()
    assert machine.states() == (V.APPROVED, S.PAID)
    machine.vend(v.VendSucceeded)
    assert machine.states() == (V.DONE, S.COMPLETED)

    machine = Machine(returns_unknown=returns_unknown).approved()
    machine.vend(v.RequestGone)
    machine.wake()
    assert machine.states() == (V.UNKNOWN, S.RETURNING if returns_unknown else S.PAID)


def test_a_failure_that_comes_late_gives_the_money_back() -> None:
    machine = Machine().approved()
    machine.vend(v.ResultOverdue)
    machine.vend(v.VendFailed)
    assert machine.states() == (V.RETURNING, S.RETURNING)


def test_a_host_that_cancels_denies_the_machine() -> None:
    machine = Machine()
    assert machine.sale(CancelRequested()).commands == (DisarmScanners(), DENY)
    assert (machine.states(), machine.seen().sale.reason) == ((V.DENIED, S.CANCELED), "host")


def test_a_host_that_gives_the_money_back_before_the_approval_denies_the_machine() -> None:
    machine = Machine()
    machine.pay()
    assert DENY in machine.ask(350, RefundKind.RETURN).commands
    assert machine.states() == (V.RETURNING, S.RETURNING)


def test_money_that_went_back_in_parts_before_the_approval_denies_the_machine() -> None:
    machine = Machine()
    machine.pay()
    machine.ask(100)
    machine.ask(250)
    machine.refund(RefundConfirmed(), 1)
    done = machine.refund(RefundConfirmed(), 1, number=2)
    assert (machine.states(), done.commands) == ((V.RETURNED, S.RETURNED), (DENY,))


def test_a_return_that_comes_to_nothing_leaves_the_goods_to_the_machine() -> None:
    """I5: nobody has told the sale that the machine was silent, as it was on its way back."""
    machine = Machine().approved()
    machine.ask(350, RefundKind.REVOKE)
    machine.vend(v.ResultOverdue)
    assert machine.states() == (V.UNKNOWN, S.RETURNING)
    machine.refuse_revoke()
    assert machine.states() == (V.UNKNOWN, S.PAID)
    assert machine.seen().sale.attention is not None


def test_what_a_person_has_settled_stays_settled() -> None:
    machine = Machine().approved()
    machine.vend(v.ResultOverdue)
    machine.sale(Delivered())
    machine.vend(v.VendFailed)
    assert machine.states() == (V.CLOSED, S.COMPLETED)


def test_a_failure_after_the_money_went_back_by_hand_has_nothing_left_to_give() -> None:
    machine = Machine().approved()
    machine.ask(350, RefundKind.RETURN)
    machine.refund(ReversalConfirmed(), 1)
    assert machine.states() == (V.APPROVED, S.RETURNED)
    machine.vend(v.VendFailed)
    assert machine.states() == (V.RETURNED, S.RETURNED)


def test_a_person_who_closed_the_alarm_is_contradicted_by_the_machine() -> None:
    machine = Machine().approved()
    machine.vend(v.ResultOverdue)
    machine.close()
    assert machine.states() == (V.UNKNOWN, S.COMPLETED)
    machine.vend(v.VendFailed)
    assert machine.states() == (V.RETURNING, S.RETURNING)


def test_goods_that_did_not_come_out_are_reported_once() -> None:
    machine = Machine().approved()
    machine.vend(v.ResultOverdue)
    machine.sale(Undelivered())
    machine.vend(v.VendFailed)
    assert machine.states() == (V.RETURNING, S.RETURNING)
    assert len(machine.book.refunds) == 1


# --- restarts --------------------------------------------------------------------------------------------------------


def restarted(machine: Machine, event: Event) -> list[Advance]:
    """Start again from what was committed."""
    return [machine.apply(stimulus) for stimulus in stimuli.recovery(machine.book, event)]


@pytest.mark.parametrize("event", [Recovered(), PowerReturned()])
def test_what_was_not_paid_at_a_power_cut_is_canceled(event: Event) -> None:
    machine = Machine()
    restarted(machine, event)
    assert machine.states() == (V.DENIED, S.CANCELED)


@pytest.mark.parametrize("event", [Recovered(), PowerReturned()])
def test_what_was_with_the_gateway_at_a_power_cut_is_undone(event: Event) -> None:
    machine = Machine()
    machine.scan()
    restarted(machine, event)
    assert machine.states() == (V.CANCELING, S.CANCELING)


@pytest.mark.parametrize("event", [Recovered(), PowerReturned()])
def test_what_was_paid_and_not_approved_at_a_power_cut_goes_back(event: Event) -> None:
    machine = Machine()
    machine.pay()
    done = restarted(machine, event)
    assert not any(isinstance(command, DenyVend | ApproveVend) for one in done for command in one.commands)
    assert machine.states() == (V.RETURNING, S.RETURNING)


@pytest.mark.parametrize("event", [Recovered(), PowerReturned()])
@pytest.mark.parametrize("is_sent", [True, False])
def test_what_may_have_been_approved_at_a_power_cut_is_unknown(event: Event, *, is_sent: bool) -> None:
    machine = Machine()
    machine.pay()
    machine.wake()
    if is_sent:
        machine.vend(v.ApprovalSent)
    restarted(machine, event)
    assert machine.states() == (V.UNKNOWN, S.PAID)
    assert machine.seen().attention is not None


def test_what_is_being_undone_at_a_power_cut_goes_on() -> None:
    machine = Machine().approved()
    machine.vend(v.VendFailed)
    restarted(machine, PowerReturned())
    machine.refund(OrderAbsent(), 2)
    assert machine.states() == (V.RETURNING, S.RETURNING)


# --- the book --------------------------------------------------------------------------------------------------------


def test_an_earlier_request_of_a_machine_is_kept_for_some_minutes() -> None:
    machine = Machine(returns_unknown=True).approved()
    machine.vend(v.MachineReset)
    machine.refund(ReversalConfirmed(), 1)
    newer = replace(machine.book.vends[SALE_ID], sale_id=SaleId(f"{SALE_ID}-2"), request=2)
    both = replace(machine.book, vends={**machine.book.vends, newer.sale_id: newer})
    started = max(one.started for one in machine.book.attempts.values())
    assert books.find_vend(books.prune(both, Instant(started + CODE_LIFE - 1)), MACHINE, 1) is not None
    assert books.find_vend(books.prune(both, Instant(started + CODE_LIFE)), MACHINE, 1) is None


def test_the_last_request_of_a_machine_is_kept_for_its_late_result() -> None:
    machine = Machine(returns_unknown=True).approved()
    machine.vend(v.MachineReset)
    machine.refund(ReversalConfirmed(), 1)
    later = after(machine.now, 2 * CODE_LIFE).instant
    kept = books.prune(machine.book, later)
    assert books.find_vend(kept, MACHINE, 1) is not None
    assert books.find_vend(kept, MACHINE, 2) is None
    newer = replace(machine.book.vends[SALE_ID], sale_id=SaleId(f"{SALE_ID}-2"), request=2)
    assert books.prune(replace(kept, vends={**kept.vends, newer.sale_id: newer}), later).sales == {}
    gone = replace(machine.book.vends[SALE_ID], request=None)
    assert books.prune(replace(kept, vends={SALE_ID: gone}), later) == Book()
    assert stimuli.recovery(kept, Recovered()) == ()


def test_a_sale_that_is_looked_up_brings_its_vend() -> None:
    machine = Machine()
    found = machine.seen()
    assert books.with_view(Book(), found).vends == {SALE_ID: found.vend}
    assert books.with_view(machine.book, replace(found, vend=None)).vends == machine.book.vends


def test_what_nobody_knows_any_more_changes_nothing() -> None:
    assert Till().apply(ToVend(sale_id=SALE_ID, event=v.VendSucceeded(request=1))) == Advance()


def test_a_sale_without_its_vend_moves_alone() -> None:
    """As one that an older book has lost."""
    till = Till()
    till.open(vend_order())
    assert [sale.state for sale in till.sale(CancelRequested()).sales] == [S.CANCELED]
