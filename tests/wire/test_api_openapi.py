"""The document says what the code does: it is checked against the tables and against what is really written."""

import json
from collections.abc import Iterator

import pytest

from terminald.core.ids import ClientSn, SaleId
from terminald.core.tables import Attention
from terminald.errors import ApiError
from terminald.wire.api_calls import CALLS
from terminald.wire.api_problems import PROBLEMS, problem_json
from terminald.wire.api_views import (
    attention_event,
    print_event,
    readiness_event,
    refund_event,
    refund_json,
    sale_json,
    sales_json,
    scan_event,
)
from terminald.wire.openapi import EVENTS, openapi_json
from tests.wire.api_samples import (
    NOW,
    Json,
    job,
    paid_view,
    qr_view,
    refund,
    refunded_view,
    resolve,
    schema_faults,
)

DOCUMENT: Json = json.loads(openapi_json("1.2.3"))
ALARM = Attention(code="order_errored", since=NOW.instant)
REF = "#/components/schemas/"


def refs(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref" and isinstance(inner, str):
                yield inner
            else:
                yield from refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from refs(inner)


def test_every_reference_leads_somewhere() -> None:
    found = set(refs(DOCUMENT))
    assert len(found) > 10
    for ref in found:
        assert isinstance(resolve(ref, DOCUMENT), dict)


def test_the_document_has_the_calls_and_no_others() -> None:
    assert isinstance(DOCUMENT, dict)
    paths = DOCUMENT["paths"]
    assert isinstance(paths, dict)
    found = {
        (method.upper(), path, operation["operationId"])
        for path, operations in paths.items()
        if isinstance(operations, dict)
        for method, operation in operations.items()
        if isinstance(operation, dict)
    }
    assert found == {(call.method, call.path, call.id) for call in CALLS}
    assert len({call.id for call in CALLS}) == len(CALLS)


def test_every_problem_of_the_table_belongs_to_some_call_or_to_the_form_of_requests() -> None:
    of_no_call = {"no_such_call", "method_not_allowed", "invalid_http"}
    text = json.dumps(DOCUMENT)
    for code in PROBLEMS.keys() - of_no_call:
        assert f"`{code}`" in text


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("Sale", sale_json(paid_view(), NOW)),
        ("Sale", sale_json(qr_view(), NOW)),
        ("Sale", sale_json(refunded_view(), NOW)),
        ("SaleList", sales_json((paid_view(),), NOW, limit=1)),
        ("Refund", refund_json(refund())),
        ("RefundEvent", refund_event(refund(reference=""))),
        ("PrintEvent", print_event(job(slip="qr"))),
        ("AttentionEvent", attention_event(SaleId("01"), ClientSn("A1"), ALARM, NOW)),
        ("AttentionEvent", attention_event(SaleId("01"), None, ALARM, NOW)),
        ("ScanEvent", scan_event(None, "front", "unarmed", "")),
        ("ReadinessEvent", readiness_event(("draining",))),
        ("Problem", problem_json(ApiError("not_ready", "no", reasons=("draining",)))[1]),
        ("Problem", problem_json(ApiError("invalid_request", "no", field="amount"))[1]),
        ("SaleRequest", b'{"reference":"r","amount":1,"subject":"s","goods":[{"name":"n","quantity":1,"price":1}]}'),
        ("RefundRequest", b'{"reference":"r","amount":1}'),
        ("UndeliveredRequest", b'{"amount":1}'),
        ("ClosingRequest", b'{"reason":"paid back in cash"}'),
    ],
)
def test_what_is_written_fits_its_schema(name: str, body: bytes) -> None:
    assert schema_faults(json.loads(body), {"$ref": REF + name}, DOCUMENT) == []


def test_the_stream_names_every_kind_of_event_with_its_shape() -> None:
    answer = json.loads(openapi_json("1.2.3"))["paths"]["/v1/events"]["get"]["responses"]["200"]
    told = answer["content"]["text/event-stream"]["x-events"]
    assert told == {kind: {"$ref": REF + shape.__name__} for kind, shape in EVENTS.items()}
    assert set(told) == {"sale", "refund", "print", "scan", "basket", "device", "readiness", "key", "attention"}


def test_the_check_of_schemas_finds_faults() -> None:
    wrong = json.loads(sale_json(paid_view(), NOW))
    wrong["state"] = "eaten"
    wrong["amount"] = True
    wrong["attempts"][0]["extra"] = 1
    wrong["qr"] = 7
    del wrong["paid"]
    faults = schema_faults(wrong, {"$ref": REF + "Sale"}, DOCUMENT)
    assert {fault.partition(":")[0] for fault in faults} == {
        "$.state",
        "$.amount",
        "$.attempts[0].extra",
        "$.qr",
        "$.paid",
    }
