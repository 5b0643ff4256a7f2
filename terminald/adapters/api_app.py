"""The local API as an ASGI application: from a request to its method, and from whatever that raises to a problem."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_peer import Gate, Peer
from terminald.adapters.api_routes import Handler, Request
from terminald.adapters.api_views import MAX_NAME
from terminald.errors import ApiError, IllegalTransition, JournalError
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.api import MAX_BODY
from terminald.wire.api_calls import CALLS, ApiCall
from terminald.wire.api_door import media_type
from terminald.wire.api_problems import problem_json

_log = logging.getLogger(__name__)

#: More query parameters than any call has.
_MAX_PARAMETERS: Final = 16
#: Of a method that is none of ours this much is repeated; the longest that is registered has 17 letters.
_MAX_METHOD: Final = 20
#: Problems after which the rest of a body may still come: nobody waits for it.
_BODY_UNREAD: Final = frozenset({"body_timeout", "body_too_large", "forbidden"})
_CLOSE: Final = {"Connection": "close"}


class Shutdown:
    """Tells every call that terminald is about to stop, and ends those that take too long."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._limits: set[asyncio.Timeout] = set()

    def begin(self, grace_s: float) -> None:
        """Refuse new calls, end the event streams, and give the calls under way so long to finish; repeatable."""
        self.begun.set()
        deadline = asyncio.get_running_loop().time() + grace_s
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(deadline)

    @contextlib.asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """Hold one call.

        Raises:
            ApiError: stopping; the call was not begun, or was cancelled and may have been done.
        """
        if self.begun.is_set():
            raise ApiError("stopping", "No new calls are taken.")
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._limits.add(limit)
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise ApiError("stopping", "The call took too long to be waited for.") from None
        finally:
            self._limits.discard(limit)


def build_app(handlers: Mapping[str, Handler], shutdown: Shutdown, limits: ApiLimits, gate: Gate) -> ASGIApp:
    """Return the application, with a route for every call of the table.

    Any exception beside those of a call is answered as internal_error, and then raised for the server to log.
    """
    paths: dict[str, dict[str, ApiCall]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = call
    app = Starlette(
        routes=[Route(path, _Path(calls, handlers, shutdown, limits, gate)) for path, calls in paths.items()],
        exception_handlers={HTTPException: _no_route, Exception: _fault},
    )
    app.router.redirect_slashes = False
    return _RawPaths(app)


class _RawPaths:
    """Routes by the path as it was sent, so that a reference may hold a slash (``%2F``)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": scope["raw_path"].decode("ascii")}, receive, send)


class _Path:
    """All calls of one path."""

    def __init__(
        self,
        calls: Mapping[str, ApiCall],
        handlers: Mapping[str, Handler],
        shutdown: Shutdown,
        limits: ApiLimits,
        gate: Gate,
    ) -> None:
        self._calls = calls
        self._handlers = {call.id: handlers[call.id] for call in calls.values()}
        self._shutdown = shutdown
        self._limits = limits
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive)
        answer = await self._answer(request)
        await answer(scope, receive, send)

    async def _answer(self, request: HttpRequest) -> Response:
        call = self._calls.get(request.method)
        if call is None:
            allowed = ", ".join(sorted(self._calls))
            what = f"{request.method[:_MAX_METHOD]} is not possible here"
            problem = ApiError("method_not_allowed", f"{what}; allowed: {allowed}.")
            return problem_answer(problem, {"Allow": allowed})
        try:
            self._gate.check(_peer(request), call)
            async with self._shutdown.guard():
                return await self._handlers[call.id](await _read(request, call, self._limits.receive_s))
        except (ApiError, IllegalTransition, JournalError) as exc:
            refusal = _refusal(exc, call)
            return problem_answer(refusal, _CLOSE if refusal.code in _BODY_UNREAD else None)
        except ClientDisconnect:
            # Nobody is there to read it.
            return problem_answer(ApiError("body_timeout", "The connection was closed before the body was complete."))


def _peer(request: HttpRequest) -> Peer | None:
    """Return what the connection knows of its other end."""
    found = request.scope.get("state", {}).get("peer")
    return found if isinstance(found, Peer) else None


def _refusal(exc: ApiError | IllegalTransition | JournalError, call: ApiCall) -> ApiError:
    match exc:
        case ApiError():
            return exc
        case IllegalTransition():
            what = call.id.replace("_", " ")
            return ApiError("illegal_transition", f"{what}: not possible any more, or not yet, in state {exc.state}.")
        case JournalError():
            log_event(_log, LogId.CALL_NOT_RECORDED, command=call.id, detail=str(exc))
            return ApiError("journal_failed", "What can not be recorded is not begun.")


def problem_answer(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal as an answer."""
    status, body = problem_json(error)
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, "application/problem+json")


async def _no_route(_: HttpRequest, __: Exception) -> Response:
    return problem_answer(ApiError("no_such_call", "There is no such path."))


async def _fault(_: HttpRequest, __: Exception) -> Response:
    return problem_answer(ApiError("internal_error", "The log of terminald says more."))


# --- the form of a request -------------------------------------------------------------------------------------------


async def _read(request: HttpRequest, call: ApiCall, limit_s: float) -> Request:
    """Check the form of a request, and read all of it.

    Raises:
        ApiError: the code of what is wrong with the form.
        ClientDisconnect: the host went away.
    """
    return Request(
        name=_name(request),
        query=_query(request, call),
        body=await _body(request, limit_s) if call.takes else b"",
        last_event_id=request.headers.get("Last-Event-ID"),
    )


def _name(request: HttpRequest) -> str:
    """Return the name in the path; a name that no sale can have is not looked for."""
    if "id" not in request.path_params:
        return ""
    try:
        name = unquote(request.path_params["id"], errors="strict")
    except UnicodeDecodeError:
        name = ""
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ApiError("not_found", "No sale has such a name.")
    return name


def _query(request: HttpRequest, call: ApiCall) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise ApiError("invalid_request", "The query string can not be read.") from None
    known = {parameter.name for parameter in call.parameters if parameter.place == "query"}
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known or name in found:
            what = "is given twice" if name in found else "there is no such parameter"
            raise ApiError("invalid_request", f"{name[:MAX_NAME]}: {what}", field=name[:MAX_NAME])
        found[name] = value
    return found


async def _body(request: HttpRequest, limit_s: float) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise ApiError("body_too_large", f"The body is larger than {MAX_BODY} bytes.")
    except TimeoutError:
        raise ApiError("body_timeout", f"The body was not complete within {limit_s:g} s.") from None
    if body and media_type(request.headers.get("Content-Type", "")) != "application/json":
        raise ApiError("unsupported_media_type", "Bodies are JSON, and must say so in Content-Type.")
    return bytes(body)
