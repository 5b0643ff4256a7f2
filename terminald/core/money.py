"""Amounts of money: whole fen, never floats."""

import re
from typing import NewType

Fen = NewType("Fen", int)

NO_MONEY = Fen(0)

#: "≤10 digits, > 0" (Web API documents, total_amount).
MAX_AMOUNT = Fen(9_999_999_999)

_YUAN = re.compile(r"([0-9]{1,8})(?:\.([0-9]{1,2}))?")
_FEN = re.compile(r"([0-9]{1,10})\s*fen")


def parse_amount(text: str) -> Fen:
    """Read an amount as a person types it: yuan (``3``, ``3.5``, ``3.50``) or fen (``350fen``).

    Raises:
        ValueError: not an amount, or not within 1 … 9 999 999 999 fen. The message says what is allowed.
    """
    text = text.strip()
    if found := _FEN.fullmatch(text):
        fen = int(found[1])
    elif found := _YUAN.fullmatch(text):
        fen = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    else:
        raise ValueError(f"{text!r} is not an amount: write yuan (3.50) or fen (350fen)")
    if not 0 < fen <= MAX_AMOUNT:
        raise ValueError(f"{text!r} is out of range: 0.01 to 99999999.99 yuan")
    return Fen(fen)


def format_yuan(fen: int) -> str:
    """Write an amount as yuan with two decimals: 350 → ``3.50``, -5 → ``-0.05``."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"
