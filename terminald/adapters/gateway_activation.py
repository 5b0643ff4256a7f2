"""An activation: one request, signed by the vendor, that makes a terminal's identity."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from terminald.adapters.gateway_http import unanswered, unreachable
from terminald.adapters.gateway_line import GatewaySettings, Line, Signature
from terminald.core.events import Fault
from terminald.core.ids import Secret
from terminald.errors import GatewayNotSent, GatewayOutcomeUnknown
from terminald.wire import upay


@dataclass(frozen=True, slots=True)
class ActivationNotSent:
    """Provably nothing left the device: no use of the code was spent."""

    fault: Fault


async def activate(
    settings: GatewaySettings,
    body: bytes,
    *,
    vendor_sn: str,
    vendor_key: Secret,
    is_clock_right: Callable[[], bool] = lambda: False,
    transport: httpx.AsyncBaseTransport | None = None,
) -> upay.Activated | upay.ActivationRefused | upay.ActivationUnknown | ActivationNotSent:
    """Send one activation once, signed by the vendor. Body is of :func:`terminald.wire.upay.encode_activate`.

    Never repeated: each call may use up one use of the code, and make an identity (documents, activate).

    Raises:
        ValueError: the address or vendor_sn may not be used, or the CA file can not be read; nothing was sent.
    """
    line = Line(settings, transport)
    try:
        reply = await line.exchange(upay.ACTIVATE_PATH, body, Signature(vendor_sn, vendor_key))
    except GatewayNotSent as exc:
        return ActivationNotSent(unreachable(exc, is_clock_right=is_clock_right))
    except GatewayOutcomeUnknown as exc:
        return upay.ActivationUnknown(unanswered(exc))
    finally:
        await line.aclose()
    return upay.decode_activation(reply.status, reply.body)
