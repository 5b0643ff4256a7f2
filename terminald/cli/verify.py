"""What journal, gateway and host say of the same money, and where they differ."""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from terminald.cli.host_list import HostLine, HostList
from terminald.cli.words import money, state_words
from terminald.wire import api_shapes as shapes
from terminald.wire.api_report import Report, SaleOnDay

Kind = Literal[
    "not_paid_there",  # paid here; the gateway knows nothing of it, or keeps nothing of it
    "returned_there",  # less is left at the gateway than here
    "returned_here",  # more is left at the gateway than here
    "paid_there",  # kept at the gateway, and not paid here
    "mismatched",  # the gateway's answer is about another amount, order or terminal
    "not_verified",  # no answer that could be compared
    "not_settled",  # terminald is still at it
    "host_missing",  # here, and not in the host's list
    "host_only",  # in the host's list, and not here
    "host_differs",  # in both, with other amounts
]


class Difference(Struct, frozen=True, kw_only=True):
    """One difference. Here and there are in fen: what is left of the order, or with a host what it has brought."""

    kind: Kind
    sale: str | None = None
    reference: str | None = None
    client_sn: str | None = None
    here: int | None = None
    there: int | None = None
    detail: str

    @property
    def is_being_undone(self) -> bool:
        """Whether the query that found it has set it right already, or has begun to."""
        return self.kind == "paid_there"


# --- the gateway -----------------------------------------------------------------------------------------------------

_CLOSED = (shapes.Outcome.DECLINED, shapes.Outcome.REVERSED)
_WITH_GATEWAY = (shapes.Outcome.HELD, shapes.Outcome.OFFERED, shapes.Outcome.PROCESSING)
_UNUSABLE = {
    "pending": "the order is not decided at the gateway",
    "errored": "the gateway reports an error of its own about the order",
    "unanswered": "the gateway gave no usable answer",
}


def verified(queried: shapes.QueriedSale) -> tuple[Difference, ...]:
    """Compare a sale with what the gateway said just now of each of its orders."""
    sale = queried.sale
    attempts = {attempt.client_sn: attempt for attempt in sale.attempts}
    return tuple(
        found
        for look in queried.orders
        if (found := _compare(sale, attempts[look.client_sn].outcome, look)) is not None
    )


def _compare(sale: shapes.Sale, outcome: shapes.Outcome, look: shapes.OrderLook) -> Difference | None:
    if look.answer == "mismatched":
        detail = "the gateway's answer names another amount, order or terminal than this one"
        return _difference("mismatched", sale, look, detail)
    if outcome is shapes.Outcome.PAID:
        return _compare_paid(sale, look)
    return _compare_unpaid(sale, outcome, look)


def _compare_paid(sale: shapes.Sale, look: shapes.OrderLook) -> Difference | None:
    here = sale.paid - sale.returned
    if look.net == here and look.answer != "absent":
        return None
    kind, detail = _beside_paid(sale, look, here)
    return _difference(kind, sale, look, detail, here=here)


def _beside_paid(sale: shapes.Sale, look: shapes.OrderLook, here: int) -> tuple[Kind, str]:
    """Say what differs; a return that is under way may have been carried out, or not."""
    if look.answer == "absent":
        return "not_paid_there", f"paid {money(sale.paid)} here, and the gateway does not know the order"
    if look.net is None:
        return "not_verified", f"not verified: {_unusable(look)}"
    both = f"{money(here)} is left of it here, {money(look.net)} at the gateway"
    if 0 < here - look.net <= sum(one.amount for one in sale.refunds if one.ended_at is None):
        return "not_settled", f"{both}: the rest is on its way back; ask again when it has gone"
    if look.answer == "closed":
        cause = "it was not paid there after all, or was revoked by hand in the merchant's console"
        return "not_paid_there", f"{both}, where the order is closed: {cause}"
    if look.net < here:
        cause = "returned there and not here, by hand in the merchant's console perhaps"
        return "returned_there", f"{both}: {money(here - look.net)} was {cause}"
    return "returned_here", f"{both}: {money(look.net - here)} was returned here and not there"


def _compare_unpaid(sale: shapes.Sale, outcome: shapes.Outcome, look: shapes.OrderLook) -> Difference | None:
    is_open = outcome not in _CLOSED
    if (is_open and look.answer == "pending") or (outcome in _WITH_GATEWAY and look.net):
        return _difference("not_settled", sale, look, "not decided yet: ask again when the sale has ended", here=0)
    if look.net:
        detail = (
            f"not paid here, and {money(look.net)} of it at the gateway: terminald gives it back by itself, and has "
            "begun to with this question"
        )
        return _difference("paid_there", sale, look, detail, here=0)
    if look.net is not None:
        return None
    return _difference("not_verified", sale, look, f"not verified: {_unusable(look)}", here=0)


def _unusable(look: shapes.OrderLook) -> str:
    return _UNUSABLE.get(look.answer, "the gateway's answer does not say how much is left")


def _difference(
    kind: Kind, sale: shapes.Sale, look: shapes.OrderLook, detail: str, *, here: int | None = None
) -> Difference:
    return Difference(
        kind=kind,
        sale=sale.id,
        reference=sale.reference,
        client_sn=look.client_sn,
        here=here,
        there=look.net,
        detail=detail,
    )


def left_out(found: Report) -> Iterator[Difference]:
    """Say when a day has more sales than one answer of the daemon names."""
    if found.left_out:
        yield Difference(kind="not_verified", detail=f"{found.left_out} more sales of the day were not compared")


# --- the host --------------------------------------------------------------------------------------------------------


def beside_host(line: HostLine, sale: SaleOnDay | None, other: shapes.Sale | None) -> Iterator[Difference]:
    """Compare a line of the host's list with what the sale has brought on the day; other: as the sale is known at all.

    Without a column for returns nothing is said about them.
    """
    paid, returned = (0, 0) if sale is None else (sale.paid, sale.returned)
    wanted = returned if line.returned is None else line.returned
    if (line.paid, wanted) == (paid, returned):
        return
    host = f"the host has {_moved(line.paid, line.returned)}"
    if sale is not None:
        here = f"here it is {_moved(paid, None if line.returned is None else returned)}"
        yield _host("host_differs", line.reference, f"{host}; {here}", sale.id, paid - returned, line.paid - wanted)
    elif other is not None:
        here = f"here nothing of it moved on this day: {state_words(other)}"
        yield _host("host_only", line.reference, f"{host}; {here}", other.id, 0, line.paid - wanted)
    else:
        yield _host("host_only", line.reference, f"{host}; there is no such sale here", None, 0, line.paid - wanted)


def ours_only(sales: Iterable[SaleOnDay], host: HostList) -> Iterator[Difference]:
    """Say which sales of the day the host's list does not have."""
    for sale in sales:
        returned = sale.returned if host.has_returns else 0
        if sale.paid or returned:
            moved = _moved(sale.paid, sale.returned if host.has_returns else None)
            detail = f"here it is {moved}; the host does not list it"
            yield _host("host_missing", sale.reference, detail, sale.id, sale.paid - returned, None)


def _moved(paid: int, returned: int | None) -> str:
    return f"{money(paid)} paid" if returned is None else f"{money(paid)} paid, {money(returned)} returned"


def _host(kind: Kind, reference: str, detail: str, sale: str | None, here: int, there: int | None) -> Difference:
    return Difference(kind=kind, sale=sale, reference=reference, here=here, there=there, detail=detail)
