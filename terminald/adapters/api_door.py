"""The door of the loopback port, in front of the application: callers of the Unix socket do not pass it."""

import asyncio
import logging
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from terminald.adapters.api_app import problem_answer
from terminald.config import ApiConfig
from terminald.core.ids import Secret
from terminald.errors import ApiError
from terminald.logs import log_event, protect
from terminald.logs_ids import LogId
from terminald.wire.api_door import Admission, Terms, admit

_log = logging.getLogger(__name__)

#: Refusals of one kind come by the hundred: a page that tries again and again, or somebody who tries tokens.
TOLD_AGAIN_S: Final = 60.0


def terms_of(settings: ApiConfig, token: Secret | None) -> Terms:
    """Return on what terms callers come in. From now on the token is hidden in whatever is logged."""
    if token is not None:
        protect(token)
    return Terms(origins=frozenset(settings.allowed_origins), token=token)


class Door:
    """Judges every request that did not come over the Unix socket. One instance for the life of the process."""

    def __init__(self, terms: Terms | None = None) -> None:
        """Without terms nobody comes in."""
        self._terms = terms or Terms()
        self._withdrawn = asyncio.Event()
        self._told: dict[str, float] = {}

    def take(self, terms: Terms) -> None:
        """Go by other terms from now on. Whoever came in by the ones before is let out: event streams end."""
        if terms != self._terms:
            self._terms = terms
            self._withdrawn.set()
            self._withdrawn = asyncio.Event()

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return the application behind this door."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            # A connection that does not say where it came in is not served.
            place = scope["state"]["place"]
            if place is None:
                await app(scope, receive, send)
                return
            admission = admit(scope["method"], scope["headers"], place=place, terms=self._terms)
            send = _with_headers(send, admission)
            if admission.refusal is not None:
                self._tell(admission.refusal)
                # Its body is not read.
                answer = problem_answer(admission.refusal, {"Connection": "close"})
                await answer(scope, receive, send)
            elif admission.is_preflight:
                await Response(None, 204)(scope, receive, send)
            else:
                await app(scope, _until(self._withdrawn, receive), send)

        return serve

    def _tell(self, refusal: ApiError) -> None:
        """Log a refusal: a page does not get to read most of them, and whoever wrote it looks here."""
        now = asyncio.get_running_loop().time()
        is_news = now - self._told.get(refusal.code, -TOLD_AGAIN_S) >= TOLD_AGAIN_S
        if is_news:
            self._told[refusal.code] = now
        level = logging.WARNING if is_news else logging.DEBUG
        log_event(_log, LogId.TCP_REFUSED, level=level, code=refusal.code, detail=refusal.detail)


def _with_headers(send: Send, admission: Admission) -> Send:
    more = [(name.lower().encode(), value.encode("latin-1")) for name, value in admission.headers]

    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return send_with


def _until(end: asyncio.Event, receive: Receive) -> Receive:
    """Return a receive to which the caller has gone away when the end comes."""

    async def receive_until() -> Message:
        hearing, ending = asyncio.ensure_future(receive()), asyncio.ensure_future(end.wait())
        try:
            await asyncio.wait({hearing, ending}, return_when=asyncio.FIRST_COMPLETED)
            return hearing.result() if hearing.done() else {"type": "http.disconnect"}
        finally:
            hearing.cancel()
            ending.cancel()

    return receive_until
