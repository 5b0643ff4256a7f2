"""One sale explained to whoever speaks with the customer: what is certain, what is not, and what happens next.

Nothing here decides anything. It reads the snapshots and the journal's records, and says no more than they prove.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from terminald.core import attempt as attempts
from terminald.core import refund as refunds
from terminald.core import sale as sales
from terminald.core import spool
from terminald.core import vend as vends
from terminald.core.attempt_table import Attempt
from terminald.core.book import SaleView
from terminald.core.events import AttentionDue, OfferExpired, PollWindowClosed
from terminald.core.ids import Duration, WallTime
from terminald.core.receipt import Language
from terminald.core.refund_answers import doubt_ends
from terminald.core.refund_table import Refund
from terminald.core.return_events import DeliveryWindowClosed
from terminald.core.sale_table import SaleState
from terminald.core.schedule import Now
from terminald.core.spool import JobState
from terminald.core.story_orders import ORDERS, WAKEUPS
from terminald.core.story_refunds import REFUND_WAKEUPS, refund_words
from terminald.core.story_sales import (
    DELIVERY_ENDS,
    NOTHING_KEPT,
    OTHER_REASON,
    REASONS,
    RECEIPT_HELD,
    RECEIPTS,
    RETURNED,
    SALE_WAKEUPS,
    SALES,
    SaleWords,
)
from terminald.core.story_text import Present, Text, Tongue, quoted
from terminald.core.story_told import LoggedRecord, Names, Told, tell
from terminald.core.story_vends import VEND_WAKEUPS, goods_words
from terminald.core.tables import Wakeup


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that is known about one sale at one moment."""

    view: SaleView
    #: The journal's records of it, the oldest first.
    records: tuple[LoggedRecord, ...]
    #: Whether these are all of them.
    is_whole: bool
    now: Now
    #: Of the gateway's clock from UTC.
    offset: Duration
    #: Whether the money goes back when the host does not report the goods in time.
    returns_overdue: bool
    is_gateway_reachable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What terminald does by itself; without a time: as soon as what it waits for has come."""

    at: WallTime | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The sale in sentences."""

    certain: tuple[str, ...]
    #: What is not known, or not known yet.
    uncertain: tuple[str, ...]
    #: What the customer should see on the phone and at the terminal.
    customer: tuple[str, ...]
    #: What comes next, the soonest first; nothing: nothing more happens by itself.
    planned: tuple[Planned, ...]
    #: What a person should do; never empty.
    person: tuple[str, ...]
    story: tuple[Told, ...]
    #: What to know about this account itself.
    notes: tuple[str, ...]


_ABOUT: Final = Text("{about}: {what}", "{about}：{what}")
_NO_ORDER: Final = Text(
    "The phone shows nothing of this sale: no payment was begun.", "手机上没有本次交易的任何记录：从未发起付款。"
)
_NOTHING_TO_DO: Final = Text("Nothing has to be done.", "无需人工处理。")
_UNREACHABLE: Final = Text(
    "The gateway can not be reached at present. What depends on it is tried again until it can.",
    "目前无法连接网关，相关操作会一直重试到连上为止。",
)
_CLOCK: Final = Text(
    "The clock of this terminal is not synchronized: the times may be wrong.", "本终端的时钟未同步，所示时间可能不准。"
)
_NOT_WHOLE: Final = Text(
    "The story has gaps: not all records of this sale were found, or there are too many. What is said about its "
    "present state is whole.",
    "经过不完整：部分记录未找到，或记录过多。对当前状态的说明是完整的。",
)


def explain(dossier: Dossier, language: Language, advise: Callable[[str], str]) -> Explanation:
    """Explain a sale. Advise returns what to do about a code of attention, in that language."""
    teller = _Teller(dossier, language)
    return Explanation(
        certain=_distinct(teller.certain()),
        uncertain=_distinct(teller.uncertain()),
        customer=tuple(teller.customer()),
        planned=teller.planned(),
        person=_distinct(teller.person(advise)),
        story=tell(dossier.view, dossier.records, teller.tongue),
        notes=tuple(teller.notes()),
    )


def _distinct(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))


def _both(first: Wakeup | None, later: Wakeup | None) -> Iterator[Wakeup]:
    """Yield the next wake-up of a machine, and the one that it has beside its next question."""
    yield from dict.fromkeys(wakeup for wakeup in (first, later) if wakeup is not None)


class _Teller:
    """Tells one sale in one language. Lives for one call."""

    def __init__(self, dossier: Dossier, language: Language) -> None:
        self.tongue = Tongue(language=language, now=dossier.now, offset=dossier.offset)
        self._dossier = dossier
        self._view = dossier.view
        self._names = Names(dossier.view, self.tongue)
        sale = dossier.view.sale
        self._rows: tuple[SaleWords, SaleWords] = (SALES[sale.state], goods_words(dossier.view))

    # --- each part ---

    def certain(self) -> Iterator[str]:
        yield from (self._say(row.known) for row in self._rows if row.known)
        if self._view.sale.state is SaleState.CANCELED and self._are_orders_closed():
            yield self.tongue.say(NOTHING_KEPT)
        yield from (text for present, values in self._money() if (text := self._of(present.known, values)))
        receipts = [job for job in self._view.jobs if job.slip == "receipt"]
        if receipts:
            last = receipts[-1]
            is_held = last.blocked_by is not None and last.state in (JobState.PRINTING, JobState.REPRINTING)
            yield self.tongue.say(RECEIPT_HELD if is_held else RECEIPTS[last.state])

    def uncertain(self) -> Iterator[str]:
        yield from (text for present, values in self._money() if (text := self._of(present.unknown, values)))
        yield from (self._say(row.unknown) for row in self._rows if row.unknown)

    def customer(self) -> Iterator[str]:
        """Two refunds of one amount are two lines: the phone shows both of them."""
        yield from _distinct(self._of_sale_and_orders())
        yield from (self._of(present.phone, values) for present, values in self._returns())

    def _of_sale_and_orders(self) -> Iterator[str]:
        yield from (self._say(row.customer) for row in self._rows if row.customer)
        yield from (self._of(present.phone, values) for present, values in self._orders())
        if not self._view.attempts:
            yield self.tongue.say(_NO_ORDER)

    def person(self, advise: Callable[[str], str]) -> list[str]:
        lines = [self._say(row.person) for row in self._rows if row.person]
        # Where all has gone back, no refund that was refused leaves anything to do.
        is_back = self._view.sale.state is SaleState.RETURNED
        owners = self._orders() if is_back else self._money()
        lines += [text for present, values in owners if (text := self._of(present.person, values))]
        raised = [self._view.sale.attention]
        raised += [one.attention for one in self._view.refunds]
        raised += [one.attention for one in self._view.attempts]
        lines += [advise(attention.code) for attention in raised if attention]
        return lines or [self.tongue.say(_NOTHING_TO_DO)]

    def planned(self) -> tuple[Planned, ...]:
        found = [*self._plans_of_sale(), *self._plans_of_vend(), *self._plans_of_orders()]
        found += [*self._plans_of_refunds(), *self._plans_of_slips()]
        return tuple(sorted(found, key=lambda plan: (plan.at is not None, plan.at or 0)))

    def notes(self) -> Iterator[str]:
        is_settled = self._are_orders_closed() and all(one.state.is_final for one in self._view.refunds)
        if not is_settled and not self._dossier.is_gateway_reachable:
            yield self.tongue.say(_UNREACHABLE)
        if not self._dossier.now.is_trusted:
            yield self.tongue.say(_CLOCK)
        if not self._dossier.is_whole:
            yield self.tongue.say(_NOT_WHOLE)

    def _are_orders_closed(self) -> bool:
        return all(one.state.is_final for one in self._view.attempts)

    # --- what comes next ---

    def _plans_of_sale(self) -> Iterator[Planned]:
        sale = self._view.sale
        for wakeup in _both(sales.next_wakeup(sale), sales.next_wakeup(replace(sale, offer_at=None))):
            is_delivery = isinstance(wakeup.event, DeliveryWindowClosed)
            ends = DELIVERY_ENDS[self._dossier.returns_overdue]
            yield self._plan(wakeup, ends if is_delivery else SALE_WAKEUPS[type(wakeup.event)])

    def _plans_of_vend(self) -> Iterator[Planned]:
        if (vend := self._view.vend) and (wakeup := vends.next_wakeup(vend)):
            yield self._plan(wakeup, VEND_WAKEUPS[type(wakeup.event), vend.returns_unknown])

    def _plans_of_orders(self) -> Iterator[Planned]:
        for one in self._view.attempts:
            order, wakeup = self._names.order(one.client_sn), attempts.next_wakeup(one)
            awaited = ORDERS[one.kind][one.state].awaited
            is_asked = wakeup is None or isinstance(wakeup.event, AttentionDue | OfferExpired | PollWindowClosed)
            if awaited and is_asked and one.retry is None:
                yield Planned(at=None, what=self._about(order, awaited))
            for each in _both(wakeup, attempts.next_wakeup(replace(one, retry=None))):
                yield self._plan(each, WAKEUPS[type(each.event)], order=order)

    def _plans_of_refunds(self) -> Iterator[Planned]:
        for one in self._view.refunds:
            name = self._names.refund(one.id)
            awaited = refund_words(one, self.tongue.now).awaited
            if awaited and one.retry is None:
                yield Planned(at=None, what=self._about(name, awaited))
            for each in _both(refunds.next_wakeup(one), refunds.next_wakeup(replace(one, retry=None))):
                yield self._plan(each, REFUND_WAKEUPS[type(each.event)], refund=name)

    def _plans_of_slips(self) -> Iterator[Planned]:
        for job in self._view.jobs:
            for each in _both(spool.next_wakeup(job), spool.next_wakeup(replace(job, retry=None))):
                what = self._about(self._names.slip(job), SALE_WAKEUPS[type(each.event)])
                yield Planned(at=self.tongue.wall(each.at), what=what)

    def _plan(self, wakeup: Wakeup, text: Text, **values: str) -> Planned:
        return Planned(at=self.tongue.wall(wakeup.at), what=self.tongue.say(text, **values))

    def _about(self, about: str, text: Text) -> str:
        return self.tongue.say(_ABOUT, about=about, what=self.tongue.say(text))

    # --- sentences ---

    def _say(self, text: Text) -> str:
        sale, tongue = self._view.sale, self.tongue
        reason = REASONS.get(sale.reason, OTHER_REASON)
        returned = tongue.say(RETURNED, returned=tongue.amount(sale.returned)) if sale.returned else ""
        return tongue.say(
            text,
            amount=tongue.amount(sale.order.amount),
            paid=tongue.amount(sale.paid),
            returned=returned,
            reason=tongue.say(reason, reason=quoted(sale.reason)) if sale.reason else "",
            ends=tongue.moment(sale.window_ends),
            machine=quoted(self._view.vend.machine) if self._view.vend else "",
        )

    def _of(self, text: Text | None, values: dict[str, str]) -> str:
        return self.tongue.say(text, **values) if text else ""

    def _money(self) -> Iterator[tuple[Present, dict[str, str]]]:
        """Yield how each order and each refund stands, with what its sentences name."""
        yield from self._orders()
        yield from self._returns()

    def _orders(self) -> Iterator[tuple[Present, dict[str, str]]]:
        for attempt in self._view.attempts:
            yield ORDERS[attempt.kind][attempt.state], self._order_values(attempt)

    def _returns(self) -> Iterator[tuple[Present, dict[str, str]]]:
        for refund in self._view.refunds:
            yield refund_words(refund, self.tongue.now), self._refund_values(refund)

    def _order_values(self, attempt: Attempt) -> dict[str, str]:
        tongue = self.tongue
        is_told = attempt.state.is_final or attempt.is_unanswered
        return {
            "order": self._names.order(attempt.client_sn),
            "amount": tongue.amount(attempt.amount),
            "wallet": tongue.wallet(attempt),
            "transaction": tongue.transaction(attempt),
            "said": tongue.said(attempt.fault if is_told else None),
            "ends": tongue.moment(attempt.window_ends),
            "at": tongue.time(attempt.ended_at or attempt.started_at),
        }

    def _refund_values(self, refund: Refund) -> dict[str, str]:
        return {
            "refund": self._names.refund(refund.id),
            "amount": self.tongue.amount(refund.amount),
            "said": self.tongue.said(refund.fault),
            "until": self.tongue.moment(doubt_ends(refund)),
        }
