"""Activation: the terminal's identity at the gateway, asked for once and never lost sight of.

Each request that arrives may use up one use of the code and make an identity (Web API documents, activate). So the
journal notes that one is about to be sent before it is, and its outcome with the identity in one commit. What was
noted and has no outcome was cut off: a use of the code may be gone.
"""

import asyncio
import platform

import terminald
from terminald.adapters.clock import is_synchronized, wall_ms
from terminald.adapters.gateway_activation import ActivationNotSent, activate
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.app import gateway_settings
from terminald.app_board import residence_of_new_identity
from terminald.config import Config
from terminald.core.events import Fault
from terminald.core.ids import Secret, WallTime
from terminald.core.terminal import ActivationIntent, Terminal
from terminald.errors import JournalError, JournalUnavailable
from terminald.wire.upay import Activated, ActivationRefused, ActivationUnknown, encode_activate

#: How an outcome on record begins.
ACTIVATED, REFUSED, NOT_SENT, UNKNOWN = "activated", "refused", "not sent", "unknown"

#: The last characters of a code tell a person which one it was, where they are a small part of it.
_SHOWN, _SHORTEST_SHOWN = 2, 8

ActivationFailure = ActivationRefused | ActivationUnknown | ActivationNotSent


def mask_code(code: Secret) -> str:
    """Return what may be kept of an activation code."""
    value = code.reveal()
    return f"…{value[-_SHOWN:]}" if len(value) >= _SHORTEST_SHOWN else "…"


def doubtful_activations(journal: SqliteJournal) -> tuple[ActivationIntent, ...]:
    """Return the tries since the last success whose answer nobody knows: each may have used up a use of its code."""
    tries = journal.activations()
    last = max((place for place, one in enumerate(tries) if one.outcome.startswith(ACTIVATED)), default=-1)
    return tuple(one for one in tries[last + 1 :] if not one.outcome or one.outcome.startswith(UNKNOWN))


def activate_terminal(
    config: Config, journal: SqliteJournal, *, code: Secret, vendor_key: Secret
) -> Terminal | ActivationFailure:
    """Send one activation, and store the identity that it gives; one that is there already is replaced.

    Interrupted with Ctrl-C the outcome is unknown, and is stored so. The vendor key is stored nowhere.

    Raises:
        ValueError: the code can not be one; nothing was sent.
        ConfigError: the device id is not the one that was fixed; nothing was sent.
        JournalError: the journal can not be written. The text says whether an identity was lost.
    """
    home = residence_of_new_identity(config, journal)
    body = encode_activate(
        app_id=config.vendor.app_id,
        code=code,
        device_id=home.device_id,
        client_sn=config.terminal.client_sn,
        name=config.terminal.name,
        os_info=f"{platform.system()} {platform.release()}"[:45],
        sdk_version=f"terminald {terminald.__version__}",
    )
    number = journal.record_activation_intent(mask_code(code), WallTime(wall_ms()))
    answer = _send(config, body, vendor_key)
    if not isinstance(answer, Activated):
        journal.close_activation(number, _outcome(answer), None)
        return answer
    at = WallTime(wall_ms())
    terminal = Terminal(
        terminal_sn=answer.terminal_sn,
        device_id=home.device_id,
        current_key=answer.terminal_key,
        previous_key=None,
        activated_at=at,
        rotated_at=at,
    )
    try:
        journal.close_activation(number, ACTIVATED, terminal, home.board)
    except JournalError as exc:
        raise JournalUnavailable(
            f"the gateway made terminal {answer.terminal_sn}, and its key could not be stored ({exc}): "
            "a use of the code is gone. Repair the disk, then activate again"
        ) from exc
    return terminal


def _send(config: Config, body: bytes, vendor_key: Secret) -> Activated | ActivationFailure:
    try:
        return asyncio.run(
            activate(
                gateway_settings(config),
                body,
                vendor_sn=config.vendor.sn,
                vendor_key=vendor_key,
                is_clock_right=is_synchronized,
            )
        )
    except ValueError as exc:
        return ActivationNotSent(Fault(code="invalid_settings", message=str(exc)))
    except KeyboardInterrupt:
        return ActivationUnknown(Fault(code="interrupted", message="while waiting for the answer"))


def _outcome(answer: ActivationFailure) -> str:
    if isinstance(answer, ActivationRefused):
        word = REFUSED
    else:
        word = NOT_SENT if isinstance(answer, ActivationNotSent) else UNKNOWN
    return f"{word}: {answer.fault.code} {answer.fault.message}".rstrip()
