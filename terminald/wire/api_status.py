"""The JSON of the status, and of looking after the terminal; see :mod:`terminald.wire.api_shapes`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from terminald.wire.api_shapes import Attention, Device, Key, Request, Time

#: Why terminald serves without its journal.
StopCode = Literal["journal_damaged", "journal_too_new", "journal_failed"]


class DrainRequest(Request, frozen=True, kw_only=True):
    """No more sales are to be begun."""

    until: Annotated[Literal["resume", "restart"], Meta(description="how long; over restarts when missing")] = "resume"


class ResumeRequest(Request, frozen=True, kw_only=True):
    """Sales are to be begun again."""

    code: Annotated[
        Literal["journal_restored"] | None,
        Meta(
            description="journal_restored: a person has compared the days since the copy with the gateway's. "
            "Without it a restored journal is not resumed; a drain is. With it no drain is"
        ),
    ] = None


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


class Stopped(Struct, frozen=True, kw_only=True):
    """terminald runs without its journal, and sells nothing.

    Code: ``journal_damaged`` until somebody restores it, ``journal_too_new`` until the newer terminald that wrote it is
    installed again, ``journal_failed`` until it can be opened. Detail says what was found; since: when the damage was
    noted, or else when this start found it.
    """

    code: StopCode
    since: Time
    detail: str
    advice: str


class Restored(Struct, frozen=True, kw_only=True):
    """The journal was restored from a copy of then (null: not known), and nobody has compared the days since."""

    copied_at: Time | None


class Terminal(Struct, frozen=True, kw_only=True):
    """Who this terminal is to the gateway; sn is null before the activation, and while terminald is stopped."""

    sn: str | None
    device_id: str | None
    activated_at: Time | None


class GatewayLink(Struct, frozen=True, kw_only=True):
    """The link to the gateway."""

    reachable: bool | None
    last_answer_at: Time | None


class ClockStatus(Struct, frozen=True, kw_only=True):
    """The clock of the board."""

    synchronized: bool


class Status(Struct, frozen=True, kw_only=True):
    """The present state of everything. Ready means: a sale would be begun; else reasons say why not.

    While stopped is there nobody knows what only the journal says: that is null, and whether the terminal is activated
    is not known either.
    """

    ready: bool
    reasons: tuple[str, ...]
    terminal: Terminal
    key: Key | None
    gateway: GatewayLink
    devices: tuple[Device, ...]
    sale: str | None
    unresolved: int | None
    attention: int
    print_queue: int | None
    clock: ClockStatus
    draining: bool
    #: Whether something is under way that a drain waits for.
    in_flight: bool = False
    disk: Disk | None = None
    stopped: Stopped | None = None
    restored: Restored | None = None
    version: str
    uptime_s: int
