"""Every transition that the machines can make has its words, and no words are kept that none can have."""

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from functools import cache

import pytest

from terminald.core import attempt as attempts
from terminald.core import refund as refunds
from terminald.core import sale as sales
from terminald.core import spool
from terminald.core import vend as vends
from terminald.core.attempt_table import AttemptState
from terminald.core.events import Answer, Event, Fault, OrderFacts, PrintAnswer
from terminald.core.ids import ClientSn, Instant
from terminald.core.money import Fen
from terminald.core.refund import Asked
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.return_events import RefundEvent
from terminald.core.sale_table import DeliveryState, Sale, SaleState
from terminald.core.schedule import LATE_REQUEST
from terminald.core.spool import JobState
from terminald.core.stimuli import Record
from terminald.core.story_past import ALARMS, PRINTS, REFUNDS, SALES, past_words
from terminald.core.story_past_orders import ANY, ATTEMPTS, Key, Past
from terminald.core.story_vends import VENDS
from terminald.core.vend_events import SaleTold
from terminald.core.vend_table import VendState
from terminald.errors import IllegalTransition
from tests.core.machine_builders import (
    BOTH_ORDER,
    EVENT_TYPES,
    NOON,
    OFFERING,
    OPENING,
    ORDER,
    QR,
    QR_ORDER,
    REFUND_ID,
    RULES,
    SALE_ID,
    TEXT,
    make_event,
)
from tests.core.story_life import SaleStory, confirming
from tests.core.story_samples import STORIES
from tests.core.vend_world import asked

Seen = set[Key]
RESTORED = replace(RULES, is_restored=True)
OTHER = past_words(Record(kind="?", subject="", sale_id=SALE_ID, cause="", before="", after=""))


#: What a machine makes of an event that it was told; the journal has the event as it was told.
DERIVED = {
    *(
        "PaymentNotSeen",
        "OrderVanished",
        "RevokeRefused",
        "RefundAccounted",
        "RefundMissing",
        "RefundDenied",
        "RefundHeldUp",
    ),
    *(
        "OrderStuck",
        "RefundDoubted",
        "CodeBesideOffer",
        "OfferWithdrawn",
        "OfferEnded",
        "LastOfferEnded",
        "ChargeEnded",
    ),
    *("OfferClosing", "ReturnFailed", "ReturnDropped", "ReturnStillOwed", "ApprovalDoubted"),
    *("PartStillOwed", "LateDelivered", "LateUndelivered", "LatePartUndelivered"),
    *("RefundOvertaken", "RefundNeedless", "OrderGone", "RevokeLapsed"),
}


def made(cause: str, before: Enum | str, after: Enum) -> Key:
    return cause, before if isinstance(before, str) else str(before.value), str(after.value)


def events() -> Iterator[Event]:
    """Yield every event, and answers in every variety that makes a difference."""
    for kind in EVENT_TYPES:
        if kind.__name__ in DERIVED:
            continue
        event = make_event(kind)
        yield event
        if isinstance(event, RefundEvent):
            yield replace(event, amount=Fen(100))
        if isinstance(event, Answer):
            for code in ("ACCOUNT_BALANCE_NOT_ENOUGH", "UPAY_TCP_ORDER_NOT_REFUNDABLE"):
                yield replace(event, fault=Fault(code=code, message=""))
            for net in (0, 100, 250):
                yield replace(event, facts=OrderFacts(net_amount=Fen(net)))
            yield replace(event, facts=OrderFacts(client_tsn="t-0001-r1"))


EVENTS = tuple(events())


def attempt_steps() -> Iterator[tuple[Key, str | None]]:
    scan, _ = attempts.begin(OPENING, amount=Fen(350), text=TEXT, now=NOON, rules=RULES)
    qr, _ = attempts.begin_offer(OFFERING, amount=Fen(350), payway="3", text=TEXT, now=NOON)
    held, _ = attempts.begin(replace(OPENING, is_held=True), amount=Fen(350), text=TEXT, now=NOON, rules=RULES)
    for one in (scan, qr, held):
        yield made("AttemptOpened", "", one.state), None
    ended = replace(qr, qr_content=QR, window_ends=NOON.instant)
    for state in AttemptState:
        for one in (replace(scan, state=state), replace(qr, state=state), replace(ended, state=state)):
            undoing = replace(one, undoing_since=NOON.instant)
            for event in EVENTS:
                try:
                    after, _ = attempts.step(undoing, event, now=NOON, rules=RULES)
                except IllegalTransition:
                    continue
                alarm = after.attention.code if after.attention else None
                yield made(type(event).__name__, state, after.state), alarm


def refund_steps() -> Iterator[tuple[Key, str | None]]:
    story = STORIES["paid"]()
    view = story.dossier().view
    assert view.paid_by is not None
    paid = refunds.PaidOrder(
        sale_id=SALE_ID, client_sn=view.paid_by.client_sn, amount=Fen(350), operator="kiosk", paid_at=NOON.wall
    )
    for kind in RefundKind:
        asked = Asked(kind=kind, amount=Fen(350 if kind is not RefundKind.REFUND else 100))
        begun = refunds.begin(asked, 1, paid, now=NOON)
        yield made("RefundOpened", "", begun.state), None
        for state in RefundState:
            for refusal in ("", "ACCOUNT_BALANCE_NOT_ENOUGH", "UPAY_TCP_ORDER_NOT_REFUNDABLE", "OTHER"):
                for is_owed, tries in ((False, 0), (True, 0), (True, 9)):
                    one = replace(begun, state=state, refusal=refusal, is_owed=is_owed, tries=tries)
                    yield from _refund_steps(one)
                    yield from _refund_steps(replace(one, unclear=NOON.instant))
                    yield from _refund_steps(replace(one, opened=Instant(NOON.instant - LATE_REQUEST)))
                    yield from _refund_steps(replace(one, revoke_until=NOON.wall))


def _refund_steps(one: Refund) -> Iterator[tuple[Key, str | None]]:
    for event in EVENTS:
        try:
            after, _ = refunds.step(one, event, now=NOON)
        except IllegalTransition:
            continue
        yield made(type(event).__name__, one.state, after.state), after.attention.code if after.attention else None


def sale_steps() -> Iterator[tuple[Key, str | None]]:
    offer = ClientSn("t-0001")
    for order in (ORDER, QR_ORDER, BOTH_ORDER, confirming()):
        begun, _ = sales.begin(SALE_ID, order, now=NOON, rules=RULES, fresh=offer)
        yield made("SaleOpened", "", begun.state), None
        for state in SaleState:
            paid = Fen(350 if state in (SaleState.PAID, SaleState.COMPLETED, SaleState.RETURNING) else 0)
            for delivery in DeliveryState:
                one = replace(begun, state=state, delivery=delivery, paid=paid, attempts=(offer, ClientSn("t-0002")))
                for varied in _sale_variants(one, offer):
                    yield from _sale_steps(varied)


def _sale_variants(one: Sale, offer: ClientSn) -> Iterator[Sale]:
    for open_offer in (None, offer):
        for offers in (1, 3):
            waits = replace(one, offer=open_offer, offers=offers, waits_for=(offer, ClientSn("t-0002")))
            yield waits
            yield replace(waits, waits_for=(offer,))
            yield replace(waits, whole=REFUND_ID)
            yield replace(waits, delivery_ends=Instant(0))


def _sale_steps(one: Sale) -> Iterator[tuple[Key, str | None]]:
    for event in (event for event in EVENTS if not isinstance(event, Answer)):
        for rules in (RULES, replace(RULES, returns_overdue=True), RESTORED)[: 3 if one.state is SaleState.PAID else 1]:
            try:
                after, _ = sales.step(one, event, now=NOON, rules=rules, fresh=ClientSn("t-0003"))
            except (IllegalTransition, LookupError):  # without a QR order there is nothing to tell of one
                continue
            yield made(type(event).__name__, one.state, after.state), after.attention.code if after.attention else None


def job_steps() -> Iterator[tuple[Key, str | None]]:
    story = STORIES["paid"]()
    (job,) = story.dossier().view.jobs
    yield ("JobEnqueued", "", "queued"), None
    for state in JobState:
        for event in EVENTS:
            if isinstance(event, PrintAnswer) or not isinstance(event, Answer):
                try:
                    after, _ = spool.step(replace(job, state=state), event, now=NOON)
                except IllegalTransition:
                    continue
                yield made(type(event).__name__, state, after.state), None


def vend_steps() -> Iterator[tuple[Key, str | None]]:
    begun = vends.begin(asked(), SALE_ID, now=NOON)
    yield made("VendRequested", "", begun.state), None
    for state in VendState:
        for one in (replace(begun, state=state), replace(begun, state=state, answer_by=NOON.instant, is_doubted=True)):
            for event in EVENTS:
                try:
                    after, commands = vends.step(one, event, now=NOON)
                except IllegalTransition:
                    continue
                if not isinstance(event, SaleTold) or after.state is not state or commands:
                    yield made(type(event).__name__, state, after.state), None


@cache
def steps_of(kind: str) -> frozenset[tuple[Key, str | None]]:
    """Return every transition that a kind of machine can make, with the alarm that it raises."""
    return frozenset(STEPS[kind][1]())


STEPS = {
    "attempt": (ATTEMPTS, attempt_steps),
    "refund": (REFUNDS, refund_steps),
    "sale": (SALES, sale_steps),
    "print": (PRINTS, job_steps),
    "vend": (VENDS, vend_steps),
}


@pytest.mark.parametrize("kind", STEPS)
def test_every_transition_has_its_words(kind: str) -> None:
    seen = {key for key, _ in steps_of(kind)}
    assert len(seen) > len(STEPS)
    without = {
        (cause, before, after)
        for cause, before, after in seen
        if past_words(Record(kind=kind, subject="x", sale_id=SALE_ID, cause=cause, before=before, after=after)) is OTHER
    }
    assert without == set()


@pytest.mark.parametrize("kind", STEPS)
def test_no_words_are_kept_for_what_never_happens(kind: str) -> None:
    table, _ = STEPS[kind]
    used = {closest(table, key) for key, _ in steps_of(kind)}
    assert set(table) - used == set()


def closest(table: Past, key: Key) -> Key | None:
    cause, before, after = key
    for one in (key, (cause, before, ANY), (cause, ANY, after), (cause, ANY, ANY)):
        if one in table:
            return one
    return None


def test_every_alarm_has_its_words_and_no_other() -> None:
    raised = {alarm for kind in STEPS for _, alarm in steps_of(kind) if alarm}
    assert raised == set(ALARMS)


@pytest.mark.parametrize("name", STORIES)
def test_typical_stories_need_no_fallback(name: str) -> None:
    for logged in STORIES[name]().records:
        assert past_words(logged.record) is not OTHER, logged.record


def test_a_story_begins_with_its_opening() -> None:
    (opened,) = SaleStory().records
    assert (opened.record.cause, opened.seq, opened.wall) == ("SaleOpened", 1, NOON.wall)
