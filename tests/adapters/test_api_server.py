"""Calls to the real server on a real Unix socket; the desk behind it is a fake."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from terminald.adapters.api_app import Shutdown
from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_metrics import metrics_text
from terminald.adapters.api_routes import Request
from terminald.core.sale_table import SaleOrder
from terminald.errors import ApiError, IllegalTransition, JournalUnavailable
from terminald.wire.api import MAX_BODY
from terminald.wire.api_calls import CALLS
from terminald.wire.api_problems import PROBLEMS
from tests.adapters.api_desk import STATUS, FakeDesk, Served, raw, serving
from tests.wire.api_samples import paid_view, qr_view, refunded_view

ORDER = {"reference": "order-8841", "amount": 350, "subject": "Cola"}
JSON = {"Content-Type": "application/json"}


def test_a_sale_is_opened_once(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving(tmp_path, desk) as served:
            first = await served.client.post("/v1/sales", json=ORDER)
            again = await served.client.post("/v1/sales", json=ORDER)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        assert first.json()["state"] == "awaiting_payment"
        assert first.headers["location"] == "/v1/sales/01JDSALE"
        assert first.headers["content-type"] == "application/json"
        assert first.headers["cache-control"] == "no-store"
        order = desk.calls[0][1]
        assert isinstance(order, SaleOrder)
        assert order.amount == 350

    asyncio.run(story())


def test_sales_are_shown_by_any_name_and_listed(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"a/b 订": paid_view("01"), "02": paid_view("02")})
        async with serving(tmp_path, desk) as served:
            one = await served.client.get("/v1/sales/a%2Fb%20%E8%AE%A2")
            page = await served.client.get("/v1/sales", params={"limit": 1, "since": "2025-01-31T08:00:00+00:00"})
            rest = await served.client.get("/v1/sales?since=2025-01-31T08:00:00+00:00")
        assert one.json()["id"] == "01"
        assert page.json()["next_cursor"] == "01"
        assert len(rest.json()["sales"]) == 2
        assert desk.calls[0] == ("get_sale", "a/b 订")

    asyncio.run(story())


def test_the_calls_about_a_sale_reach_the_desk(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        async with serving(tmp_path, desk) as served:
            post = served.client.post
            answers = [
                await post("/v1/sales/01/payment-code", json={"code": "130812345678901147"}),
                await post("/v1/sales/01/cancel"),
                await post("/v1/sales/01/cancel", json={}),
                await post("/v1/sales/01/query"),
                await post("/v1/sales/01/receipt"),
                await served.client.get("/v1/sales/01/receipt"),
            ]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert answers[3].json()["orders"] == [
            {"client_sn": "A1", "answer": "paid", "net": None},
            {"client_sn": "A2", "answer": "unanswered", "net": None},
        ]
        assert answers[3].json()["sale"] == answers[1].json()
        called = ["present_code", "cancel", "cancel", "query", "print_copy", "receipt_text"]
        assert [call[0] for call in desk.calls] == called
        written = {"sale": "01", "columns": 32, "text": "支付凭证\n", "goods": [], "operator": "kiosk"}
        assert answers[5].json() == written
        assert desk.calls[0] == ("present_code", "01", "130812345678901147")

    asyncio.run(story())


def test_the_calls_about_the_goods_and_the_money_of_a_paid_sale_reach_the_desk(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        async with serving(tmp_path, desk) as served:
            post = served.client.post
            answers = [
                await post("/v1/sales/01/delivered"),
                await post("/v1/sales/01/undelivered"),
                await post("/v1/sales/01/undelivered", json={"amount": 100}),
                await post("/v1/sales/01/attention", json={"reason": "paid back in cash"}),
                await post("/v1/sales/01/attention", json={"reason": "in cash", "code": "merchant_balance"}),
            ]
            returns = [
                await post("/v1/sales/01/refunds", json={"reference": "back-1"}),
                await post("/v1/sales/01/refunds", json={"reference": "back-2", "amount": 100}),
                await post("/v1/sales/01/revoke"),
            ]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert {answer.json()["id"] for answer in answers} == {"01"}
        assert [answer.status_code for answer in returns] == [202] * 3
        told = [(one.json()["reference"], one.json()["kind"], one.json()["state"]) for one in returns]
        assert told == [
            ("back-1", "refund", "refunding"),
            ("back-2", "refund", "refunding"),
            (None, "revoke", "revoking"),
        ]
        assert desk.calls == [
            ("deliver", "01"),
            ("undeliver", "01", None),
            ("undeliver", "01", 100),
            ("close_attention", "01", "paid back in cash", None),
            ("close_attention", "01", "in cash", "merchant_balance"),
            ("refund", "01", "back-1", None),
            ("refund", "01", "back-2", 100),
            ("revoke", "01"),
        ]

    asyncio.run(story())


@pytest.mark.parametrize("call", ["delivered", "undelivered", "attention", "refunds", "revoke"])
def test_a_paid_sale_that_is_not_there_is_not_found(tmp_path: Path, call: str) -> None:
    body = {"refunds": {"reference": "back-1"}, "attention": {"reason": "looked"}}.get(call, {})

    async def story() -> None:
        async with serving(tmp_path, FakeDesk()) as served:
            answer = await served.client.post(f"/v1/sales/01/{call}", json=body)
        expect_problem(answer.status_code, answer.headers["content-type"], answer.content, "not_found")

    asyncio.run(story())


def test_what_a_sale_says_of_its_qr_and_refunds_is_shown_by_its_call(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"01": qr_view(), "02": refunded_view()})
        async with serving(tmp_path, desk) as served:
            open_one = (await served.client.get("/v1/sales/01")).json()
            paid_one = (await served.client.get("/v1/sales/02")).json()
        assert open_one["qr"] == {
            "content": "https://qr.example/1",
            "payway": "3",
            "expires_at": "2025-01-31T08:00:40.000+00:00",
        }
        assert [one["state"] for one in paid_one["refunds"]] == ["done", "proving"]

    asyncio.run(story())


def test_status_and_document_are_shown(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path, FakeDesk()) as served:
            status = await served.client.get("/v1/status")
            document = await served.client.get("/v1/openapi.json")
        assert status.json()["version"] == "1.2.3"
        assert document.json()["info"]["version"] == "1.2.3"

    asyncio.run(story())


def test_metrics_are_text(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, FakeDesk()) as served:
            shown = await served.client.get("/metrics")
            assert (shown.status_code, shown.content) == (200, metrics_text(STATUS, (), "1.2.3"))
            assert shown.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert shown.headers["cache-control"] == "no-store"

    asyncio.run(run())


def test_every_call_of_the_document_has_a_route_and_every_route_is_in_it(tmp_path: Path) -> None:
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]

    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        async with serving(tmp_path, desk) as served:
            paths = (await served.client.get("/v1/openapi.json")).json()["paths"]
            for path, operations in paths.items():
                for method in methods:
                    url = path.replace("{id}", "01")
                    async with served.client.stream(method, url) as answer:
                        is_there = answer.status_code not in (404, 405)
                    assert is_there == (method.lower() in operations), (method, path)
                    if not is_there:
                        assert answer.headers["allow"] == ", ".join(sorted(operations)).upper()
        assert {(call.method.lower(), call.path) for call in CALLS} == {
            (method, path) for path, operations in paths.items() for method in operations
        }

    asyncio.run(story())


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/sale", "/v1/sales/", "/v1/sales/01/eat", "/v1/sales/a/b/cancel", "//"]
)
def test_an_unknown_path_is_a_problem(tmp_path: Path, path: str) -> None:
    async def story() -> None:
        async with serving(tmp_path, FakeDesk()) as served:
            answer = await served.client.get(f"http://terminald{path}")
        expect_problem(answer.status_code, answer.headers["content-type"], answer.content, "no_such_call")

    asyncio.run(story())


@pytest.mark.parametrize("name", ["%FF", "x" * 65, "a%0Ab", "%00", "01"])
def test_a_name_that_no_sale_has_is_not_found(tmp_path: Path, name: str) -> None:
    async def story() -> None:
        async with serving(tmp_path, FakeDesk()) as served:
            answer = await served.client.get(f"/v1/sales/{name}")
        expect_problem(answer.status_code, answer.headers["content-type"], answer.content, "not_found")

    asyncio.run(story())


def expect_problem(status: int, media_type: str, body: bytes, code: str) -> dict[str, object]:
    problem: dict[str, object] = json.loads(body)
    kind = PROBLEMS[code]
    assert status == kind.status == problem["status"]
    assert media_type == "application/problem+json"
    assert problem["type"] == f"urn:terminald:{code}"
    assert problem["code"] == code
    assert {"title", "detail", "advice"} <= problem.keys()
    return problem


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        *[(ApiError(code, "said"), code) for code in sorted(PROBLEMS)],
        (IllegalTransition("completed", "CancelRequested"), "illegal_transition"),
        (JournalUnavailable("disk full at /secret/place"), "journal_failed"),
        (ApiError("never_heard_of", "internals"), "internal_error"),
        (TimeoutError("of the desk"), "internal_error"),
        (RuntimeError("internals"), "internal_error"),
    ],
)
def test_what_the_desk_raises_becomes_a_problem(
    tmp_path: Path, failure: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        desk = FakeDesk(failure=failure)
        async with serving(tmp_path, desk) as served:
            answer = await served.client.post("/v1/sales/01/cancel")
            problem = expect_problem(answer.status_code, answer.headers["content-type"], answer.content, code)
            desk.failure = None
            assert (await served.client.get("/v1/status")).status_code == 200
        for secret in ("internals", "/secret/place", "of the desk"):
            assert secret not in str(problem)

    asyncio.run(story())
    is_bug = not isinstance(failure, ApiError | IllegalTransition | JournalUnavailable)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.name for record in errors] == ["terminald.adapters.api_server"] * is_bug
    assert all(record.exc_info for record in errors)


def test_the_reasons_for_not_being_ready_are_told(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk(failure=ApiError("not_ready", "no", reasons=("paper_out", "draining")))
        async with serving(tmp_path, desk) as served:
            answer = await served.client.post("/v1/sales", json=ORDER)
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["paper_out", "draining"]

    asyncio.run(story())


def test_the_form_of_a_request_is_checked(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving(tmp_path, desk) as served:

            async def expect(code: str, method: str, path: str, field: str | None = None, **more: object) -> None:
                answer = await served.client.request(method, path, **more)  # type: ignore[arg-type]  # as each case needs
                problem = expect_problem(answer.status_code, answer.headers["content-type"], answer.content, code)
                assert problem.get("field") == field

            sales = "/v1/sales"
            await expect("invalid_request", "POST", sales, "colour", json={**ORDER, "colour": "red"})
            await expect("invalid_request", "POST", sales, "amount", json={**ORDER, "amount": 3.5})
            await expect("invalid_request", "POST", sales, "payway", json={**ORDER, "methods": ["qr"], "payway": "6"})
            await expect("invalid_request", "POST", "/v1/sales/01/refunds", "reference", json={"amount": 100})
            await expect("invalid_request", "POST", "/v1/sales/01/undelivered", "amount", json={"amount": 0})
            await expect("invalid_request", "POST", "/v1/sales/01/attention", "reason", json={})
            await expect("invalid_json", "POST", "/v1/sales/01/refunds")
            await expect("invalid_json", "POST", "/v1/sales/01/attention")
            await expect("invalid_request", "POST", "/v1/sales/01/delivered", "amount", json={"amount": 1})
            await expect("invalid_request", "POST", "/v1/sales/01/revoke", "amount", json={"amount": 1})
            await expect("invalid_request", "GET", "/v1/sales?state=switching", "state")
            await expect("invalid_json", "POST", sales, content=b"{", headers=JSON)
            await expect("invalid_json", "POST", sales)
            await expect("unsupported_media_type", "POST", sales, content=b"{}")
            await expect("unsupported_media_type", "POST", sales, data={"amount": "1"})
            await expect("body_too_large", "POST", sales, content=b" " * (MAX_BODY + 1), headers=JSON)
            await expect("invalid_request", "POST", "/v1/sales/01/cancel", "why", json={"why": "x"})
            await expect("invalid_request", "GET", "/v1/status?x=1", "x")
            await expect("invalid_request", "GET", "/v1/sales?limit=1&limit=2", "limit")
            await expect("invalid_request", "GET", "/v1/sales?limit=many", "limit")
            await expect("invalid_request", "GET", "/v1/sales?reference=%FF")
            await expect("invalid_request", "GET", "/v1/sales?" + "&".join(f"p{n}=1" for n in range(17)))
            await expect("method_not_allowed", "DELETE", "/v1/sales/01")
            assert desk.calls == []
            biggest = json.dumps(ORDER).encode().ljust(MAX_BODY)
            answer = await served.client.post(sales, content=biggest, headers={"Content-Type": "Application/JSON; x"})
            assert answer.status_code == 201

    asyncio.run(story())


def test_what_is_not_http_is_refused_with_a_problem(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path, FakeDesk()) as served:
            answer = await raw(served.path, b"\x16\x03\x01 hello\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "invalid_http"
            good = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
            answer = await raw(served.path, good + b"nonsense\r\n\r\n")
            assert answer.count(b"HTTP/1.1 ") == 2

    asyncio.run(story())


def test_a_body_that_is_broken_while_it_is_read_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving(tmp_path, desk) as served:
            head = b"POST /v1/sales HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            answer = await raw(served.path, head + b"not-a-size\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert (await served.client.get("/v1/status")).status_code == 200
        assert desk.calls == []

    asyncio.run(story())


def test_a_caller_that_goes_away_while_it_sends_is_forgotten(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving(tmp_path, desk) as served:
            _, writer = await asyncio.open_unix_connection(str(served.path))
            writer.write(b"POST /v1/sales HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            assert (await served.client.get("/v1/status")).status_code == 200
        assert desk.calls == []

    asyncio.run(story())


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_caller_that_stops_half_way_is_cut_off(tmp_path: Path) -> None:
    """I11."""

    async def story() -> None:
        async with serving(tmp_path, FakeDesk(), ApiLimits(receive_s=0.05)) as served:
            assert await raw(served.path, b"") == b""
            assert await raw(served.path, b"GET /v1/sta") == b""
            head = b"POST /v1/sales HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
            answer = await raw(served.path, head + b"{")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "body_timeout"
            reader, writer = await asyncio.open_unix_connection(str(served.path))
            writer.write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b'"uptime_s":4}')
            writer.write(b"GET /v1/st")
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    asyncio.run(story())


def test_more_connections_than_the_limit_are_refused_and_the_others_served(tmp_path: Path) -> None:
    """I11."""

    async def story() -> None:
        async with serving(tmp_path, FakeDesk(), ApiLimits(max_connections=2)) as served:
            kept = [await asyncio.open_unix_connection(str(served.path)) for _ in range(2)]
            answer = await raw(served.path, b"")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "overloaded"
            for reader, writer in kept:
                writer.write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                writer.close()
                await writer.wait_closed()
            assert (await served.client.get("/v1/status")).status_code == 200

    asyncio.run(story())


def test_a_request_does_not_show_its_body() -> None:
    """I7."""
    assert "1308" not in repr(Request(body=b'{"code":"130812345678901147"}'))


# --- the end ---------------------------------------------------------------------------------------------------------


async def call_under_way(served: Served, desk: FakeDesk) -> asyncio.Task[bytes]:
    desk.gate.clear()
    request = b"POST /v1/sales/01/query HTTP/1.1\r\nHost: x\r\n\r\n"
    task = asyncio.create_task(raw(served.path, request))
    await desk.arrived.wait()
    return task


def test_a_call_under_way_is_finished_before_the_end(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        async with serving(tmp_path, desk) as served:
            call = await call_under_way(served, desk)
            served.server.stop()
            desk.gate.set()
            assert (await call).startswith(b"HTTP/1.1 200 ")
            await served.task

    asyncio.run(story())


def test_a_call_that_does_not_end_is_answered_when_the_grace_is_over(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        async with serving(tmp_path, desk, ApiLimits(grace_s=0.05)) as served:
            call = await call_under_way(served, desk)
            served.server.stop()
            await served.task
            answer = await call
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "stopping"

    asyncio.run(story())


def test_cancelling_ends_everything_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        async with serving(tmp_path, desk) as served:
            call = await call_under_way(served, desk)
            served.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await served.task
            assert await call == b""
            served.task = asyncio.create_task(asyncio.sleep(0))

    asyncio.run(story())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_stopping_may_be_said_again_and_ends_each_call_once() -> None:
    async def story() -> None:
        shutdown = Shutdown()
        entered = asyncio.Event()

        async def call() -> None:
            async with shutdown.guard():
                entered.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    shutdown.begin(0)

        task = asyncio.create_task(call())
        await entered.wait()
        shutdown.begin(60)
        shutdown.begin(0)
        with pytest.raises(ApiError, match="too long"):
            await task
        with pytest.raises(ApiError, match="No new calls"):
            await call()

    asyncio.run(story())


def test_no_call_is_begun_while_it_stops(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        async with serving(tmp_path, desk) as served:
            desk.gate.clear()
            request = b"POST /v1/sales/01/query HTTP/1.1\r\nHost: x\r\n\r\n"
            two = asyncio.create_task(raw(served.path, request + request))
            await desk.arrived.wait()
            served.server.stop()
            desk.gate.set()
            answers = await two
            assert answers.startswith(b"HTTP/1.1 200 ")
            assert b'"stopping"' in answers or answers.count(b"HTTP/1.1 ") == 1
        assert len(desk.calls) == 1

    asyncio.run(story())
