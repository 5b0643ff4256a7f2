"""The real daemon sends its event log after a check-in: redacted, the same bytes at each try, deleted when taken."""

import gzip
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.system.rig import VENDOR_KEY, Bench, bench

CODE = "130000000000001001"


class Log(msgspec.Struct):
    """One log in ``GET /_sim/logs``."""

    body: bytes
    text: str

    @property
    def seqs(self) -> list[int]:
        return [json.loads(line)["seq"] for line in gzip.decompress(self.body).splitlines()]


def logs(shop: Bench) -> list[Log]:
    return msgspec.json.decode(httpx.get(f"{shop.url}/_sim/logs").content, type=list[Log])


def waiting(shop: Bench) -> list[Path]:
    directory = shop.directory / "state" / "log-upload"
    return sorted(directory.iterdir()) if directory.exists() else []


def keys(shop: Bench) -> list[str]:
    """Return every key of the terminal that is in the journal."""
    with closing(sqlite3.connect(shop.directory / "state" / "journal.db")) as journal:
        (found,) = journal.execute("SELECT current_key, previous_key FROM terminal").fetchall()
    return [key for key in found if key]


def let_an_hour_pass(shop: Bench) -> None:
    """Let the last check-in have been an hour ago, so that a person may ask for the next one. The daemon is stopped."""
    with closing(sqlite3.connect(shop.directory / "state" / "journal.db")) as journal, journal:
        (text,) = journal.execute("SELECT snapshot FROM custody").fetchone()
        rotation = json.loads(text)
        rotation["asked"] -= 3_600_000
        journal.execute("UPDATE custody SET snapshot = ?", (json.dumps(rotation),))


def sell(shop: Bench, reference: str, code: str) -> None:
    assert shop.open_sale(reference).status_code == 201
    shop.scanner.scan(code)
    shop.wait_state(reference, "completed")


@pytest.mark.system
def test_a_log_that_was_not_taken_is_sent_again_after_the_next_check_in(tmp_path: Path) -> None:
    """I7, and the bytes of the first try."""
    with bench(tmp_path) as shop:
        shop.start()
        shop.wait_ready()
        sell(shop, "first", CODE)
        shop.fault(kind="system_error", path="uploadLog")
        assert shop.terminald("checkin").returncode == 0
        shop.wait(lambda: "a log was not taken" in shop.log.read_text(), "a failed upload")
        (kept,) = waiting(shop)
        assert kept.stat().st_mode & 0o777 == 0o600
        assert len(logs(shop)) == 1

        assert shop.stop() == 0
        secrets = keys(shop)
        let_an_hour_pass(shop)
        shop.start()
        shop.wait_ready()
        assert len(logs(shop)) == 1, "nothing is sent again without a check-in"
        sell(shop, "second", "130000000000001101")
        done = shop.terminald("checkin")
        assert done.returncode == 0, done.stdout
        shop.wait(lambda: len(logs(shop)) == 3 and not waiting(shop), "two logs taken, and their files gone")
        assert shop.stop() == 0
        secrets += keys(shop)

        again, repeated, following = logs(shop)
        assert again.body == repeated.body
        assert [*repeated.seqs, *following.seqs] == list(range(1, following.seqs[-1] + 1))
        rows = [json.loads(line) for line in repeated.text.splitlines()]
        assert {"sale", "attempt", "key", "device", "readiness"} <= {row["kind"] for row in rows}
        assert all(re.search(r"[+-][0-9]{2}:[0-9]{2}$", row["at"]) for row in rows)
        assert len(set(secrets)) == 3
        for log in logs(shop):
            assert not any(secret in log.text for secret in [*secrets, VENDOR_KEY, CODE, "first", "Cola"])
            assert not re.search("[0-9]{16}", log.text)


@pytest.mark.system
def test_a_lost_answer_sends_the_same_log_once_more(tmp_path: Path) -> None:
    """It arrives twice and is deleted once: nobody can tell a lost answer from a lost request."""
    with bench(tmp_path) as shop:
        shop.start()
        shop.wait_ready()
        shop.fault(kind="close_answer", path="uploadLog")
        assert shop.terminald("checkin").returncode == 0
        shop.wait(lambda: "a log was not taken" in shop.log.read_text(), "a lost answer")
        assert shop.stop() == 0
        let_an_hour_pass(shop)
        shop.start()
        shop.wait_ready()
        assert shop.terminald("checkin").returncode == 0
        shop.wait(lambda: len(logs(shop)) == 3 and not waiting(shop), "the log once more, and the next one")
        first, second, _ = logs(shop)
        assert first.body == second.body


@pytest.mark.system
def test_a_sale_does_not_wait_for_an_upload(tmp_path: Path) -> None:
    with bench(tmp_path) as shop:
        shop.start()
        shop.wait_ready()
        shop.fault(kind="lose_answer", path="uploadLog")
        assert shop.terminald("checkin").returncode == 0
        shop.wait(lambda: len(logs(shop)) == 1, "an upload under way")
        sell(shop, "meanwhile", CODE)
        shop.wait(lambda: "a log was not taken" in shop.log.read_text(), "the upload given up")
        assert len(waiting(shop)) == 1
        assert shop.stop() == 0


@pytest.mark.system
def test_nothing_is_sent_where_it_is_turned_off(tmp_path: Path) -> None:
    with bench(tmp_path) as shop:
        shop.config.write_text(shop.config.read_text() + "[checkin]\nupload_log = false\n")
        shop.start()
        shop.wait_ready()
        assert shop.terminald("checkin").returncode == 0
        sell(shop, "after", CODE)
        assert shop.stop() == 0
        assert (logs(shop), waiting(shop)) == ([], [])
