"""The answer to a log upload: may the log be deleted, and is it worth sending the next one."""

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from terminald.core.events import Fault
from terminald.wire.upay_envelope import (
    COMMUNICATED,
    ILLEGAL_SIGN,
    TERMINAL_ERRORS,
    fault,
    is_refusal,
    read_envelope,
    unreadable,
)

#: Refusals that every further log would meet as well.
_OF_THE_TERMINAL = TERMINAL_ERRORS | {ILLEGAL_SIGN}


class LogFate(Enum):
    """What became of one log."""

    TAKEN = "taken"  # the gateway has it: ours may be deleted
    REFUSED = "refused"  # definitely not taken, because of itself: another one may be
    UNCERTAIN = "uncertain"  # taken or not, nobody knows; another one would fare no better now


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAnswer:
    """The fate of one log; fault says what went wrong."""

    fate: LogFate
    fault: Fault | None = None


def decode_upload(status: int, body: bytes) -> LogAnswer:
    """Read the answer to a log upload. Total: no bytes raise.

    Success is a ``result_code`` of 200, whatever stands beside it (Web API documents, log upload).
    """
    envelope = read_envelope(status, body)
    if envelope is None:
        is_too_large = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return LogAnswer(fate=LogFate.REFUSED if is_too_large else LogFate.UNCERTAIN, fault=unreadable(status))
    outer = envelope.outer
    if outer.result_code == COMMUNICATED:
        return LogAnswer(fate=LogFate.TAKEN)
    is_of_this_log = is_refusal(envelope) and outer.error_code not in _OF_THE_TERMINAL
    return LogAnswer(
        fate=LogFate.REFUSED if is_of_this_log else LogFate.UNCERTAIN,
        fault=fault(outer.error_code or outer.result_code, outer.error_message),
    )
