"""The explanation and the evidence, asked for over a real Unix socket; the desk behind it is a fake."""

import asyncio
from pathlib import Path

from terminald.errors import JournalUnavailable
from tests.adapters.api_desk import STATUS, FakeDesk, serving
from tests.core.story_samples import paid

VIEW = paid().dossier().view


def test_a_sale_is_explained_in_the_language_that_is_asked_for(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"a/b": VIEW})
        async with serving(tmp_path, desk) as served:
            english = await served.client.get("/v1/sales/a%2Fb/explanation")
            chinese = await served.client.get("/v1/sales/a%2Fb/explanation", params={"language": "zh"})
        assert (english.status_code, english.headers["cache-control"]) == (200, "no-store")
        assert english.json()["certain"][0] == "The sale is paid: 3.50 yuan."
        assert chinese.json()["certain"][0] == "交易已付款：3.50 元。"
        assert desk.calls == [("dossier", "a/b")] * 2

    asyncio.run(story())


def test_evidence_names_the_terminal_and_the_version(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path, FakeDesk({"a": VIEW})) as served:
            evidence = (await served.client.get("/v1/sales/a/evidence?language=zh")).json()
        assert evidence["terminal"] == {
            "sn": STATUS.terminal_sn,
            "device_id": STATUS.device_id,
            "version": "terminald 1.2.3",
        }
        assert evidence["explanation"]["language"] == "zh"

    asyncio.run(story())


def test_what_can_not_be_explained_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk({"a": VIEW})
        async with serving(tmp_path, desk) as served:
            for call in ("explanation", "evidence"):
                path = f"/v1/sales/a/{call}"
                language = await served.client.get(path, params={"language": "fr"})
                unknown = await served.client.get(f"/v1/sales/b/{call}")
                assert (language.status_code, language.json()["field"]) == (422, "language")
                assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
            assert [name for _, name in desk.calls] == ["b", "b"]
            desk.failure = JournalUnavailable("disk")
            failed = await served.client.get("/v1/sales/a/explanation")
            assert (failed.status_code, failed.json()["code"]) == (503, "journal_failed")

    asyncio.run(story())
