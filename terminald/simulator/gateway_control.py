"""What a person or a test may ask of the simulator itself, under ``/_sim/``; none of it is part of the Web API.

- ``GET /_sim/books``: the books (:class:`~terminald.simulator.gateway_view.BooksView`).
- ``GET /_sim/logs``: the last logs that terminals uploaded (:class:`~terminald.simulator.gateway_view.LogView`).
- ``GET /_sim/outcomes``: what the last two digits of a payment code do, as text.
- ``POST /_sim/faults``: a list of faults (:class:`~terminald.simulator.gateway_faults.Fault`), added to those armed.
- ``POST /_sim/advance``: ``{"seconds": n}`` moves the gateway's clock forward.
- ``POST /_sim/customer``: ``{"client_sn" | "qr_code": "…", "action": "pay" | "refuse"}`` for an order that waits.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec

from terminald.simulator.gateway_faults import Fault
from terminald.simulator.gateway_outcomes import outcomes_table
from terminald.simulator.gateway_protocol import Request, Response
from terminald.simulator.gateway_view import milliseconds
from terminald.simulator.gateway_world import GatewayWorld

#: Where the control calls live.
PREFIX = "/_sim/"
#: More than this in one script is a mistake, and would slow every request down.
MAX_FAULTS = 1000
#: A refund window of three months fits four times.
MAX_ADVANCE_S = 366 * 86_400


class _Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seconds: Annotated[float, msgspec.Meta(ge=0, le=MAX_ADVANCE_S)]


class _Customer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: Literal["pay", "refuse"]
    client_sn: str = ""
    qr_code: str = ""


_Script = Annotated[list[Fault], msgspec.Meta(max_length=MAX_FAULTS)]


def decode_faults(document: bytes) -> list[Fault]:
    """Return the faults of a script or of a request.

    Raises:
        ValueError: it is not a list of faults; the text says where.
    """
    try:
        return msgspec.json.decode(document, type=_Script)
    except msgspec.MsgspecError as exc:
        raise ValueError(str(exc)) from exc


def control(world: GatewayWorld, request: Request) -> Response:
    """Answer one control call: 404 for an unknown one, 409 for a customer who can not act, 422 for a bad body."""
    call = _CALLS.get(f"{request.method} {request.path}")
    if call is None:
        return _answer(404, msgspec.json.encode({"error": "no such control call"}))
    try:
        return call(world, request.body)
    except (ValueError, msgspec.MsgspecError) as exc:
        return _answer(422, msgspec.json.encode({"error": str(exc)}))


def _books(world: GatewayWorld, _: bytes) -> Response:
    return _answer(200, msgspec.json.encode(world.view()))


def _logs(world: GatewayWorld, _: bytes) -> Response:
    return _answer(200, msgspec.json.encode(world.logs()))


def _outcomes(_: GatewayWorld, __: bytes) -> Response:
    return _answer(200, f"{outcomes_table()}\n".encode(), "text/plain; charset=utf-8")


def _faults(world: GatewayWorld, body: bytes) -> Response:
    world.faults.add(*decode_faults(body))
    return _answer(200, msgspec.json.encode({"armed": len(world.faults)}))


def _advance(world: GatewayWorld, body: bytes) -> Response:
    world.advance(msgspec.json.decode(body, type=_Advance).seconds)
    return _answer(200, msgspec.json.encode({"now": milliseconds(world.now_s())}))


def _customer(world: GatewayWorld, body: bytes) -> Response:
    customer = msgspec.json.decode(body, type=_Customer)
    if world.customer(customer.action, client_sn=customer.client_sn, qr_code=customer.qr_code):
        return _answer(200, msgspec.json.encode({"done": True}))
    return _answer(409, msgspec.json.encode({"error": "no such order waits for a customer"}))


def _answer(status: int, body: bytes, content_type: str = "application/json") -> Response:
    return Response(status=status, headers={"Content-Type": content_type}, body=body)


_CALLS: Mapping[str, Callable[[GatewayWorld, bytes], Response]] = {
    "GET /_sim/books": _books,
    "GET /_sim/logs": _logs,
    "GET /_sim/outcomes": _outcomes,
    "POST /_sim/faults": _faults,
    "POST /_sim/advance": _advance,
    "POST /_sim/customer": _customer,
}
