"""The calls of the local API as one table: the routes are made from it, and the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from terminald.wire import api_shapes as shapes
from terminald.wire import api_status
from terminald.wire.api_receipt import ReceiptText
from terminald.wire.api_report import PrintedSlip, Report
from terminald.wire.api_story import LANGUAGES, Evidence, Explanation

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
    #: Whether selling is not enough: it gives money back, touches the key, or settles a case in somebody's name.
    is_for_admins: bool = False
    #: Codes of problems beside those that every call can have.
    problems: tuple[str, ...] = field(default=())


_BODY_PROBLEMS: Final = ("invalid_json", "body_timeout", "body_too_large", "unsupported_media_type")
#: What any call over TCP can answer, and none over the Unix socket.
TCP_PROBLEMS: Final = ("unauthorized", "host_not_allowed", "origin_not_allowed")
#: What any call can answer.
COMMON_PROBLEMS: Final = ("invalid_request", "internal_error", "overloaded", "stopping", *TCP_PROBLEMS)

_DAY: Final = Parameter(name="day", description="YYYY-MM-DD, of the gateway; today when missing")
_TIME: Final = "RFC 3339 with offset, for the sale's creation"
_LANGUAGE: Final = Parameter(name="language", description="of the sentences; en when missing", values=LANGUAGES)

CALLS: Final = (
    ApiCall(
        id="open_sale",
        method="POST",
        path="/v1/sales",
        summary="Open a sale. The same request with the same reference gives the sale that is there already (200).",
        takes=shapes.SaleRequest,
        gives={201: shapes.Sale, 200: shapes.Sale},
        problems=(
            *_BODY_PROBLEMS,
            "reference_conflict",
            "reference_spent",
            "busy",
            "not_ready",
            "printer_off",
            "journal_failed",
        ),
    ),
    ApiCall(
        id="list_sales",
        method="GET",
        path="/v1/sales",
        summary="List sales, newest first.",
        gives={200: shapes.SaleList},
        parameters=(
            Parameter(name="reference", description="your own name of the sale"),
            Parameter(
                name="state", description="the sale's state", values=tuple(state.value for state in shapes.ShownState)
            ),
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
            "method_not_offered",
            "code_reused",
            "earlier_order_open",
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
        id="delivered",
        method="POST",
        path="/v1/sales/{id}/delivered",
        summary="Report that the goods came out: the sale is complete. For sales with delivery: confirm.",
        takes=shapes.EmptyRequest,
        gives={200: shapes.Sale},
        problems=(*_BODY_PROBLEMS, "not_found", "illegal_transition", "journal_failed"),
    ),
    ApiCall(
        id="undelivered",
        method="POST",
        path="/v1/sales/{id}/undelivered",
        summary="Report that the goods, or goods of some worth, did not come out: the money goes back by itself.",
        takes=shapes.UndeliveredRequest,
        gives={200: shapes.Sale},
        problems=(*_BODY_PROBLEMS, "not_found", "refund_too_much", "illegal_transition", "journal_failed"),
    ),
    ApiCall(
        id="refund",
        method="POST",
        path="/v1/sales/{id}/refunds",
        summary="Give money back, in parts or all that is left. One reference is carried out once; follow its state.",
        takes=shapes.RefundRequest,
        gives={202: shapes.Refund},
        is_for_admins=True,
        problems=(
            *_BODY_PROBLEMS,
            "forbidden",
            "not_found",
            "not_paid",
            "nothing_left",
            "refund_too_much",
            "refund_conflict",
            "illegal_transition",
            "journal_failed",
        ),
    ),
    ApiCall(
        id="revoke",
        method="POST",
        path="/v1/sales/{id}/revoke",
        summary="Give the whole payment back without a fee, on the gateway's business day and before any refund.",
        takes=shapes.EmptyRequest,
        gives={202: shapes.Refund},
        is_for_admins=True,
        problems=(
            *_BODY_PROBLEMS,
            "forbidden",
            "not_found",
            "not_paid",
            "nothing_left",
            "revoke_impossible",
            "illegal_transition",
            "journal_failed",
        ),
    ),
    ApiCall(
        id="close_attention",
        method="POST",
        path="/v1/sales/{id}/attention",
        summary="Note that a person has looked, and how it was settled. What goes on by itself goes on.",
        takes=shapes.ClosingRequest,
        gives={200: shapes.Sale},
        is_for_admins=True,
        problems=(
            *_BODY_PROBLEMS,
            "forbidden",
            "not_found",
            "no_attention",
            "attention_changed",
            "illegal_transition",
            "journal_failed",
        ),
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
        id="get_receipt",
        method="GET",
        path="/v1/sales/{id}/receipt",
        summary="Show the receipt of a paid sale as plain text; with or without a printer.",
        gives={200: ReceiptText},
        problems=("not_found", "nothing_to_print", "journal_failed"),
    ),
    ApiCall(
        id="explain",
        method="GET",
        path="/v1/sales/{id}/explanation",
        summary="Explain one sale in plain sentences: what is certain, what is not, what happens next, what to do.",
        gives={200: Explanation},
        parameters=(_LANGUAGE,),
        problems=("not_found", "journal_failed"),
    ),
    ApiCall(
        id="get_evidence",
        method="GET",
        path="/v1/sales/{id}/evidence",
        summary="Show all that the gateway's customer service may ask for about one sale, without keys and codes.",
        gives={200: Evidence},
        parameters=(_LANGUAGE,),
        problems=("not_found", "journal_failed"),
    ),
    ApiCall(
        id="get_report",
        method="GET",
        path="/v1/report",
        summary="Add up one business day of the gateway: by provider what was sold and returned, and what is in doubt.",
        gives={200: Report},
        parameters=(_DAY, Parameter(name="sales", description="true: name every sale of the day", type="boolean")),
        problems=("journal_failed",),
    ),
    ApiCall(
        id="print_report",
        method="POST",
        path="/v1/report/print",
        summary="Print the closing slip of one business day now.",
        takes=shapes.EmptyRequest,
        gives={200: PrintedSlip},
        parameters=(_DAY,),
        problems=(*_BODY_PROBLEMS, "printer_off", "journal_failed"),
    ),
    ApiCall(
        id="get_status",
        method="GET",
        path="/v1/status",
        summary="Show the present state of everything.",
        gives={200: api_status.Status},
    ),
    ApiCall(
        id="check_in",
        method="POST",
        path="/v1/checkin",
        summary="Renew the terminal's key now; the answer is the key as it is then, renewed or not.",
        takes=shapes.EmptyRequest,
        gives={200: shapes.Key},
        is_for_admins=True,
        problems=(*_BODY_PROBLEMS, "forbidden", "busy", "not_ready", "journal_failed"),
    ),
    ApiCall(
        id="drain",
        method="POST",
        path="/v1/drain",
        summary=(
            "Begin no more sales, and close the one that waits for its code. in_flight in the status tells whether "
            "something is still under way. It lasts until it is resumed, over restarts, unless until says restart."
        ),
        takes=api_status.DrainRequest,
        gives={200: api_status.Status},
        is_for_admins=True,
        problems=(*_BODY_PROBLEMS, "forbidden", "journal_failed"),
    ),
    ApiCall(
        id="resume",
        method="POST",
        path="/v1/resume",
        summary=(
            "Begin sales again after a drain; or, with the code journal_restored, after a restore, where a person has "
            "compared the days since the copy with the gateway's. One does not end the other."
        ),
        takes=api_status.ResumeRequest,
        gives={200: api_status.Status},
        is_for_admins=True,
        problems=(*_BODY_PROBLEMS, "forbidden", "restored_unconfirmed", "journal_failed"),
    ),
    ApiCall(
        id="get_health",
        method="GET",
        path="/v1/health",
        summary=(
            "Prove that this version serves: a round trip through engine and journal, with a synced write at most once "
            "a minute. Nothing about it depends on the gateway, a device, or whether sales are begun."
        ),
        gives={200: api_status.Health},
        problems=("unhealthy",),
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
