"""Core values as the API's tests need them, and a small reader of JSON schemas."""

from collections.abc import Mapping
from dataclasses import replace

from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import SaleView
from terminald.core.commands import OrderText
from terminald.core.events import Fault, OrderFacts
from terminald.core.ids import ClientSn, Instant, JobId, Reference, RefundId, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.sale_table import Sale, SaleOrder, SaleState
from terminald.core.schedule import Now
from terminald.core.spool import JobState, PrintJob
from terminald.core.tables import Attention
from terminald.wire.api import SaleDefaults

DEFAULTS = SaleDefaults(
    methods=("scan",),
    operator="kiosk",
    max_amount=100_000,
    receipt=True,
    qr_payway="3",
    delivery="none",
    refund_slips=True,
)
#: 2025-01-31T08:00:00+00:00
MORNING = WallTime(1_738_310_400_000)
NOW = Now(instant=Instant(1_000_000), wall=MORNING)


def order(reference: str = "order-8841", amount: int = 350) -> SaleOrder:
    return SaleOrder(
        reference=Reference(reference),
        amount=Fen(amount),
        methods=("scan",),
        text=OrderText(subject="Cola", operator="kiosk"),
        wants_receipt=True,
    )


def sale(
    sale_id: str = "01JDSALE",
    *,
    state: SaleState = SaleState.COMPLETED,
    wanted: SaleOrder | None = None,
    attempts: tuple[str, ...] = (),
    reason: str = "",
) -> Sale:
    wanted = wanted or order()
    is_paid = state in (SaleState.PAID, SaleState.COMPLETED, SaleState.RETURNING, SaleState.RETURNED)
    return Sale(
        id=SaleId(sale_id),
        order=wanted,
        state=state,
        attempts=tuple(ClientSn(name) for name in attempts),
        paid=wanted.amount if is_paid else Fen(0),
        reason=reason,
        window_ends=Instant(1_090_000),
        created_at=MORNING,
        updated_at=WallTime(MORNING + 2_500),
        closed_at=WallTime(MORNING + 2_500) if state.is_final else None,
    )


def attempt(
    client_sn: str = "A1",
    *,
    state: AttemptState = AttemptState.PAID,
    attention: Attention | None = None,
    fault: Fault | None = None,
    facts: OrderFacts | None = None,
) -> Attempt:
    return Attempt(
        client_sn=ClientSn(client_sn),
        sale_id=SaleId("01JDSALE"),
        kind="scan",
        amount=Fen(350),
        operator="kiosk",
        code_masked="1308…1147",
        code_digest="digest",
        state=state,
        token=1,
        facts=facts or OrderFacts(sn="7894", trade_no="4200", payway="3"),
        fault=fault,
        started=Instant(1_000_000),
        started_at=WallTime(MORNING + 1_000),
        ended_at=WallTime(MORNING + 2_000) if state.is_final else None,
        window_ends=Instant(1_050_000),
        retry=None,
        tries=0,
        is_unanswered=False,
        undoing_since=None,
        looks=(),
        attention=attention,
    )


def offer(client_sn: str = "Q1", *, state: AttemptState = AttemptState.OFFERED) -> Attempt:
    """A QR order that can be paid for another 40 s."""
    return replace(
        attempt(client_sn, state=state, facts=OrderFacts(sn="7895")),
        kind="qr",
        code_masked="",
        code_digest="",
        qr_content="https://qr.example/1",
        window_ends=Instant(NOW.instant + 40_000),
    )


def qr_view(sale_state: SaleState = SaleState.AWAITING_PAYMENT, state: AttemptState = AttemptState.OFFERED) -> SaleView:
    wanted = replace(order(), methods=("scan", "qr"), qr_payway="3")
    opened = replace(sale(state=sale_state, wanted=wanted, attempts=("Q1",)), offer=ClientSn("Q1"))
    return SaleView(sale=opened, attempts=(offer(state=state),))


def refund(
    number: int = 1,
    *,
    state: RefundState = RefundState.DONE,
    kind: RefundKind = RefundKind.REFUND,
    amount: int = 100,
    reference: str = "back-1",
    fault: Fault | None = None,
    attention: Attention | None = None,
) -> Refund:
    return Refund(
        id=RefundId(f"01JDSALE-r{number}"),
        sale_id=SaleId("01JDSALE"),
        client_sn=ClientSn("A1"),
        order_amount=Fen(350),
        reference=reference,
        kind=kind,
        amount=Fen(amount),
        left=Fen(350),
        request_no=f"r{number}",
        operator="kiosk",
        is_owed=not reference,
        state=state,
        token=1,
        fault=fault,
        refusal="",
        opened=Instant(1_000_000),
        opened_at=WallTime(MORNING + 3_000),
        ended_at=WallTime(MORNING + 4_000) if state.is_final else None,
        retry=None,
        tries=0,
        attention=attention,
    )


def refunded_view() -> SaleView:
    """A part has gone back, and another one is on its way."""
    paid = paid_view()
    under_way = refund(2, state=RefundState.PROVING, amount=50, reference="back-2")
    return replace(paid, sale=replace(paid.sale, returned=Fen(100)), refunds=(refund(), under_way))


def job(
    state: JobState = JobState.UNVERIFIED, *, number: int = 1, is_copy: bool = False, slip: str = "receipt"
) -> PrintJob:
    return PrintJob(
        id=JobId(f"01JDSALE-{number}"),
        sale_id=SaleId("01JDSALE"),
        is_copy=is_copy,
        state=state,
        token=1,
        evidence="sent",
        tries=0,
        retry=None,
        expires=Instant(1_120_000),
        created_at=MORNING,
        slip=slip,
    )


def paid_view(sale_id: str = "01JDSALE", wanted: SaleOrder | None = None) -> SaleView:
    return SaleView(sale=sale(sale_id, wanted=wanted, attempts=("A1",)), attempts=(attempt(),), jobs=(job(),))


def open_view(sale_id: str, wanted: SaleOrder) -> SaleView:
    opened = replace(sale(sale_id, wanted=wanted), state=SaleState.AWAITING_PAYMENT, paid=Fen(0), closed_at=None)
    return SaleView(sale=opened, attempts=(), jobs=())


# --- JSON schema -----------------------------------------------------------------------------------------------------

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


def schema_faults(value: Json, schema: Json, document: Json, place: str = "$") -> list[str]:
    """Say where a value breaks a schema; knows the keywords that our document uses, and refuses others."""
    assert isinstance(schema, dict)
    faults: list[str] = []
    for keyword, rule in schema.items():
        faults += _faults(keyword, rule, value, document, place, schema)
    return faults


def resolve(ref: Json, document: Json) -> Json:
    assert isinstance(ref, str)
    found = document
    for step in ref.removeprefix("#/").split("/"):
        assert isinstance(found, dict)
        found = found[step]
    return found


def _faults(  # noqa: PLR0911 - one return for each keyword
    keyword: str, rule: Json, value: Json, document: Json, place: str, schema: dict[str, Json]
) -> list[str]:
    match keyword, rule:
        case "$ref", str():
            return schema_faults(value, resolve(rule, document), document, place)
        case "anyOf", list():
            if any(not schema_faults(value, one, document, place) for one in rule):
                return []
            return [f"{place}: none of anyOf"]
        case "enum", list():
            return [] if value in rule else [f"{place}: not in enum"]
        case "type", str():
            is_type = isinstance(value, _TYPES[rule]) and not (rule == "integer" and isinstance(value, bool))
            return [] if is_type else [f"{place}: not {rule}"]
        case "properties", dict() if isinstance(value, dict):
            unknown = [f"{place}.{name}: unknown" for name in value if name not in rule]
            known = [
                fault
                for name, one in value.items()
                if name in rule
                for fault in schema_faults(one, rule[name], document, f"{place}.{name}")
            ]
            return unknown + known
        case "required", list() if isinstance(value, dict):
            return [f"{place}.{name}: missing" for name in rule if name not in value]
        case "items", dict() if isinstance(value, list):
            return [
                fault for at, one in enumerate(value) for fault in schema_faults(one, rule, document, f"{place}[{at}]")
            ]
    assert keyword in {
        *("properties", "required", "items", "title", "description", "default", "format", "additionalProperties"),
        *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"),
    }, (keyword, schema)
    return []
