"""A look at the gateway from beside the daemon: is it there, what time is it there, and does it accept each key.

Everything asked changes nothing: queries for an order that never was, or, without an identity, a request for nothing.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from terminald.adapters.clock import wall_ms
from terminald.adapters.gateway_http import Credentials, HttpGateway, parse_date
from terminald.adapters.gateway_line import GatewaySettings, Line
from terminald.adapters.ports import LinkReport, LinkState
from terminald.core.events import Fault
from terminald.core.ids import WallTime
from terminald.errors import GatewayNotSent, GatewayOutcomeUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLook:
    """What was heard. Without an identity nothing is said of keys, and PROVEN means that anything answered."""

    current: LinkReport
    #: None where there is no previous key, or nothing was heard of the current one.
    previous: LinkReport | None
    took_ms: int
    #: By how much the clock of this machine is ahead of the gateway's, to about a second; None: it did not tell.
    ahead_ms: int | None


class _Watch:
    """Compares the clocks with each answer."""

    def __init__(self) -> None:
        self.ahead_ms: int | None = None

    def note(self, at: WallTime) -> None:
        self.ahead_ms = wall_ms() - at


async def look_with_keys(settings: GatewaySettings, credentials: Credentials) -> GatewayLook:
    """Ask with each key alone.

    Raises:
        ValueError: the address may not be used, or the CA file can not be read.
    """
    watch, last = _Watch(), credentials.only_previous()
    loop = asyncio.get_running_loop()
    gateway = HttpGateway(settings, credentials=lambda: None, on_time=watch.note)
    try:
        began = loop.time()
        current = await gateway.probe_with(credentials.only_current())
        took_ms = round((loop.time() - began) * 1000)
        is_there = current.state is not LinkState.DOWN
        previous = await gateway.probe_with(last) if last is not None and is_there else None
    finally:
        await gateway.aclose()
    return GatewayLook(current=current, previous=previous, took_ms=took_ms, ahead_ms=watch.ahead_ms)


async def look_without_identity(settings: GatewaySettings) -> GatewayLook:
    """Find out whether anything answers at the address, whatever it says.

    Raises:
        ValueError: as above.
    """
    watch, loop = _Watch(), asyncio.get_running_loop()
    began = loop.time()
    async with aclosing(Line(settings, None)) as line:
        try:
            reply = await line.exchange("/", b"{}", None)
            report = LinkReport(state=LinkState.PROVEN)
            if (at := parse_date(reply.date)) is not None:
                watch.note(at)
        except GatewayNotSent as exc:
            report = LinkReport(state=LinkState.DOWN, fault=Fault(code="gateway_unreachable", message=str(exc)))
        except GatewayOutcomeUnknown as exc:
            report = LinkReport(state=LinkState.DOWN, fault=Fault(code="gateway_no_answer", message=str(exc)))
    took_ms = round((loop.time() - began) * 1000)
    return GatewayLook(current=report, previous=None, took_ms=took_ms, ahead_ms=watch.ahead_ms)
