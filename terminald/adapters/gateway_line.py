"""One signed request over HTTPS, sent once: a whole answer, or how much is certain without one.

The phase in which a request fails says whether money may have moved. Before the first byte of the request was handed to
the connection nothing can have happened: :class:`~terminald.errors.GatewayNotSent`. From then on only an answer proves
anything: :class:`~terminald.errors.GatewayOutcomeUnknown`. Nothing here sends a request a second time: httpcore repeats
a request on another connection only where the first one was not to be had, before anything is written to it.
"""

import asyncio
import importlib.util
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from terminald.config_rules import is_loopback
from terminald.core.ids import Secret
from terminald.errors import GatewayCertificateTime, GatewayNotSent, GatewayOutcomeUnknown
from terminald.wire.signing import authorization
from terminald.wire.upay import MAX_BODY

#: One sale is under way at a time; the others are queries and reversals of older orders, and the probe (I11).
MAX_CONNECTIONS = 8
#: Connections that wait for the next request: one for the sale, one for what goes on beside it.
MAX_IDLE_CONNECTIONS = 2
#: Idle connections are closed by us before the server does so (60 s and more is usual): a request that crosses the
#: server's close on the wire has an unknown outcome, and is not repeated.
KEEPALIVE_S = 30.0
#: Waiting for a free connection, connecting, and TLS each have the connect timeout.
CONNECT_PHASES = 3
#: How deep the causes of an error are followed (I11); httpx, httpcore and ssl make three.
MAX_CAUSES = 8

#: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl, x509_vfy.h).
_CLOCK_VERDICTS = frozenset({9, 10})
#: Raised before a byte of the request is written.
_CONNECTING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
#: Newer integration notes name the charset; the older documents' value is contained in it. Answers are read as raw
#: bytes with a bound, so nothing may be compressed.
_HEADERS = (
    (b"Connection", b"keep-alive"),
    (b"Content-Type", b"application/json; charset=utf-8"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"terminald"),
)

# httpcore imports sniffio several times for each request, and goes on where it is absent, as with the anyio of today.
# Python looks through all of its path in vain then, a third of what a request costs. None says so at once.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # the import system allows it, typeshed does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where the gateway is, and how long to wait for it. The CA file is an addition to the system's."""

    url: str
    connect_timeout_s: float
    read_timeout_s: float
    ca_file: Path | None = None

    @property
    def deadline_s(self) -> float:
        """The end of a request as a whole: every phase of connecting at its longest, then one read timeout."""
        return CONNECT_PHASES * self.connect_timeout_s + self.read_timeout_s


@dataclass(frozen=True, slots=True)
class Signature:
    """Signs the very bytes that are sent, with one key."""

    sn: str
    key: Secret

    def of(self, body: bytes) -> bytes:
        """Return the value of the Authorization header.

        Raises:
            ValueError: the serial number can not be in one.
        """
        return authorization(self.sn, body, self.key).encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer, of whatever kind."""

    status: int
    body: bytes = field(repr=False)
    date: str


class _Phase:
    """Watches httpcore's trace for the moment at which the request begins to be written."""

    def __init__(self) -> None:
        self.is_sending = False

    async def trace(self, name: str, _info: Mapping[str, object]) -> None:
        self.is_sending = self.is_sending or name == "http11.send_request_headers.started"


class Line:
    """The connections to the gateway."""

    def __init__(self, settings: GatewaySettings, transport: httpx.AsyncBaseTransport | None) -> None:
        """Read the CA files; connect to nothing.

        Raises:
            ValueError: the address may not be used, or the CA file can not be read.
        """
        self._base = _base_url(settings.url)
        #: By path, of which there are a dozen.
        self._urls: dict[str, httpx.URL] = {}
        self._headers = ((b"Host", httpx.URL(self._base).netloc), *_HEADERS)
        self._deadline_s = settings.deadline_s
        self._timeout = httpx.Timeout(
            connect=settings.connect_timeout_s,
            pool=settings.connect_timeout_s,
            write=settings.read_timeout_s,
            read=settings.read_timeout_s,
        ).as_dict()
        limits = httpx.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_S,
        )
        # No client around it: what that adds is for cookies, redirects, and authorities that are not ours.
        self._transport = transport or httpx.AsyncHTTPTransport(
            verify=_tls(settings.ca_file), trust_env=False, http2=False, limits=limits, retries=0
        )

    async def exchange(self, path: str, body: bytes, signature: Signature | None) -> Reply:
        """Send once, and read the whole answer within the deadline.

        Raises:
            GatewayNotSent: nothing was handed to a connection; GatewayCertificateTime where the clock may be why.
            GatewayOutcomeUnknown: anything else but a whole answer.
        """
        phase = _Phase()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._send(path, body, signature, phase)
        except _CONNECTING as exc:
            if phase.is_sending:
                raise GatewayOutcomeUnknown(f"no whole answer: {type(exc).__name__}") from exc
            raise _unconnected(exc) from exc
        except TimeoutError as exc:
            raise GatewayOutcomeUnknown(f"no whole answer within {self._deadline_s:g} s") from exc
        except (httpx.HTTPError, OSError) as exc:
            # The text of the error may quote what the other end sent, which may quote the request (I7).
            raise GatewayOutcomeUnknown(f"no whole answer: {type(exc).__name__}") from exc

    async def _send(self, path: str, body: bytes, signature: Signature | None, phase: _Phase) -> Reply:
        received = bytearray()
        response = await self._transport.handle_async_request(self._request(path, body, signature, phase))
        async with aclosing(response):
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise GatewayOutcomeUnknown("the answer is compressed, which was not asked for")
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > MAX_BODY:
                    raise GatewayOutcomeUnknown(f"the answer is longer than {MAX_BODY} bytes")
        return Reply(status=response.status_code, body=bytes(received), date=response.headers.get("Date", ""))

    def _request(self, path: str, body: bytes, signature: Signature | None, phase: _Phase) -> httpx.Request:
        if (url := self._urls.get(path)) is None:
            url = self._urls[path] = httpx.URL(f"{self._base}{path}")
        headers = [*self._headers, (b"Content-Length", b"%d" % len(body))]
        if signature is not None:
            headers.append((b"Authorization", signature.of(body)))
        return httpx.Request(
            "POST",
            url,
            headers=headers,
            stream=httpx.ByteStream(body),
            extensions={"trace": phase.trace, "timeout": self._timeout},
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


def _base_url(text: str) -> str:
    """Return the address without a final slash.

    Raises:
        ValueError: it is none, has more than host, port and path, or is not encrypted and not on this machine.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as exc:
        raise ValueError("gateway.url: not an address") from exc
    if url.userinfo or url.query or url.fragment or not url.host:
        raise ValueError("gateway.url: https://host[:port][/path], and nothing else")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.host)):
        raise ValueError("gateway.url: https, or plain http to a loopback address")
    return str(url).rstrip("/")


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the system's authorities by the paths built into OpenSSL: the environment can not add to them.

    Raises:
        ValueError: the CA file can not be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths = ssl.get_default_verify_paths()
    cafile = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
    capath = paths.openssl_capath if Path(paths.openssl_capath).is_dir() else None
    if cafile or capath:
        context.load_verify_locations(cafile=cafile, capath=capath)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as exc:
            raise ValueError(f"gateway.ca_file: {ca_file} can not be read as certificates") from exc
    return context


def _unconnected(exc: Exception) -> GatewayNotSent:
    """Return why there is no connection; a certificate that is not valid *now* points at the clock first."""
    for cause in _causes(exc):
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _CLOCK_VERDICTS:
                return GatewayCertificateTime(cause.verify_message)
            return GatewayNotSent(f"the gateway's certificate is not trusted: {cause.verify_message}")
    return GatewayNotSent(f"no connection: {type(exc).__name__}")


def _causes(exc: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = exc
    for _ in range(MAX_CAUSES):
        if cause is None:
            return
        yield cause
        # httpcore raises again "from None": then the context is all there is.
        cause = cause.__cause__ or cause.__context__
