"""What a value in the configuration may be. A rule takes a value as the TOML parser gives it and returns it typed.

A rule raises :class:`NotAllowed`, whose text completes ``file:line: key: …``: what is wrong, and what is allowed. It
shows the value, but for :func:`secret_path`: the secret itself may stand where the name of its file belongs.
"""

import grp
import ipaddress
import itertools
import re
import stat
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta, timezone
from pathlib import Path
from typing import TypeVar

from terminald.core.ids import Duration

T = TypeVar("T")
Choice = TypeVar("Choice", bound=str | int)
Rule = Callable[[object], T]

#: A value is shown in a fault up to this length: enough to be recognised, short enough for one line.
_SHOWN = 60
#: TOML's own range of integers; Python refuses to write numbers of thousands of digits.
_MAX_BITS = 64
#: Linux's ``sun_path`` is 108 bytes with its final NUL.
_MAX_SOCKET_PATH = 107

#: What browsers leave out of an origin.
_WEB_PORTS = {"http": 80, "https": 443}

_UNITS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6})s)?(?:(\d{1,9})ms)?", re.ASCII)
_DURATION_FORM = 'a duration such as "200ms", "5s", "4m" or "1h30m"'


class NotAllowed(ValueError):
    """A value breaks its rule; the text says how, and what is allowed."""


def show(value: object) -> str:
    """Return the value as TOML would write it, on one line and not too long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return "a huge number"
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    shown = shown.encode("unicode_escape").decode() if not shown.isprintable() else shown
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _string(value: object, allowed: str) -> str:
    if not isinstance(value, str):
        raise NotAllowed(f"{show(value)} is not a text in quotes; allowed: {allowed}")
    if not all(char.isprintable() or char == "\u3000" for char in value):
        raise NotAllowed(f"{show(value)} contains control characters; allowed: {allowed}")
    return value


def text(least: int, most: int) -> Rule[str]:
    """Allow printable text of so many characters."""
    allowed = f"printable text of {least} to {most} characters"

    def rule(value: object) -> str:
        found = _string(value, allowed)
        if not least <= len(found) <= most:
            raise NotAllowed(f"{show(found)} has {len(found)} characters; allowed: {allowed}")
        return found

    return rule


def pattern(form: str, allowed: str) -> Rule[str]:
    """Allow text that matches the form as a whole."""

    def rule(value: object) -> str:
        found = _string(value, allowed)
        if not re.fullmatch(form, found, re.ASCII):
            raise NotAllowed(f"{show(found)} is not possible here; allowed: {allowed}")
        return found

    return rule


def choice(*choices: Choice) -> Rule[Choice]:
    """Allow one of these values."""

    def rule(value: object) -> Choice:
        for allowed in choices:
            if type(value) is type(allowed) and value == allowed:
                return allowed
        raise NotAllowed(f"{show(value)} is not possible here; allowed: {', '.join(show(each) for each in choices)}")

    return rule


def integer(least: int, most: int, unit: str = "") -> Rule[int]:
    """Allow whole numbers in this range."""
    allowed = f"a whole number from {least} to {most} {unit}".rstrip()

    def rule(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise NotAllowed(f"{show(value)} is not a whole number; allowed: {allowed}")
        if not least <= value <= most:
            raise NotAllowed(f"{show(value)} is out of range; allowed: {allowed}")
        return value

    return rule


def boolean(value: object) -> bool:
    """Allow true and false."""
    if not isinstance(value, bool):
        raise NotAllowed(f"{show(value)} is not possible here; allowed: true, false")
    return value


def format_duration(duration: int) -> str:
    """Write milliseconds the way :func:`parse_duration` reads them: 5400000 → ``1h30m``."""
    parts = []
    for unit, size in _UNITS.items():
        amount, duration = divmod(duration, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"


def parse_duration(value: str) -> Duration:
    """Read ``"200ms"``, ``"5s"``, ``"4m"``, ``"1h30m"``.

    Raises:
        NotAllowed: not a duration. The message says what is allowed.
    """
    found = _DURATION.fullmatch(value)
    if not value or not found:
        raise NotAllowed(f"{show(value)} is not a duration; allowed: {_DURATION_FORM}")
    return Duration(sum(int(amount or 0) * size for amount, size in zip(found.groups(), _UNITS.values(), strict=True)))


def duration(least: str, most: str) -> Rule[Duration]:
    """Allow durations in this range."""
    low, high = parse_duration(least), parse_duration(most)

    def rule(value: object) -> Duration:
        if not isinstance(value, str):
            raise NotAllowed(f"{show(value)} is not {_DURATION_FORM}, in quotes")
        found = parse_duration(value)
        if not low <= found <= high:
            raise NotAllowed(f"{show(value)} is out of range; allowed: {least} to {most}")
        return found

    return rule


def listing(rule: Rule[T], *, least: int = 0, most: int, is_set: bool = False) -> Rule[tuple[T, ...]]:
    """Allow a list of so many values of a rule; ``is_set``: each at most once."""

    def listing_rule(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise NotAllowed(f"{show(value)} is not a list; write it in [ ]")
        if not least <= len(value) <= most:
            raise NotAllowed(f"has {len(value)} entries; allowed: {least} to {most}")
        found = tuple(rule(each) for each in value)
        if is_set and len(set(found)) < len(found):
            raise NotAllowed("names the same value twice; allowed: each once")
        return found

    return listing_rule


def rising(rule: Rule[tuple[Duration, ...]]) -> Rule[tuple[Duration, ...]]:
    """Allow a list of durations only when each is longer than the one before."""

    def rising_rule(value: object) -> tuple[Duration, ...]:
        found = rule(value)
        if any(after <= before for before, after in itertools.pairwise(found)):
            raise NotAllowed('is not in order; allowed: rising durations, such as ["30s", "5m", "1h"]')
        return found

    return rising_rule


def optional(rule: Rule[T]) -> Rule[T | None]:
    """Allow ``""`` for nothing, besides what the rule allows."""

    def optional_rule(value: object) -> T | None:
        return None if value == "" else rule(value)

    return optional_rule


def file_path(value: object) -> Path:
    """Allow an absolute path. Whether anything is there is not asked."""
    allowed = "an absolute path, such as /etc/terminald/name"
    found = _string(value, allowed)
    if not found.startswith("/"):
        raise NotAllowed(f"{show(found)} is not absolute; allowed: {allowed}")
    return Path(found)


def existing_file(value: object) -> Path:
    """Allow the absolute path of a file that is there."""
    found = file_path(value)
    try:
        is_file = found.is_file()
    except OSError:
        is_file = False
    if not is_file:
        raise NotAllowed(f"{show(value)} is not there, or is not a file; allowed: the path of a file that exists")
    return found


def socket_path(value: object) -> Path:
    """Allow an absolute path that is short enough for a Unix socket."""
    found = file_path(value)
    if len(str(found).encode()) > _MAX_SOCKET_PATH:
        raise NotAllowed(f"is too long for a Unix socket; allowed: a path of up to {_MAX_SOCKET_PATH} bytes")
    return found


def secret_path(value: object) -> Path:
    """Allow the absolute path of a file that holds a secret, without a look at the file."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        raise NotAllowed("is not the path of a file; allowed: an absolute path (never write the secret itself here)")
    return Path(value)


def secret_file(value: object) -> Path:
    """Allow the absolute path of a file that, when it exists, others cannot read or write."""
    found = secret_path(value)
    try:
        mode = found.stat().st_mode
    except OSError:
        return found
    # A directory says so to whoever opens it; at a pipe he would wait.
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise NotAllowed(f"{value} is not a file; allowed: a file with the secret in it")
    if mode & 0o007:
        raise NotAllowed(f"is open to every user (mode {mode & 0o777:04o}); run: chmod 0600 {value}")
    return found


def mode(value: object) -> int:
    """Allow permissions as four octal digits in quotes, readable and writable for the owner."""
    if not isinstance(value, str) or not re.fullmatch("0[67][0-7][0-7]", value):
        raise NotAllowed(f'{show(value)} is not possible here; allowed: four octal digits in quotes, such as "0660"')
    return int(value, 8)


def group(value: object) -> str:
    """Allow the name of a group of this machine, or nothing."""
    found = _string(value, "the name of a group")
    try:
        if found:
            grp.getgrnam(found)
    except KeyError as exc:
        raise NotAllowed(
            f"{show(found)} is not a group of this machine; allowed: one that `getent group` shows"
        ) from exc
    return found


def url(value: object) -> str:
    """Allow an https address, or an http address on this machine; returned without a final slash."""
    allowed = "https://host[:port][/path], or http:// with a loopback address"
    found = _string(value, allowed)
    try:
        parts = urllib.parse.urlsplit(found)
        host, has_port = parts.hostname or "", parts.port != 0
    except ValueError:  # a port that is no number, or brackets that do not close
        parts, host, has_port = urllib.parse.urlsplit(""), "", False
    if not host or not has_port or parts.scheme not in ("http", "https") or re.search(r"[\s?#@\\]", found):
        raise NotAllowed(f"{show(found)} is not an address of the gateway; allowed: {allowed}")
    if parts.scheme == "http" and not is_loopback(host):
        raise NotAllowed(f"{show(found)} is not encrypted; allowed: {allowed}")
    return found.rstrip("/")


def origin(value: object) -> str:
    """Allow a web origin as browsers write it: scheme, host and port, but for the scheme's own port; nothing else."""
    allowed = "an origin in small letters, such as http://localhost:8080"
    found = pattern(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?", allowed)(value)
    parts = urllib.parse.urlsplit(found)
    try:
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        port, host = 0, ""
    if not host or port == 0:
        raise NotAllowed(f"{show(found)} is not possible here; allowed: {allowed}")
    if port == _WEB_PORTS[parts.scheme]:
        usual = found.removesuffix(f":{port}")
        raise NotAllowed(f"{show(found)} is written without the port by browsers; allowed: {show(usual)}")
    return found


def is_loopback(host: str) -> bool:
    """Tell whether the host can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen or to connect; host without the brackets of IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: str) -> Address:
    """Read ``host:port`` or ``[ipv6]:port``.

    Raises:
        NotAllowed: neither. The message says what is allowed.
    """
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]{1,253})):([0-9]{1,5})", value, re.ASCII)
    if not found or not 0 < int(found[3]) < 1 << 16:
        raise NotAllowed(f"{show(value)} is not a network address; allowed: host:port, such as 192.168.1.50:9100")
    return Address(host=found[1] or found[2], port=int(found[3]))


def loopback_address(value: object) -> Address:
    """Allow ``host:port`` on this machine."""
    allowed = 'a loopback address, such as "127.0.0.1:8765"'
    found = parse_address(_string(value, allowed))
    if not is_loopback(found.host):
        raise NotAllowed(f"{show(value)} can be reached from elsewhere; allowed: {allowed}")
    return found


def utc_offset(value: object) -> timezone:
    """Allow ``+HH:MM`` and ``-HH:MM``, up to 14 hours."""
    found = re.fullmatch(r"([+-])(\d\d):([0-5]\d)", value, re.ASCII) if isinstance(value, str) else None
    minutes = int(found[2]) * 60 + int(found[3]) if found else 0
    if not found or minutes > 14 * 60:
        raise NotAllowed(f'{show(value)} is not an offset from UTC; allowed: "-14:00" to "+14:00", such as "+08:00"')
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def time_of_day(value: object) -> time:
    """Allow ``HH:MM``."""
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value, re.ASCII) if isinstance(value, str) else None
    if not found:
        raise NotAllowed(f'{show(value)} is not a time of day; allowed: "00:00" to "23:59", in quotes')
    return time(int(found[1]), int(found[2]))


def hex_bytes(value: object) -> bytes:
    """Allow up to 32 bytes as pairs of hexadecimal digits."""
    allowed = 'bytes as pairs of hexadecimal digits, such as "16 54 0D"'
    found = _string(value, allowed)
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2} ?){0,32}", found):
        raise NotAllowed(f"{show(found)} is not possible here; allowed: up to 32 {allowed}")
    return bytes.fromhex(found)
