"""Checks of who the terminal is, of the clock, of the gateway, and of each of the terminal's keys."""

from collections.abc import Iterator, Mapping
from typing import Final

from terminald.adapters.clock import TIMESYNC, wall_ms
from terminald.adapters.gateway_look import GatewayLook
from terminald.adapters.journal_look import JournalLook
from terminald.adapters.ports import LinkReport, LinkState
from terminald.cli.doctor_findings import Finding, fail, ok, warn
from terminald.cli.words import local_time, span
from terminald.config import Config
from terminald.core.custody import KEY_LIFE
from terminald.core.custody_table import CustodyState, Rotation
from terminald.core.events import Fault
from terminald.core.terminal import Terminal
from terminald.logs import redact
from terminald.wire.api_problems import ATTENTION_ADVICE, READINESS_ADVICE, advice
from terminald.wire.api_views import rfc3339

#: The gateway tells its time to the second, and its answer has been on its way. More than this is another time.
CLOCK_TOLERANCE_MS: Final = 5_000
_SET_CLOCK: Final = "let the system keep the time: timedatectl set-ntp true"

_S = CustodyState
_STATES: Final[Mapping[CustodyState, str]] = {
    _S.UNPROVEN: "new, and waiting for its proof",
    _S.FRESH: "in order",
    _S.DUE: "due for renewal",
    _S.CHECKING_IN: "being renewed",
    _S.DOUBTFUL: "the answer to the last check-in was lost; terminald asks again by itself, some hours later",
    _S.RECHECKING: "being renewed again, after an answer that was lost",
    _S.STOPPED: "renewal has stopped",
    _S.EXPIRED: "too old",
    _S.LOCKED_OUT: "refused by the gateway",
}
#: What these mean for the next hours is told by the keys' own lines.
_DOUBTS: Final = frozenset({_S.DOUBTFUL, _S.RECHECKING, _S.STOPPED, _S.EXPIRED, _S.LOCKED_OUT})


def check_identity(config: Config, look: JournalLook | None) -> Iterator[Finding]:
    """Whether the terminal is activated, and the configuration names the device that it was activated as."""
    check, wanted = "identity", config.terminal.device_id
    if look is not None and look.device_id and wanted not in ("auto", look.device_id):
        what = (
            f"terminal.device_id is {wanted!r}, but this terminal has been {look.device_id!r} from its first start on"
        )
        yield fail(check, what, 'the gateway refuses a check-in with another: set "auto", or the first one')
    if look is None or look.terminal is None:
        yield fail(check, "this terminal has no identity at the gateway", READINESS_ADVICE["not_activated"])
        return
    terminal = look.terminal
    since = local_time(rfc3339(terminal.activated_at))
    yield ok(check, f"terminal {terminal.terminal_sn}, device id {terminal.device_id}, activated {since}")


def check_clock(heard: GatewayLook | None) -> Iterator[Finding]:
    """Whether the system's clock is kept, and agrees with the gateway's."""
    check, is_kept = "clock", TIMESYNC.exists()
    kept = "synchronized" if is_kept else "not synchronized by a time service"
    ahead_ms = None if heard is None else heard.ahead_ms
    if ahead_ms is None:
        what = f"{kept}, and not compared: the gateway did not tell its time"
        yield ok(check, what) if is_kept else warn(check, what, _SET_CLOCK)
    elif not _agrees(ahead_ms):
        where = "ahead of" if ahead_ms > 0 else "behind"
        yield warn(check, f"{kept}, and {span(abs(ahead_ms) / 1000)} {where} the gateway's", _SET_CLOCK)
    else:
        yield ok(check, f"{kept}, and agrees with the gateway's")


def _agrees(ahead_ms: int) -> bool:
    return abs(ahead_ms) <= CLOCK_TOLERANCE_MS


def check_gateway(config: Config, heard: GatewayLook, *, unsigned: str) -> Iterator[Finding]:
    """Whether the gateway is there, and serves this terminal. Unsigned: why it was not asked in the terminal's name."""
    check, url, report = "gateway", config.gateway.url, heard.current
    how = "" if url.startswith("https:") else ", without encryption"
    match report.state:
        case LinkState.DOWN:
            yield fail(check, f"{url}: {_said(report.fault)}", READINESS_ADVICE["gateway_unreachable"])
        case LinkState.TERMINAL_REFUSED:
            yield fail(check, f"{url}: {_said(report.fault)}", READINESS_ADVICE["terminal_refused"])
        case _:
            what = f"unsigned, as {unsigned}" if unsigned else "a signed query"
            yield ok(check, f"{url} answers in {heard.took_ms} ms ({what}){how}")


# --- the keys --------------------------------------------------------------------------------------------------------


def check_keys(look: JournalLook, terminal: Terminal, heard: GatewayLook) -> Iterator[Finding]:
    """How the renewal stands, and which of the two keys the gateway accepts."""
    ahead_ms = 0 if heard.ahead_ms is None or _agrees(heard.ahead_ms) else heard.ahead_ms
    yield _renewal(look.rotation, wall_ms() - ahead_ms - terminal.rotated_at)
    yield from _keys(look.rotation, heard.current, heard.previous, has_previous=terminal.previous_key is not None)


def _renewal(rotation: Rotation | None, age_ms: int) -> Finding:
    is_told = age_ms >= -CLOCK_TOLERANCE_MS
    when = f"issued {span(age_ms / 1000)} ago" if is_told else "issued at an unknown time, because a clock was wrong"
    if rotation is None:
        return ok("key", f"{when}; terminald run renews it from its first start on")
    said = f"; last said: {_said(rotation.fault)}" if rotation.fault else ""
    what = f"{_STATES[rotation.state]}, {when}{said}"
    if rotation.attention is not None:
        return warn("key", f"{what} ({rotation.attention.code})", advice(rotation.attention.code))
    if age_ms > KEY_LIFE:
        return warn("key", what, READINESS_ADVICE["key_expired"])
    if rotation.state in _DOUBTS:
        return warn("key", what, "leave terminald running, with a good link to the gateway")
    return ok("key", what)


def _keys(
    rotation: Rotation | None, current: LinkReport, previous: LinkReport | None, *, has_previous: bool
) -> Iterator[Finding]:
    check = "key"
    first = "current key" if rotation is None else f"current key (number {rotation.version})"
    second = "previous key"
    if rotation is not None and rotation.previous_version is not None:
        second = f"previous key (number {rotation.previous_version})"
    is_second_good = previous is not None and previous.state is LinkState.PROVEN
    match current.state:
        case LinkState.PROVEN:
            yield ok(check, f"{first}: accepted")
        case LinkState.KEY_REFUSED if is_second_good:
            what = f"{first}: REFUSED, while the one before is accepted: sales go on with that, for 48 hours at most"
            yield warn(check, what, ATTENTION_ADVICE["key_unproven"])
        case LinkState.KEY_REFUSED if previous is None or previous.state is LinkState.KEY_REFUSED:
            what = f"{first}: REFUSED, and there is no other that is accepted: no sale is possible"
            yield fail(check, what, READINESS_ADVICE["key_locked_out"])
        case LinkState.KEY_REFUSED:
            yield fail(check, f"{first}: REFUSED, and nothing was heard of the other", "run terminald doctor again")
        case _:
            yield warn(check, "neither key was judged: see gateway", "run terminald doctor again when it answers")
            return
    if not has_previous:
        yield ok(check, f"{second}: there is none before the first renewal")
    elif is_second_good:
        yield ok(check, f"{second}: accepted")
    elif previous is not None and previous.state is LinkState.KEY_REFUSED:
        # Nothing to be done about it: a warning would only send somebody out.
        why = "it is older than 48 hours, or a check-in had no answer"
        yield ok(check, f"{second}: refused ({why}); nothing is lost while the current one is accepted")
    else:
        yield warn(
            check, f"{second}: not judged: {_said(previous.fault if previous else None)}", "run terminald doctor again"
        )


def _said(fault: Fault | None) -> str:
    return redact(": ".join(part for part in (fault.code, fault.message) if part)) if fault else "no usable answer"
