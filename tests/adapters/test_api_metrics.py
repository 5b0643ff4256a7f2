"""What ``GET /metrics`` says of a status."""

import re
from dataclasses import replace

from terminald.adapters.api_metrics import metrics_text
from terminald.adapters.ports_care import Standstill
from terminald.core.ids import WallTime
from terminald.wire.api_problems import READINESS_ADVICE
from terminald.wire.metrics import gauge
from tests.adapters.api_desk import KEY, STATUS
from tests.wire.api_samples import MORNING

FIGURE = gauge("terminald_disk_free_bytes", "Left.", 5)
TEXT = metrics_text(STATUS, (FIGURE,), "1.2.3").decode()


def values(text: str) -> dict[str, float]:
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
    }


def test_every_part_of_the_status_is_there() -> None:
    found = values(TEXT)
    rest = {name: value for name, value in found.items() if "reason=" not in name and "state=" not in name}
    assert rest == {
        "terminald_up": 1,
        'terminald_build_info{version="1.2.3"}': 1,
        "terminald_uptime_seconds": 4,
        "terminald_draining": 0,
        "terminald_ready": 0,
        "terminald_key_age_seconds": 60,
        "terminald_key_rotated_timestamp_seconds": MORNING / 1000,
        "terminald_key_next_checkin_timestamp_seconds": MORNING / 1000 + 1,
        'terminald_key_checkins_total{outcome="renewed"}': 3,
        'terminald_key_checkins_total{outcome="refused"}': 0,
        "terminald_gateway_reachable": 1,
        "terminald_clock_synchronized": 1,
        "terminald_sale_open": 1,
        'terminald_stopped{code="journal_damaged"}': 0,
        'terminald_stopped{code="journal_failed"}': 0,
        'terminald_stopped{code="journal_too_new"}': 0,
        "terminald_unresolved": 1,
        "terminald_attention": 2,
        "terminald_print_queue": 3,
        "terminald_disk_free_bytes": 5,
    }
    assert found['terminald_devices{name="front",kind="scanner",state="absent"}'] == 1
    assert found['terminald_devices{name="front",kind="scanner",state="ready"}'] == 0
    assert found['terminald_key_state{state="fresh"}'] == 1
    assert found['terminald_key_state{state="locked_out"}'] == 0


def test_every_documented_reason_is_there_whether_it_holds_or_not() -> None:
    """An alert on a reason that has never been seen is an alert on nothing."""
    found = values(TEXT)
    reasons = {name: found[f'terminald_not_ready{{reason="{name}"}}'] for name in READINESS_ADVICE}
    assert {name for name, value in reasons.items() if value} == {"scanner_absent"}
    ready = values(metrics_text(replace(STATUS, reasons=()), (), "1.2.3").decode())
    assert ready["terminald_ready"] == 1
    assert not any(ready[f'terminald_not_ready{{reason="{name}"}}'] for name in READINESS_ADVICE)


def test_what_is_not_known_is_missing_and_not_zero() -> None:
    """Zero would be 1970, or a key that is brand new."""
    unknown = values(metrics_text(replace(STATUS, key=None), (), "1.2.3").decode())
    assert not any(name.startswith("terminald_key_age") or "timestamp" in name for name in unknown)
    assert unknown['terminald_key_state{state="fresh"}'] == 0
    stopped = replace(STATUS, key=replace(KEY, next_checkin=None), last_answer_at=WallTime(MORNING))
    found = values(metrics_text(stopped, (), "1.2.3").decode())
    assert "terminald_key_next_checkin_timestamp_seconds" not in found
    assert found["terminald_gateway_last_answer_timestamp_seconds"] == MORNING / 1000


def test_each_family_is_described_once_and_before_its_samples() -> None:
    named = re.findall(r"^# TYPE (\S+) (gauge|counter)$", TEXT, re.MULTILINE)
    assert len(named) == len(dict(named))
    assert re.findall(r"^# HELP (\S+) \S", TEXT, re.MULTILINE) == [name for name, _ in named]
    for name, kind in named:
        assert name.startswith("terminald_")
        assert (kind == "counter") == name.endswith("_total")
    current = ""
    for line in TEXT.splitlines():
        current = line.split()[2] if line.startswith("# TYPE") else current
        assert line.startswith("#") or re.split(r"[{ ]", line)[0] == current


def test_what_nobody_knows_is_missing_and_not_zero() -> None:
    said = Standstill(code="journal_damaged", since=MORNING, detail="")
    status = replace(STATUS, key=None, is_gateway_reachable=None, unresolved=None, print_queue=None, stopped=said)
    found = values(metrics_text(status, (), "1.2.3").decode())
    assert found['terminald_stopped{code="journal_damaged"}'] == 1
    missing = {
        "terminald_gateway_reachable",
        "terminald_unresolved",
        "terminald_print_queue",
        "terminald_key_age_seconds",
    }
    assert missing.isdisjoint(found)
