"""What each call of the local API asks of the desk, and answers. One method for each id in the table of calls."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from terminald.adapters.api_events import EventStreams
from terminald.adapters.api_metrics import metrics_text
from terminald.adapters.api_views import decode_filter, health_json, key_json, queried_json, status_json
from terminald.adapters.evidence import evidence_json, explained_json
from terminald.adapters.ports import Desk
from terminald.core.book import SaleView
from terminald.core.schedule import Now
from terminald.wire.api import (
    SaleDefaults,
    decode_closing_request,
    decode_code_request,
    decode_drain_request,
    decode_empty_request,
    decode_refund_request,
    decode_resume_request,
    decode_sale_request,
    decode_undelivered_request,
)
from terminald.wire.api_receipt import receipt_json
from terminald.wire.api_report import decode_day, decode_wants_sales, printed_json, report_json
from terminald.wire.api_story import Origin, decode_language
from terminald.wire.api_views import refund_json, sale_json, sales_json
from terminald.wire.metrics import MEDIA_TYPE, Family
from terminald.wire.openapi import openapi_json

#: Answers are of this moment.
_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request whose form was checked already; what it says was not."""

    name: str = ""  # of the sale in the path
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)  # may hold a payment code
    last_event_id: str | None = None


Handler = Callable[[Request], Awaitable[Response]]


def json_answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON body."""
    return Response(body, status, {**_NO_STORE, **(headers or {})}, media_type="application/json")


class Routes:
    """Carry out the calls. Each raises ApiError, IllegalTransition or JournalUnavailable for what it refuses."""

    def __init__(
        self,
        desk: Desk,
        defaults: SaleDefaults,
        clock: Callable[[], Now],
        version: str,
        streams: EventStreams,
    ) -> None:
        """Version is terminald's."""
        self._desk = desk
        #: A reload exchanges them.
        self.defaults = defaults
        #: What is measured beside the status. From memory: nobody waits for it, nor is the journal asked.
        self.figures: Callable[[], Iterable[Family]] = tuple
        self._clock = clock
        self._version = version
        self._streams = streams
        self._openapi = openapi_json(version)

    def handlers(self) -> Mapping[str, Handler]:
        """Return the method of each call, by the call's id."""
        return {
            "open_sale": self._open_sale,
            "list_sales": self._list_sales,
            "get_sale": self._get_sale,
            "present_code": self._present_code,
            "cancel": self._cancel,
            "delivered": self._delivered,
            "undelivered": self._undelivered,
            "refund": self._refund,
            "revoke": self._revoke,
            "close_attention": self._close_attention,
            "query": self._query,
            "print_copy": self._print_copy,
            "get_receipt": self._get_receipt,
            "explain": self._explain,
            "get_evidence": self._get_evidence,
            "get_report": self._get_report,
            "print_report": self._print_report,
            "get_status": self._get_status,
            "check_in": self._check_in,
            "drain": self._drain,
            "resume": self._resume,
            "get_health": self._get_health,
            "follow_events": self._follow_events,
            "get_metrics": self._get_metrics,
            "get_openapi": self._get_openapi,
        }

    async def _open_sale(self, request: Request) -> Response:
        view, is_new = await self._desk.open_sale(decode_sale_request(request.body, self.defaults))
        place = {"Location": f"/v1/sales/{quote(view.sale.id, safe='')}"}
        return json_answer(sale_json(view, self._clock()), 201 if is_new else 200, place)

    async def _list_sales(self, request: Request) -> Response:
        wanted = decode_filter(request.query)
        views = await self._desk.list_sales(wanted)
        return json_answer(sales_json(views, self._clock(), limit=wanted.limit))

    async def _get_sale(self, request: Request) -> Response:
        return self._show(await self._desk.get_sale(request.name))

    async def _present_code(self, request: Request) -> Response:
        code = decode_code_request(request.body)
        return self._show(await self._desk.present_code(request.name, code.reveal()))

    async def _cancel(self, request: Request) -> Response:
        decode_empty_request(request.body)
        return self._show(await self._desk.cancel(request.name))

    async def _delivered(self, request: Request) -> Response:
        decode_empty_request(request.body)
        return self._show(await self._desk.deliver(request.name))

    async def _undelivered(self, request: Request) -> Response:
        amount = decode_undelivered_request(request.body)
        return self._show(await self._desk.undeliver(request.name, amount))

    async def _refund(self, request: Request) -> Response:
        reference, amount = decode_refund_request(request.body)
        return json_answer(refund_json(await self._desk.refund(request.name, reference, amount)), 202)

    async def _revoke(self, request: Request) -> Response:
        decode_empty_request(request.body)
        return json_answer(refund_json(await self._desk.revoke(request.name)), 202)

    async def _close_attention(self, request: Request) -> Response:
        reason, code = decode_closing_request(request.body)
        return self._show(await self._desk.close_attention(request.name, reason, code))

    async def _query(self, request: Request) -> Response:
        decode_empty_request(request.body)
        view, looks = await self._desk.query(request.name)
        return json_answer(queried_json(view, looks, self._clock()))

    async def _print_copy(self, request: Request) -> Response:
        decode_empty_request(request.body)
        return self._show(await self._desk.print_copy(request.name))

    async def _get_receipt(self, request: Request) -> Response:
        written = await self._desk.receipt_text(request.name)
        return json_answer(receipt_json(written.sale_id, written.columns, written.text, written.order))

    async def _explain(self, request: Request) -> Response:
        language = decode_language(request.query)
        dossier = await self._desk.dossier(request.name)
        # In a thread: a sale that was open for days has thousands of records.
        return json_answer(await asyncio.to_thread(explained_json, dossier, language))

    async def _get_evidence(self, request: Request) -> Response:
        language = decode_language(request.query)
        dossier, status = await self._desk.dossier(request.name), self._desk.status()
        origin = Origin(terminal_sn=status.terminal_sn, device_id=status.device_id, version=self._version)
        return json_answer(await asyncio.to_thread(evidence_json, dossier, origin, language))

    async def _get_report(self, request: Request) -> Response:
        with_sales = decode_wants_sales(request.query)
        report = await self._desk.report(decode_day(request.query))
        return json_answer(report_json(report, self._clock(), with_sales=with_sales))

    async def _print_report(self, request: Request) -> Response:
        decode_empty_request(request.body)
        return json_answer(printed_json(await self._desk.print_report(decode_day(request.query))))

    async def _get_status(self, _: Request) -> Response:
        return self._show_status()

    async def _drain(self, request: Request) -> Response:
        await self._desk.drain(until_restart=decode_drain_request(request.body))
        return self._show_status()

    async def _resume(self, request: Request) -> Response:
        await self._desk.resume(is_compared=decode_resume_request(request.body))
        return self._show_status()

    async def _get_health(self, _: Request) -> Response:
        await self._desk.prove_health()
        return json_answer(health_json(self._version))

    async def _check_in(self, request: Request) -> Response:
        decode_empty_request(request.body)
        return json_answer(key_json(await self._desk.check_in()))

    async def _follow_events(self, request: Request) -> Response:
        return await self._streams.open(request.last_event_id, request.query.get("since"))

    async def _get_metrics(self, _: Request) -> Response:
        body = metrics_text(self._desk.status(), self.figures(), self._version)
        return Response(body, 200, _NO_STORE, MEDIA_TYPE)

    async def _get_openapi(self, _: Request) -> Response:
        return json_answer(self._openapi)

    def _show_status(self) -> Response:
        return json_answer(status_json(self._desk.status(), self._version))

    def _show(self, view: SaleView) -> Response:
        return json_answer(sale_json(view, self._clock()))
