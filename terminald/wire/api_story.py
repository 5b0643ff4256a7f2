"""A sale explained, and the evidence about it for the gateway's customer service, as JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.ids import Duration
from terminald.core.receipt import Language
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.sale_table import DeliveryState
from terminald.core.schedule import MINUTE
from terminald.core.story import Dossier, explain
from terminald.core.story_told import LoggedRecord
from terminald.errors import ApiError
from terminald.wire import api_shapes as shapes
from terminald.wire.api_advice_zh import advice_zh
from terminald.wire.api_problems import advice
from terminald.wire.api_shapes import Amount, Time
from terminald.wire.api_views import rfc3339, rfc3339_or_none

LANGUAGES: Final = ("en", "zh")
_ADVICE: Final[Mapping[Language, Callable[[str], str]]] = {"en": advice, "zh": advice_zh}


class Plan(Struct, frozen=True, kw_only=True):
    """What terminald does by itself. At is null where it happens as soon as an answer has come."""

    at: Time | None
    what: str


class StoryLine(Struct, frozen=True, kw_only=True):
    """What happened; several times until ``until``, where times is more than 1."""

    at: Time
    until: Time | None
    times: int
    text: str


class Explanation(Struct, frozen=True, kw_only=True):
    """A sale in plain sentences. Times within them are of the gateway's clock, whose offset is ``timezone``."""

    sale: str
    language: Literal["en", "zh"]
    timezone: str
    certain: Annotated[tuple[str, ...], Meta(description="what is proven")]
    open: Annotated[tuple[str, ...], Meta(description="what is not known, or not known yet")]
    customer: Annotated[tuple[str, ...], Meta(description="what the customer should see")]
    next: Annotated[tuple[Plan, ...], Meta(description="what terminald does by itself, the soonest first")]
    person: Annotated[tuple[str, ...], Meta(description="what a person should do")]
    story: Annotated[tuple[StoryLine, ...], Meta(description="what has happened, the oldest first")]
    notes: Annotated[tuple[str, ...], Meta(description="what to know about this account itself")]


class EvidenceTerminal(Struct, frozen=True, kw_only=True):
    """Which terminal, and what runs on it."""

    sn: str | None
    device_id: str
    version: str


class EvidenceClock(Struct, frozen=True, kw_only=True):
    """The board's clock when the evidence was taken. Monotonic_ms is the time line of the records' ``monotonic_ms``."""

    now: Time
    monotonic_ms: int
    synchronized: bool


class EvidenceSale(Struct, frozen=True, kw_only=True):
    """What was sold."""

    id: str
    reference: str
    state: shapes.ShownState
    amount: Amount
    paid: Amount
    returned: Amount
    subject: str
    delivery: DeliveryState
    reason: str
    created_at: Time
    closed_at: Time | None


class EvidenceAttempt(Struct, frozen=True, kw_only=True):
    """One order at the gateway, with all its numbers. Code is the masked payment code."""

    client_sn: str
    sn: str
    trade_no: str
    client_tsn: str
    kind: str
    state: AttemptState
    amount: Amount
    net_amount: Amount | None
    payway: str
    finish_time: str
    code: str
    error: shapes.Error | None
    attention: str
    started_at: Time
    ended_at: Time | None


class EvidenceRefund(Struct, frozen=True, kw_only=True):
    """Money that goes back, with all its numbers."""

    id: str
    client_sn: str
    request_no: str
    client_tsn: str
    reference: str
    kind: RefundKind
    state: RefundState
    amount: Amount
    error: shapes.Error | None
    attention: str
    started_at: Time
    ended_at: Time | None


class EvidenceRecord(Struct, frozen=True, kw_only=True):
    """One row of the journal; about names the sale, order, refund or slip."""

    seq: int
    at: Time
    monotonic_ms: int
    kind: str
    about: str
    cause: str
    before: str
    after: str


class Evidence(Struct, frozen=True, kw_only=True):
    """All that the gateway's customer service may ask for: no keys, and no payment code but masked."""

    terminal: EvidenceTerminal
    clock: EvidenceClock
    sale: EvidenceSale
    attempts: tuple[EvidenceAttempt, ...]
    refunds: tuple[EvidenceRefund, ...]
    records: tuple[EvidenceRecord, ...]
    complete: Annotated[bool, Meta(description="whether these are all records of the sale")]
    explanation: Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which terminal gives the evidence."""

    terminal_sn: str
    device_id: str
    version: str


def decode_language(query: Mapping[str, str]) -> Language:
    """Read the parameter ``language``; English when it is missing.

    Raises:
        ApiError: invalid_request.
    """
    match query.get("language", "en"):
        case "en":
            return "en"
        case "zh":
            return "zh"
        case _:
            raise ApiError("invalid_request", f"language: expected one of {', '.join(LANGUAGES)}", field="language")


def explanation_json(dossier: Dossier, language: Language) -> bytes:
    """Write the explanation of a sale."""
    return msgspec.json.encode(explanation_shape(dossier, language))


def explanation_shape(dossier: Dossier, language: Language) -> Explanation:
    """Return the explanation of a sale."""
    sale_id, advise = dossier.view.sale.id, _ADVICE[language]
    # Commands are ready to be typed.
    told = explain(dossier, language, lambda code: advise(code).replace("SALE", sale_id))
    return Explanation(
        sale=sale_id,
        language=language,
        timezone=_offset(dossier.offset),
        certain=told.certain,
        open=told.uncertain,
        customer=told.customer,
        next=tuple(Plan(at=rfc3339_or_none(plan.at), what=plan.what) for plan in told.planned),
        person=told.person,
        story=tuple(
            StoryLine(at=rfc3339(line.at), until=rfc3339_or_none(line.until), times=line.times, text=line.text)
            for line in told.story
        ),
        notes=told.notes,
    )


def _offset(offset: Duration) -> str:
    hours, minutes = divmod(abs(offset) // MINUTE, 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"


def evidence_shape(dossier: Dossier, origin: Origin, language: Language) -> Evidence:
    """Return the evidence about a sale. Texts of the gateway and of people are not redacted yet."""
    view, now = dossier.view, dossier.now
    sale = view.sale
    return Evidence(
        terminal=EvidenceTerminal(
            sn=origin.terminal_sn or None, device_id=origin.device_id, version=f"terminald {origin.version}"
        ),
        clock=EvidenceClock(now=rfc3339(now.wall), monotonic_ms=now.instant, synchronized=now.is_trusted),
        sale=EvidenceSale(
            id=sale.id,
            reference=sale.order.reference,
            state=shapes.ShownState(sale.state.shown),
            amount=sale.order.amount,
            paid=sale.paid,
            returned=sale.returned,
            subject=sale.order.text.subject,
            delivery=sale.delivery,
            reason=sale.reason,
            created_at=rfc3339(sale.created_at),
            closed_at=rfc3339_or_none(sale.closed_at),
        ),
        attempts=tuple(_attempt(one) for one in view.attempts),
        refunds=tuple(_refund(one) for one in view.refunds),
        records=tuple(_record(one) for one in dossier.records),
        complete=dossier.is_whole,
        explanation=explanation_shape(dossier, language),
    )


def _attempt(attempt: Attempt) -> EvidenceAttempt:
    facts, fault = attempt.facts, attempt.fault
    return EvidenceAttempt(
        client_sn=attempt.client_sn,
        sn=facts.sn,
        trade_no=facts.trade_no,
        client_tsn=facts.client_tsn,
        kind=attempt.kind,
        state=attempt.state,
        amount=attempt.amount,
        net_amount=facts.net_amount,
        payway=facts.payway,
        finish_time=facts.finish_time,
        code=attempt.code_masked,
        error=None if fault is None else shapes.Error(code=fault.code, message=fault.message),
        attention=attempt.attention.code if attempt.attention else "",
        started_at=rfc3339(attempt.started_at),
        ended_at=rfc3339_or_none(attempt.ended_at),
    )


def _refund(refund: Refund) -> EvidenceRefund:
    fault = refund.fault
    return EvidenceRefund(
        id=refund.id,
        client_sn=refund.client_sn,
        request_no=refund.request_no,
        # As the gateway names it (Web API documents, refund).
        client_tsn=f"{refund.client_sn}-{refund.request_no}",
        reference=refund.reference,
        kind=refund.kind,
        state=refund.state,
        amount=refund.amount,
        error=None if fault is None else shapes.Error(code=fault.code, message=fault.message),
        attention=refund.attention.code if refund.attention else "",
        started_at=rfc3339(refund.opened_at),
        ended_at=rfc3339_or_none(refund.ended_at),
    )


def _record(logged: LoggedRecord) -> EvidenceRecord:
    record = logged.record
    return EvidenceRecord(
        seq=logged.seq,
        at=rfc3339(logged.wall),
        monotonic_ms=logged.at,
        kind=record.kind,
        about=record.subject,
        cause=record.cause,
        before=record.before,
        after=record.after,
    )
