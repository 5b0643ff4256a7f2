"""Identifiers by type, and values that must never be shown whole."""

import hashlib
from typing import NewType

#: Our own name of a sale: 26 characters, sortable by creation.
SaleId = NewType("SaleId", str)
#: The host's name of a sale, ≤ 64 characters.
Reference = NewType("Reference", str)
#: Our order number at the gateway, ≤ 32 of letters, digits, ``-`` and ``_``; unique for ever.
ClientSn = NewType("ClientSn", str)
#: The gateway's own order number.
GatewaySn = NewType("GatewaySn", str)
#: Our own name of a refund: the sale's id, ``-r`` and a number.
RefundId = NewType("RefundId", str)
#: A print job's name.
JobId = NewType("JobId", str)
#: Milliseconds on the terminal's own time line, which never runs backwards and goes on across restarts and reboots.
Instant = NewType("Instant", int)
#: A length of time in milliseconds.
Duration = NewType("Duration", int)
#: Milliseconds since 1970 UTC. Shown to people, and never a deadline.
WallTime = NewType("WallTime", int)


class Secret:
    """A key or token. Only :meth:`reveal` gives it away; text forms, comparisons and errors do not."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Value is kept in memory only."""
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself, for the one place that signs or authenticates with it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class PaymentCode:
    """A customer's payment code: a bearer token for the customer's money that lives about a minute.

    Kept in memory until it is submitted. What may be stored or shown are :attr:`masked` and :meth:`digest`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Value is the bare code, without prefix or suffix of the scanner."""
        self._value = value

    def reveal(self) -> str:
        """Return the code itself, for the one place that writes the request."""
        return self._value

    @property
    def masked(self) -> str:
        """First four and last four characters: ``1308…1147``; nothing of a code shorter than twelve."""
        if len(self._value) < 12:  # noqa: PLR2004 - below that, eight characters would be most of the code
            return "…"
        return f"{self._value[:4]}…{self._value[-4:]}"

    def digest(self, salt: bytes) -> str:
        """Return what recognises the same code again: keyed BLAKE2b of the code, 32 hex digits."""
        return hashlib.blake2b(self._value.encode(), key=salt, digest_size=16).hexdigest()

    def __repr__(self) -> str:
        return f"PaymentCode({self.masked})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PaymentCode) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
