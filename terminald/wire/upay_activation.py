"""Answers to activation and check-in: a terminal's identity and key, or why there is none."""

import re
from dataclasses import dataclass

from terminald.core.events import Fault
from terminald.core.ids import Secret
from terminald.wire.upay_envelope import COMMUNICATED, fault, is_refusal, read_envelope, unreadable

#: "≤32" (documents, terminal_sn), and one word: it stands in a header.
_SN = re.compile(r"[!-~]{1,32}")
#: Keys in the documents have 32 hex digits; longer ones would do (I11).
_KEY = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """The terminal's identity, and the key that is valid now."""

    terminal_sn: str
    terminal_key: Secret


@dataclass(frozen=True, slots=True)
class ActivationRefused:
    """Definitely refused: there is no new identity, and no use of the code was spent."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class ActivationUnknown:
    """A use of the code may have been spent, and an identity made that nobody holds."""

    fault: Fault


def decode_activation(status: int, body: bytes) -> Activated | ActivationRefused | ActivationUnknown:
    """Read the answer to an activation or a check-in. Total: no bytes raise.

    Every refusal by the first layer is definite here, whatever its code: which codes there are for an activation code
    that is wrong, used up or expired is not documented, and such an answer has no identity in it.
    """
    envelope = read_envelope(status, body)
    if envelope is None:
        return ActivationUnknown(unreadable(status))
    outer, biz = envelope.outer, envelope.biz
    if is_refusal(envelope):
        return ActivationRefused(fault(outer.error_code or outer.result_code, outer.error_message))
    if outer.result_code != COMMUNICATED:
        return ActivationUnknown(fault(outer.error_code or outer.result_code, outer.error_message))
    sn, key = envelope.flat.get("terminal_sn", ""), envelope.flat.get("terminal_key", "")
    if not sn and not key and biz.result_code == "FAIL":
        return ActivationRefused(fault(biz.error_code or biz.result_code, biz.error_message))
    if _SN.fullmatch(sn) and _KEY.fullmatch(key):
        return Activated(terminal_sn=sn, terminal_key=Secret(key))
    return ActivationUnknown(Fault(code="incomplete_answer", message="the answer has no usable terminal_sn and key"))
