"""Batches as the engine makes them: the real ledger is told what happens, and everything it says is committed."""

from collections.abc import Callable
from dataclasses import replace

from terminald.adapters.ports import Batch, Entry
from terminald.core import book as books
from terminald.core import ledger, stimuli
from terminald.core.book import Book
from terminald.core.commands import Command, GatewayCommand, SendJob
from terminald.core.events import CancelRequested, CodeScanned, Event
from terminald.core.ids import ClientSn, PaymentCode, Reference, SaleId, WallTime
from terminald.core.sale_table import SaleOrder, SaleState
from terminald.core.schedule import Now
from terminald.core.stimuli import OpenSale, PrintCopy, Stimulus, ToAttempt, ToJob, ToSale
from tests.core.machine_builders import NOON, ORDER, RULES, after
from tests.core.till import with_the_past

CODE_TEXT = "130812345678901147"
SALT = b"s" * 32


class Shop:
    """A terminal without devices and gateway: what a test tells it goes through the ledger into the journal.

    What the book has forgotten is put back for each step, as whoever asks for an old sale does.
    """

    def __init__(self, commit: Callable[[Batch], int], now: Now = NOON, count: int = 0) -> None:
        self.book = Book()
        #: Every sale, whether or not the book still holds it.
        self.committed = Book()
        self.now = now
        self.requests: dict[ClientSn, GatewayCommand] = {}
        self.prints: list[SendJob] = []
        self.seq = 0
        self._commit = commit
        #: Names are given from the next number on.
        self._count = count

    def apply(self, stimulus: Stimulus) -> tuple[Command, ...]:
        self._count += 1
        fresh = ClientSn(f"q-{self._count:04}")
        whole = with_the_past(self.book, self.committed)
        done = ledger.advance(whole, stimulus, now=self.now, rules=RULES, fresh=fresh)
        if done.records:
            entries = tuple(
                Entry(record=one, topic=one.kind if one.kind != "attempt" else "", body=one.after.encode())
                for one in done.records
            )
            batch = Batch(
                now=self.now,
                sales=done.sales,
                attempts=done.attempts,
                refunds=done.refunds,
                jobs=done.jobs,
                vends=done.vends,
                entries=entries,
            )
            self.seq = self._commit(batch)
            self.committed = stimuli.merge(whole, done)
            self.book = books.prune(self.committed, self.now.instant)
        for command in done.commands:
            if isinstance(command, GatewayCommand):
                self.requests[command.client_sn] = command
            elif isinstance(command, SendJob):
                self.prints.append(command)
        return done.commands

    def pass_time(self, by: int) -> None:
        self.now = after(self.now, by)

    def step_clock(self, wall: int) -> None:
        self.now = replace(self.now, wall=WallTime(wall))

    def open_sale(self, order: SaleOrder = ORDER) -> SaleId:
        self._count += 1
        sale_id = SaleId(f"01J{self.now.instant:011}{self._count:012}")
        reference = Reference(f"order-{self._count}")
        self.apply(OpenSale(sale_id=sale_id, order=replace(order, reference=reference)))
        return sale_id

    def scan(self, sale_id: SaleId, code: str = CODE_TEXT) -> ClientSn:
        self._count += 1
        client_sn, payment_code = ClientSn(f"t-{self._count:04}"), PaymentCode(code)
        event = CodeScanned(client_sn=client_sn, code=payment_code, digest=payment_code.digest(SALT))
        self.apply(ToSale(sale_id=sale_id, event=event))
        return client_sn

    def answer(self, client_sn: ClientSn, event: Event) -> None:
        request = self.requests.pop(client_sn)
        self.apply(ToAttempt(client_sn=client_sn, event=event, token=request.token))

    def finish_print(self, event: Event) -> None:
        command = self.prints.pop(0)
        self.apply(ToJob(job_id=command.job_id, event=event, token=command.token))

    def cancel(self, sale_id: SaleId) -> None:
        self.apply(ToSale(sale_id=sale_id, event=CancelRequested()))

    def copy(self, sale_id: SaleId) -> None:
        self.apply(PrintCopy(sale_id=sale_id))

    def wake(self) -> bool:
        """Let the time of the next wake-up come; false when nothing wants one."""
        due = stimuli.next_wakeup(self.book)
        if due is None:
            return False
        wakeup, stimulus = due
        self.pass_time(max(0, wakeup.at - self.now.instant))
        self.apply(stimulus)
        return True

    def awaiting(self) -> SaleId | None:
        sale = books.sale_with_customer(self.book)
        return sale.id if sale and sale.state is SaleState.AWAITING_PAYMENT else None
