"""The OpenAPI 3.1 document, generated from the table of calls, the shapes and the table of problems."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from terminald.wire import api_shapes as shapes
from terminald.wire.api_calls import CALLS, COMMON_PROBLEMS, ApiCall, Parameter
from terminald.wire.api_kiosk import BasketEvent
from terminald.wire.api_problems import PROBLEMS
from terminald.wire.metrics import MEDIA_TYPE

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

#: The public kinds of event, each with the shape of its data.
EVENTS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "sale": shapes.Sale,
    "refund": shapes.RefundEvent,
    "print": shapes.PrintEvent,
    "scan": shapes.ScanEvent,
    "basket": BasketEvent,
    "device": shapes.Device,
    "readiness": shapes.ReadinessEvent,
    "key": shapes.KeyEvent,
    "attention": shapes.AttentionEvent,
}
_SCHEMA_PLACE: Final = "#/components/schemas/{name}"
_MEDIA_TYPES: Final = {"follow_events": "text/event-stream", "get_metrics": MEDIA_TYPE}
#: An address over the Unix socket names no machine: only the paths count.
_SERVERS: Final[Json] = [
    {"url": "http://localhost", "description": "the Unix socket, api.socket; the kernel says who calls"},
    {
        "url": "http://{host}:{port}",
        "description": "loopback TCP, only where api.listen is set; every call with the token",
        "variables": {
            "host": {"default": "127.0.0.1", "enum": ["127.0.0.1", "localhost", "[::1]"]},
            "port": {"default": "8765", "description": "of api.listen"},
        },
    },
]
_TOKEN: Final[Json] = {
    "type": "http",
    "scheme": "bearer",
    "description": (
        "What api.token_file holds. Callers over TCP may sell; calls for administrators they may not make. Each POST "
        "says Content-Type: application/json, and pages must be of an origin that api.allowed_origins names."
    ),
}


def openapi_json(version: str) -> bytes:
    """Write the document. Version is terminald's."""
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "terminald",
            "version": version,
            "description": (
                "The local API of terminald. Amounts are integers in fen; times are RFC 3339 with offset; unknown "
                "fields are errors; refusals are application/problem+json."
            ),
        },
        "servers": _SERVERS,
        # Either without, on the Unix socket, or with it.
        "security": [{}, {"token": []}],
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": {"token": _TOKEN}},
    }
    return msgspec.json.encode(document)


def _paths() -> Json:
    paths: dict[str, dict[str, Json]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return paths


def _operation(call: ApiCall) -> Json:
    operation: dict[str, Json] = {
        "operationId": call.id,
        "summary": call.summary,
        "parameters": _parameters(call),
        "responses": {**_answers(call), **_refusals(call)},
    }
    if call.takes:
        operation["requestBody"] = {
            "required": call.takes is not shapes.EmptyRequest,
            "content": {"application/json": {"schema": _ref(call.takes)}},
        }
    return operation


def _parameters(call: ApiCall) -> Json:
    found: list[Json] = [_parameter(parameter) for parameter in call.parameters]
    if "{id}" in call.path:
        found.append(
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "the sale's id, your reference, the gateway's sn, or an attempt's client_sn",
                "schema": {"type": "string", "maxLength": 64},
            }
        )
    return found


def _parameter(parameter: Parameter) -> Json:
    schema: dict[str, Json] = {"type": parameter.type}
    if parameter.values:
        schema["enum"] = parameter.values
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": False,
        "description": parameter.description,
        "schema": schema,
    }


def _answers(call: ApiCall) -> dict[str, Json]:
    return {str(status): _answer(call, shape) for status, shape in call.gives.items()}


def _answer(call: ApiCall, shape: type[msgspec.Struct] | None) -> Json:
    media_type = _MEDIA_TYPES.get(call.id, "application/json")
    described: Json = {} if shape is None else {"schema": _ref(shape)}
    if call.id != "follow_events":
        return {"description": call.summary, "content": {media_type: described}}
    return {
        "description": "Each event has an id (its position), an event (its kind), and data: JSON.",
        "content": {media_type: {"schema": {"type": "string"}, "x-events": _events()}},
    }


def _events() -> Json:
    return {kind: _ref(shape) for kind, shape in EVENTS.items()}


def _refusals(call: ApiCall) -> dict[str, Json]:
    codes: dict[int, list[str]] = {}
    for code in (*call.problems, *COMMON_PROBLEMS):
        codes.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(status): _refusal(found) for status, found in sorted(codes.items())}


def _refusal(codes: list[str]) -> Json:
    lines = [f"`{code}`: {PROBLEMS[code].title}. {PROBLEMS[code].advice}" for code in codes]
    return {
        "description": "\n\n".join(lines),
        "content": {"application/problem+json": {"schema": _ref(shapes.Problem)}},
    }


def _ref(shape: type[msgspec.Struct]) -> Json:
    return {"$ref": _SCHEMA_PLACE.format(name=shape.__name__)}


def _schemas() -> Json:
    named = [shape for call in CALLS for shape in (call.takes, *call.gives.values()) if shape]
    _, schemas = msgspec.json.schema_components([*named, *EVENTS.values(), shapes.Problem], ref_template=_SCHEMA_PLACE)
    found: Json = schemas
    return found
