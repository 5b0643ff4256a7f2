"""The explanation and the evidence as JSON: they fit the document, and say what the core says."""

import json
import re
from dataclasses import replace
from typing import get_args

import pytest

from terminald.core.ids import Duration
from terminald.core.kiosk_table import REASONS as KIOSK_REASONS
from terminald.core.receipt import Language
from terminald.core.schedule import HOUR, MINUTE
from terminald.core.story_past import ALARMS, SCANS
from terminald.errors import ApiError
from terminald.wire import barcode
from terminald.wire.api_advice_zh import ADVICE_ZH, advice_zh
from terminald.wire.api_problems import ATTENTION_ADVICE
from terminald.wire.api_story import (
    LANGUAGES,
    Origin,
    decode_language,
    evidence_shape,
    explanation_json,
    explanation_shape,
)
from terminald.wire.openapi import openapi_json
from tests.core.machine_builders import SALE_ID
from tests.core.story_samples import STORIES, blocked_return, lost_answer, overdue_delivery, paid
from tests.wire.api_samples import Json, schema_faults

DOCUMENT: Json = json.loads(openapi_json("1.2.3"))
ORIGIN = Origin(terminal_sn="T1", device_id="D1", version="1.2.3")


@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize("name", STORIES)
def test_what_is_written_fits_its_schema(name: str, language: Language) -> None:
    body = json.loads(explanation_json(STORIES[name]().dossier(), language))
    assert schema_faults(body, {"$ref": "#/components/schemas/Explanation"}, DOCUMENT) == []
    assert (body["sale"], body["language"], body["timezone"]) == (SALE_ID, language, "+08:00")


def test_times_are_utc_and_sentences_are_of_the_gateways_clock() -> None:
    told = explanation_shape(lost_answer().dossier(), "en")
    assert [plan.at for plan in told.next] == ["2024-05-01T04:00:46.000+00:00", "2024-05-01T04:00:55.000+00:00"]
    assert told.story[0].at == "2024-05-01T04:00:00.000+00:00"
    assert (told.story[-1].times, told.story[-1].until) == (2, "2024-05-01T04:00:43.000+00:00")
    assert "at 12:00:06." in explanation_shape(paid().dossier(), "en").certain[1]


@pytest.mark.parametrize(
    ("offset", "written"), [(0, "+00:00"), (5 * HOUR + 30 * MINUTE, "+05:30"), (-(3 * HOUR + 30 * MINUTE), "-03:30")]
)
def test_the_offset_is_written_as_in_the_configuration(offset: int, written: str) -> None:
    dossier = replace(paid().dossier(), offset=Duration(offset))
    assert explanation_shape(dossier, "en").timezone == written


def test_advice_is_in_the_language_with_commands_that_can_be_typed() -> None:
    english = explanation_shape(overdue_delivery().dossier(), "en").person
    chinese = explanation_shape(overdue_delivery().dossier(), "zh").person
    for lines in (english, chinese):
        assert f"terminald delivered {SALE_ID}" in " ".join(lines)
        assert "SALE" not in " ".join(lines)
    assert re.search("[\u4e00-\u9fff]", chinese[0])


def test_every_alarm_of_a_sale_has_its_advice_in_both_languages() -> None:
    assert ADVICE_ZH.keys() == ALARMS.keys()
    assert ADVICE_ZH.keys() <= ATTENTION_ADVICE.keys()
    for code, advice in ADVICE_ZH.items():
        commands = r"terminald \w+ SALE"
        assert re.findall(commands, advice) == re.findall(commands, ATTENTION_ADVICE[code])
        assert advice_zh(code) == advice
    assert advice_zh("unheard_of")


def test_every_reason_against_a_scan_has_its_words() -> None:
    assert SCANS.keys() == {*get_args(barcode.Reason), "code_reused", "earlier_order_open", *KIOSK_REASONS}


def test_the_language_is_one_of_two() -> None:
    assert decode_language({}) == "en"
    assert [decode_language({"language": language}) for language in LANGUAGES] == list(LANGUAGES)
    for wrong in ("", "fr", "EN"):
        with pytest.raises(ApiError) as refused:
            decode_language({"language": wrong})
        assert (refused.value.code, refused.value.field) == ("invalid_request", "language")


def test_evidence_has_every_number_that_the_gateways_service_may_ask_for() -> None:
    evidence = evidence_shape(blocked_return().dossier(), ORIGIN, "zh")
    (order,), (refund,) = evidence.attempts, evidence.refunds
    assert (evidence.terminal.sn, evidence.terminal.device_id, evidence.terminal.version) == (
        "T1",
        "D1",
        "terminald 1.2.3",
    )
    assert (order.client_sn, order.sn, order.trade_no) == (
        "t-0001",
        "7894259244067344",
        "4200000000202405011234567890",
    )
    assert (order.code, order.net_amount) == ("1308…1147", 350)
    assert (refund.request_no, refund.client_tsn, refund.attention) == ("r1", "t-0001-r1", "merchant_balance")
    assert refund.error is not None
    assert (refund.error.code, refund.error.message) == ("ACCOUNT_BALANCE_NOT_ENOUGH", "商户余额不足")
    assert (evidence.sale.reference, evidence.complete, evidence.explanation.language) == ("order-1", True, "zh")
    first = evidence.records[0]
    assert (first.seq, first.kind, first.about, first.cause, first.monotonic_ms) == (
        1,
        "sale",
        SALE_ID,
        "SaleOpened",
        1_000_000,
    )
    assert (evidence.clock.synchronized, evidence.clock.monotonic_ms) == (True, 1_029_020)


def test_evidence_of_a_terminal_that_is_not_activated_has_no_number_of_it() -> None:
    evidence = evidence_shape(paid().dossier(), replace(ORIGIN, terminal_sn=""), "en")
    assert (evidence.terminal.sn, evidence.attempts[0].error, evidence.attempts[0].attention) == (None, None, "")
    lost = evidence_shape(lost_answer().dossier(), ORIGIN, "en").attempts[0].error
    assert lost is not None
    assert lost.code == "gateway_no_answer"
