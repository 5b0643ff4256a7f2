"""Under which name a terminal without its journal speaks to the fleet's broker, and when it had better be silent."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.fingerprint import SOURCES, derive_device_id, read_board
from terminald.adapters.journal_copy import make_copy
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Status
from terminald.app_fleet import run_stopped_fleet
from terminald.config import Config, load
from terminald.core.ids import WallTime
from tests.adapters.api_desk import STATUS
from tests.core.machine_builders import NOON

SERIAL, MACHINE = SOURCES


class Broker:
    """Takes connections and reads what is said first: an MQTT packet with the client id, the will's topic in it."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.first = b""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.first = await reader.read(1000)
        self.heard.set()
        writer.close()


def board(directory: Path, serial: str) -> dict[str, Path]:
    (directory / serial).write_text(serial)
    return {SERIAL: directory / serial, MACHINE: directory / "none"}


def configured(directory: Path, port: int, more: str = "") -> Config:
    path = directory / "terminald.toml"
    path.write_text(
        f'[state]\ndirectory = "{directory}/state"\n[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\njitter = "100ms"\n{more}'
    )
    return load(path)


def first_words(
    tmp_path: Path, *, copied_on: str | None, found_on: str, more: str = "", device_id: str = "dev-1"
) -> bytes:
    """Return what the broker hears first of a terminal without its journal; nothing where it is silent."""
    file = tmp_path / "state" / "journal.db"
    if copied_on is not None:
        with closing(SqliteJournal(file)) as journal:
            journal.put_board(read_board(board(tmp_path, copied_on)), device_id=device_id)
        assert make_copy(file, NOON, spare=0, is_wanted=lambda: True)
    look: Callable[[], Status] = lambda: STATUS  # noqa: E731 - it has the port's type

    async def live() -> bytes:
        broker = Broker()
        async with await asyncio.start_server(broker.take, "127.0.0.1", 0) as server:
            config = configured(tmp_path, server.sockets[0].getsockname()[1], more)
            here = board(tmp_path, found_on)
            telling = asyncio.create_task(run_stopped_fleet(config, look, lambda: WallTime(0), file, here))
            hearing = asyncio.create_task(broker.heard.wait())
            await asyncio.wait({telling, hearing}, return_when=asyncio.FIRST_COMPLETED)
            telling.cancel()
            hearing.cancel()
            await asyncio.gather(telling, hearing, return_exceptions=True)
        return broker.first

    return asyncio.run(live())


def test_it_speaks_under_the_name_that_its_copy_remembers(tmp_path: Path) -> None:
    first = first_words(tmp_path, copied_on="1000aa", found_on="1000aa")
    assert b"terminald-dev-1" in first
    assert b"terminald/dev-1/online" in first, "the last will"


def test_without_a_copy_the_board_says_it_as_at_the_first_start(tmp_path: Path) -> None:
    first = first_words(tmp_path, copied_on=None, found_on="1000aa")
    assert derive_device_id(board(tmp_path, "1000aa")).encode() in first


def test_a_name_of_the_configuration_needs_nothing_else(tmp_path: Path) -> None:
    assert b"terminald-lobby-1" in first_words(tmp_path, copied_on=None, found_on="0000", more='name = "lobby-1"\n')


@pytest.mark.parametrize("more", ["", 'name = "lobby-1"\n'])
def test_a_card_that_was_copied_does_not_speak_for_the_other_board(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, more: str
) -> None:
    with caplog.at_level(logging.INFO, "terminald"):
        assert first_words(tmp_path, copied_on="1000aa", found_on="1000bb", more=more) == b""
    assert [record.__dict__["fields"]["reason"] for record in caplog.records] == ["nameless"]


def test_a_board_that_nobody_can_name_is_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "terminald"):
        assert first_words(tmp_path, copied_on=None, found_on="0000") == b""
    assert [record.__dict__["fields"]["reason"] for record in caplog.records] == ["nameless"]
