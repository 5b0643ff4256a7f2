"""How long the gateway takes to answer, and what goes wrong with it, measured at every single request."""

import asyncio
from collections.abc import Iterator
from typing import Final

from terminald.adapters.gateway_line import Line, Reply, Signature
from terminald.adapters.meters import Counter, Stopwatch
from terminald.errors import GatewayCertificateTime, GatewayNotSent, GatewayOutcomeUnknown
from terminald.wire import upay
from terminald.wire.metrics import Family
from terminald.wire.upay_envelope import COMMUNICATED, is_refusal

#: Up to the usual read timeout of 15 s, and what connecting may add to it.
BOUNDS_S: Final = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30)
#: The last part of each address that the daemon calls, and thereby the names of its requests.
CALLS: Final = {
    upay.PAY_PATH: "pay",
    upay.PRECREATE_PATH: "precreate",
    upay.QUERY_PATH: "query",
    upay.CANCEL_PATH: "cancel",
    upay.REFUND_PATH: "refund",
    upay.REVOKE_PATH: "revoke",
    upay.CHECKIN_PATH: "checkin",
    upay.UPLOAD_LOG_PATH: "upload_log",
}
NOT_SENT, CLOCK, UNANSWERED, UNREADABLE, FAILED, REFUSED = CLASSES = (
    "not_sent",
    "clock",
    "unanswered",
    "unreadable",
    "failed",
    "refused",
)


class MeteredLine:
    """A line that is measured; in all else the line itself."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._took = Stopwatch(
            "terminald_gateway_request_duration_seconds",
            "Time from a request to its whole answer, connecting included; of requests that had one.",
            BOUNDS_S,
            "call",
            CALLS.values(),
        )
        self._errors = Counter(
            "terminald_gateway_errors_total",
            "Requests to the gateway that came to nothing, by how far they came. A declined payment is none of them.",
            "class",
            CLASSES,
        )

    async def exchange(self, path: str, body: bytes, signature: Signature | None) -> Reply:
        """Send once; see :meth:`terminald.adapters.gateway_line.Line.exchange`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            reply = await self._line.exchange(path, body, signature)
        except GatewayCertificateTime:
            self._errors.add(CLOCK)
            raise
        except GatewayNotSent:
            self._errors.add(NOT_SENT)
            raise
        except GatewayOutcomeUnknown:
            self._errors.add(UNANSWERED)
            raise
        self._took.note(loop.time() - began, CALLS[path])
        self._errors.add(_fault_of(reply))
        return reply

    async def aclose(self) -> None:
        """Close every connection."""
        await self._line.aclose()

    def figures(self) -> Iterator[Family]:
        """Yield what was measured since the start."""
        yield self._took.family()
        yield self._errors.family()


def _fault_of(reply: Reply) -> str:
    """Return what is wrong with an answer as an answer; empty where nothing is."""
    envelope = upay.read_envelope(reply.status, reply.body)
    if envelope is None:
        return UNREADABLE
    if is_refusal(envelope) or upay.is_terminal_refused(reply.status, reply.body):
        return REFUSED
    return "" if envelope.outer.result_code == COMMUNICATED else FAILED
