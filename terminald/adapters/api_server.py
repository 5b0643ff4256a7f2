"""The local API's server: uvicorn on sockets that are bound elsewhere, with an end to every wait for a peer."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from terminald.adapters.api_app import Shutdown, build_app
from terminald.adapters.api_events import EventStreams
from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_protocol import protocol_with
from terminald.adapters.api_routes import Routes
from terminald.adapters.api_socket import BACKLOG
from terminald.adapters.ports import Desk
from terminald.core.schedule import Now
from terminald.wire.api import SaleDefaults

_log = logging.getLogger(__name__)

#: A quiet connection is kept for a host's next call; a short time would race with it.
KEEP_ALIVE_S: Final = 60
#: What is still running after the grace is cancelled, and has this long to notice.
_LAST_S: Final = 1.0


class ApiServer:
    """Serves the desk to callers. Lives for one run."""

    def __init__(
        self,
        desk: Desk,
        defaults: SaleDefaults,
        clock: Callable[[], Now],
        version: str,
        limits: ApiLimits | None = None,
    ) -> None:
        """Clock places instants on the calendar; version is terminald's."""
        self._limits = limits or ApiLimits()
        self._shutdown = Shutdown()
        streams = EventStreams(desk, self._shutdown.begun, self._limits)
        routes = Routes(desk, defaults, clock, version, streams)
        self._app = build_app(routes.handlers(), self._shutdown, self._limits)

    def stop(self) -> None:
        """Make :meth:`serve` return, after the calls under way or the grace; repeatable, and harmless before it."""
        self._shutdown.begin(self._limits.grace_s)

    async def serve(self, *sockets: socket.socket) -> None:
        """Serve listening sockets until :meth:`stop`; they are closed at the end.

        Cancelling ends it at once: calls under way are cancelled, and every connection is cut.
        """
        config = uvicorn.Config(
            _connection_loop(self._app),
            http=protocol_with(self._limits),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # Below an error there is nothing but peers that do not speak HTTP, and uvicorn's own course of life.
            log_level=logging.ERROR,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(self._limits.grace_s + self._limits.stall_s) + 1,
        )
        server = _Server(config, self._shutdown.begun)
        try:
            await server.serve(list(sockets))
        finally:
            self._shutdown.begin(0)
            await _cut(server)


def _connection_loop(app: ASGIApp) -> ASGIApp:
    """Return the application with an end to every exception: a fault in one call does not touch the others."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception:  # noqa: BLE001 - the API's connection loop
            # Without the path, which says what the caller sent.
            _log.exception("a %s call failed; its caller was told internal_error", scope["method"])

    return serve


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers and its polling."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self.servers = []  # uvicorn sets it later, and a cancelled start needs it
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self._stopping.wait()


async def _cut(server: _Server) -> None:
    """Let go of all that is left: listeners, connections, and calls that do not end."""
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    if tasks := set(server.server_state.tasks):
        _, late = await asyncio.wait(tasks, timeout=_LAST_S)
        for task in late:
            task.cancel()
