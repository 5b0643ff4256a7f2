"""The report of a day over the API."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from terminald.errors import ApiError
from tests.adapters.api_desk import FakeDesk, serving
from tests.wire.report_samples import DAY

Scene = Callable[[httpx.AsyncClient, FakeDesk], Awaitable[None]]


def play(directory: Path, scene: Scene) -> None:
    async def run() -> None:
        desk = FakeDesk()
        async with serving(directory, desk) as served:
            await scene(served.client, desk)

    asyncio.run(run())


def test_a_day_is_reported_and_printed(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, desk: FakeDesk) -> None:
        today = await client.get("/v1/report")
        assert (today.status_code, today.json()["total"]["net"], today.json()["sales"]) == (200, 950, None)
        named = await client.get("/v1/report", params={"day": "2025-01-31", "sales": "true"})
        assert [sale["id"] for sale in named.json()["sales"]] == ["01JDSALE1", "01JDSALE2", "01JDSALE3"]
        printed = await client.post("/v1/report/print", params={"day": "2025-01-31"})
        assert printed.json() == {"state": "unverified", "detail": "sent"}
        assert (await client.post("/v1/report/print")).status_code == 200
        days = [("report", None), ("report", DAY.number), ("print_report", DAY.number), ("print_report", None)]
        assert desk.calls == days

    play(tmp_path, scene)


def test_what_is_wrong_is_refused_by_name(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, desk: FakeDesk) -> None:
        for path, field in (
            ("/v1/report?day=2025-02-30", "day"),
            ("/v1/report?sales=1", "sales"),
            ("/v1/report?month=1", "month"),
        ):
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["field"]) == (422, field)
        refused = await client.post("/v1/report/print?day=x")
        assert (refused.status_code, refused.json()["field"]) == (422, "day")
        assert (await client.post("/v1/report/print", json={"day": "2025-01-31"})).status_code == 422
        assert desk.calls == []
        desk.failure = ApiError("printer_off", "no printer is configured")
        refused = await client.post("/v1/report/print")
        assert (refused.status_code, refused.json()["code"]) == (409, "printer_off")

    play(tmp_path, scene)
