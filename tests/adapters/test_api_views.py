import json
from dataclasses import replace

import pytest

from terminald.adapters.api_views import (
    decode_filter,
    device_event,
    key_attention_event,
    key_event,
    queried_json,
    status_json,
)
from terminald.adapters.ports import KeyAttention, OrderLook, SaleFilter
from terminald.adapters.ports_care import DiskStatus, RestoredFrom, Standstill
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.core.ids import WallTime
from terminald.errors import ApiError
from terminald.wire.api_problems import ATTENTION_ADVICE
from terminald.wire.api_shapes import ShownState
from terminald.wire.openapi import openapi_json
from tests.adapters.api_desk import KEY, STATUS
from tests.wire.api_samples import MORNING, NOW, Json, paid_view, schema_faults

DOCUMENT: Json = json.loads(openapi_json("1.2.3"))


def test_a_filter_without_parameters_is_the_usual_one() -> None:
    assert decode_filter({}) == SaleFilter()
    assert decode_filter({"reference": "", "state": "", "since": "", "limit": ""}) == SaleFilter()


def test_every_parameter_of_a_filter_arrives() -> None:
    query = {
        "reference": "订单 1",
        "state": "canceled",
        "since": "2025-01-31T16:00:00+08:00",
        "until": "2025-01-31T08:00:01Z",
        "attention": "true",
        "limit": "200",
        "cursor": "01JD",
    }
    assert decode_filter(query) == SaleFilter(
        reference="订单 1",
        state="canceled",
        since=MORNING,
        until=WallTime(MORNING + 1_000),
        needs_attention=True,
        limit=200,
        cursor="01JD",
    )


@pytest.mark.parametrize("state", ShownState)
def test_sales_can_be_listed_by_every_state(state: ShownState) -> None:
    assert decode_filter({"state": state.value}).state == state.value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reference", "r" * 65),
        ("reference", "a\nb"),
        ("cursor", "\x00"),
        ("state", "eaten"),
        ("state", "switching"),
        ("since", "yesterday"),
        ("until", "2025-01-31"),
        ("attention", "yes"),
        ("limit", "0"),
        ("limit", "201"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, value: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_filter({name: value})
    assert (caught.value.code, caught.value.field) == ("invalid_request", name)


def test_what_nobody_knows_without_the_journal_is_null_and_why_is_said() -> None:
    said = Standstill(code="journal_damaged", since=MORNING, detail="code 281234567890123456 in a bad page")
    status = replace(
        STATUS, terminal_sn="", device_id="", activated_at=None, key=None, sale=None, devices=(), last_answer_at=None,
        is_gateway_reachable=None, unresolved=None, print_queue=None, stopped=said,
    )  # fmt: skip
    body = json.loads(status_json(status, "1.2.3"))
    assert body["stopped"] == {
        "code": "journal_damaged",
        "since": "2025-01-31T08:00:00.000+00:00",
        "detail": "code 2812…3456 in a bad page",
        "advice": ATTENTION_ADVICE["journal_damaged"],
    }
    assert body["terminal"] == {"sn": None, "device_id": None, "activated_at": None}
    assert (body["gateway"]["reachable"], body["unresolved"], body["print_queue"]) == (None, None, None)
    assert body.keys() == json.loads(status_json(STATUS, "1.2.3")).keys(), "the shape is the ordinary one"
    assert schema_faults(body, {"$ref": "#/components/schemas/Status"}, DOCUMENT) == []


def test_the_status_has_the_published_shape() -> None:
    disk = DiskStatus(free_mb=900, commit_p99_ms=1_200, copied_at=None, slow_since=STATUS.activated_at)
    restored = RestoredFrom(copied_at=STATUS.activated_at)
    body = json.loads(status_json(replace(STATUS, disk=disk, restored=restored), "1.2.3"))
    assert body == {
        "ready": False,
        "reasons": ["scanner_absent"],
        "terminal": {"sn": "T1", "device_id": "D1", "activated_at": "2025-01-31T08:00:00.000+00:00"},
        "key": {
            "age_s": 60,
            "rotated_at": "2025-01-31T08:00:00.000+00:00",
            "next_checkin": "2025-01-31T08:00:01.000+00:00",
            "state": "fresh",
            "attention": None,
        },
        "gateway": {"reachable": True, "last_answer_at": None},
        "devices": [
            {
                "name": "front",
                "kind": "scanner",
                "state": "absent",
                "detail": "plug it in",
                "since": "2025-01-31T08:00:00.000+00:00",
            }
        ],
        "sale": "01JDSALE",
        "unresolved": 1,
        "attention": 2,
        "print_queue": 3,
        "clock": {"synchronized": True},
        "draining": False,
        "in_flight": True,
        "disk": {
            "free_mb": 900,
            "commit_p99_ms": 1_200,
            "copied_at": None,
            "attention": {
                "code": "disk_slow",
                "since": "2025-01-31T08:00:00.000+00:00",
                "advice": ATTENTION_ADVICE["disk_slow"],
            },
        },
        "stopped": None,
        "restored": {"copied_at": "2025-01-31T08:00:00.000+00:00"},
        "version": "1.2.3",
        "uptime_s": 4,
    }
    assert schema_faults(body, {"$ref": "#/components/schemas/Status"}, DOCUMENT) == []


def test_events_about_the_key_have_the_published_shape() -> None:
    """I7: never the key."""
    stopped = KeyAttention(code="checkin_stopped", since=MORNING)
    call = {
        "code": "checkin_stopped",
        "since": "2025-01-31T08:00:00.000+00:00",
        "advice": ATTENTION_ADVICE["checkin_stopped"],
    }
    shown = json.loads(key_event(replace(KEY, attention=stopped)))
    assert shown["key"]["attention"] == call
    assert schema_faults(shown, {"$ref": "#/components/schemas/KeyEvent"}, DOCUMENT) == []
    raised = json.loads(key_attention_event(stopped))
    assert raised == {"sale": None, "client_sn": None, **call}
    assert schema_faults(raised, {"$ref": "#/components/schemas/AttentionEvent"}, DOCUMENT) == []


def test_what_the_gateway_said_is_told_in_public_words() -> None:
    looks = tuple(
        OrderLook(client_sn=str(at), answer=answer)
        for at, answer in enumerate(["OrderPaid", "OrderPartlyReturned", "QueryFailed", "SomethingNew"])
    )
    body = json.loads(queried_json(paid_view(), looks, NOW))
    assert [order["answer"] for order in body["orders"]] == ["paid", "partly_returned", "unanswered", "unanswered"]
    assert schema_faults(body, {"$ref": "#/components/schemas/QueriedSale"}, DOCUMENT) == []


@pytest.mark.parametrize("state", DeviceState)
def test_a_device_event_is_the_device_of_the_status(state: DeviceState) -> None:
    report = DeviceReport(name="front", kind="scanner", state=state, detail="d")
    body = json.loads(device_event(report))
    assert body == {"name": "front", "kind": "scanner", "state": state.value, "detail": "d", "since": None}
    assert schema_faults(body, {"$ref": "#/components/schemas/Device"}, DOCUMENT) == []
