"""Checks of the loopback port. The token is not sent: whoever has taken the port would have it."""

from collections.abc import Iterator
from typing import Final

import httpx
import msgspec

from terminald.adapters.api_listeners import addresses
from terminald.cli.doctor_findings import Finding, fail, note, ok
from terminald.config import Config
from terminald.config_rules import Address
from terminald.config_token import read_api_token
from terminald.errors import ConfigError
from terminald.wire import api_shapes as shapes

_CHECK: Final = "tcp"
#: On this machine an answer takes milliseconds.
_ASK_S: Final = 5.0


def check_tcp(config: Config) -> Iterator[Finding]:
    """Whether the token can be read, and whether it is terminald that answers on the port; nothing where it is off."""
    listen = config.api.listen
    if listen is None:
        return
    try:
        read_api_token(config)
    except ConfigError as exc:
        yield from (fail(_CHECK, fault, "then: systemctl reload terminald") for fault in exc.faults)
    for host in addresses(listen):
        yield _answer(Address(host=host, port=listen.port), is_optional=host != addresses(listen)[0])


def _answer(place: Address, *, is_optional: bool) -> Finding:
    try:
        with httpx.Client(trust_env=False, timeout=_ASK_S) as client:
            said = client.get(f"http://{place}/v1/status")
    except httpx.ConnectError:
        if is_optional:
            return note(_CHECK, f"nobody listens on {place}: no IPv6, or terminald does not run")
        return note(_CHECK, f"nobody listens on {place}: terminald does not run, or was not started again since")
    except httpx.HTTPError as exc:
        return _stranger(place, f"gives no answer ({type(exc).__name__})")
    try:
        code = msgspec.json.decode(said.content, type=shapes.Problem).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        code = ""
    if (said.status_code, code) != (401, "unauthorized"):
        return _stranger(place, f"lets in callers without a token (HTTP status {said.status_code})")
    return ok(_CHECK, f"{place} answers, and asks for the token")


def _stranger(place: Address, what: str) -> Finding:
    advice = f"who has the port? ss -ltnp 'sport = :{place.port}' tells; stop that one, then: terminald token"
    return fail(_CHECK, f"{place} {what}: that is not terminald", advice)
