"""The calls of the local API as one table: the routes are made from it, and the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from terminald.core.sale import SaleState
from terminald.wire import api_shapes as shapes

#: Sales on one page: a full page stays under 1 MiB, and is built between two scans.
MAX_LIMIT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter, or the header of the same standing."""

    name: str
    description: str
    type: str = "string"
    values: tuple[str, ...] = ()
    place: Literal["query", "header"] = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call. Gives maps a status to the shape of its JSON; None there: not JSON of a fixed shape."""

    id: str
    method: Literal["GET", "POST"]
    path: str
    summary: str
    gives: Mapping[int, type[msgspec.Struct] | None]
    takes: type[shapes.Request] | None = None
    parameters: tuple[Parameter, ...] = ()
    #: Codes of problems beside those that every call can have.
    problems: tuple[str, ...] = field(default=())


_BODY_PROBLEMS: Final = ("invalid_json", "body_timeout", "body_too_large", "unsupported_media_type")
#: What any call can answer.
COMMON_PROBLEMS: Final = ("invalid_request", "internal_error", "overloaded", "stopping")

_TIME: Final = "RFC 3339 with offset, for the sale's creation"

CALLS: Final = (
    ApiCall(
        id="open_sale",
        method="POST",
        path="/v1/sales",
        summary="Open a sale. The same request with the same reference gives the sale that is there already (200).",
        takes=shapes.SaleRequest,
        gives={201: shapes.Sale, 200: shapes.Sale},
        problems=(*_BODY_PROBLEMS, "not_supported", "reference_conflict", "busy", "not_ready", "journal_failed"),
    ),
    ApiCall(
        id="list_sales",
        method="GET",
        path="/v1/sales",
        summary="List sales, newest first.",
        gives={200: shapes.SaleList},
        parameters=(
            Parameter(name="reference", description="your own name of the sale"),
            Parameter(name="state", description="the sale's state", values=tuple(state.value for state in SaleState)),
            Parameter(name="since", description=f"{_TIME}; included"),
            Parameter(name="until", description=f"{_TIME}; not included"),
            Parameter(name="attention", description="true: those that a person must look at", type="boolean"),
            Parameter(name="limit", description=f"1 to {MAX_LIMIT}; 50 when missing", type="integer"),
            Parameter(name="cursor", description="next_cursor of the page before"),
        ),
        problems=("journal_failed",),
    ),
    ApiCall(
        id="get_sale",
        method="GET",
        path="/v1/sales/{id}",
        summary="Show one sale.",
        gives={200: shapes.Sale},
        problems=("not_found", "journal_failed"),
    ),
    ApiCall(
        id="present_code",
        method="POST",
        path="/v1/sales/{id}/payment-code",
        summary="Pay with a code that the host scanned itself.",
        takes=shapes.CodeRequest,
        gives={200: shapes.Sale},
        problems=(
            *_BODY_PROBLEMS,
            "not_found",
            "not_a_payment_code",
            "code_reused",
            "illegal_transition",
            "journal_failed",
        ),
    ),
    ApiCall(
        id="cancel",
        method="POST",
        path="/v1/sales/{id}/cancel",
        summary="Cancel before payment, and undo whatever may have happened at the gateway.",
        takes=shapes.EmptyRequest,
        gives={200: shapes.Sale},
        problems=(*_BODY_PROBLEMS, "not_found", "illegal_transition", "journal_failed"),
    ),
    ApiCall(
        id="query",
        method="POST",
        path="/v1/sales/{id}/query",
        summary="Ask the gateway about every attempt that may have reached it.",
        takes=shapes.EmptyRequest,
        gives={200: shapes.QueriedSale},
        problems=(*_BODY_PROBLEMS, "not_found", "journal_failed"),
    ),
    ApiCall(
        id="print_copy",
        method="POST",
        path="/v1/sales/{id}/receipt",
        summary="Print the receipt once more, marked as a copy.",
        takes=shapes.EmptyRequest,
        gives={200: shapes.Sale},
        problems=(*_BODY_PROBLEMS, "not_found", "nothing_to_print", "printer_off", "journal_failed"),
    ),
    ApiCall(
        id="get_status",
        method="GET",
        path="/v1/status",
        summary="Show the present state of everything.",
        gives={200: shapes.Status},
    ),
    ApiCall(
        id="check_in",
        method="POST",
        path="/v1/checkin",
        summary="Renew the terminal's key now; the answer is the key as it is then, renewed or not.",
        takes=shapes.EmptyRequest,
        gives={200: shapes.Key},
        problems=(*_BODY_PROBLEMS, "busy", "not_ready", "journal_failed"),
    ),
    ApiCall(
        id="follow_events",
        method="GET",
        path="/v1/events",
        summary=(
            "Follow the event log as server-sent events. Without a position it begins with the next event; the "
            "position is told at once, in an id without data. Nothing is lost or doubled for a host that resumes there."
        ),
        gives={200: None},
        parameters=(
            Parameter(name="since", description="the position to resume after; 0: from the beginning", type="integer"),
            Parameter(name="Last-Event-ID", description="the same; wins over since", type="integer", place="header"),
        ),
        problems=("events_unknown", "journal_failed"),
    ),
    ApiCall(
        id="get_metrics",
        method="GET",
        path="/metrics",
        summary="Show the status as metrics, in the text format of Prometheus.",
        gives={200: None},
    ),
    ApiCall(
        id="get_openapi",
        method="GET",
        path="/v1/openapi.json",
        summary="Describe this API.",
        gives={200: None},
    ),
)
