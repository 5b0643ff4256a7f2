"""The daemon as the command line talks to it: HTTP on its Unix socket."""

import argparse
import errno
import re
import ssl
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from terminald import config_rules as rules
from terminald.cli.event_stream import EventDecoder, StreamEvent
from terminald.cli.outcome import FAILED, REFUSED, CommandFailed
from terminald.config import Config
from terminald.config_text import Place, Places, read
from terminald.errors import ConfigError
from terminald.wire import api_shapes as shapes

#: A query of a sale asks the gateway once for each attempt, with up to 30 s for each.
ANSWER_LIMIT_S = 180.0
#: What is answered from memory takes milliseconds, and a start some seconds. Where systemd holds the socket a daemon
#: that can not start looks like one that is slow: who looks what is wrong is to be told soon.
LOOK_LIMIT_S = 15.0
#: The daemon accepts at once; this is for a machine that is very busy.
CONNECT_LIMIT_S = 5.0
#: The daemon sends a sign of life every 10 s; three in a row are not missed by chance.
SILENCE_LIMIT_S = 30.0
#: How long a daemon that went away in the middle of something is waited for: a restart by systemd, on a slow board.
PATIENCE_S = 60.0
#: How soon a lost event stream is opened again.
RECONNECT_S = 0.5

_BASE = "http://terminald"
_JSON = {"Content-Type": "application/json"}
_REFUSALS = frozenset({403, 409, 503})

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """All that a command which talks to the daemon needs of the configuration."""

    socket: Path
    timezone: timezone


def client_settings(path: Path) -> ClientSettings:
    """Read where the daemon listens. The rest of the file may be wrong, or not for this user: a secret's file.

    Raises:
        ConfigError: the file can not be read, or these keys are wrong.
    """
    raw, places = read(path)
    usual = Config()
    return ClientSettings(
        socket=_setting(raw, places, ("api", "socket"), rules.socket_path, usual.api.socket),
        timezone=_setting(raw, places, ("gateway", "timezone"), rules.utc_offset, usual.gateway.timezone),
    )


def _setting(raw: Mapping[str, object], places: Places, place: Place, rule: rules.Rule[T], usual: T) -> T:
    table, key = str(place[0]), str(place[1])
    values = raw.get(table, {})
    if not isinstance(values, Mapping) or key not in values:
        return usual
    try:
        return rule(values[key])
    except rules.NotAllowed as exc:
        raise ConfigError([places.fault(place, str(exc))]) from exc


def connect(args: argparse.Namespace) -> "Daemon":
    """Return the daemon of the configuration; nothing is sent yet."""
    return Daemon(client_settings(args.config))


class Daemon:
    """One daemon. Every method raises CommandFailed when it is not there, does not answer, or refuses."""

    def __init__(self, settings: ClientSettings) -> None:
        """Nothing is sent until a method asks."""
        self.settings = settings
        # The context is never used: it only keeps httpx from reading the system's certificates.
        transport = httpx.HTTPTransport(uds=str(settings.socket), verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        timeout = httpx.Timeout(ANSWER_LIMIT_S, connect=CONNECT_LIMIT_S)
        self._http = httpx.Client(transport=transport, base_url=_BASE, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, query: Mapping[str, str] | None = None, *, within_s: float = ANSWER_LIMIT_S) -> bytes:
        """Return the JSON of an answer that begins within so many seconds."""
        timeout = httpx.Timeout(within_s, connect=CONNECT_LIMIT_S)
        return self._call(self._http.build_request("GET", path, params=query, timeout=timeout))

    def post(self, path: str, body: msgspec.Struct | None = None) -> bytes:
        """Send a body, and return the JSON of the answer."""
        content = b"{}" if body is None else msgspec.json.encode(body)
        return self._call(self._http.build_request("POST", path, content=content, headers=_JSON))

    def sale_path(self, name: str) -> str:
        """Return the path of a sale by any of its names."""
        if not re.fullmatch(r"[0-9A-Za-z_-]+", name):
            # A path can not carry every reference; the listing's parameter can.
            found = decode(self.get("/v1/sales", {"reference": name, "limit": "1"}), shapes.SaleList).sales
            if not found:
                raise CommandFailed(f"there is no sale {name!r}", advice="terminald sales lists them")
            name = found[0].id
        return f"/v1/sales/{quote(name, safe='')}"

    def _call(self, request: httpx.Request) -> bytes:
        try:
            response = self._http.send(request)
        except httpx.ConnectError as exc:
            raise self._absent(exc) from exc
        except httpx.ReadTimeout as exc:
            if request.method != "GET":
                raise self._unclear(exc) from exc
            raise CommandFailed(
                f"terminald does not answer at {self.settings.socket}",
                advice="it is starting, can not start, or hangs: systemctl status terminald says which, journalctl -u "
                "terminald -n 20 why, and terminald check whether it is the configuration",
                code=REFUSED,
            ) from exc
        except httpx.HTTPError as exc:
            raise self._unclear(exc) from exc
        if not response.is_success:
            raise _refusal(response.status_code, response.content)
        return response.content

    def _unclear(self, exc: httpx.HTTPError) -> CommandFailed:
        return CommandFailed(
            f"terminald at {self.settings.socket} gave no whole answer: {type(exc).__name__}",
            advice="what was asked may have been done: terminald sales, or the log of terminald, tells",
        )

    def _absent(self, exc: httpx.ConnectError) -> CommandFailed:
        socket = self.settings.socket
        cause: BaseException | None = exc
        while cause is not None:
            if isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM):
                advice = "run the command as a member of the socket's group: terminald-client, or api.socket_group"
                return CommandFailed(f"this user may not open {socket}", advice=advice)
            cause = cause.__cause__ or cause.__context__
        advice = (
            "systemctl start terminald; where it does not stay up, journalctl -u terminald says why. "
            "To try it out: terminald run"
        )
        return CommandFailed(f"terminald is not running at {socket}", advice=advice, code=REFUSED)

    # --- events ------------------------------------------------------------------------------------------------------

    def follow(self, since: int | None, *, patience_s: float | None = None) -> Iterator[StreamEvent]:
        """Yield events after a position, without end, over restarts of the daemon.

        Without a position it begins with the next event. The first event yielded tells the position; others without a
        topic are signs of life. Patience is how long a daemon that went away is waited for; None: for ever.
        """
        position, has_begun, gone_at = since, False, None
        while True:
            try:
                with closing(self._stream(position)) as events:
                    for event in events:
                        position, has_begun, gone_at = event.id, True, None
                        yield event
            except CommandFailed as exc:
                # Once begun, a daemon that is away or stopping is waited for.
                if not has_begun or exc.code != REFUSED:
                    raise
            now = time.monotonic()
            gone_at = now if gone_at is None else gone_at
            if patience_s is not None and now - gone_at > patience_s:
                raise CommandFailed(
                    "terminald went away, and what it does now can not be seen",
                    advice="start it: it takes up what was open by itself",
                    code=REFUSED,
                )
            time.sleep(RECONNECT_S)

    def _stream(self, position: int | None) -> Generator[StreamEvent, None, None]:
        """Yield the events of one connection; ends when it does."""
        query = {} if position is None else {"since": str(position)}
        timeout = httpx.Timeout(SILENCE_LIMIT_S, connect=CONNECT_LIMIT_S)
        decoder = EventDecoder(position or 0)
        try:
            with self._http.stream("GET", "/v1/events", params=query, timeout=timeout) as response:
                if not response.is_success:
                    raise _refusal(response.status_code, response.read())
                for chunk in response.iter_bytes():
                    yield from decoder.feed(chunk)
        except httpx.ConnectError as exc:
            raise self._absent(exc) from exc
        except (httpx.HTTPError, ValueError) as exc:
            what = f"the event stream broke off: {type(exc).__name__}"
            raise CommandFailed(what, advice="try again", code=REFUSED) from exc


def decode(body: bytes, shape: type[S]) -> S:
    """Read an answer of the daemon.

    Raises:
        CommandFailed: it is not what this version of terminald answers.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CommandFailed(
            "the answer of the daemon is not understood",
            advice="is it the same version? terminald --version; --json shows what it says",
        ) from exc


def _refusal(status: int, body: bytes) -> CommandFailed:
    code = REFUSED if status in _REFUSALS else FAILED
    try:
        problem = msgspec.json.decode(body, type=shapes.Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return CommandFailed(f"the daemon answered with HTTP status {status}", code=code)
    return CommandFailed(problem.detail or problem.title, advice=problem.advice, code=code)
