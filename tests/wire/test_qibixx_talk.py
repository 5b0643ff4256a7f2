"""The conversation with an adapter as transcripts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.money import Fen
from terminald.wire.qibixx_setup import ANSWER_MS, TRIES
from terminald.wire.qibixx_talk import (
    INACTIVE_LONGEST_MS,
    INACTIVE_MS,
    MOST_OFTEN,
    MOST_OFTEN_MS,
    QUESTIONS,
    QUIET_MS,
    SESSION_AGAIN_MS,
    SESSION_BLINDLY_MS,
    SILENT,
)
from tests.wire.qibixx_partner import CONFIGURED, SETTINGS, WINDOW_MS, Partner

COLA = "c,STATUS,VEND,1.00,5"
ENABLED = "c,STATUS,ENABLED"
NOISE = ("r,ACK", "x,00,1,10,14", 'c,ERR,"nothing"', "c,STATUS,ENABLED", "c,0,1")


# --- setting up ------------------------------------------------------------------------------------------------------


def test_it_is_switched_off_configured_and_switched_on() -> None:
    partner = Partner()
    assert partner.open() == ["C,0"]
    assert partner.say("c,0") == CONFIGURED[:1]
    for setting in CONFIGURED[1:]:
        assert partner.say("c,SET,OK") == [setting]
    assert partner.say("c,SET,OK") == ["C,1"]
    assert not partner.is_set_up()
    assert partner.say("c,STATUS,INACTIVE") == []
    assert partner.is_set_up()
    assert partner.say("c,1", "c,STATUS,INACTIVE", "r,ACK", "c,STATUS,DISABLED", "r,ACK") == []
    assert partner.say(ENABLED) == []
    assert partner.talk.is_ready
    assert partner.notes == []


def test_lines_in_between_are_nobodys_answer() -> None:
    partner = Partner()
    partner.open()
    assert partner.say(*NOISE, "c,SET,OK", "c,1", "c,0") == CONFIGURED[:1]
    assert partner.say(*NOISE, "c,0", "c,1", "c,SET,OK") == CONFIGURED[1:2]
    assert partner.say(*NOISE, *["c,SET,OK", *NOISE] * 3) == [*CONFIGURED[2:], "C,1"]
    assert partner.is_set_up()


@pytest.mark.parametrize(
    "line", [ENABLED, "c,STATUS,ONLINE", "c,1", 'c,ERR,"cashless is on"', COLA, "c,STATUS,VEND,NaN"]
)
def test_anything_that_only_an_adapter_says_that_is_on_ends_the_round(line: str) -> None:
    partner = Partner()
    partner.open()
    partner.say('c,ERR,"cashless is off"', *["c,SET,OK"] * len(SETTINGS))
    partner.say(line)
    assert partner.is_set_up()


def test_one_that_is_not_to_sell_is_configured_and_stays_off() -> None:
    partner = Partner()
    partner.set_up(is_open=False)
    assert partner.say(ENABLED, COLA) == []
    assert partner.wait(10 * QUIET_MS) == []
    assert not partner.talk.is_ready
    assert partner.set_open(is_open=True) == ["C,0"]
    assert not partner.is_set_up()
    assert partner.say("c,0", *["c,SET,OK"] * len(SETTINGS)) == [*CONFIGURED, "C,1"]


def test_whether_it_is_to_be_on_can_change_while_it_is_set_up() -> None:
    partner = Partner()
    partner.open(is_open=False)
    partner.say("c,0")
    assert partner.set_open(is_open=True) == []
    assert partner.say(*["c,SET,OK"] * len(SETTINGS))[-1] == "C,1"
    assert partner.set_open(is_open=False) == []
    assert partner.say("c,1") == ["C,0"]
    assert partner.say("c,0", *["c,SET,OK"] * len(SETTINGS)) == CONFIGURED
    assert partner.is_set_up()


def test_being_switched_off_may_remain_without_an_answer() -> None:
    partner = Partner()
    partner.open()
    assert partner.wait(2 * ANSWER_MS) == ["C,0", CONFIGURED[0]]


def test_after_a_needed_setting_without_an_answer_it_all_begins_again() -> None:
    partner = Partner()
    partner.open()
    partner.say("c,0")
    assert partner.wait(ANSWER_MS) == ["C,0"]
    # What is late is not taken for the answer to what follows.
    assert partner.say("c,SET,OK", "c,0", "c,SET,OK") == CONFIGURED[:2]


def test_one_that_never_answers_is_given_up() -> None:
    partner = Partner()
    partner.open()
    partner.wait(TRIES * TRIES * ANSWER_MS)
    assert "does not answer currency=0x1156" in partner.talk.fault
    assert not partner.is_set_up()


def test_one_that_does_not_switch_on_is_given_up() -> None:
    partner = Partner()
    partner.open()
    partner.say("c,0", *["c,SET,OK"] * len(SETTINGS))
    assert partner.wait(TRIES * ANSWER_MS) == ["C,1", "C,1"]
    assert "switched on" in partner.talk.fault


def test_a_setting_is_tried_in_each_of_its_spellings() -> None:
    partner = Partner()
    partner.open()
    assert partner.say("c,0", "c,SET,OK", "c,UNKNOWN,SETCONF") == [*CONFIGURED[:2], "C,SETCONF,address=0x60"]
    assert partner.say("c,SET,OK") == [CONFIGURED[2]]
    assert partner.notes == []


def test_a_needed_setting_that_is_refused_ends_it() -> None:
    partner = Partner()
    partner.open()
    partner.say("c,0", "c,SET,ERR")
    assert "refuses currency=0x1156" in partner.talk.fault


def test_other_settings_are_left_out_and_said_once() -> None:
    partner = Partner()
    partner.open()
    partner.say("c,0", "c,SET,OK", "c,SET,OK")
    assert partner.say("c,SET,ERR", "c,UNKNOWN") == ["C,SETCONF,time=120", CONFIGURED[3]]
    assert partner.notes == ["the adapter refuses timeout=120; left out"]
    # The last one is not answered at all: once more, without it.
    assert partner.wait(ANSWER_MS) == ["C,0"]
    assert partner.notes[1:] == ["the adapter does not answer funds=1; left out"]
    assert partner.say("c,0", "c,SET,OK", "c,SET,OK") == [*CONFIGURED[:2], "C,1"]
    partner.say("c,1", ENABLED)
    partner.set_open(is_open=False)
    assert partner.say("c,0", "c,SET,OK", "c,SET,OK") == CONFIGURED[:2]
    assert len(partner.notes) == 2
    # Another opening may be another adapter.
    partner.take(partner.talk.lose())
    partner.open()
    assert partner.say("c,0", "c,SET,OK", "c,SET,OK")[-1] == CONFIGURED[2]


# --- while it is on --------------------------------------------------------------------------------------------------


def test_a_sale_in_always_idle() -> None:
    partner = Partner()
    partner.set_up()
    assert partner.say(ENABLED, COLA) == ["VendRequested 1"]
    assert not partner.talk.is_ready
    assert partner.approve(1, "1.00") == ""
    assert partner.say("r,ACK", "r,ACK", "c,VEND,SUCCESS", "c,STATUS,IDLE", ENABLED) == ["VendSucceeded 1"]
    assert partner.talk.is_ready


def test_a_price_that_can_not_be_charged_is_denied_and_logged() -> None:
    partner = Partner()
    partner.set_up()
    assert partner.say("c,STATUS,VEND,1.001,5") == ["C,VEND,-1"]
    assert partner.notes == ["the machine asks for '1.001,5', which has parts of a fen: denied"]


def test_sessions_are_opened_whenever_the_machine_may_begin_one() -> None:
    partner = Partner(credit=Fen(5000))
    partner.set_up()
    assert partner.wait(SESSION_AGAIN_MS) == []
    assert partner.say(ENABLED) == []
    assert partner.wait(0) == ["C,START,50.00"]
    assert partner.say("c,STATUS,IDLE,50.00", COLA) == ["VendRequested 1"]
    assert partner.take(partner.talk.deny(1, partner.now_ms)) == ["C,VEND,-1"]
    assert partner.say("c,STATUS,IDLE", ENABLED) == []
    assert partner.wait(SESSION_AGAIN_MS) == ["C,START,50.00"]
    assert partner.say('c,ERR,"START -3"') == []
    assert partner.wait(SESSION_AGAIN_MS - 1) == []
    assert partner.wait(1) == ["C,START,50.00"]


def test_a_session_is_offered_after_a_request_that_has_ended_without_a_status() -> None:
    partner = Partner(credit=Fen(5000))
    partner.set_up()
    partner.say(ENABLED)
    partner.wait(0)
    assert partner.say("c,STATUS,IDLE,50.00", COLA) == ["VendRequested 1"]
    assert partner.wait(2 * SESSION_BLINDLY_MS) == []
    partner.approve(1, "1.00")
    assert partner.wait(2 * SESSION_BLINDLY_MS) == []
    assert partner.say("c,ERR,VEND 3") == ["VendFailed 1"]
    assert partner.wait(SESSION_BLINDLY_MS) == ["C,START,50.00"]
    assert partner.say('c,ERR,"START -3"') == []
    assert partner.wait(SESSION_BLINDLY_MS - 1) == []
    assert partner.wait(1) == ["C,START,50.00"]


def test_a_machine_that_ends_each_session_is_not_offered_one_too_often() -> None:
    partner = Partner(credit=Fen(5000))
    partner.set_up()
    said = [text for _ in range(100) for text in [*partner.say("c,STATUS,IDLE", ENABLED), *partner.wait(100)]]
    assert said.count("C,START,50.00") == len(said) <= 10_000 // SESSION_AGAIN_MS + 1


def test_a_revalue_is_refused_once() -> None:
    partner = Partner()
    partner.set_up()
    assert partner.say("c,STATUS,REVALUE,1.00", "c,STATUS,REVALUE,1.00") == ["C,REVALUE,0"]
    assert partner.say(ENABLED, "c,STATUS,REVALUE,1.00") == ["C,REVALUE,0"]


def test_the_display_is_written_to_while_the_machine_heeds_the_reader() -> None:
    partner = Partner()
    assert partner.talk.display("x") == b""
    partner.set_up()
    assert partner.talk.display("x") == b""
    partner.say(ENABLED)
    assert partner.talk.display("x") == b"C,DISPLAY,x\n"
    partner.say(COLA)
    assert partner.talk.display("x") == b"C,DISPLAY,x\n"
    partner.say("c,STATUS,INACTIVE")
    assert partner.talk.display("x") == b""


def test_it_goes_off_the_bus_when_no_request_is_open() -> None:
    partner = Partner()
    partner.set_up()
    partner.say(ENABLED, COLA)
    assert partner.set_open(is_open=False) == []
    assert partner.set_open(is_open=True) == []
    assert partner.set_open(is_open=False) == []
    assert partner.approve(1, "1.00") == ""
    assert partner.say("r,ACK", "c,STATUS,DISABLED") == []
    assert partner.say("c,VEND,SUCCESS") == ["VendSucceeded 1", "C,0"]
    assert partner.say("c,0", *["c,SET,OK"] * len(SETTINGS)) == CONFIGURED

    partner = Partner()
    partner.set_up()
    partner.say(ENABLED, COLA)
    partner.set_open(is_open=False)
    assert partner.take(partner.talk.deny(1, partner.now_ms)) == ["C,VEND,-1", "C,0"]


@pytest.mark.parametrize("status", [ENABLED, "c,STATUS,DISABLED"])
def test_an_approval_without_a_result_does_not_keep_it_on_for_ever(status: str) -> None:
    partner = Partner()
    partner.set_up()
    partner.say(status, COLA)
    partner.approve(1, "1.00")
    partner.set_open(is_open=False)
    assert partner.wait(WINDOW_MS - 1) == []
    assert partner.wait(1) == ["AdapterLost 1", "C,0"]


def test_a_machine_that_does_not_speak_to_it_for_long_has_it_set_up_again_ever_less_often() -> None:
    partner = Partner()
    partner.set_up()
    answers = ("c,0", *["c,SET,OK"] * len(SETTINGS), "c,STATUS,INACTIVE", "c,1")
    wait_ms = INACTIVE_MS
    assert partner.say("c,STATUS,INACTIVE") == []
    for _ in range(6):
        assert partner.wait(wait_ms - 1) == []
        assert partner.wait(1) == ["C,0"]
        partner.say(*answers)
        wait_ms = min(2 * wait_ms, INACTIVE_LONGEST_MS)
    assert len(partner.notes) == 1
    assert partner.talk.ailment == SILENT
    partner.say("c,STATUS,DISABLED", "c,STATUS,INACTIVE")
    assert partner.talk.ailment == ""
    assert partner.wait(INACTIVE_MS) == ["C,0"]
    assert len(partner.notes) == 2


def test_a_reset_in_mid_vend_is_told_and_a_short_one_needs_nothing_else() -> None:
    partner = Partner()
    partner.set_up()
    assert partner.say(ENABLED, COLA, "c,STATUS,INACTIVE") == ["VendRequested 1", "MachineReset 1"]
    assert partner.wait(INACTIVE_MS - 1) == []
    assert partner.say("c,STATUS,DISABLED", ENABLED, COLA) == ["VendRequested 2"]


@pytest.mark.parametrize("line", ["c,0", 'c,ERR,"cashless is off"', "c,1"])
def test_an_adapter_that_was_started_anew_is_set_up_again(line: str) -> None:
    partner = Partner()
    partner.set_up()
    partner.say(ENABLED, COLA)
    assert partner.say(line) == ["AdapterLost 1", "C,0"]
    assert "set up again" in partner.notes[0]


def test_a_quiet_adapter_is_asked_whether_it_is_on() -> None:
    partner = Partner()
    partner.set_up()
    partner.say(ENABLED)
    for _ in range(3):
        assert partner.wait(QUIET_MS) == ["C,1"]
        assert partner.say('c,ERR,"cashless is on"') == []
    assert partner.wait(QUIET_MS) == ["C,1"]
    # It was not: it had lost its settings.
    assert partner.say("c,STATUS,INACTIVE", "c,1") == ["C,0"]


def test_firmware_that_does_not_answer_that_question_is_not_asked_for_ever() -> None:
    partner = Partner()
    partner.set_up()
    partner.say(ENABLED)
    for _ in range(QUESTIONS):
        assert partner.wait(QUIET_MS + ANSWER_MS) == ["C,1", "C,0"]
        partner.say("c,0", *["c,SET,OK"] * len(SETTINGS), "c,1", ENABLED)
    assert partner.wait(10 * QUIET_MS) == []


def test_nothing_is_asked_while_a_request_is_open() -> None:
    partner = Partner()
    partner.set_up()
    partner.say(ENABLED, COLA)
    assert partner.wait(2 * QUIET_MS) == []
    partner.approve(1, "1.00")
    assert partner.wait(WINDOW_MS - 1) == []
    assert partner.wait(1) == ["C,1"]


# --- what is out of order --------------------------------------------------------------------------------------------


def test_more_requests_than_a_person_can_make_are_a_fault() -> None:
    partner = Partner()
    partner.set_up()
    for number in range(1, MOST_OFTEN):
        assert partner.say(ENABLED, COLA)[-1] == f"VendRequested {number}"
        assert not partner.has_failed()
    partner.now_ms += MOST_OFTEN_MS
    for _ in range(MOST_OFTEN):
        assert not partner.has_failed()
        partner.say(ENABLED, COLA)
    assert "than a person can make" in partner.talk.fault


def test_an_adapter_that_is_off_again_and_again_is_a_fault() -> None:
    partner = Partner()
    partner.set_up()
    for _ in range(MOST_OFTEN):
        assert not partner.has_failed()
        partner.say("c,0", "c,0", *["c,SET,OK"] * len(SETTINGS), "c,1")
    assert "again and again" in partner.talk.fault
    assert partner.take(partner.talk.close(partner.now_ms)) == []


# --- the end ---------------------------------------------------------------------------------------------------------


def test_at_closing_the_reader_goes_off_the_bus_and_a_request_is_denied() -> None:
    partner = Partner()
    partner.set_up()
    partner.say(ENABLED, COLA)
    assert partner.take(partner.talk.close(partner.now_ms)) == ["AdapterLost 1", "C,VEND,-1", "C,0"]
    assert partner.take(partner.talk.close(partner.now_ms)) == []
    assert partner.say(ENABLED, COLA) == []
    assert partner.wait(QUIET_MS) == []
    assert partner.set_open(is_open=False) == []


def test_at_closing_an_approval_is_left_to_run() -> None:
    partner = Partner()
    partner.set_up()
    partner.say(ENABLED, COLA)
    partner.approve(1, "1.00")
    assert partner.take(partner.talk.close(partner.now_ms)) == ["AdapterLost 1"]

    partner = Partner()
    partner.set_up()
    partner.say(ENABLED, COLA)
    partner.approve(1, "1.00")
    partner.say("c,VEND,SUCCESS")
    assert partner.take(partner.talk.close(partner.now_ms)) == ["C,0"]


def test_requests_are_numbered_over_all_openings() -> None:
    partner = Partner()
    partner.set_up()
    partner.say(ENABLED, COLA)
    assert partner.take(partner.talk.lose()) == ["AdapterLost 1"]
    partner.set_up()
    assert partner.say(ENABLED, COLA) == ["VendRequested 2"]
    assert partner.approve(1, "1.00") != ""


LINES = st.sampled_from(
    [
        *("c,0", "c,1", "c,SET,OK", "c,SET,ERR", "c,UNKNOWN", "r,ACK", COLA, "c,STATUS,VEND,NaN", "c,STATUS,REVALUE"),
        *(f"c,STATUS,{word}" for word in ("INACTIVE", "DISABLED", "ENABLED", "IDLE", "ONLINE")),
        *("c,VEND,SUCCESS", "c,ERR,VEND 1", "c,ERR,VEND 3", "c,ERR,VEND 5", 'c,ERR,"VEND -3"', 'c,ERR,"START -3"'),
        *('c,ERR,"cashless is on"', 'c,ERR,"cashless is off"'),
    ]
)


@given(st.lists(st.one_of(LINES, st.integers(0, 100_000), st.booleans(), st.sampled_from(["approve", "deny"]))))
def test_whatever_an_adapter_says_it_is_written_to_with_measure(moves: list[str | int]) -> None:
    """I11: one line or one moment has a bounded answer, and none of them makes it spin (see ``Partner.wait``)."""
    partner = Partner(credit=Fen(5000))
    partner.open()
    request = 0
    for move in moves:
        match move:
            case bool():
                said = partner.set_open(is_open=move)
            case int():
                partner.wait(move)
                continue
            case "approve":
                partner.approve(request, "1.00")
                continue
            case "deny":
                said = partner.take(partner.talk.deny(request, partner.now_ms))
            case _:
                said = partner.say(move)
        request = max([request, *(int(text.split()[1]) for text in said if text.startswith("VendRequested"))])
        assert len(said) <= 4
        if partner.has_failed():
            break


@pytest.mark.parametrize("lines", [(), ("c,STATUS,INACTIVE",), (ENABLED,), (ENABLED, COLA)])
def test_what_is_not_due_is_not_done(lines: tuple[str, ...]) -> None:
    partner = Partner()
    partner.open()
    assert partner.take(partner.talk.due(partner.now_ms)) == []
    partner.say("c,0", *["c,SET,OK"] * len(SETTINGS), "c,1", *lines)
    assert partner.take(partner.talk.due(partner.now_ms)) == []
