"""The JSON of the status, and of looking after the terminal; see :mod:`terminald.wire.api_shapes`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from terminald.wire.api_shapes import Attention, Device, Key, Request, Time


class DrainRequest(Request, frozen=True, kw_only=True):
    """No more sales are to be begun."""

    until: Annotated[Literal["resume", "restart"], Meta(description="how long; over restarts when missing")] = "resume"


class Health(Struct, frozen=True, kw_only=True):
    """This version serves: engine and journal answered, and the disk takes writes."""

    healthy: bool
    version: str


class Disk(Struct, frozen=True, kw_only=True):
    """The disk under the journal; what is not known is null. Attention says why a person should look at it."""

    free_mb: int | None
    commit_p99_ms: int | None
    copied_at: Time | None
    attention: Attention | None = None


class Terminal(Struct, frozen=True, kw_only=True):
    """Who this terminal is to the gateway; sn is null before the activation."""

    sn: str | None
    device_id: str
    activated_at: Time | None


class GatewayLink(Struct, frozen=True, kw_only=True):
    """The link to the gateway."""

    reachable: bool
    last_answer_at: Time | None


class ClockStatus(Struct, frozen=True, kw_only=True):
    """The clock of the board."""

    synchronized: bool


class Status(Struct, frozen=True, kw_only=True):
    """The present state of everything. Ready means: a sale would be begun; else reasons say why not."""

    ready: bool
    reasons: tuple[str, ...]
    terminal: Terminal
    key: Key | None
    gateway: GatewayLink
    devices: tuple[Device, ...]
    sale: str | None
    unresolved: int
    attention: int
    print_queue: int
    clock: ClockStatus
    draining: bool
    #: Whether something is under way that a drain waits for.
    in_flight: bool = False
    disk: Disk | None = None
    version: str
    uptime_s: int
