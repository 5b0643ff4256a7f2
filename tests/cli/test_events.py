"""``terminald events``: a line for each event, whatever it tells."""

import json
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.adapters.api_views import device_event, key_event
from terminald.adapters.ports import KeyStatus
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.core.ids import SaleId
from terminald.core.kiosk_events import BasketLine, Product, TellBasket
from terminald.core.money import Fen
from terminald.core.refund_table import RefundState
from terminald.core.tables import Attention
from terminald.wire.api_kiosk import basket_event
from terminald.wire.api_views import (
    attention_event,
    print_event,
    readiness_event,
    refund_event,
    sale_event,
    scan_event,
)
from terminald.wire.openapi import EVENTS
from tests.cli.fake_daemon import fake_daemon, problem, stream
from tests.wire.api_samples import MORNING, NOW, job, paid_view, refund

Capture = pytest.CaptureFixture[str]
ALARM = Attention(code="merchant_balance", since=NOW.instant)
KEY = KeyStatus(state="doubtful", age_s=60, rotated_at=MORNING, next_checkin=None, attention=None)
COLA = Product(barcode="6901234567892", name="Cola", price=Fen(350))
CRISPS = Product(barcode="6901234567908", name="Crisps", price=Fen(600))
BASKET = TellBasket(lines=(BasketLine(product=COLA, quantity=2), BasketLine(product=CRISPS)), cause="added")
TOLD = {
    "sale": (sale_event(paid_view(), NOW), "01JDSALE (order-8841) 3.50 yuan: paid 3.50 yuan with WeChat Pay"),
    "refund": (refund_event(refund(state=RefundState.REFUNDING)), "1.00 yuan of sale 01JDSALE: being refunded"),
    "print": (print_event(job(slip="qr", is_copy=True)), "QR (copy) of 01JDSALE: sent to the printer"),
    "scan": (scan_event(None, "front", "too_long", "too long\x1b"), "scan on front not taken: too long\\x1b"),
    "basket": (basket_event(BASKET), "added: 3 in the basket, 13.00 yuan"),
    "device": (
        device_event(DeviceReport(name="front", kind="scanner", state=DeviceState.ABSENT, detail="plug it in")),
        "front: absent plug it in",
    ),
    "readiness": (readiness_event(("draining", "disk_full")), "not ready: draining, disk_full"),
    "key": (key_event(KEY), "the terminal's key: renewal had no clear answer; still valid, 1 min old"),
    "attention": (attention_event(SaleId("01"), None, ALARM, NOW), "sale 01: merchant_balance: The merchant's"),
    "new\x1b": (b'{"n":1}', '{"n":1}'),
}


def run(directory: Path, *arguments: str) -> int:
    return main(["events", "--since", "0", *arguments, "--config", str(directory / "terminald.toml")])


def log() -> bytes:
    frames = [
        b"id: %d\nevent: %b\ndata: %b\n\n" % (at, topic.encode(), body)
        for at, (topic, (body, _)) in enumerate(TOLD.items(), 1)
    ]
    return stream(b"".join(frames))


def test_every_kind_of_event_is_summed_up_in_a_line(tmp_path: Path, capsys: Capture) -> None:
    assert TOLD.keys() >= EVENTS.keys()
    with fake_daemon(tmp_path, log(), problem(410, "events_unknown")):
        assert run(tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(TOLD)
    for line, (_, words) in zip(lines, TOLD.values(), strict=True):
        assert words in line
        assert "\x1b" not in line


def test_some_kinds_can_be_chosen(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, log(), problem(410, "events_unknown")):
        assert run(tmp_path, "--topic", "refund", "--topic", "attention", "--json") == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["refund", "attention"]
    assert events[0]["data"] == json.loads(TOLD["refund"][0])
