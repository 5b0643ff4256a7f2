"""Each record of a transition is one line; what stands in it, in which order, and what never does."""

import logging

import pytest

from terminald import engine_log
from terminald.core.events import Fault
from terminald.core.ids import Instant, SaleId
from terminald.core.stimuli import NO_SALE, Record
from terminald.engine_log import TransitionLog
from tests.log_lines import lines

SALE = SaleId("01JD")


def record(kind: str, subject: str, before: str, after: str, cause: str = "It") -> Record:
    sale_id = NO_SALE if kind == "key" else SALE
    return Record(kind=kind, subject=subject, sale_id=sale_id, cause=cause, before=before, after=after)


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "terminald")


def test_who_from_to_what_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    told = TransitionLog()
    told.tell(record("sale", SALE, "", "awaiting_payment", "SaleOpened"), Instant(1000))
    told.tell(record("attempt", "a-1", "submitting", "paid", "PayConfirmed"), Instant(1500))
    told.tell(record("refund", "r-1", "", "requested", "RefundOpened"), Instant(1500))
    told.tell(record("print", "j-1", "", "queued", "JobEnqueued"), Instant(1500))
    told.tell(record("vend", SALE, "", "asked", "VendRequested"), Instant(1500))
    told.tell(record("sale", SALE, "awaiting_payment", "paid", "AttemptPaid"), Instant(1750))
    assert lines(caplog.records) == [
        "sale sale=01JD from_state= to_state=awaiting_payment event=SaleOpened",
        "attempt sale=01JD client_sn=a-1 from_state=submitting to_state=paid event=PayConfirmed",
        "refund sale=01JD refund=r-1 from_state= to_state=requested event=RefundOpened",
        "print job sale=01JD job=j-1 from_state= to_state=queued event=JobEnqueued",
        "vend sale=01JD from_state= to_state=asked event=VendRequested",
        "sale sale=01JD from_state=awaiting_payment to_state=paid event=AttemptPaid elapsed_ms=750",
    ]


def test_a_state_lasts_until_it_is_left(caplog: pytest.LogCaptureFixture) -> None:
    told = TransitionLog()
    for now, (before, after) in enumerate((("", "a"), ("a", "a"), ("a", "a"), ("a", "b"), ("b", "c"))):
        told.tell(record("attempt", "a-1", before, after), Instant(now))
    assert [one.partition("elapsed_ms=")[2] for one in lines(caplog.records)] == ["", "1", "2", "3", "1"]


def test_the_key_is_one_whatever_its_number(caplog: pytest.LogCaptureFixture) -> None:
    told = TransitionLog()
    told.tell(record("key", "key 1", "due", "checking_in"), Instant(0))
    fault = Fault(code="EX", message="no")
    told.tell(record("key", "key 2", "checking_in", "fresh"), Instant(9), key_version=2, fault=fault)
    last = "key from_state=checking_in to_state=fresh event=It code=EX detail=no key_version=2 elapsed_ms=9"
    assert lines(caplog.records)[1] == last


def test_calls_for_a_person_and_their_end_are_told_without_what_the_person_wrote(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = TransitionLog()
    told.tell(record("attention", "a-1", "", "order_lost", "OrderAbsent"), Instant(0))
    told.tell(record("attention", "a-1", "order_lost", "gave Mr Li 3 yuan", "AttentionClosed"), Instant(0))
    assert lines(caplog.records) == [
        "a person is called sale=01JD code=order_lost",
        "a call for a person is closed sale=01JD code=order_lost",
    ]
    assert [one.levelname for one in caplog.records] == ["WARNING", "INFO"]


def test_what_is_no_transition_is_not_told_here(caplog: pytest.LogCaptureFixture) -> None:
    told = TransitionLog()
    for kind in ("device", "readiness", "scan", "clock", "basket", "action"):
        told.tell(record(kind, "x", "", "y"), Instant(0))
    assert caplog.records == []


def test_the_number_of_subjects_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """I11: the one that changed longest ago is forgotten."""
    told = TransitionLog()
    for number in range(engine_log.MAX_SUBJECTS + 1):
        told.tell(record("sale", f"{number}", "", "a"), Instant(0))
    told.tell(record("sale", "1", "a", "b"), Instant(5))
    told.tell(record("sale", "0", "a", "b"), Instant(5))
    assert [one.endswith("elapsed_ms=5") for one in lines(caplog.records)[-2:]] == [True, False]
