"""The whole error tree, named by what the caller may do next.

A decline by the gateway is an event, not an exception. Exceptions of foreign libraries are translated once, in the
adapter that called the library, with ``raise ... from exc``.
"""


class TerminaldError(Exception):
    """Base of every error that terminald raises on purpose."""


class IllegalTransition(TerminaldError):
    """An event that the current state has no row for: our bug, or a call that came too late. Nothing was changed."""

    def __init__(self, state: str, event: str) -> None:
        """State and event are the names in the machine's table."""
        super().__init__(f"{event} is not possible in state {state}")
        self.state = state
        self.event = event


class ConfigError(TerminaldError):
    """The configuration is wrong in one or more places. Exit code 78: starting again will not help."""

    def __init__(self, faults: list[str]) -> None:
        """Each fault is one line ``file:line: key: what is wrong, what is allowed``."""
        super().__init__("\n".join(faults))
        self.faults = faults


class WrongBoard(TerminaldError):
    """The state directory is from another board. Exit code 78: starting again will not help, a person must decide."""

    def __init__(self, what: str, *, advice: str) -> None:
        """What: what was found, and why nothing is begun; advice: what the person does."""
        super().__init__(what)
        self.advice = advice


class DeviceError(TerminaldError):
    """A device did not do what was asked. Never changes the fate of money."""

    def __init__(self, device: str, detail: str) -> None:
        """Device is the configured name; detail says what happened and what to do."""
        super().__init__(f"{device}: {detail}")
        self.device = device
        self.detail = detail


class DeviceAbsent(DeviceError):
    """The device is not there, or may not be opened. Nothing was sent to it."""


class DeviceMissing(DeviceAbsent):
    """Nothing is at the device's place: wait until something comes there."""


class DeviceHeld(DeviceAbsent):
    """Another process has it. Nothing tells when it lets go: look again soon."""


class DeviceLost(DeviceError):
    """The device went away while it was in use."""

    def __init__(self, device: str, detail: str, *, may_be_whole: bool = False) -> None:
        """May_be_whole: the last byte of what was being sent had left, so that the device may have all of it."""
        super().__init__(device, detail)
        self.may_be_whole = may_be_whole


class DeviceTimeout(DeviceError):
    """The device accepted nothing more before the deadline."""


class GatewayError(TerminaldError):
    """A request to the gateway had no usable answer."""


class GatewayNotSent(GatewayError):
    """Provably nothing left the device (name resolution, connecting, TLS, no free connection): may be sent again."""


class GatewayCertificateTime(GatewayNotSent):
    """The gateway's certificate is not valid at the time that this machine's clock shows. Nothing was sent."""


class GatewayOutcomeUnknown(GatewayError):
    """The request may have run at the gateway: query, never assume."""


class FleetError(TerminaldError):
    """The broker of the fleet can not be told anything now; it is told later. No sale knows of it."""

    def __init__(self, code: str, detail: str) -> None:
        """Code is one word for the cause; detail is for a person."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class FleetRefused(FleetError):
    """The broker refused a message, and the connection stays: by the index of the first one that was refused."""

    def __init__(self, index: int, reason: int, detail: str) -> None:
        """Reason is MQTT's reason code, 128 or more."""
        super().__init__("refused", detail)
        self.index = index
        self.reason = reason


class JournalError(TerminaldError):
    """The journal did not do what was asked: refuse to start, or stop selling."""


class JournalUnavailable(JournalError):
    """The journal can not be opened or written now (disk full, read-only, held by another process)."""


class JournalHeld(JournalUnavailable):
    """Another process has the state directory."""


class JournalCorrupt(JournalError):
    """The journal's file fails its integrity check."""


class JournalDamaged(JournalCorrupt):
    """SQLite itself calls the file damaged: nothing in it is to be relied on any more."""


class JournalTooNew(JournalError):
    """The journal was written by a newer terminald."""


class ApiError(TerminaldError):
    """The API caller's fault or a refusal that the caller must see, mapped to one documented problem."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        reasons: tuple[str, ...] = (),
        matter: str | None = None,
    ) -> None:
        """Code is the last part of ``urn:terminald:<code>``; field names the faulty input; reasons: of not_ready.

        Matter is the code of attention or readiness whose advice is given in the place of the problem's own.
        """
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.reasons = reasons
        self.matter = matter
