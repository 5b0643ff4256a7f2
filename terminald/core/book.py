"""Every snapshot of which something is open, and what can be asked of them together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.commands import GatewayCommand, OfferOrder, SubmitPayment
from terminald.core.ids import ClientSn, Instant, JobId, PaymentCode, RefundId, SaleId
from terminald.core.money import Fen
from terminald.core.refund_table import Refund
from terminald.core.sale_table import Sale
from terminald.core.schedule import CODE_LIFE
from terminald.core.spool import PrintJob
from terminald.core.tables import Attention
from terminald.core.vend_table import Vend


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Every snapshot of which something is open, and all that belongs to the same sale."""

    sales: Mapping[SaleId, Sale] = field(default_factory=dict)
    attempts: Mapping[ClientSn, Attempt] = field(default_factory=dict)
    refunds: Mapping[RefundId, Refund] = field(default_factory=dict)
    jobs: Mapping[JobId, PrintJob] = field(default_factory=dict)
    #: By the sale of each.
    vends: Mapping[SaleId, Vend] = field(default_factory=dict)
    #: The codes of held attempts. In memory only: no code is ever stored (I7).
    held: Mapping[ClientSn, PaymentCode] = field(default_factory=dict)
    #: The digests of the codes of finished attempts while they may still live, and since when each is in use. Of a sale
    #: that is over this is all that is left.
    used: Mapping[str, Instant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleView:
    """One sale with all that belongs to it, oldest first."""

    sale: Sale
    attempts: tuple[Attempt, ...]
    refunds: tuple[Refund, ...] = ()
    jobs: tuple[PrintJob, ...] = ()
    vend: Vend | None = None

    @property
    def paid_by(self) -> Attempt | None:
        """The order that the sale was paid with."""
        return next((one for one in self.attempts if one.state is AttemptState.PAID), None)

    @property
    def alarm(self) -> tuple[Sale | Refund | Attempt, Attention] | None:
        """What a person should look at first, and whose it is: the goods, the money that goes back, then the orders."""
        owners: tuple[Sale | Refund | Attempt, ...] = (self.sale, *self.refunds, *self.attempts)
        return next(((one, one.attention) for one in owners if one.attention is not None), None)

    @property
    def attention(self) -> Attention | None:
        """What a person should look at first."""
        return None if self.alarm is None else self.alarm[1]

    @property
    def returnable(self) -> Fen:
        """What is left of the payment and on no way back: no refund may be of more. A return takes all that is left."""
        if self.sale.whole is not None:
            return Fen(0)
        open_ = sum(one.amount for one in self.refunds if not one.state.is_final)
        return Fen(max(0, self.sale.paid - self.sale.returned - open_))


_Part = TypeVar("_Part", Refund, PrintJob)

#: The answer to the one submit is awaited, and the sale still wants it.
_SUBMITTED = frozenset({AttemptState.SUBMITTING, AttemptState.OFFERING})


def prune(book: Book, instant: Instant) -> Book:
    """Return the book without the sales of which nothing is open, but for the digests of codes that still live."""
    kept = {sale.id for sale in book.sales.values() if not sale.state.is_final or sale.attention is not None}
    kept |= {one.sale_id for one in book.attempts.values() if not one.state.is_final}
    kept |= {one.sale_id for one in book.refunds.values() if not one.state.is_final}
    kept |= {job.sale_id for job in book.jobs.values() if not job.state.is_final}
    kept |= _kept_vends(book, instant)
    alive = {digest: since for digest, since in book.used.items() if instant - since < CODE_LIFE}
    return Book(
        sales={key: sale for key, sale in book.sales.items() if key in kept},
        attempts={key: one for key, one in book.attempts.items() if one.sale_id in kept},
        refunds={key: one for key, one in book.refunds.items() if one.sale_id in kept},
        jobs={key: job for key, job in book.jobs.items() if job.sale_id in kept},
        vends={key: vend for key, vend in book.vends.items() if key in kept},
        held={key: code for key, code in book.held.items() if book.attempts[key].state is AttemptState.HELD},
        used={**alive, **codes_of(book.attempts.values(), instant)},
    )


def _kept_vends(book: Book, instant: Instant) -> set[SaleId]:
    """Return the open ones, of each machine the last one, and those of these minutes: a result may come late."""
    known = {vend.machine: key for key, vend in sorted(book.vends.items()) if vend.request is not None}
    told = {key for key, vend in book.vends.items() if vend.request is not None}
    return {
        *known.values(),
        *(key for key, vend in book.vends.items() if not vend.state.is_final),
        *(one.sale_id for one in book.attempts.values() if one.sale_id in told and is_code_alive(one, instant)),
    }


def find_vend(book: Book, machine: str, request: int) -> Vend | None:
    """Return the vend that a machine's driver knows by this number."""
    return next((one for one in book.vends.values() if (one.machine, one.request) == (machine, request)), None)


def with_view(book: Book, found: SaleView) -> Book:
    """Return the book with an old sale in it, so that the machines can work on it; what it holds already wins."""
    return Book(
        sales={found.sale.id: found.sale, **book.sales},
        attempts={**{one.client_sn: one for one in found.attempts}, **book.attempts},
        refunds={**{one.id: one for one in found.refunds}, **book.refunds},
        jobs={**{job.id: job for job in found.jobs}, **book.jobs},
        vends={**({} if found.vend is None else {found.sale.id: found.vend}), **book.vends},
        held=book.held,
        used=book.used,
    )


def is_code_alive(attempt: Attempt, instant: Instant) -> bool:
    """Whether the attempt's code could still be presented again by mistake."""
    return instant - attempt.started < CODE_LIFE


def codes_of(attempts: Iterable[Attempt], instant: Instant) -> dict[str, Instant]:
    """Return the digests of the codes that finished attempts have used and that may still live, with their start.

    A code whose request never left the device may be presented again; a QR order has none.
    """
    finished = (one for one in attempts if one.state.is_final and one.state is not AttemptState.UNSENT)
    return {one.code_digest: one.started for one in finished if one.code_digest and is_code_alive(one, instant)}


def is_code_used(book: Book, digest: str, instant: Instant) -> bool:
    """Whether this code has been submitted already: one code, one attempt.

    It is so while that is open, and for the life of a code, whether or not the book still holds its sale.
    A code whose request never left the device may be presented again.
    """
    since = book.used.get(digest)
    if since is not None and instant - since < CODE_LIFE:
        return True
    return any(one.code_digest == digest and not one.state.is_final for one in book.attempts.values())


def unresolved(book: Book) -> tuple[Attempt | Refund, ...]:
    """Return the orders and returns that are followed to their end, without the order of whoever is being served."""
    customer = sale_with_customer(book)
    with_customer = customer.attempts[-1:] if customer else ()
    attempts = [one for one in book.attempts.values() if not one.state.is_final]
    return (
        *(one for one in attempts if one.client_sn not in with_customer),
        *(one for one in book.refunds.values() if not one.state.is_final),
    )


def in_doubt_since(book: Book) -> Instant | None:
    """Return since when the oldest unresolved order or return has been so; None where there is none.

    An order that is known to be unpaid, and is only looked up again for a request that might arrive late, is none.
    """
    times = (
        one.opened if isinstance(one, Refund) else one.started
        for one in unresolved(book)
        if isinstance(one, Refund) or not one.state.is_unpaid
    )
    return min(times, default=None)


def view(book: Book, sale_id: SaleId) -> SaleView | None:
    """Return one sale of the book with all that belongs to it; None when the book does not hold it."""
    sale = book.sales.get(sale_id)
    if sale is None:
        return None
    return SaleView(
        sale=sale,
        attempts=tuple(book.attempts[client_sn] for client_sn in sale.attempts),
        refunds=tuple(one for one in book.refunds.values() if one.sale_id == sale_id),
        jobs=tuple(job for job in book.jobs.values() if job.sale_id == sale_id),
        vend=book.vends.get(sale_id),
    )


def sale_with_customer(book: Book) -> Sale | None:
    """Return the sale that a customer stands before; there is at most one."""
    return next((sale for sale in book.sales.values() if sale.state.is_with_customer), None)


def views(book: Book) -> tuple[SaleView, ...]:
    """Return every sale of the book, in a time that grows with their number: calls that nobody closes stay in it."""
    refunds, jobs = _by_sale(book.refunds.values()), _by_sale(book.jobs.values())
    return tuple(
        SaleView(
            sale=sale,
            attempts=tuple(book.attempts[client_sn] for client_sn in sale.attempts),
            refunds=tuple(refunds[sale.id]),
            jobs=tuple(jobs[sale.id]),
            vend=book.vends.get(sale.id),
        )
        for sale in book.sales.values()
    )


def _by_sale(parts: Iterable[_Part]) -> defaultdict[SaleId, list[_Part]]:
    found: defaultdict[SaleId, list[_Part]] = defaultdict(list)
    for part in parts:
        found[part.sale_id].append(part)
    return found


def is_wanted(book: Book, command: GatewayCommand) -> bool:
    """Whether a request that has not left yet may still leave: a submit only while nobody has given it up."""
    if not isinstance(command, SubmitPayment | OfferOrder):
        return True
    attempt = book.attempts.get(command.client_sn)
    return attempt is not None and attempt.state in _SUBMITTED and attempt.token == command.token
