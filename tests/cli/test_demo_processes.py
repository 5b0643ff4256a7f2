"""The demo's view of the daemon; the daemon is a stand-in."""

import asyncio
from pathlib import Path

from terminald.cli.demo_processes import Service
from terminald.wire.api_views import sale_json
from tests.cli.fake_daemon import answer, fake_daemon
from tests.wire.api_samples import NOW, paid_view


def test_a_sale_that_has_ended_before_it_is_followed_is_not_waited_for(tmp_path: Path) -> None:
    """Its last event was read while the terminal was waited for, and does not come again."""

    async def scenario(api: Path) -> None:
        service = Service(tmp_path / "terminald.toml", api, tmp_path)
        try:
            ended = await service.follow("01JDSALE", lambda news: news.state.is_final)
        finally:
            await service.aclose()
        assert ended.id == "01JDSALE"

    with fake_daemon(tmp_path, answer(200, sale_json(paid_view(), NOW))) as fake:
        asyncio.run(scenario(fake.path))
    assert [request.split(b" HTTP")[0] for request in fake.requests] == [b"GET /v1/sales/01JDSALE"]
