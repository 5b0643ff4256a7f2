import itertools
from dataclasses import fields, replace

import pytest

from terminald.core.events import Blockage
from terminald.core.readiness import Condition, Hold, Reason, reasons

READY = Condition(
    is_activated=True,
    is_key_accepted=True,
    is_key_alive=True,
    is_terminal_accepted=True,
    is_clock_trusted=True,
    is_clock_in_the_way=False,
    is_gateway_reachable=True,
    has_scanner=True,
    has_printer=True,
    printer_blocked_by=None,
    is_journal_writable=True,
    is_restored=False,
    has_disk_space=True,
    is_draining=False,
    has_output=True,
    is_inhibited=False,
)
EVERYTHING = frozenset({"gateway", "scanner", "printer", "clock", "output"})
OPTIONAL = {
    "gateway": {Reason.GATEWAY_UNREACHABLE},
    "clock": {Reason.CLOCK_UNSET},
    "scanner": {Reason.SCANNER_ABSENT},
    "output": {Reason.OUTPUT_ABSENT, Reason.INHIBITED},
    "printer": {Reason.PRINTER_ABSENT, Reason.PAPER_OUT, Reason.COVER_OPEN, Reason.PRINTER_FAULTY},
}
CONDITIONS = [field.name for field in fields(Condition)]


def conditions() -> list[Condition]:
    names = [name for name in CONDITIONS if name != "printer_blocked_by"]
    return [
        Condition(printer_blocked_by=blocked_by, **dict(zip(names, values, strict=True)))
        for values in itertools.product((True, False), repeat=len(names))
        for blocked_by in (None, Blockage.PAPER)
    ]


def test_a_terminal_of_which_everything_works_is_ready() -> None:
    assert reasons(READY, EVERYTHING) == ()


def test_a_terminal_of_which_nothing_works_says_everything_and_the_most_fundamental_first() -> None:
    told = {name: name in ("is_draining", "is_restored") for name in CONDITIONS if name != "printer_blocked_by"}
    broken = Condition(printer_blocked_by=Blockage.PAPER, **told)
    assert not broken.is_clock_in_the_way
    assert reasons(broken, EVERYTHING) == (
        Reason.JOURNAL_FAILED,
        Reason.JOURNAL_RESTORED,
        Reason.DISK_FULL,
        Reason.NOT_ACTIVATED,
        Reason.KEY_LOCKED_OUT,
        Reason.KEY_EXPIRED,
        Reason.TERMINAL_REFUSED,
        Reason.CLOCK_UNSET,
        Reason.GATEWAY_UNREACHABLE,
        Reason.SCANNER_ABSENT,
        Reason.PRINTER_ABSENT,
        Reason.OUTPUT_ABSENT,
        Reason.DRAINING,
    )


@pytest.mark.parametrize("part", OPTIONAL)
def test_a_part_that_is_not_required_is_no_reason(part: str) -> None:
    for condition in conditions():
        if condition.is_clock_in_the_way:
            continue
        strict, lenient = reasons(condition, EVERYTHING), reasons(condition, EVERYTHING - {part})
        assert lenient == tuple(reason for reason in strict if reason not in OPTIONAL[part])


def test_journal_disk_activation_key_and_draining_are_never_optional() -> None:
    for condition in conditions():
        found = reasons(condition, frozenset())
        assert (found == ()) == (
            condition.is_journal_writable
            and not condition.is_restored
            and condition.has_disk_space
            and condition.is_activated
            and condition.is_key_accepted
            and condition.is_key_alive
            and condition.is_terminal_accepted
            and not condition.is_draining
        )


@pytest.mark.parametrize(
    ("blocked_by", "reason"),
    [
        (Blockage.PAPER, Reason.PAPER_OUT),
        (Blockage.COVER, Reason.COVER_OPEN),
        (Blockage.CUTTER, Reason.PRINTER_FAULTY),
        (Blockage.OFFLINE, Reason.PRINTER_FAULTY),
    ],
)
def test_what_a_required_printer_says_is_a_reason_while_it_is_there(blocked_by: Blockage, reason: Reason) -> None:
    blocked = replace(READY, printer_blocked_by=blocked_by)
    assert reasons(blocked, EVERYTHING) == (reason,)
    assert reasons(replace(blocked, has_printer=False), EVERYTHING) == (Reason.PRINTER_ABSENT,)
    assert reasons(blocked, EVERYTHING - {"printer"}) == ()


def test_a_gateway_that_a_wrong_clock_keeps_away_is_the_clocks_fault() -> None:
    blamed = replace(READY, is_gateway_reachable=False, is_clock_in_the_way=True, is_clock_trusted=False)
    assert reasons(blamed, frozenset({"gateway"})) == (Reason.CLOCK_UNSET,)
    assert reasons(blamed, frozenset({"clock"})) == (Reason.CLOCK_UNSET,)
    assert reasons(blamed, frozenset()) == ()
    # The terminal may know the time, from an earlier answer, while the system's clock was set wrong.
    assert reasons(replace(blamed, is_clock_trusted=True), EVERYTHING) == (Reason.CLOCK_UNSET,)


def test_without_a_known_time_of_day_no_sale_is_begun_only_where_that_is_wanted() -> None:
    dark = replace(READY, is_clock_trusted=False)
    assert reasons(dark, EVERYTHING) == (Reason.CLOCK_UNSET,)
    assert reasons(dark, EVERYTHING - {"clock"}) == ()


def test_a_machine_that_can_not_serve_is_a_reason_while_its_line_is_there() -> None:
    inhibited = replace(READY, is_inhibited=True)
    assert reasons(inhibited, EVERYTHING) == (Reason.INHIBITED,)
    assert reasons(replace(inhibited, has_output=False), EVERYTHING) == (Reason.OUTPUT_ABSENT,)
    assert reasons(inhibited, EVERYTHING - {"output"}) == ()


@pytest.mark.parametrize(
    ("hold", "drained", "compared"),
    [
        (Hold.NONE, Hold.ASKED, Hold.NONE),
        (Hold.ASKED, Hold.ASKED, Hold.ASKED),
        (Hold.RESTORED, Hold.RESTORED_ASKED, Hold.NONE),
        (Hold.RESTORED_ASKED, Hold.RESTORED_ASKED, Hold.ASKED),
    ],
)
def test_neither_a_drain_nor_a_comparison_ends_the_other(hold: Hold, drained: Hold, compared: Hold) -> None:
    assert (hold.with_drain(), hold.once_compared()) == (drained, compared)
    assert drained.is_asked
    assert drained.is_restored is hold.is_restored
    assert compared.is_asked is hold.is_asked
    assert not compared.is_restored
