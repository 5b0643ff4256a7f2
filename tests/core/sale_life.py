"""A sale alone with its clock: what the tests of the sale's machine share."""

from terminald.core import sale as sales
from terminald.core.commands import Command
from terminald.core.events import AttemptPaid, AttemptUnpaid, CodeScanned, Event
from terminald.core.ids import ClientSn
from terminald.core.sale_table import Sale, SaleOrder, SaleState
from terminald.core.schedule import SECOND, Now, Rules
from terminald.core.tables import Wakeup
from tests.core.machine_builders import CLIENT_SN, CODE, NOON, ORDER, RULES, SALE_ID, after, until

#: The first, second, third … QR order.
OFFERS = tuple(ClientSn(f"qr-{number}") for number in range(1, 30))
SECOND_SN = ClientSn("t-0002")
PAID = AttemptPaid(client_sn=CLIENT_SN)


class SaleLife:
    """A sale and its clock."""

    def __init__(self, *history: Event, order: SaleOrder = ORDER, rules: Rules = RULES) -> None:
        """Open it, and tell it these events, a second apart."""
        self.now: Now = NOON
        self.rules = rules
        self.sale: Sale
        self.sale, self.opening = sales.begin(SALE_ID, order, now=NOON, rules=rules, fresh=OFFERS[0])
        for event in history:
            self.tell(event)

    def tell(self, event: Event, *, later: int = SECOND) -> tuple[Command, ...]:
        """Tell one event, that many milliseconds later; return what was asked for."""
        self.now = after(self.now, later)
        fresh = OFFERS[self.sale.offers]
        self.sale, commands = sales.step(self.sale, event, now=self.now, rules=self.rules, fresh=fresh)
        return commands

    def wake(self) -> tuple[Command, ...]:
        """Let the time of the next wake-up come, and tell its event."""
        wakeup = self.wakeup
        assert wakeup is not None, f"{self.sale.state} has no wake-up"
        self.now = until(self.now, wakeup.at)
        return self.tell(wakeup.event, later=0)

    @property
    def wakeup(self) -> Wakeup | None:
        """The one next moment at which the sale wants an event."""
        return sales.next_wakeup(self.sale)

    def is_in(self, state: SaleState) -> bool:
        """Whether the sale is in this state now."""
        return self.sale.state is state

    def wakes_with(self, event: type[Event], *, in_ms: int) -> bool:
        """Whether the next wake-up is of this kind, that long from now."""
        return self.wakeup == Wakeup(at=after(self.now, in_ms).instant, event=event())


def scanned(client_sn: ClientSn = CLIENT_SN) -> CodeScanned:
    """Return the scan of a code."""
    return CodeScanned(client_sn=client_sn, code=CODE, digest="d1")


def unpaid(reason: str = "declined", client_sn: ClientSn = CLIENT_SN) -> AttemptUnpaid:
    """Return the word of an order that is proven unpaid."""
    return AttemptUnpaid(client_sn=client_sn, reason=reason)
