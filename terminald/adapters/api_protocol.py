"""uvicorn's connection, with an end to every wait for the peer."""

import asyncio
import socket
from typing import Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_peer import peer_of, place_of
from terminald.errors import ApiError
from terminald.wire.api_door import Place
from terminald.wire.api_problems import problem_json


def _raw_problem(code: str, detail: str) -> bytes:
    """Return a whole HTTP answer, for a peer to whom the application does not talk."""
    status, body = problem_json(ApiError(code, detail))
    head = f"HTTP/1.1 {status} \r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


_OVERLOADED: Final = _raw_problem("overloaded", "There are too many connections already.")
_INVALID_HTTP: Final = _raw_problem("invalid_http", "The request can not be read.")


class BoundedProtocol(H11Protocol):
    """A connection that ends when its peer sends half a request, or takes no answer, for too long."""

    limits = ApiLimits()

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        #: Where the connection arrived; None for the Unix socket.
        self.place: Place | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take a connection, or refuse it at once when there are too many."""
        sock: socket.socket = transport.get_extra_info("socket")
        self.place = place_of(sock)
        if self._is_one_too_many():
            self.transport = transport
            transport.write(_OVERLOADED)
            transport.close()
            return
        # Any unsent byte counts as stalled: nothing gathers beyond what the peer is being sent.
        transport.set_write_buffer_limits(high=0)
        # Into the scope of each call; asked once, as nobody else can take the connection over.
        self.app_state = {**self.app_state, "peer": peer_of(sock), "place": self.place}
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.limits.receive_s, transport.abort)

    def _is_one_too_many(self) -> bool:
        if len(self.connections) >= self.limits.max_connections:
            return True
        over_tcp = [one for one in self.connections if isinstance(one, BoundedProtocol) and one.place is not None]
        return self.place is not None and len(over_tcp) >= self.limits.max_tcp_connections

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_head_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; between two requests the time for a whole head begins with its first byte."""
        super().data_received(data)
        if _is_busy(self.cycle):
            self._stop_head_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.receive_s, self.transport.abort)

    def pause_writing(self) -> None:
        """Begin to wait for a peer that takes nothing."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self.limits.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the peer has taken everything."""
        self._stop_stall_timer()
        super().resume_writing()

    def send_400_response(self, _msg: str) -> None:
        """Refuse what is not HTTP; in the middle of an answer the connection is just closed."""
        if not (_is_busy(self.cycle) and self.cycle.response_started):
            self.transport.write(_INVALID_HTTP)
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


def _is_busy(cycle: RequestResponseCycle | None) -> bool:
    """Whether a request is being answered; uvicorn has no cycle before the first."""
    return cycle is not None and not cycle.response_complete


def protocol_with(limits: ApiLimits) -> type[BoundedProtocol]:
    """Return the protocol with these limits; uvicorn makes one of it for each connection."""

    class Limited(BoundedProtocol):
        pass

    Limited.limits = limits
    return Limited
