"""A sale is explained in every state, in both languages, and no sentence says more than is known."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core import story as explaining
from terminald.core import (
    story_orders,
    story_past,
    story_past_orders,
    story_refunds,
    story_sales,
    story_text,
    story_told,
)
from terminald.core.attempt_table import UNPAID, AttemptState
from terminald.core.book import SaleView
from terminald.core.events import Blockage, Fault, OrderFacts, OrderPaid
from terminald.core.ids import ClientSn, Instant, RefundId, WallTime
from terminald.core.money import Fen
from terminald.core.receipt import Language
from terminald.core.refund_answers import doubt_ends
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import DAY, HOUR, LATE_REQUEST, SECOND
from terminald.core.spool import JobState
from terminald.core.stimuli import Record
from terminald.core.story import Dossier, Explanation, explain
from terminald.core.story_text import MAX_QUOTED, Text, Tongue, quoted
from terminald.core.story_told import MAX_LINES, LoggedRecord
from terminald.core.tables import Attention
from tests.core.machine_builders import NOON, SALE_ID
from tests.core.story_life import SaleStory
from tests.core.story_samples import (
    STORIES,
    delivery_answered_for,
    lost_answer,
    paid,
    qr_expired,
    refunded,
    refusal_in_doubt,
)
from tests.core.till import JOB_ID

LANGUAGES: tuple[Language, ...] = get_args(Language)
KINDS = ("scan", "qr")
MODULES = (
    *(explaining, story_text, story_orders, story_refunds, story_sales, story_past, story_past_orders),
    story_told,
)
_NAMES = re.compile(r"{(\w+)}")


def told(dossier: Dossier, language: Language = "en") -> Explanation:
    return explain(dossier, language, lambda code: f"advice about {code}")


def sentences(explanation: Explanation) -> list[str]:
    return [
        *explanation.certain,
        *explanation.uncertain,
        *explanation.customer,
        *(plan.what for plan in explanation.planned),
        *explanation.person,
        *(line.text for line in explanation.story),
        *explanation.notes,
    ]


def with_order(state: AttemptState, kind: str = "scan", sale: SaleState = SaleState.PROCESSING) -> Dossier:
    """Return a sale whose one order is in this state, with a request under way where it is open."""
    dossier = lost_answer().dossier()
    view = dossier.view
    order = replace(view.attempts[0], state=state, kind=kind, retry=None)
    return replace(dossier, view=replace(view, sale=replace(view.sale, state=sale), attempts=(order,)))


def with_refund(kind: RefundKind, state: RefundState, amount: int = 100) -> Dossier:
    dossier = refunded().dossier()
    (refund,) = dossier.view.refunds
    return with_view(dossier, refunds=(replace(refund, kind=kind, state=state, amount=Fen(amount)),))


def with_view(dossier: Dossier, **changes: object) -> Dossier:
    return replace(dossier, view=replace(dossier.view, **changes))  # type: ignore[arg-type]  # a test's choice


# --- every state has its words ---------------------------------------------------------------------------------------


def check(explanation: Explanation) -> None:
    found = sentences(explanation)
    assert explanation.certain
    assert explanation.person
    for text in found:
        assert text == text.strip()
        assert not re.search(r"[{}]|None", text), text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", AttemptState)
def test_every_order_has_its_words(state: AttemptState, kind: str, language: Language) -> None:
    words = story_orders.ORDERS[kind][state]
    assert words.known or words.unknown
    explanation = told(with_order(state, kind), language)
    check(explanation)
    assert explanation.customer
    assert bool(explanation.planned) == (not state.is_final)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", RefundKind)
@pytest.mark.parametrize("state", RefundState)
def test_every_refund_has_its_words(state: RefundState, kind: RefundKind, language: Language) -> None:
    words = story_refunds.REFUNDS[kind, state]
    assert words.known or words.unknown
    explanation = told(with_refund(kind, state), language)
    check(explanation)
    assert any("1.00" in text for text in (*explanation.certain, *explanation.uncertain))
    if not state.is_final and state is not RefundState.BLOCKED:
        assert explanation.planned


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("delivery", DeliveryState)
@pytest.mark.parametrize("state", SaleState)
@pytest.mark.parametrize("reason", ["", "declined", "of_another_release"])
def test_every_sale_has_its_words(state: SaleState, delivery: DeliveryState, language: Language, reason: str) -> None:
    dossier = paid().dossier()
    sale = replace(dossier.view.sale, state=state, delivery=delivery, reason=reason)
    explanation = told(with_view(dossier, sale=sale), language)
    check(explanation)
    if delivery in (DeliveryState.PENDING, DeliveryState.OVERDUE):
        assert explanation.uncertain
    if state in (SaleState.CANCELING, SaleState.CANCELED):
        assert (reason if language == "en" or reason != "declined" else "付款被拒绝") in explanation.certain[0]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", JobState)
def test_every_receipt_has_its_words(state: JobState, language: Language) -> None:
    dossier = paid().dossier()
    (job,) = dossier.view.jobs
    check(told(with_view(dossier, jobs=(replace(job, state=state),)), language))


@pytest.mark.parametrize("state", [JobState.PRINTING, JobState.REPRINTING])
def test_a_receipt_that_the_printer_stopped_in_has_words_of_its_own(state: JobState) -> None:
    dossier = paid().dossier()
    (job,) = dossier.view.jobs
    stopped = replace(job, state=state, blocked_by=Blockage.PAPER)
    explanation = told(with_view(dossier, jobs=(stopped,)), "en")
    check(explanation)
    assert any("stopped in the middle" in text for text in explanation.certain)


def texts(value: object) -> Iterator[Text]:
    """Yield every text of a table, however deep."""
    if isinstance(value, Text):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from texts(getattr(value, field.name))


TEXTS = [text for module in MODULES for value in vars(module).values() for text in texts(value)]


def test_both_languages_say_the_same_things_of_the_same_things() -> None:
    assert len(TEXTS) > 200
    for text in TEXTS:
        assert set(_NAMES.findall(text.en)) == set(_NAMES.findall(text.zh)), text
        assert text.en.strip()
        assert re.search(r"[\u4e00-\u9fff]|{\w+}", text.zh), text
        assert not re.search(r"[\u4e00-\u9fff，。：；]", text.en), text
        assert not re.search(r"[,;:.!?]( |$)", text.zh), text


# --- what is said, and what is not -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [one for one in AttemptState if one not in UNPAID | {AttemptState.PAID}])
def test_while_money_may_have_moved_nothing_is_claimed_about_it(state: AttemptState) -> None:
    """I4: neither paid nor unpaid is said to be certain of an order that is under way."""
    explanation = told(with_order(state, "qr" if state.name.startswith("OFFER") else "scan"))
    assert not [text for text in explanation.certain if re.search(r"confirmed|no money|took no|unpaid,", text)]
    if state not in (AttemptState.HELD, AttemptState.OFFERING):
        assert explanation.uncertain


def test_of_a_canceled_sale_that_is_found_paid_later_it_is_not_said_that_nothing_is_kept() -> None:
    """I3."""
    late = told(with_order(AttemptState.REVERSING, sale=SaleState.CANCELED))
    assert "No money of it is kept." not in late.certain
    closed = told(with_order(AttemptState.REVERSED, sale=SaleState.CANCELED))
    assert "No money of it is kept." in closed.certain


def test_times_are_of_the_gateways_clock_and_have_their_day_where_it_is_not_today() -> None:
    sold = paid().dossier()
    assert "at 12:00:06." in told(sold).certain[1]
    now = replace(sold.now, instant=Instant(sold.now.instant + DAY), wall=WallTime(sold.now.wall + DAY))
    assert "at 2024-05-01 12:00:06." in told(replace(sold, now=now)).certain[1]


def test_a_wrong_clock_makes_no_sentence_impossible() -> None:
    for wall in (-(2**60), -1, 0, 2**60):
        tongue = Tongue(language="en", now=NOON, offset=paid().dossier().offset)
        assert re.fullmatch(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d", tongue.time(WallTime(wall)))


def test_what_comes_next_is_told_with_its_time_the_soonest_first() -> None:
    explanation = told(lost_answer().dossier())
    again, given_up = explanation.planned
    assert (again.at, given_up.at) == (NOON.wall + 46 * SECOND, NOON.wall + 55 * SECOND)
    assert again.what == "Payment code 1308…1147: asks the gateway again"
    assert given_up.what == "Payment code 1308…1147: gives it up, and undoes it at the gateway"


def test_a_request_that_is_under_way_comes_first_and_has_no_time() -> None:
    story = SaleStory()
    story.scan()
    (first, *_) = told(story.dossier()).planned
    assert (first.at, first.what) == (None, "Payment code 1308…1147: waits for the gateway's answer")


def test_another_qr_code_is_announced() -> None:
    dossier = qr_expired().dossier()
    sale = replace(dossier.view.sale, state=SaleState.AWAITING_PAYMENT, offer_at=dossier.now.instant)
    sale = replace(sale, window_ends=Instant(dossier.now.instant + HOUR))
    whats = [plan.what for plan in told(with_view(dossier, sale=sale)).planned]
    assert whats == ["offers another QR code", "stops to wait for the customer, and closes the sale unpaid"]


@pytest.mark.parametrize(("returns", "what"), [(True, "gives the money back"), (False, "calls for a person")])
def test_what_happens_without_a_report_of_the_goods_is_as_configured(*, returns: bool, what: str) -> None:
    dossier = replace(STORIES["awaiting_delivery"]().dossier(), returns_overdue=returns)
    (plan,) = told(dossier).planned
    assert plan.what.startswith(what)
    assert plan.at == NOON.wall + 6 * SECOND + 180 * SECOND


def test_slips_that_wait_are_told() -> None:
    dossier = paid().dossier()
    (job,) = dossier.view.jobs
    waiting = replace(job, state=JobState.QUEUED, retry=dossier.now.instant, is_copy=True)
    whats = [plan.what for plan in told(with_view(dossier, jobs=(waiting,))).planned]
    assert whats[0] == "The copy of the receipt: sends the slip to the printer"
    assert len(whats) in (1, 2)


def test_qr_codes_of_one_sale_are_numbered_where_there_are_several() -> None:
    dossier = qr_expired().dossier()
    (first,) = dossier.view.attempts
    second = replace(first, client_sn=ClientSn("qr-9"))
    explanation = told(with_view(dossier, attempts=(first, second)))
    assert [text.split(":")[0] for text in explanation.certain[2:]] == ["QR code no. 1", "QR code no. 2"]


def test_a_sale_that_nobody_tried_to_pay_left_nothing_on_a_phone() -> None:
    assert told(SaleStory().dossier()).customer[-1] == "The phone shows nothing of this sale: no payment was begun."


def test_a_return_that_found_nothing_left_says_so() -> None:
    certain = told(with_refund(RefundKind.RETURN, RefundState.DONE, 0)).certain
    assert "Return r1 of 0.00 yuan: nothing was left to go back; all of it had gone back already." in certain


@pytest.mark.parametrize("language", LANGUAGES)
def test_while_a_refusal_is_not_believed_it_is_told_what_happens_and_when_it_goes_on(language: Language) -> None:
    """The two minutes in which an earlier try may still arrive."""
    story = refusal_in_doubt()
    (refund,) = story.dossier().view.refunds
    assert refund.state is RefundState.PROVING
    assert refund.unclear is not None
    ends = Tongue(language=language, now=story.now, offset=story.dossier().offset).moment(doubt_ends(refund))
    explanation = told(story.dossier(), language)
    assert any("UPAY_TCP_ORDER_NOT_REFUNDABLE" in text for text in explanation.certain)
    assert any(ends in text for text in explanation.uncertain)
    assert any(ends in text for text in explanation.person)
    (next_look, *_) = explanation.planned
    assert next_look.at is not None
    assert story.now.wall < next_look.at <= story.now.wall + LATE_REQUEST
    while (refund := story.dossier().view.refunds[0]).state is RefundState.PROVING:
        assert any(ends in text for text in told(story.dossier(), language).uncertain)
        story.wake()
        if story.asked:
            story.answer(OrderPaid, later=0)
    assert story.now.instant == doubt_ends(refund), "it is told of as soon as it is believed"
    assert refund.state is RefundState.REFUSED
    explanation = told(story.dossier(), language)
    assert not any(ends in text for text in (*explanation.uncertain, *explanation.person))


@pytest.mark.parametrize("code", sorted(story_refunds.UNSENT))
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_terminald_did_not_send_is_not_laid_at_the_gateways_door(code: str, language: Language) -> None:
    dossier = with_refund(RefundKind.REFUND, RefundState.REFUSED)
    (refund,) = dossier.view.refunds
    shown = told(with_view(dossier, refunds=(replace(refund, fault=Fault(code=code, message="")),)), language)
    check(shown)
    assert any(text.startswith("Refund r1" if language == "en" else "退款 r1") for text in shown.certain)
    assert not any("refused" in text or "拒绝" in text for text in shown.certain)


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_goods_that_a_person_answers_for_nothing_is_left_open(language: Language) -> None:
    explanation = told(delivery_answered_for().dossier(), language)
    assert explanation.uncertain == ()
    assert explanation.planned == ()
    assert not any("advice" in text for text in explanation.person)
    assert any("looked into the machine" in line.text for line in explanation.story)


def test_every_alarm_has_its_advice_once() -> None:
    dossier = refunded().dossier()
    alarm, other = (Attention(code=code, since=Instant(0)) for code in ("order_lost", "answer_mismatch"))
    (order,), (refund,) = dossier.view.attempts, dossier.view.refunds
    dossier = with_view(
        dossier,
        sale=replace(dossier.view.sale, attention=alarm),
        attempts=(replace(order, attention=other),),
        refunds=(replace(refund, attention=alarm),),
    )
    assert told(dossier).person == ("advice about order_lost", "advice about answer_mismatch")


def test_where_nothing_is_to_be_done_it_is_said() -> None:
    assert told(paid().dossier()).person == ("Nothing has to be done.",)
    assert told(paid().dossier(), "zh").person == ("无需人工处理。",)


def test_an_older_error_is_no_reason_while_the_gateway_answers() -> None:
    dossier = lost_answer().dossier()
    (order,) = dossier.view.attempts
    assert "gateway_no_answer" not in " ".join(told(dossier).uncertain)
    unanswered = with_view(dossier, attempts=(replace(order, is_unanswered=True),))
    assert "(reason: gateway_no_answer no whole answer within 15 s)" in told(unanswered).uncertain[0]


def test_what_the_gateway_did_not_say_is_left_out() -> None:
    dossier = paid().dossier()
    (order,) = dossier.view.attempts
    bare = with_view(dossier, attempts=(replace(order, facts=OrderFacts()),))
    assert (
        told(bare).certain[1]
        == "Payment code 1308…1147: the gateway has confirmed the payment of 3.50 yuan, at 12:00:06."
    )


# --- notes -----------------------------------------------------------------------------------------------------------


def test_notes_say_what_makes_the_account_less_sure() -> None:
    dossier = lost_answer().dossier()
    assert told(dossier).notes == ()
    gateway, clock, gaps = told(
        replace(dossier, is_gateway_reachable=False, is_whole=False, now=replace(dossier.now, is_trusted=False))
    ).notes
    assert gateway.startswith("The gateway can not be reached")
    assert clock.startswith("The clock of this terminal is not synchronized")
    assert gaps.startswith("The story has gaps")


def test_an_unreachable_gateway_matters_only_while_something_depends_on_it() -> None:
    assert told(replace(paid().dossier(), is_gateway_reachable=False)).notes == ()
    open_refund = with_refund(RefundKind.REFUND, RefundState.PROVING)
    assert len(told(replace(open_refund, is_gateway_reachable=False)).notes) == 1


def test_the_phone_shows_each_refund_also_one_of_the_same_amount() -> None:
    dossier = refunded().dossier()
    (first,) = dossier.view.refunds
    second = replace(first, id=RefundId(f"{SALE_ID}-r2"))
    back = [line for line in told(with_refunds(dossier, first, second)).customer if "a return of 1.00 yuan" in line]
    assert len(back) == 2


def test_a_refund_that_was_refused_is_told_from_the_one_that_followed_it() -> None:
    dossier = refunded().dossier()
    (second,) = dossier.view.refunds
    first = replace(second, id=RefundId(f"{SALE_ID}-r0"), state=RefundState.REFUSED)
    lines = told(with_refunds(dossier, first, second)).customer
    assert lines[-2].endswith("of 1.00 yuan: the phone shows nothing of it.")
    assert lines[-1].startswith("The phone shows a return of 1.00 yuan.")


def test_a_refused_revoke_is_to_be_refunded_until_all_has_gone_back() -> None:
    dossier = refunded().dossier()
    (done,) = dossier.view.refunds
    revoke = replace(done, kind=RefundKind.REVOKE, amount=Fen(350), state=RefundState.REFUSED)
    asked = with_refunds(dossier, revoke)
    assert told(asked).person == ("Revoke r1 of 3.50 yuan: if the money is to go back, refund it.",)
    view = replace(asked.view, sale=replace(asked.view.sale, state=SaleState.RETURNED))
    assert told(replace(asked, view=view)).person == ("Nothing has to be done.",)


def with_refunds(dossier: Dossier, *refunds: Refund) -> Dossier:
    return replace(dossier, view=replace(dossier.view, refunds=refunds))


# --- the story -------------------------------------------------------------------------------------------------------


def logged(*records: Record) -> tuple[LoggedRecord, ...]:
    return tuple(
        LoggedRecord(seq=number, at=Instant(number), wall=WallTime(NOON.wall + number * SECOND), record=record)
        for number, record in enumerate(records, start=1)
    )


def record(kind: str, subject: str, cause: str, before: str = "", after: str = "") -> Record:
    return Record(kind=kind, subject=subject, sale_id=SALE_ID, cause=cause, before=before, after=after)


def story_of(view: SaleView, *records: Record) -> list[str]:
    dossier = replace(paid().dossier(), view=view, records=logged(*records))
    return [line.text for line in told(dossier).story]


PENDING = record("attempt", "t-0001", "OrderPending", "polling", "polling")
UNANSWERED = record("attempt", "t-0001", "QueryFailed", "polling", "polling")
PAUSE = record("attempt", "t-0001", "PollDue", "polling", "polling")


def test_what_repeats_itself_is_told_once_and_counted() -> None:
    dossier = replace(paid().dossier(), records=logged(PENDING, PAUSE, PENDING, PAUSE, PENDING, UNANSWERED))
    first, second = told(dossier).story
    assert (first.at, first.until, first.times) == (NOON.wall + 1 * SECOND, NOON.wall + 5 * SECOND, 3)
    assert (second.at, second.until, second.times) == (NOON.wall + 6 * SECOND, None, 1)


def test_a_refrain_of_several_lines_is_told_once_and_counted() -> None:
    dossier = replace(paid().dossier(), records=logged(*(PENDING, UNANSWERED) * 50))
    lines = told(dossier).story
    assert [(line.times, line.until) for line in lines] == [
        (50, NOON.wall + 99 * SECOND),
        (50, NOON.wall + 100 * SECOND),
    ]


def test_a_long_story_keeps_its_beginning_and_its_end() -> None:
    """I11."""
    records = [
        record("attempt", f"t-{number}", "OrderPending", "polling", "polling") for number in range(MAX_LINES * 3)
    ]
    lines = told(replace(paid().dossier(), records=logged(*records))).story
    assert len(lines) == MAX_LINES + 1
    assert lines[0].text.startswith("Order t-0:")
    assert lines[MAX_LINES // 2].text == f"… {MAX_LINES * 2} more lines are left out …"
    assert lines[-1].text.startswith(f"Order t-{MAX_LINES * 3 - 1}:")


def test_names_that_the_snapshots_do_not_have_are_told_as_they_are() -> None:
    view = replace(paid().dossier().view, jobs=())
    assert story_of(
        view,
        record("attempt", "t-7", "PayDeclined", "submitting", "declined"),
        record("refund", "s-r7", "RefundOpened", "", "requested"),
        record("print", "s-7", "JobSent", "printing", "unverified"),
        record("attention", "attempt t-7", "AttentionClosed", "unheard_of", "fine\nnow"),
        record("attention", "t-7", "OrderErrored", "", "order_errored"),
        record("scan", "front", "CodeRejected", "", "product_barcode"),
        record("scan", "front", "CodeRejected", "", "unheard_of"),
        record("weather", "x", "RainBegan", "dry", "wet"),
        record("attempt", "t-7", "Unheard", "a", "b"),
    ) == [
        "Order t-7: the gateway declined it; no money was taken.",
        "Refund s-r7 was recorded.",
        "The receipt was sent to the printer, which did not say whether it printed it.",
        "A person closed it (unheard_of) with the reason: fine now",
        "A person is called: the gateway reports an error of its own about the order.",
        "A scan was not taken: the barcode of a product.",
        "A scan was not taken: unheard_of.",
        "RainBegan: dry → wet.",
        "Unheard: a → b.",
    ]


def test_refunds_say_why_they_were_begun() -> None:
    view = refunded().dossier().view
    (refund,) = view.refunds
    opened = record("refund", refund.id, "RefundOpened", "", "requested")
    nameless = replace(view, refunds=(replace(refund, reference=""),))
    owed = replace(view, refunds=(replace(refund, is_owed=True),))
    assert story_of(view, opened) == ["Refund r1 of 1.00 yuan was recorded under the reference back-1."]
    assert story_of(nameless, opened) == ["Refund r1 of 1.00 yuan was recorded."]
    assert story_of(owed, opened) == ["Refund r1 of 1.00 yuan was recorded, as it is owed to the customer."]


def test_slips_are_named() -> None:
    view = paid().dossier().view
    (job,) = view.jobs
    gone = record("print", JOB_ID, "LifetimeEnded", "queued", "expired")
    for slip, is_copy, name in (
        ("receipt", True, "The copy of the receipt"),
        ("qr", False, "The slip with the QR code"),
        ("refund", False, "The slip of the refund"),
    ):
        jobs = (replace(job, slip=slip, is_copy=is_copy),)
        assert story_of(replace(view, jobs=jobs), gone) == [f"{name} was not printed in time, and given up."]


# --- I7 --------------------------------------------------------------------------------------------------------------

CODES = st.from_regex(r"[0-9]{16,24}", fullmatch=True)
AROUND = st.text(max_size=12)


@given(
    code=CODES, before=AROUND, after=AROUND, language=st.sampled_from(LANGUAGES), name=st.sampled_from(sorted(STORIES))
)
def test_no_sentence_has_a_whole_payment_code(
    code: str, before: str, after: str, language: Language, name: str
) -> None:
    """I7: whoever writes it into a message or a reason."""
    dossier = STORIES[name]().dossier()
    view = dossier.view
    text = f"{before}{code}{after}"
    fault = Fault(code=text[:20], message=text)
    sale = replace(
        view.sale, order=replace(view.sale.order, text=replace(view.sale.order.text, subject=text)), reason=text
    )
    view = replace(
        view,
        sale=sale,
        attempts=tuple(replace(one, fault=fault, is_unanswered=True) for one in view.attempts),
        refunds=tuple(replace(one, fault=fault) for one in view.refunds),
    )
    records = (
        *dossier.records,
        *logged(
            record("attention", "sale x", "AttentionClosed", text, text),
            record("scan", text, "CodeRejected", "", text),
            record("refund", text, "OrderPaid", text, text),
            record("attempt", text, "Unheard", text, text),
            record("print", text, "JobSent", text, text),
        ),
    )
    explanation = told(replace(dossier, view=view, records=records), language)
    for sentence in sentences(explanation):
        assert code not in sentence
        assert not any(run in sentence for run in re.findall(r"[0-9]{16,}", text))


@given(text=st.text())
def test_what_is_quoted_is_one_line_of_printable_text_and_not_long(text: str) -> None:
    shown = quoted(text * 20)
    assert len(shown) <= MAX_QUOTED
    assert all(char.isprintable() or char == "\u3000" for char in shown)


def test_the_gateways_number_keeps_its_digits() -> None:
    assert "transaction 7894259244067344" in told(paid().dossier()).certain[1]
