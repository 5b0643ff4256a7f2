"""The kinds of payment codes and of faults that histories are made of."""

from terminald.simulator.gateway_faults import FaultKind

#: The last digits of payment codes, each with its own outcome.
ENDINGS = (
    "99", "99", "99", "10", "11", "12", "13", "14", "20", "21", "22", "30", "31", "32", "33", "40", "41", "42", "43",
    "44", "45", "46", "47", "48", "49", "50", "51", "52", "53", "54", "60", "61", "62", "63", "64",
)  # fmt: skip
#: What may go wrong on the way of any request.
FAULT_KINDS: tuple[FaultKind, ...] = (
    "lose_request", "close_request", "lose_answer", "close_answer", "reset", "delay_request", "slow", "trickle",
    "http_status", "html", "garbage", "empty", "huge", "redirect", "wrong_amount", "wrong_client_sn",
    "wrong_terminal_sn", "flawed_fields", "system_error", "illegal_sign",
)  # fmt: skip
