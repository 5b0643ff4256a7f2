"""A refund alone with its clock: what the tests of its machine share."""

from terminald.core import refund as refunds
from terminald.core.commands import Command, GatewayCommand, QueryOrder, RefundOrder, RevokeOrder, TellSale
from terminald.core.events import Answer, Event, Fault, OrderFacts
from terminald.core.ids import Instant
from terminald.core.money import Fen
from terminald.core.refund import Asked, PaidOrder
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.return_events import AllReturned, RefundDone, RefundEvent, RefundTurn, RevokeTurn
from terminald.core.schedule import Now
from terminald.core.tables import Wakeup
from tests.core.machine_builders import AMOUNT, CLIENT_SN, NOON, REFUND_ID, SALE_ID, after, until

PART = Fen(100)
PAID_ORDER = PaidOrder(sale_id=SALE_ID, client_sn=CLIENT_SN, amount=AMOUNT, operator="kiosk", paid_at=NOON.wall)
K, S = RefundKind, RefundState
#: What is asked for: a part, the whole or nothing, all that is left; and money that is owed.
PART_ASKED = Asked(kind=K.REFUND, amount=PART, reference="host-1")
REVOKE_ASKED = Asked(kind=K.REVOKE, amount=AMOUNT)
RETURN_ASKED = Asked(kind=K.RETURN, amount=AMOUNT)
OWED = Asked(kind=K.RETURN, amount=AMOUNT, is_owed=True)
OWED_PART = Asked(kind=K.REFUND, amount=PART, is_owed=True)


class RefundLife:
    """One refund, its clock, and the one request whose completion counts."""

    def __init__(self, asked: Asked = PART_ASKED, *history: Event, now: Now = NOON) -> None:
        """Record it, and tell it these events at once."""
        self.now = now
        self.refund: Refund = refunds.begin(asked, 1, PAID_ORDER, now=now)
        self.in_flight: GatewayCommand | None = None
        #: Every request that was asked for, with its time.
        self.requests: list[tuple[Instant, GatewayCommand]] = []
        for event in history:
            self.tell(event)

    @property
    def wakeup(self) -> Wakeup | None:
        """The one next moment at which the refund wants an event."""
        return refunds.next_wakeup(self.refund)

    def tell(self, event: Event, *, later: int = 0) -> tuple[Command, ...]:
        """Tell one event, that many milliseconds later; return what was asked for."""
        self.now = after(self.now, later)
        self.refund, commands = refunds.step(self.refund, event, now=self.now)
        if isinstance(event, Answer):
            self.in_flight = None
        for command in commands:
            if isinstance(command, GatewayCommand):
                self.in_flight = command
                self.requests.append((self.now.instant, command))
        return commands

    def wake(self) -> tuple[Command, ...]:
        """Let the time of the next wake-up come, and tell its event."""
        wakeup = self.wakeup
        assert wakeup is not None, f"{self.refund.state} has no wake-up"
        self.now = until(self.now, wakeup.at)
        return self.tell(wakeup.event)

    def is_in(self, state: RefundState) -> bool:
        """Whether the refund is in this state now."""
        return self.refund.state is state

    def wakes_with(self, event: type[Event], *, in_ms: int) -> bool:
        """Whether the next wake-up is of this kind, that long from now."""
        return self.wakeup == Wakeup(at=after(self.now, in_ms).instant, event=event())


REFUND_TURN, REVOKE_TURN = RefundTurn(left=AMOUNT), RevokeTurn(left=AMOUNT)


# --- what a refund asks for ------------------------------------------------------------------------------------------


def query(token: int) -> QueryOrder:
    """Return the query with this token."""
    return QueryOrder(client_sn=CLIENT_SN, token=token, amount=AMOUNT, refund_id=REFUND_ID)


def revoke(token: int) -> RevokeOrder:
    """Return the revoke with this token."""
    return RevokeOrder(client_sn=CLIENT_SN, token=token, amount=AMOUNT, refund_id=REFUND_ID)


def refund(token: int, amount: int = PART) -> RefundOrder:
    """Return the refund with this token, of so many fen: always under one number."""
    return RefundOrder(
        client_sn=CLIENT_SN,
        token=token,
        amount=AMOUNT,
        refund_id=REFUND_ID,
        request_no="r1",
        refund_amount=Fen(amount),
        operator="kiosk",
    )


def told(kind: type[RefundEvent], amount: int = PART) -> TellSale:
    """Return what the sale is told."""
    return TellSale(sale_id=SALE_ID, event=kind(refund_id=REFUND_ID, amount=Fen(amount)))


def done(amount: int = PART) -> TellSale:
    """Return the word that a part went back."""
    return told(RefundDone, amount)


def all_back(amount: int = AMOUNT) -> TellSale:
    """Return the word that nothing is left."""
    return told(AllReturned, amount)


# --- what the gateway says -------------------------------------------------------------------------------------------


def left(amount: int, named: str = "") -> OrderFacts:
    """Return what an answer says: so much is left, and the latest transaction is this one."""
    return OrderFacts(net_amount=Fen(amount), client_tsn=named)


def fault(code: str) -> Fault:
    """Return a refusal's reason."""
    return Fault(code=code, message="")
