"""What callers of the local API send: bodies, query strings, heads over TCP, and whole requests on a connection."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import h11
import msgspec

from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_views import decode_filter
from terminald.core.ids import PaymentCode
from terminald.core.sale_table import SaleOrder
from terminald.errors import ApiError
from terminald.wire import api
from terminald.wire.api_calls import CALLS, MAX_LIMIT, ApiCall
from terminald.wire.api_door import admit, hosts
from terminald.wire.api_problems import PROBLEMS, problem_json
from terminald.wire.api_report import decode_day, decode_wants_sales
from terminald.wire.api_story import decode_language
from tests.adapters.api_desk import FakeDesk, serving
from tests.fuzz.target import Check, Target, always, scratch
from tests.wire.api_samples import DEFAULTS, paid_view
from tests.wire.test_api_door import PLACE, TERMS, TOKEN

#: Of what was sent, a refusal repeats the name of a field at most.
MOST_TOLD: Final = 400
_CODE: Final = re.compile(r"[0-9]{16,}")
CARD: Final = "130812345678901147"

# --- bodies ----------------------------------------------------------------------------------------------------------


def _decode_sale(body: bytes) -> SaleOrder:
    return api.decode_sale_request(body, DEFAULTS)


#: Everything that reads a body.
BODIES: Final[tuple[Callable[[bytes], object], ...]] = (
    _decode_sale,
    api.decode_undelivered_request,
    api.decode_refund_request,
    api.decode_closing_request,
    api.decode_code_request,
    api.decode_drain_request,
    api.decode_empty_request,
)


def _names(body: bytes) -> str:
    """Return the names of fields in a body, also where it is no whole JSON."""
    found = re.findall(r'("(?:[^"\\]|\\.)*")\s*:', body.decode(errors="replace"))
    names = []
    for name in found:
        try:
            names.append(str(json.loads(name, strict=False)))
        except ValueError:
            names.append(name)
    return " ".join(names)


def _check_refusal(refused: ApiError, names: str, *codes: str) -> None:
    assert refused.code in codes
    status, said = problem_json(refused)
    told = json.loads(said)
    assert told["status"] == status == PROBLEMS[refused.code].status
    assert len(refused.detail) <= MOST_TOLD
    assert all(code in names for code in _CODE.findall(refused.detail)), "I7: what was sent is repeated"


def _check_sale(order: SaleOrder, body: bytes) -> None:
    sent = json.loads(body)
    assert order.amount == sent["amount"]
    assert 1 <= order.amount <= DEFAULTS.max_amount
    assert order.reference == sent["reference"]
    assert len(order.reference) <= 64
    text = order.text
    assert (len(text.subject), len(text.description), len(text.operator), len(text.reflect)) <= (64, 256, 32, 64)
    assert len(text.goods) <= 50
    # As it goes into the journal, and comes out again.
    assert msgspec.json.decode(msgspec.json.encode(order), type=SaleOrder) == order


def check_body(body: bytes, decoders: tuple[Callable[[bytes], object], ...] = BODIES) -> None:
    """Read one body as every call does."""
    for decode in decoders:
        try:
            found = decode(body)
        except ApiError as exc:
            _check_refusal(exc, _names(body), "invalid_json", "invalid_request")
            continue
        match found:
            case SaleOrder():
                _check_sale(found, body)
            case PaymentCode():
                assert len(found.reveal()) <= MOST_TOLD
                assert found.reveal() not in repr(found) or len(found.reveal()) < 8, "I7"
            case (str() as name, int() | str() | None as more):
                assert api.is_name(name) or decode is api.decode_closing_request
                assert not isinstance(more, int) or more > 0


def check_query(data: bytes) -> None:
    """Read the parameters of a query string as every call does."""
    try:
        query = dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=16))
    except ValueError:
        return
    for decode in (decode_filter, decode_day, decode_wants_sales, decode_language):
        try:
            decode(query)
        except ApiError as exc:
            _check_refusal(exc, " ".join(query), "invalid_request")
    for name, value in query.items():
        try:
            assert 0 <= api.parse_number(name[:64], value, least=0, most=10**15 - 1) < 10**15
        except ApiError as exc:
            _check_refusal(exc, " ".join(query), "invalid_request")
    try:
        assert 1 <= decode_filter(query).limit <= MAX_LIMIT
    except ApiError:
        return


# --- heads over TCP --------------------------------------------------------------------------------------------------


_OF_THE_DOOR: Final = ("unauthorized", "host_not_allowed", "origin_not_allowed", "unsupported_media_type")


def check_door(data: bytes) -> None:
    """Judge a head: the method and the headers, each on a line."""
    method, *lines = data.split(b"\n")
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    found = admit(method.decode("latin-1"), pairs, place=PLACE, terms=TERMS)
    said = " ".join((*(f"{name}: {value}" for name, value in found.headers), str(found.refusal)))
    elsewhere = b" ".join(name + value for name, value in pairs if name != b"authorization")
    assert TOKEN not in said or TOKEN.encode() in elsewhere, "I7: the token is told"
    for name, value in found.headers:
        f"{name}: {value}".encode("latin-1")
        assert not re.search(r"[\r\n\0]", value)
        assert name != "Access-Control-Allow-Origin" or value in TERMS.origins
    if found.refusal is not None:
        _check_refusal(found.refusal, elsewhere.decode("latin-1"), *_OF_THE_DOOR)
        return
    assert [value.decode("latin-1").lower() in hosts(PLACE) for name, value in pairs if name == b"host"] == [True]
    assert all(value.decode("latin-1") in TERMS.origins for name, value in pairs if name == b"origin")
    tokens = [value for name, value in pairs if name == b"authorization"]
    assert found.is_preflight or [token.split(None, 1)[1:] for token in tokens] == [[TOKEN.encode()]]


# --- whole requests --------------------------------------------------------------------------------------------------

#: Nobody waits long for the rest of half a request.
_LIMITS: Final = ApiLimits(receive_s=0.05, stall_s=5, grace_s=0.5)
_PATIENCE_S: Final = 20
_PATHS: Final[dict[tuple[str, str], ApiCall]] = {(call.method, call.path): call for call in CALLS}
_FORM: Final = {"/v1/sales/[^/]+" + call.path.removeprefix("/v1/sales/{id}"): call.path for call in CALLS
                if "{id}" in call.path}  # fmt: skip
#: What is answered where there is no call to document it.
_OF_NO_CALL: Final = {400: "invalid_http", 404: "no_such_call", 405: "method_not_allowed"}


class Caller:
    """Sends bytes to the real server on a Unix socket, and judges the answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: Path, task: asyncio.Task[None]) -> None:
        self._loop = loop
        self._path = path
        self._task = task

    def check(self, data: bytes) -> None:
        """Send all of it, and read the first answer: well-formed, of a documented status, or an end without one."""
        method = re.match(rb"[A-Z]{1,10}(?= )", data)
        name = method[0].decode() if method and method[0] != b"CONNECT" else "GET"
        status, body = self._loop.run_until_complete(asyncio.wait_for(self._exchange(data, name), _PATIENCE_S))
        assert not self._task.done(), "the server has ended"
        target = data.partition(b" ")[2].split(b" ", 1)[0].partition(b"?")[0].decode("latin-1")
        if status:
            _check_status(name, target, status, body)

    async def _exchange(self, data: bytes, method: str) -> tuple[int, bytes]:
        """Return the status, 0 for an end without an answer, and the body: of a stream what comes first."""
        reader, writer = await asyncio.open_unix_connection(str(self._path))
        try:
            writer.write(data)
            return await _read_answer(reader, method)
        except (BrokenPipeError, ConnectionResetError):
            return 0, b""  # it was refused before all of it was sent
        finally:
            writer.close()


async def _read_answer(reader: asyncio.StreamReader, method: str) -> tuple[int, bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "t")]))
    client.send(h11.EndOfMessage())
    status, body = 0, b""
    while True:
        event = client.next_event()
        match event:
            case h11.Response():
                status = event.status_code
            case h11.Data():
                body += bytes(event.data)
                if body.startswith(b"retry: "):
                    return status, b""
            case h11.EndOfMessage():
                return status, body
            case _ if event is h11.NEED_DATA:
                if not (piece := await reader.read(65_536)):
                    assert not status, "the answer breaks off"
                    return 0, b""
                client.receive_data(piece)


def _check_status(method: str, target: str, status: int, body: bytes) -> None:
    assert status != 500, "internal_error"
    path = next((path for form, path in _FORM.items() if re.fullmatch(form, target)), target)
    call = _PATHS.get((method, path))
    allowed = {PROBLEMS[code].status for code in (*call.problems, "invalid_request")} if call else set[int]()
    assert status in (*(call.gives if call else ()), *allowed, *_OF_NO_CALL), f"{status} is not documented"
    if status >= 400 and method != "HEAD" and body:
        told = json.loads(body)
        assert told["status"] == status
        assert told["type"] == f"urn:terminald:{told['code']}"
        assert PROBLEMS[told["code"]].status == status
        assert len(told["detail"]) <= MOST_TOLD


@contextmanager
def opened() -> Iterator[Check]:
    """Start a server, with a sale in its books."""
    with scratch() as directory, closing(asyncio.new_event_loop()) as loop:
        desk = FakeDesk({"01": paid_view("01")})
        stack = AsyncExitStack()
        served = loop.run_until_complete(stack.enter_async_context(serving(directory, desk, _LIMITS)))
        try:
            loop.run_until_complete(served.server.answers.wait())
            yield Caller(loop, served.path, served.task).check
        finally:
            loop.run_until_complete(stack.aclose())


# --- the table -------------------------------------------------------------------------------------------------------


def _request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: t", "Connection: close", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


_SALE: Final = b'{"reference":"order-8841","amount":350,"subject":"Cola"}'
_WHOLE_SALE: Final = json.dumps(
    {
        "reference": "r", "amount": 350, "subject": "可乐", "methods": ["scan", "qr"], "payway": "3",
        "description": "d", "operator": "o",
        "goods": [{"id": "c", "name": "Cola", "quantity": 2, "price": 175, "promotion": True}],
        "reflect": "x", "delivery": "confirm", "receipt": False,
    },
    ensure_ascii=False,
).encode()  # fmt: skip
_BODIES: Final = (
    _SALE, _WHOLE_SALE, f'{{"code":"{CARD}"}}'.encode(), b'{"reference":"back-1","amount":100}', b'{"amount":100}',
    b'{"reason":"paid back in cash","code":"refund_open"}', b'{"until":"restart"}', b"{}", b"",
)  # fmt: skip
_STRANGE: Final = (
    b"NaN", b"-Infinity", b"1e400", b"9" * 400, b"-0", b"1.0", b"3.5e2", b"true", b"null", b'"\\ud800"', b'"\\u0000"',
    b'"\xed\xa0\x80"', "　".encode(), "\u202e".encode(), b"[" * 1100, b'{"a":' * 1100, b'"amount":1,"amount":2,',
    f'"{CARD}"'.encode(), CARD.encode(), b"\xef\xbb\xbf", b"\xff", *(f'"{name}":'.encode() for name in (
        "reference", "amount", "subject", "methods", "payway", "goods", "quantity", "code", "until", "reason", "x",
    )),
)  # fmt: skip
_HEAD: Final = b"GET\nHost: 127.0.0.1:8765\n"
_PREFLIGHT: Final = (
    b"OPTIONS\nHost: localhost:8765\nOrigin: http://localhost:8080\nAccess-Control-Request-Method: POST\n"
)
_TOKEN_LINE: Final = f"Authorization: Bearer {TOKEN}\n".encode()

REQUESTS: Final = (
    Target(name="api_body", opened=always(check_body), samples=_BODIES, words=_STRANGE, longest=8192, examples=250),
    Target(
        name="api_query",
        opened=always(check_query),
        samples=(
            b"reference=order-8841&state=paid&since=2025-01-31T08:00:00%2B08:00&until=2025-02-01T00:00:00Z&limit=200",
            b"attention=true&cursor=01JD&limit=1", b"day=2026-01-31&sales=true", b"language=zh", b"since=17",
        ),
        words=(b"%00", b"%ff", b"%ED%A0%80", b"%", b"+", b"9" * 19, b"9" * 5000, b"0000-00-00", b"9999-12-31",
               b"T23:59:60", b"-23:59", b"%2B24:00", b"=", b"&", b"true", "１".encode()),
        examples=200,
    ),
    Target(
        name="api_door",
        opened=always(check_door),
        samples=(
            _HEAD + _TOKEN_LINE, b"POST\nHost: localhost:8765\nContent-Type: application/json\n" + _TOKEN_LINE,
            b"OPTIONS\nHost: [::1]:8765\nOrigin: http://localhost:8080\nAccess-Control-Request-Method: POST\n",
            _PREFLIGHT, _PREFLIGHT + b"Access-Control-Request-Private-Network: true\n",
        ),
        words=(_TOKEN_LINE, b"Host: evil.example\n", b"Origin: null\n", b"Sec-Fetch-Site: cross-site\n", b"Bearer",
               b"\xff", b"Authorization: Bearer \n", b"\r", b"\0", b"POST\n", TOKEN.encode()),
    ),
    Target(
        name="api_connection",
        opened=opened,
        samples=(
            *(_request(call.method, call.path.replace("{id}", "01"), b"{}" if call.takes else b"")
              for call in CALLS if call.id != "follow_events"),
            *(_request("POST", "/v1/sales", body) for body in _BODIES),
            _request("GET", "/v1/sales?limit=1&state=paid"),
            _request("GET", "/v1/sales/a%2Fb%20%E8%AE%A2"), _request("GET", "/v1/events?since=9"),
            _request("POST", "/v1/sales", b"", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
            _request("GET", "/v1/status", b"", "Upgrade: websocket", "Sec-WebSocket-Key: x"),
            _request("GET", "/v1/status").replace(b"Connection: close\r\n", b"") + _request("GET", "/metrics"),
        ),
        words=(b"Content-Length: 99999999\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"%2F",
               b"%FF", b"%00", b"?", b"\r\n", b"\n", b"\0", b"Expect: 100-continue\r\n", b"HTTP/1.0", b"HTTP/2.0",
               b"HEAD ", b"CONNECT ", b"OPTIONS ", b"http://x/", b"*", b"A" * 9000, b"Host: a\r\nHost: b\r\n", _SALE),
        longest=16_384,
        examples=100,
    ),
)  # fmt: skip
