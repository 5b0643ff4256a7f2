"""What leaves the terminal as evidence: identifiers are whole, everything else is redacted."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from terminald.adapters.evidence import evidence_json, explained_json
from terminald.core.events import Fault
from terminald.core.ids import Secret
from terminald.core.stimuli import Record
from terminald.core.story import Dossier
from terminald.logs import protect
from terminald.wire.api_story import Origin
from terminald.wire.openapi import openapi_json
from tests.core.machine_builders import SALE_ID
from tests.core.story_samples import STORIES, blocked_return, refunded
from tests.wire.api_samples import Json, schema_faults

DOCUMENT: Json = json.loads(openapi_json("1.2.3"))
ORIGIN = Origin(terminal_sn="12609425781562906", device_id="099a1e754400de42b41bfe82f3fcc01f", version="1.2.3")
CODE = "130812345678901147"
KEY = "0f9a3c7be1d24f58a6c1d2e3f4a5b6c7"


def with_texts(dossier: Dossier, text: str) -> Dossier:
    """Put a text wherever somebody else can put one."""
    view, fault = dossier.view, Fault(code="E", message=text)
    order = replace(view.sale.order, text=replace(view.sale.order.text, subject=text))
    view = replace(
        view,
        sale=replace(view.sale, order=order, reason=text),
        attempts=tuple(replace(one, fault=fault) for one in view.attempts),
        refunds=tuple(replace(one, fault=fault) for one in view.refunds),
    )
    closed = Record(
        kind="attention", subject="sale x", sale_id=SALE_ID, cause="AttentionClosed", before="E", after=text
    )
    last = replace(dossier.records[-1], record=closed)
    return replace(dossier, view=view, records=(*dossier.records, last))


@pytest.mark.parametrize("name", STORIES)
def test_evidence_fits_its_schema(name: str) -> None:
    evidence = json.loads(evidence_json(STORIES[name]().dossier(), ORIGIN, "en"))
    assert schema_faults(evidence, {"$ref": "#/components/schemas/Evidence"}, DOCUMENT) == []


def test_identifiers_keep_their_digits() -> None:
    evidence = json.loads(evidence_json(refunded().dossier(), ORIGIN, "en"))
    assert evidence["terminal"]["sn"] == "12609425781562906"
    assert evidence["attempts"][0]["sn"] == "7894259244067344"
    assert evidence["attempts"][0]["trade_no"] == "4200000000202405011234567890"
    assert evidence["refunds"][0]["client_tsn"] == "t-0001-r1"
    assert evidence["sale"]["id"] == evidence["records"][0]["about"] == SALE_ID


@given(before=st.text(max_size=9), after=st.text(max_size=9), code=st.from_regex(r"[0-9]{16,24}", fullmatch=True))
def test_a_code_is_nowhere_whoever_wrote_it(before: str, after: str, code: str) -> None:
    """I7."""
    assume(code not in SALE_ID)
    dossier = with_texts(blocked_return().dossier(), f"{before}{code}{after}")
    assert code not in evidence_json(dossier, ORIGIN, "zh").decode()


def test_keys_are_nowhere() -> None:
    """I7: also where an identifier would be."""
    protect(Secret(KEY))
    dossier = with_texts(refunded().dossier(), f"sign with {KEY}")
    (order,) = dossier.view.attempts
    facts = replace(order.facts, sn=KEY)
    dossier = replace(dossier, view=replace(dossier.view, attempts=(replace(order, facts=facts),)))
    body = evidence_json(dossier, ORIGIN, "en").decode()
    assert KEY not in body
    assert "sign with ***" in body
    told = explained_json(dossier, "en").decode()
    assert KEY not in told
    assert "transaction ***" in told


def test_codes_are_masked_and_digests_are_not_told() -> None:
    body = evidence_json(refunded().dossier(), ORIGIN, "en").decode()
    assert '"code":"1308…1147"' in body
    assert CODE not in body
    assert not re.search(r"digest|qr_content", body)
    assert CODE[::-1] not in body
