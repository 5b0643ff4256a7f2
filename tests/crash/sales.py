"""The canonical sales. Each is told as a host and its customer live it, and may be begun again at any point of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.crash.host import Host, Sale

#: The part that is given back.
PART: Final = 100
#: What the last two digits of a code make happen at the simulated gateway.
AT_ONCE, IN_PROGRESS, NEVER_ARRIVES, CANCEL_UNANSWERED = "99", "12", "41", "61"

_WITH_CUSTOMER: Final = ("awaiting_payment", "processing")

Live = Callable[[Host, str, str], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One canonical sale: what is lived, and how it ends where nothing goes wrong.

    Live takes the host, the sale's reference, and sixteen digits that no other sale's code begins with.
    """

    name: str
    live: Live
    end: str
    #: What an earlier daemon has lived, which was killed then: the points are those of the start that follows, and on.
    before: Live | None = None


def _scan(host: Host, reference: str, code: str, *, delivery: str = "none") -> None:
    """Open a sale, and have its customer present one code; whoever has no luck with it goes away."""
    host.open(reference, "scan", delivery=delivery)
    sale = host.wait(reference, lambda _: True, "told of")
    if sale.state == "awaiting_payment" and not sale.attempts:
        host.present(reference, code)
    sale = host.wait(reference, lambda one: bool(one.attempts) or one.state != "awaiting_payment", "presented")
    if sale.state == "awaiting_payment":
        host.cancel(reference)


def _rest(host: Host, reference: str) -> Sale:
    return host.wait(reference, lambda one: one.is_at_rest, "at rest")


def _paid_at_once(host: Host, reference: str, digits: str) -> None:
    _scan(host, reference, digits + AT_ONCE)
    _rest(host, reference)


def _paid_after_polling(host: Host, reference: str, digits: str) -> None:
    _scan(host, reference, digits + IN_PROGRESS)
    host.stage.wait(lambda: _is_over(host, reference) or _confirm(host, reference), "confirmed")
    _rest(host, reference)


def _confirm(host: Host, reference: str) -> bool:
    """Let the customer confirm as soon as the gateway has asked."""
    host.meanwhile()
    sale = host.latest(reference)
    return sale is not None and any(host.gateway.pay(one.client_sn) for one in sale.attempts)


def _is_over(host: Host, reference: str) -> bool:
    sale = host.latest(reference)
    return sale is not None and sale.state not in _WITH_CUSTOMER


def _left_alone(host: Host, reference: str, digits: str) -> None:
    """The daemon dies in the moment in which the customer confirms."""
    _scan(host, reference, digits + IN_PROGRESS)
    host.stage.wait(lambda: _is_over(host, reference) or _confirm(host, reference), "confirmed")


def _never_seen(host: Host, reference: str, digits: str) -> None:
    _scan(host, reference, digits + NEVER_ARRIVES)
    _rest(host, reference)


def _canceled_in_progress(host: Host, reference: str, digits: str) -> None:
    _scan(host, reference, digits + CANCEL_UNANSWERED)
    # The gateway has the order: what is canceled before is another story.
    sale = host.wait(reference, lambda one: bool(one.attempts) or one.state not in _WITH_CUSTOMER, "asked")
    numbers = {one.client_sn for one in sale.attempts}
    host.stage.wait(
        lambda: _is_over(host, reference) or any(one.client_sn in numbers for one in host.gateway.orders()), "asked"
    )
    host.cancel(reference)
    _rest(host, reference)


def _offer(host: Host, reference: str) -> Sale:
    host.open(reference, "qr")
    return host.wait(reference, lambda one: one.qr is not None or one.state != "awaiting_payment", "offered")


def _qr_paid(host: Host, reference: str, _: str) -> None:
    if _offer(host, reference).qr is not None:
        _confirm(host, reference)
    _rest(host, reference)


def _qr_given_up(host: Host, reference: str, _: str) -> None:
    _offer(host, reference)
    host.cancel(reference)
    _rest(host, reference)


def _part_refunded(host: Host, reference: str, digits: str) -> None:
    _scan(host, reference, digits + AT_ONCE)
    if _rest(host, reference).paid:
        host.refund(reference, "part", PART)
        host.wait(reference, lambda one: one.is_at_rest and one.returned == PART, "refunded")


def _undelivered(host: Host, reference: str, digits: str) -> None:
    _scan(host, reference, digits + AT_ONCE, delivery="confirm")
    sale = host.wait(reference, lambda one: one.state == "paid" or one.is_at_rest, "paid")
    if sale.paid:
        host.undeliver(reference)
    _rest(host, reference)


PAID_AT_ONCE: Final = Kind("paid at once", _paid_at_once, "completed")
STARTED_AGAIN: Final = Kind("started again", _paid_after_polling, "completed", before=_left_alone)
KINDS: Final = (
    PAID_AT_ONCE,
    Kind("paid after polling", _paid_after_polling, "completed"),
    Kind("never seen", _never_seen, "canceled"),
    Kind("canceled, unanswered", _canceled_in_progress, "canceled"),
    Kind("qr paid", _qr_paid, "completed"),
    Kind("qr given up", _qr_given_up, "canceled"),
    Kind("part refunded", _part_refunded, "completed"),
    Kind("undelivered", _undelivered, "returned"),
    STARTED_AGAIN,
)
