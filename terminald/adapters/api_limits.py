"""How much of the daemon a caller of the local API can hold, and for how long (I11)."""

from dataclasses import dataclass
from typing import Final

#: Connections at once: hosts keep a few each. With a body and a page of events that is a few MiB at worst.
MAX_CONNECTIONS: Final = 64
#: Of these over TCP, where every user can connect: a browser keeps six. The Unix socket always has room.
MAX_TCP_CONNECTIONS: Final = 32
#: Event streams at once: far more than a host, a display and a few tools. Fewer than connections, so that calls always
#: find room.
MAX_STREAMS: Final = 50
#: "Heartbeat ≤ 15 s" (field facts of local APIs): hosts give up on silence.
HEARTBEAT_S: Final = 10.0
#: A host on the same board sends a head, or 64 KiB of body, in no time; one that stops half-way holds a connection.
RECEIVE_LIMIT_S: Final = 10.0
#: A host that takes nothing for so long is hung. It is dropped, and finds all it missed in the log.
STALL_LIMIT_S: Final = 10.0
#: Calls under way at a stop: commits take milliseconds, and what waits for the gateway is in the journal already.
GRACE_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """The limits in force; tests shorten them."""

    max_connections: int = MAX_CONNECTIONS
    max_tcp_connections: int = MAX_TCP_CONNECTIONS
    max_streams: int = MAX_STREAMS
    heartbeat_s: float = HEARTBEAT_S
    receive_s: float = RECEIVE_LIMIT_S
    stall_s: float = STALL_LIMIT_S
    grace_s: float = GRACE_S
