"""Who this terminal is to the gateway."""

from dataclasses import dataclass

from terminald.core.ids import Secret, WallTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The identity that an activation gave. Only the current and the last key are valid at the gateway."""

    terminal_sn: str
    device_id: str
    current_key: Secret
    previous_key: Secret | None
    activated_at: WallTime
    rotated_at: WallTime


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationIntent:
    """An activation that was about to be sent, and what came of it. The code is kept masked."""

    id: int
    code_masked: str
    at: WallTime
    outcome: str  # "" while unknown | "activated" | "refused: …" | "not sent: …" | "unknown: …"
