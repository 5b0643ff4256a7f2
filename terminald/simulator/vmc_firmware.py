"""What is known of the adapter's settings, and what is not known of its firmware.

Everything in :class:`Firmware` is a guess that only hardware can settle: a host has to bear each of its values.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

#: Which status lines follow the end of a vend: idle and then the reader's state, one of both, or none.
Afterwards = Literal["idle+state", "state", "idle", "nothing"]
AFTERWARDS: Final[tuple[Afterwards, ...]] = ("idle+state", "state", "idle", "nothing")


class Reader(StrEnum):
    """The state of the cashless reader that the adapter plays on the bus. Values are the words of its status lines."""

    OFF = "OFF"
    INACTIVE = "INACTIVE"
    DISABLED = "DISABLED"
    ENABLED = "ENABLED"
    IDLE = "IDLE"
    VEND = "VEND"
    APPROVED = "APPROVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """How versions of the adapter may differ.

    Attributes:
        version, hardware: what ``V`` and ``H`` answer.
        banner: what it says when it has booted, before anything was asked; empty says nothing.
        enabled_word: ``ONLINE`` on old ones.
        after_deny, after_cancel, after_failure: which status lines follow.
        tells_reset: when ``c,ERR,VEND 5`` is said before INACTIVE.
        stop_denies: whether ``C,STOP`` in a vend denies it, or is answered with ``"STOP -3"``.
        approves_when_disabled: whether an approval still reaches a machine that disabled the reader in mid-vend.
        at_vend_timeout: what it does when no result came for mdb-timeout-vend seconds after an approval: nothing, or
            say the lines of an ended vend.
        passes_late_results: whether the result of such a vend is passed on when it comes after all.
        at_idle_timeout: the same for a session in which nothing was selected for mdb-timeout-idle seconds.
        tells_timeout: whether mdb-timeout is the reader's maximum response time, so that the machine waits as long.
        quotes: errors of the adapter in quotes and those of the machine without, as documented; all, or none.
        answers_unknown: whether ``c,UNKNOWN,…`` answers what it does not know.
    """

    version: str = "4.0.2.0,0123456789abcdef"
    hardware: str = "3.1,0"
    banner: str = ""
    enabled_word: Literal["ENABLED", "ONLINE"] = "ENABLED"
    after_deny: Afterwards = "idle+state"
    after_cancel: Afterwards = "idle+state"
    after_failure: Afterwards = "idle+state"
    tells_reset: Literal["vend", "always", "never"] = "vend"
    stop_denies: bool = True
    approves_when_disabled: bool = True
    at_vend_timeout: Literal["nothing", "end"] = "nothing"
    passes_late_results: bool = False
    at_idle_timeout: Literal["nothing", "end"] = "end"
    tells_timeout: bool = True
    quotes: Literal["documented", "all", "none"] = "documented"
    answers_unknown: bool = True


def _number(least: int, most: int) -> Callable[[str], bool]:
    def is_good(text: str) -> bool:
        return re.fullmatch("[0-9]{1,5}", text) is not None and least <= int(text) <= most

    return is_good


def _hexadecimal(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(f"0x{pattern}", text) is not None


_flag = _number(0, 1)
_seconds = _number(0, 65_535)

#: The keys of C,SETCONF and what they take. The MDB message timeout is one byte.
SETTINGS: Final[dict[str, Callable[[str], bool]]] = {
    "mdb-always-idle": _flag,
    "mdb-currency-code": _hexadecimal("1[0-9]{3}"),
    "mdb-addr": _hexadecimal("[16]0"),
    "mdb-address": _hexadecimal("[16]0"),
    "mdb-decimal-places": _number(0, 3),
    "mdb-scale-factor": _number(1, 100),
    "mdb-timeout": _number(1, 255),
    "mdb-timeout-idle": _seconds,
    "mdb-timeout-vend": _seconds,
    "mdb-cashsale-enabled": _flag,
    "mdb-restore-funds": _flag,
    "mdb-ftl-enabled": _flag,
    "mdb-display-time": _seconds,
}
#: What it is without C,SETCONF. Captured: 30 s. The rest: as little as possible.
DEFAULTS: Final = {
    "mdb-always-idle": "0",
    "mdb-currency-code": "0x1756",
    "mdb-addr": "0x10",
    "mdb-timeout": "30",
    "mdb-timeout-idle": "0",
    "mdb-timeout-vend": "0",
    "mdb-restore-funds": "0",
}
