"""Who comes in over a loopback port: the rules of Host, Origin, token and media type, without I/O.

The Unix socket knows its callers by the kernel. A port of the machine can be opened by every user, and by every page
that a browser on the machine shows. So a request has to say which address it means (a name that was bound anew to this
machine is another one: DNS rebinding), which page it is from, and a secret that only those have whom it was given to.

Sources: RFC 9110 (Host), the Fetch standard (Origin, CORS preflights, Sec-Fetch-Site), RFC 6750 (bearer tokens), and
the draft of Private Network Access for the header with which older browsers ask before a request to this machine.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from terminald.core.ids import Secret
from terminald.errors import ApiError

#: As ASGI has them: names in lower case.
Headers = Sequence[tuple[bytes, bytes]]
#: Where the connection arrived: an IP address and a port.
Place = tuple[str, int]

#: What a refusal repeats of a header.
_SHOWN: Final = 100
#: How long a browser may remember that it may ask, in seconds. A page that lost its right is refused all the same.
PREFLIGHT_AGE_S: Final = 600
_HTTP_PORT: Final = 80
#: Where a browser says that a request without Origin is from a page of another origin.
_FOREIGN: Final = frozenset({"cross-site", "same-site"})
_SCHEME: Final = "bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Which pages may call, and with which token; without a token nobody may."""

    origins: frozenset[str] = frozenset()
    token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What becomes of a request. Headers belong to its answer, whichever that is."""

    headers: tuple[tuple[str, str], ...] = field(default=())
    refusal: ApiError | None = None
    #: The browser asks before it sends the request itself: the answer is empty.
    is_preflight: bool = False


def admit(method: str, headers: Headers, *, place: Place, terms: Terms) -> Admission:
    """Judge the head of a request that came in at a place. Nothing of its body is looked at.

    Only a page of the allowed origins gets to read why it was refused.
    """
    try:
        _check_host(headers, place)
        origin = _origin(headers, terms.origins)
    except ApiError as exc:
        return Admission(refusal=exc)
    shared: tuple[tuple[str, str], ...] = (("Vary", "Origin"),)
    if origin is not None:
        shared = (*shared, ("Access-Control-Allow-Origin", origin))
        if method == "OPTIONS" and _values(headers, b"access-control-request-method"):
            return Admission(headers=(*shared, *_preflight(headers)), is_preflight=True)
        shared = (*shared, ("Access-Control-Expose-Headers", "Location, Allow, WWW-Authenticate"))
    try:
        _check_token(headers, terms.token)
        _check_media_type(method, headers)
    except ApiError as exc:
        challenge = (("WWW-Authenticate", 'Bearer realm="terminald"'),) if exc.code == "unauthorized" else ()
        return Admission(headers=(*shared, *challenge), refusal=exc)
    return Admission(headers=shared)


def hosts(place: Place) -> tuple[str, ...]:
    """Return the names by which a place may be meant, as the Host header has them."""
    address, port = place
    names = (f"[{address}]" if ":" in address else address, "localhost")
    plain = names if port == _HTTP_PORT else ()
    return (*(f"{name}:{port}" for name in names), *plain)


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _show(values: Sequence[str]) -> str:
    """Return what a caller sent, on one line and not too long."""
    text = ", ".join(values)
    text = text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _check_host(headers: Headers, place: Place) -> None:
    given, allowed = _values(headers, b"host"), hosts(place)
    if len(given) != 1 or given[0].lower() not in allowed:
        what = f"the Host header says {_show(given)}" if given else "there is no Host header"
        raise ApiError("host_not_allowed", f"{what}; allowed: {', '.join(allowed)}.")


def _origin(headers: Headers, allowed: frozenset[str]) -> str | None:
    """Return which page a request is from; None for a program that is none."""
    given = _values(headers, b"origin")
    if not given:
        site = _values(headers, b"sec-fetch-site")
        if _FOREIGN.intersection(site):
            raise ApiError("origin_not_allowed", "A page of another origin asked without saying which it is.")
        return None
    if len(given) != 1 or given[0] not in allowed:
        raise ApiError(
            "origin_not_allowed", f"Pages of {_show(given)} may not call: api.allowed_origins does not say so."
        )
    return given[0]


def _preflight(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return what a page may send; the browser compares."""
    asks_for_private = "true" in _values(headers, b"access-control-request-private-network")
    return (
        ("Access-Control-Allow-Methods", "GET, POST"),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID"),
        ("Access-Control-Max-Age", str(PREFLIGHT_AGE_S)),
        *((("Access-Control-Allow-Private-Network", "true"),) if asks_for_private else ()),
    )


def _check_token(headers: Headers, token: Secret | None) -> None:
    given = _values(headers, b"authorization")
    if not given:
        raise ApiError("unauthorized", "The header Authorization: Bearer TOKEN is missing.")
    scheme, _, credentials = given[0].partition(" ")
    expected = b"" if token is None else token.reveal().encode()
    # In a time that does not tell how much of it was right.
    is_right = hmac.compare_digest(credentials.strip().encode(), expected)
    if len(given) != 1 or scheme.lower() != _SCHEME or token is None or not is_right:
        raise ApiError("unauthorized", "The header Authorization does not hold the present token.")


def _check_media_type(method: str, headers: Headers) -> None:
    """Refuse what a form or a script could send without asking: a call that does something says that it is JSON."""
    given = _values(headers, b"content-type")
    if method == "POST" and (len(given) != 1 or media_type(given[0]) != "application/json"):
        raise ApiError(
            "unsupported_media_type", "Over TCP every POST says Content-Type: application/json, empty or not."
        )


def media_type(value: str) -> str:
    """Return what stands before the parameters of a Content-Type."""
    return value.partition(";")[0].strip().lower()
