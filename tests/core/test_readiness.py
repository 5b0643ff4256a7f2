import itertools
from dataclasses import fields

import pytest

from terminald.core.readiness import Condition, Reason, reasons

READY = Condition(
    is_activated=True,
    is_key_accepted=True,
    is_key_alive=True,
    is_terminal_accepted=True,
    is_gateway_reachable=True,
    has_scanner=True,
    has_printer=True,
    is_journal_writable=True,
    has_disk_space=True,
    is_draining=False,
)
EVERYTHING = frozenset({"gateway", "scanner", "printer"})
OPTIONAL = {
    "gateway": Reason.GATEWAY_UNREACHABLE,
    "scanner": Reason.SCANNER_ABSENT,
    "printer": Reason.PRINTER_ABSENT,
}


def conditions() -> list[Condition]:
    names = [field.name for field in fields(Condition)]
    return [
        Condition(**dict(zip(names, values, strict=True)))
        for values in itertools.product((True, False), repeat=len(names))
    ]


def test_a_terminal_of_which_everything_works_is_ready() -> None:
    assert reasons(READY, EVERYTHING) == ()


def test_a_terminal_of_which_nothing_works_says_everything_and_the_most_fundamental_first() -> None:
    broken = Condition(**{field.name: field.name == "is_draining" for field in fields(Condition)})
    assert reasons(broken, EVERYTHING) == (
        Reason.JOURNAL_FAILED,
        Reason.DISK_FULL,
        Reason.NOT_ACTIVATED,
        Reason.KEY_LOCKED_OUT,
        Reason.KEY_EXPIRED,
        Reason.TERMINAL_REFUSED,
        Reason.GATEWAY_UNREACHABLE,
        Reason.SCANNER_ABSENT,
        Reason.PRINTER_ABSENT,
        Reason.DRAINING,
    )


@pytest.mark.parametrize("part", OPTIONAL)
def test_a_part_that_is_not_required_is_no_reason(part: str) -> None:
    for condition in conditions():
        strict, lenient = reasons(condition, EVERYTHING), reasons(condition, EVERYTHING - {part})
        assert lenient == tuple(reason for reason in strict if reason is not OPTIONAL[part])


def test_journal_disk_activation_key_and_draining_are_never_optional() -> None:
    for condition in conditions():
        found = reasons(condition, frozenset())
        assert (found == ()) == (
            condition.is_journal_writable
            and condition.has_disk_space
            and condition.is_activated
            and condition.is_key_accepted
            and condition.is_key_alive
            and condition.is_terminal_accepted
            and not condition.is_draining
        )
