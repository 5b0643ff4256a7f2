"""Vendor, activation codes, and the terminals with their keys.

Rules of the documents:

1. Activation is signed by the vendor and uses up one use of the code; each call makes a new terminal.
2. After a check-in only the current and the last key are valid, and a key is valid for at most 48 hours.
3. A check-in names the device of the activation, or fails.
"""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from terminald.simulator.gateway_protocol import Refused, parse_authorization, sign

#: Documents, terminal check-in: a key is valid for at most 48 hours.
KEY_LIFE_S = 48 * 3600.0
#: Documents, terminal check-in: only the current and the last key are valid.
KEYS_KEPT = 2
#: Logs that can be looked at: those of a few check-ins; each may be large.
LOGS_KEPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One terminal key and when it was handed out."""

    value: str = field(repr=False)
    issued_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One log that was uploaded: the body as it came, and what was in it."""

    terminal_sn: str
    received_s: float
    body: bytes = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Terminal:
    """One activated terminal. Keys are ordered, the current one first."""

    terminal_sn: str
    device_id: str
    name: str
    keys: tuple[Key, ...]
    checkins: int = 0
    logs: int = 0
    log_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class Terminals:
    """Everything that signs. Times are wall-clock seconds."""

    vendor_sn: str
    vendor_key: str = field(repr=False)
    app_id: str
    uses_left: dict[str, int]
    random: random.Random
    by_sn: dict[str, Terminal] = field(default_factory=dict)
    logs: deque[Log] = field(default_factory=lambda: deque(maxlen=LOGS_KEPT))

    def activate(self, fields: Mapping[str, str], *, now_s: float) -> tuple[str, str]:
        """Use up one use of a code, and return the serial number and the key of a new terminal.

        Raises:
            Refused: unknown app, unknown or used-up code.
        """
        if fields["app_id"] != self.app_id:
            raise Refused("INVALID_PARAMS", "app_id不存在")
        left = self.uses_left.get(fields["code"], 0)
        if left < 1:
            raise Refused("INVALID_PARAMS", "激活码不存在或已经被使用")
        self.uses_left[fields["code"]] = left - 1
        terminal_sn = f"1{self.random.randrange(10**16):016d}"
        key = self._new_key(now_s)
        self.by_sn[terminal_sn] = Terminal(
            terminal_sn=terminal_sn, device_id=fields["device_id"], name=fields.get("name", ""), keys=(key,)
        )
        return terminal_sn, key.value

    def check_in(self, terminal: Terminal, device_id: str, *, now_s: float) -> str:
        """Return the new key; the one that was current becomes the last.

        Raises:
            Refused: the device is another than at activation.
        """
        if device_id != terminal.device_id:
            raise Refused("INVALID_TERMINAL", "device_id与激活时不一致")
        key = self._new_key(now_s)
        terminal.keys = (key, *terminal.keys)[:KEYS_KEPT]
        terminal.checkins += 1
        return key.value

    def keep_log(self, terminal: Terminal, body: bytes, content: bytes, *, now_s: float) -> None:
        """Count a log, and keep it until others have come."""
        terminal.logs += 1
        terminal.log_bytes += len(content)
        self.logs.append(Log(terminal_sn=terminal.terminal_sn, received_s=now_s, body=body, content=content))

    def verify_vendor(self, authorization: str, body: bytes) -> None:
        """Check the vendor's signature.

        Raises:
            Refused: ILLEGAL_SIGN.
        """
        if parse_authorization(authorization) != (self.vendor_sn, sign(body, self.vendor_key)):
            raise Refused("ILLEGAL_SIGN")

    def verify(self, authorization: str, body: bytes, *, now_s: float) -> Terminal:
        """Return the terminal that signed this body with a key that is still valid.

        Raises:
            Refused: TERMINAL_NOT_EXISTS or ILLEGAL_SIGN.
        """
        terminal_sn, signature = parse_authorization(authorization)
        terminal = self.by_sn.get(terminal_sn)
        if terminal is None:
            raise Refused("TERMINAL_NOT_EXISTS")
        if signature not in {sign(body, key) for key in self._valid_keys(terminal, now_s)}:
            raise Refused("ILLEGAL_SIGN")
        return terminal

    def accepts(self, terminal_sn: str, key: str, *, now_s: float) -> bool:
        """Tell whether a request that is signed with this key would be accepted."""
        terminal = self.by_sn.get(terminal_sn)
        return terminal is not None and key in self._valid_keys(terminal, now_s)

    def _new_key(self, now_s: float) -> Key:
        return Key(value=f"{self.random.getrandbits(128):032x}", issued_s=now_s)

    @staticmethod
    def _valid_keys(terminal: Terminal, now_s: float) -> tuple[str, ...]:
        return tuple(key.value for key in terminal.keys if now_s - key.issued_s <= KEY_LIFE_S)
