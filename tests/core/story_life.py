"""One sale from its opening on, with the journal's records of it, and what is known of it at any moment."""

from dataclasses import replace

from terminald.core import stimuli
from terminald.core.book import Book, view
from terminald.core.commands import GatewayCommand, SendJob
from terminald.core.events import Answer, CodeScanned, Event, Fault, OrderFacts, PrintAnswer
from terminald.core.ids import ClientSn, Duration, PaymentCode
from terminald.core.ledger import advance
from terminald.core.money import Fen
from terminald.core.refund import Asked
from terminald.core.refund_table import RefundKind
from terminald.core.sale_table import SaleOrder
from terminald.core.schedule import HOUR, SECOND, Rules
from terminald.core.stimuli import (
    AskRefund,
    CloseAttention,
    OpenSale,
    Stimulus,
    ToAttempt,
    ToJob,
    ToRefund,
    ToSale,
    merge,
)
from terminald.core.story import Dossier
from terminald.core.story_told import LoggedRecord
from terminald.engine_entries import entries_of
from tests.core.machine_builders import NOON, ORDER, RULES, SALE_ID, after, make_answer

#: What the gateway says of the order once it is paid.
PAID_FACTS = OrderFacts(sn="7894259244067344", trade_no="4200000000202405011234567890", payway="3", net_amount=Fen(350))


class SaleStory:
    """A sale and its clock: everything goes through the ledger, and every record is kept."""

    def __init__(self, order: SaleOrder = ORDER, rules: Rules = RULES, *, opening: Stimulus | None = None) -> None:
        """Open the sale at noon; opening: otherwise than as a host's."""
        self.now, self.rules = NOON, rules
        self.book = Book()
        self.records: list[LoggedRecord] = []
        #: What is under way, the oldest first.
        self.asked: list[GatewayCommand] = []
        self.prints: list[SendJob] = []
        self._named = 0
        self.apply(opening or OpenSale(sale_id=SALE_ID, order=order), later=0)

    def apply(self, stimulus: Stimulus, *, later: int = SECOND) -> None:
        """Take one step, that many milliseconds later."""
        self.now = after(self.now, later)
        self._named += 1
        fresh = ClientSn(f"qr-{self._named}")
        done = advance(self.book, stimulus, now=self.now, rules=self.rules, fresh=fresh)
        before, self.book = self.book, merge(self.book, done)
        for entry in entries_of(before, self.book, done, self.now):
            seq = len(self.records) + 1
            self.records.append(LoggedRecord(seq=seq, at=self.now.instant, wall=self.now.wall, record=entry.record))
        self.asked += [one for one in done.commands if isinstance(one, GatewayCommand)]
        self.prints += [one for one in done.commands if isinstance(one, SendJob)]

    def tell(self, event: Event, *, later: int = SECOND) -> None:
        """Tell the sale an event."""
        self.apply(ToSale(sale_id=SALE_ID, event=event), later=later)

    def scan(self, code: str = "130812345678901147", *, later: int = SECOND) -> None:
        """Have the customer present a code."""
        name = ClientSn(f"t-{len(self.book.attempts) + 1:04}")
        self.tell(CodeScanned(client_sn=name, code=PaymentCode(code), digest=code[::-1]), later=later)

    def answer(
        self,
        kind: type[Answer],
        facts: OrderFacts | None = None,
        *,
        fault: Fault | None = None,
        later: int = SECOND,
    ) -> None:
        """Let the gateway answer the oldest request that is under way."""
        command = self.asked.pop(0)
        event = make_answer(kind, facts or OrderFacts(), fault)
        if command.refund_id is None:
            self.apply(ToAttempt(client_sn=command.client_sn, event=event, token=command.token), later=later)
        else:
            self.apply(ToRefund(refund_id=command.refund_id, event=event, token=command.token), later=later)

    def wake(self) -> None:
        """Let the time of the next wake-up come."""
        due = stimuli.next_wakeup(self.book)
        assert due is not None
        self.apply(due[1], later=max(0, due[0].at - self.now.instant))

    def print(self, answer: PrintAnswer) -> None:
        """Let the printer take, or not take, what is sent to it."""
        while not self.prints:
            self.wake()
        job = self.prints.pop(0)
        self.apply(ToJob(job_id=job.job_id, event=answer, token=job.token), later=20)

    def refund(self, amount: int, reference: str = "back-1", kind: RefundKind = RefundKind.REFUND) -> None:
        """Ask for money back."""
        self.apply(AskRefund(sale_id=SALE_ID, asked=Asked(kind=kind, amount=Fen(amount), reference=reference)))

    def close(self, reason: str) -> None:
        """Have a person close what waits for one."""
        self.apply(CloseAttention(sale_id=SALE_ID, reason=reason))

    def pass_time(self, by: int) -> None:
        """Let nothing happen."""
        self.now = after(self.now, by)

    def dossier(self) -> Dossier:
        """Return all that is known now."""
        found = view(self.book, SALE_ID)
        assert found is not None
        return Dossier(
            view=found,
            records=tuple(self.records),
            is_whole=True,
            now=self.now,
            offset=Duration(8 * HOUR),
            returns_overdue=self.rules.returns_overdue,
            is_gateway_reachable=True,
        )


def confirming(order: SaleOrder = ORDER) -> SaleOrder:
    """Return the order of a host that reports whether the goods came out."""
    return replace(order, reports_delivery=True)
