"""The local API's server: uvicorn on sockets that are bound elsewhere, with an end to every wait for a peer."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from terminald.adapters.api_app import Shutdown, build_app
from terminald.adapters.api_door import Door
from terminald.adapters.api_events import EventStreams
from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_peer import Gate, gate_of
from terminald.adapters.api_protocol import protocol_with
from terminald.adapters.api_routes import Routes
from terminald.adapters.api_socket import BACKLOG
from terminald.adapters.ports import Desk
from terminald.core.schedule import Now
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.api import SaleDefaults
from terminald.wire.metrics import Family

_log = logging.getLogger(__name__)

#: A quiet connection is kept for a host's next call; a short time would race with it.
KEEP_ALIVE_S: Final = 60
#: How long the answers to calls that were ended have to get out, and their tasks to end.
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
        gate: Gate | None = None,
        door: Door | None = None,
    ) -> None:
        """Clock places instants on the calendar; version is terminald's.

        Without a gate no group administers; without a door nobody comes in over TCP.
        """
        self._limits = limits or ApiLimits()
        #: Set when calls are answered.
        self.answers = asyncio.Event()
        self._shutdown = Shutdown()
        streams = EventStreams(desk, self._shutdown.begun, self._limits)
        self._routes = Routes(desk, defaults, clock, version, streams)
        app = build_app(self._routes.handlers(), self._shutdown, self._limits, gate or gate_of(""))
        self._app = (door or Door()).before(app)

    def take_defaults(self, defaults: SaleDefaults) -> None:
        """Take what sales are from now on when the host does not say."""
        self._routes.defaults = defaults

    def take_figures(self, figures: Callable[[], Iterable[Family]]) -> None:
        """Take what the metrics show beside the status; it does not block."""
        self._routes.figures = figures

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
            # Never reached: every connection is cut before.
            timeout_graceful_shutdown=int(self._limits.grace_s + 2 * _LAST_S) + 1,
        )
        server = _Server(config, self.answers, self._shutdown.begun, self._limits.grace_s + _LAST_S)
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
            log_event(_log, LogId.CALL_FAILED, command=scope["method"], exc_info=True)

    return serve


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers and its polling."""

    def __init__(
        self, config: uvicorn.Config, answers: asyncio.Event, stopping: asyncio.Event, patience_s: float
    ) -> None:
        """Answers is set once it has started.

        Patience is how long peers may take to receive what is left for them, once it is stopping.
        """
        super().__init__(config)
        self._patience_s = patience_s
        self.servers = []  # uvicorn sets it later, and a cancelled start needs it
        self._answers = answers
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        self._answers.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        cut = asyncio.get_running_loop().call_later(self._patience_s, self.cut_connections)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def cut_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


async def _cut(server: _Server) -> None:
    """Let go of all that is left: listeners, connections, and calls that do not end."""
    for listener in server.servers:
        listener.close()
    server.cut_connections()
    if tasks := set(server.server_state.tasks):
        _, late = await asyncio.wait(tasks, timeout=_LAST_S)
        for task in late:
            task.cancel()
