"""One advance of the ledger while it is made: the snapshots as they are by now, and what is to be told of them."""

from enum import Enum

from terminald.core.attempt_table import Attempt
from terminald.core.book import Book, SaleView, view
from terminald.core.commands import Command
from terminald.core.ids import ClientSn, JobId, PaymentCode, RefundId, SaleId
from terminald.core.refund_table import Refund
from terminald.core.sale_table import Sale
from terminald.core.spool import PrintJob
from terminald.core.stimuli import Advance, CloseAttention, Record
from terminald.core.tables import Attention
from terminald.core.vend_table import Vend


class Sheet:
    """Collects one advance. Lives for one call."""

    def __init__(self, book: Book) -> None:
        """Book is as it was before."""
        self._book = book
        self._sales: dict[SaleId, Sale] = {}
        self._attempts: dict[ClientSn, Attempt] = {}
        self._refunds: dict[RefundId, Refund] = {}
        self._jobs: dict[JobId, PrintJob] = {}
        self._vends: dict[SaleId, Vend] = {}
        self._held: dict[ClientSn, PaymentCode] = {}
        self._records: list[Record] = []
        self._commands: list[Command] = []

    def result(self) -> Advance:
        """Return what was collected. A sale of which something changed is given as well, as it shows it."""
        owners = {one.sale_id for one in self._attempts.values()}
        owners |= {one.sale_id for one in self._refunds.values()}
        owners |= {job.sale_id for job in self._jobs.values()}
        owners |= self._vends.keys()
        for sale_id in owners - self._sales.keys():
            self._sales[sale_id] = self._book.sales[sale_id]
        return Advance(
            sales=tuple(self._sales.values()),
            attempts=tuple(self._attempts.values()),
            refunds=tuple(self._refunds.values()),
            jobs=tuple(self._jobs.values()),
            vends=tuple(self._vends.values()),
            records=tuple(self._records),
            commands=tuple(self._commands),
            held=self._held,
        )

    def _sale(self, sale_id: SaleId) -> Sale:
        return self._sales.get(sale_id) or self._book.sales[sale_id]

    def _attempt(self, client_sn: ClientSn) -> Attempt:
        return self._attempts.get(client_sn) or self._book.attempts[client_sn]

    def _refund(self, refund_id: RefundId) -> Refund:
        return self._refunds.get(refund_id) or self._book.refunds[refund_id]

    def _vend(self, sale_id: SaleId) -> Vend | None:
        return self._vends.get(sale_id) or self._book.vends.get(sale_id)

    def _seen(self, sale_id: SaleId) -> SaleView:
        """Return the sale as it is within this advance."""
        book = Book(
            sales={**self._book.sales, **self._sales},
            attempts={**self._book.attempts, **self._attempts},
            refunds={**self._book.refunds, **self._refunds},
            jobs={**self._book.jobs, **self._jobs},
            vends={**self._book.vends, **self._vends},
        )
        found = view(book, sale_id)
        if found is None:
            raise KeyError(sale_id)
        return found

    def _note(self, kind: str, subject: str, sale_id: SaleId, cause: str, before: str, after: Enum) -> None:
        self._records.append(
            Record(kind=kind, subject=subject, sale_id=sale_id, cause=cause, before=before, after=after.value)
        )

    def _note_closed(self, kind: str, subject: str, closing: CloseAttention, closed: Attention) -> None:
        """Keep the person's reason: the one record whose end is not a state."""
        self._records.append(
            Record(
                kind="attention",
                subject=f"{kind} {subject}",
                sale_id=closing.sale_id,
                cause="AttentionClosed",
                before=closed.code,
                after=closing.reason,
            )
        )
