"""The real daemon and a real Mosquitto: everything arrives at least once, and no payment waits for it."""

import json
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from terminald.adapters.fleet_mqtt import ANSWER_S
from tests.adapters.broker import PASSWORD, USERNAME, Broker, Listener, listening_to, make_certificates, wait
from tests.system.rig import VENDOR_KEY, Bench, bench
from tests.system.test_care import spoil

CODE = "130000000000001001"

FLEET = """\
[mqtt]
url = "mqtts://127.0.0.1:{port}"
name = "lobby-1"
ca_file = "{ca_file}"
username = "{username}"
password_file = "{directory}/mqtt.password"
keep_alive = "5s"
jitter = "100ms"
max_rate = 1000
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory)
    return directory


@contextmanager
def shop_and_broker(
    tmp_path: Path, certificates: Path, *, ca: str = "ca.pem", password: str = PASSWORD
) -> Iterator[tuple[Bench, Broker]]:
    """A terminal that is not started, and a broker that runs."""
    directory = tmp_path / "broker"
    directory.mkdir()
    broker = Broker(directory, certificates)
    broker.start()
    try:
        with bench(tmp_path) as shop:
            (tmp_path / "mqtt.password").write_text(f"{password}\n")
            (tmp_path / "mqtt.password").chmod(0o600)
            shop.config.write_text(
                shop.config.read_text()
                + FLEET.format(port=broker.port, ca_file=certificates / ca, username=USERNAME, directory=tmp_path)
            )
            yield shop, broker
    finally:
        broker.stop()


def sell(shop: Bench, reference: str, code: str) -> float:
    """Return how many seconds it took from the scan on."""
    assert shop.open_sale(reference).status_code == 201
    shop.scanner.scan(code)
    began = time.monotonic()
    shop.wait_state(reference, "completed")
    return time.monotonic() - began


def public_rows(shop: Bench) -> dict[int, tuple[str, object]]:
    """Return kind and body of each public event in the journal."""
    with closing(sqlite3.connect(shop.directory / "state" / "journal.db")) as journal:
        rows = journal.execute("SELECT seq, topic, body FROM events WHERE topic <> ''").fetchall()
    return {seq: (topic, json.loads(body)) for seq, topic, body in rows}


def wait_all(shop: Bench, listener: Listener) -> None:
    def is_complete() -> bool:
        first = min(listener.seqs(), default=0)
        return bool(first) and {seq for seq in public_rows(shop) if seq >= first} <= set(listener.seqs())

    try:
        wait(is_complete, "all events")
    except AssertionError:
        raise AssertionError(
            f"{sorted(public_rows(shop))}, heard {listener.seqs()}; {shop.log.read_text()[-2000:]}"
        ) from None


@pytest.mark.system
def test_what_happens_is_told_once_and_what_is_stays(tmp_path: Path, certificates: Path) -> None:
    with shop_and_broker(tmp_path, certificates) as (shop, broker), listening_to(broker) as listener:
        shop.start()
        shop.wait_ready()
        sell(shop, "first", CODE)
        wait_all(shop, listener)
        assert listener.is_online() is True
        wait(lambda: (last := listener.last("status")) and last.body["ready"] is True, "the status")
        assert shop.stop() == 0
        wait(lambda: listener.is_online() is False, "leave")
        last = listener.last("online")
        assert last is not None
        assert last.body["reason"] == "stopped"

        # Somebody who comes later hears what was retained, and no event.
        with listening_to(broker) as later:
            wait(lambda: {one.kind for one in later.heard} == {"discovery", "online", "status"}, "what is retained")
            assert later.is_online() is False
        shop.start()
        shop.wait_ready()
        sell(shop, "second", "130000000000001101")
        wait(lambda: listener.is_online() is True, "back")
        wait_all(shop, listener)
        assert shop.stop() == 0

        rows = public_rows(shop)
        assert len(listener.seqs()) == len(set(listener.seqs())), "nothing twice after a stop in order"
        assert listener.seqs() == sorted(listener.seqs())
        assert {"sale", "device", "readiness"} <= {one.kind for one in listener.events()}
        for one in listener.events():
            seq = one.body["seq"]
            assert isinstance(seq, int)
            assert (one.kind, one.body["data"]) == rows[seq], "as the local API tells it"
        check_privacy(shop, listener)


def check_privacy(shop: Bench, listener: Listener) -> None:
    """I7: neither keys nor payment codes, on the wire or in the log."""
    with closing(sqlite3.connect(shop.directory / "state" / "journal.db")) as journal:
        (keys,) = journal.execute("SELECT current_key, previous_key FROM terminal").fetchall()
    said = json.dumps([(one.topic, one.body) for one in listener.heard])
    log = shop.log.read_text()
    for secret in (*filter(None, keys), VENDOR_KEY, CODE, PASSWORD):
        assert secret not in said
        assert secret not in log


@pytest.mark.system
def test_a_terminal_that_dies_before_it_noted_what_was_taken_tells_it_again(tmp_path: Path, certificates: Path) -> None:
    with shop_and_broker(tmp_path, certificates) as (shop, broker), listening_to(broker) as listener:
        shop.start()
        shop.wait_ready()
        sell(shop, "first", CODE)
        wait_all(shop, listener)
        before = listener.seqs()
        shop.stop(signal.SIGKILL)
        shop.start()
        shop.wait_ready()
        wait(lambda: len(listener.seqs()) >= 2 * len(before), "the same once more")
        wait_all(shop, listener)
        again = listener.seqs()[len(before) :]
        assert again[: len(before)] == before, "from the mark on, under the same numbers"
        logs = {one.body["log"] for one in listener.events()}
        assert len(logs) == 1
        bodies: dict[object, set[str]] = {}
        for one in listener.events():
            bodies.setdefault(one.body["seq"], set()).add(json.dumps(one.body, sort_keys=True))
        assert all(len(found) == 1 for found in bodies.values()), "a repetition is the same in every byte that counts"
        assert shop.stop() == 0


def let_weeks_pass(shop: Bench, count: int, pruned: int) -> tuple[int, int]:
    """Log so many sales while nobody hears, and delete the oldest of them; return the numbers that were deleted."""
    with closing(sqlite3.connect(shop.directory / "state" / "journal.db")) as journal, journal:
        (first,) = journal.execute("SELECT max(seq) + 1 FROM events").fetchone()
        (at, wall) = journal.execute("SELECT at, wall FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        body = json.dumps({"id": "01JDSALE", "subject": "x" * 20_000}).encode()
        journal.executemany(
            "INSERT INTO events (at, wall, topic, kind, subject, sale_id, cause, state_before, state_after, body)"
            " VALUES (?, ?, ?, 'sale', 's', 's', 'Test', '', '', ?)",
            ((at, wall, "" if number % 2 else "sale", b"" if number % 2 else body) for number in range(count)),
        )
        journal.execute("DELETE FROM events WHERE seq >= ? AND seq < ?", (first, first + pruned))
    return first, first + pruned - 1


def memory_kib(shop: Bench) -> int:
    assert shop.daemon is not None
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{shop.daemon.pid}/status").read_text())
    assert found
    return int(found[1])


@pytest.mark.system
def test_weeks_without_a_broker_are_made_up_for_in_the_background(tmp_path: Path, certificates: Path) -> None:
    """With what was deleted meanwhile as a gap, with bounded memory, and with a sale in the middle of it."""
    with shop_and_broker(tmp_path, certificates) as (shop, broker):
        broker.stop()
        shop.configure(max_rate="100")
        shop.start()
        shop.wait_ready()
        sell(shop, "first", CODE)
        assert shop.stop() == 0
        gap = let_weeks_pass(shop, 2400, pruned=400)
        shop.start()
        shop.wait_ready()
        before = memory_kib(shop)
        assert shop.daemon is not None
        # It finds the broker again when somebody listens there, and not before.
        shop.daemon.send_signal(signal.SIGSTOP)
        broker.start()
        with listening_to(broker) as listener:
            shop.daemon.send_signal(signal.SIGCONT)
            wait(lambda: len(listener.seqs()) > 100, "the first of them")
            sell(shop, "meanwhile", "130000000000001101")
            assert len(listener.seqs()) < 1000, "the sale did not wait for the report"
            wait_all(shop, listener)
            gaps = [one.body["data"] for one in listener.events() if one.kind == "gap"]
            assert gaps == [{"from": gap[0], "to": gap[1]}]
            told = {one.body["seq"] for one in listener.events() if one.kind != "gap"}
            assert set(public_rows(shop)) == told, "also what was logged before the gap"
            assert listener.seqs() == sorted(listener.seqs())
        assert memory_kib(shop) - before < 12_000, "a page at a time, not 20 MB of events"
        assert shop.stop() == 0


@pytest.mark.system
def test_a_broker_that_stalls_or_says_no_is_nothing_to_a_payment(tmp_path: Path, certificates: Path) -> None:
    with shop_and_broker(tmp_path, certificates) as (shop, broker), listening_to(broker) as listener:
        shop.start()
        shop.wait_ready()
        wait(lambda: listener.is_online() is True, "there")
        broker.stall()
        assert sell(shop, "stalled", CODE) < ANSWER_S, "not when the broker is given up"
        assert shop.status()["ready"] is True
        broker.go_on()
        wait_all(shop, listener)
        broker.stall()
        began = time.monotonic()
        assert shop.stop() == 0
        assert time.monotonic() - began < ANSWER_S, "the end waits for seconds, not for the broker"
        broker.go_on()

        (tmp_path / "mqtt.password").write_text("not-the-password\n")
        shop.start()
        shop.wait_ready()
        wait(lambda: "reason=refused" in shop.log.read_text(), "a refusal")
        sell(shop, "refused", "130000000000001101")
        assert "not-the-password" not in shop.log.read_text()
        assert shop.log.read_text().count("reason=refused") == 1, "told once"
        assert shop.stop() == 0

        (tmp_path / "mqtt.password").write_text(f"{PASSWORD}\n")
        shop.start()
        wait_all(shop, listener)
        assert shop.stop() == 0


@pytest.mark.system
def test_a_wrong_certificate_is_no_broker_and_no_reason_not_to_sell(tmp_path: Path, certificates: Path) -> None:
    with shop_and_broker(tmp_path, certificates, ca="other-ca.pem") as (shop, broker):
        shop.start()
        shop.wait_ready()
        wait(lambda: "reason=certificate" in shop.log.read_text(), "the certificate's fault")
        sell(shop, "anyway", CODE)
        assert shop.stop() == 0
        assert "as terminald-lobby-1" not in broker.log.read_text()


# --- a damaged journal -----------------------------------------------------------------------------------------------


@pytest.mark.system
def test_a_terminal_that_is_stopped_by_damage_tells_it_as_its_status(tmp_path: Path, certificates: Path) -> None:
    with shop_and_broker(tmp_path, certificates) as (shop, broker), listening_to(broker) as listener:
        shop.start()
        shop.wait_ready()
        wait(lambda: (last := listener.last("status")) and last.body["ready"] is True, "ready")
        assert shop.stop() == 0
        wait(lambda: listener.is_online() is False, "leave")
        spoil(shop.directory / "state" / "journal.db")
        known = [one.body for one in listener.heard if one.kind == "discovery"]
        ordinary, events = listener.last("status"), len(listener.events())
        shop.start()
        wait(lambda: (last := listener.last("status")) and last.body["stopped"] is not None, "that it is stopped")
        wait(lambda: listener.is_online() is True, "there, and stopped")
        told = listener.last("status")
        assert ordinary is not None
        assert told is not None
        assert told.body.keys() == ordinary.body.keys(), "the shape is the ordinary one"
        assert told.body | {"uptime_s": 0} == shop.status() | {"uptime_s": 0}, "as the local API tells it"
        assert isinstance(stopped := told.body["stopped"], dict)
        assert stopped["code"] == "journal_damaged"
        assert "terminald restore" in stopped["advice"]
        assert known == [one.body for one in listener.heard if one.kind == "discovery"], "which is not known any more"
        assert len(listener.events()) == events, "the log can not be read"
        with listening_to(broker) as later:
            wait(lambda: {one.kind for one in later.heard} == {"discovery", "online", "status"}, "what is retained")

        # The last will is left, and published when the process dies.
        shop.stop(signal.SIGKILL)
        wait(lambda: listener.is_online() is False, "the will")
        gone = listener.last("online")
        assert gone is not None
        assert gone.body["reason"] == "lost"


@pytest.mark.system
def test_a_stopped_terminal_serves_whatever_the_broker_does(tmp_path: Path, certificates: Path) -> None:
    with shop_and_broker(tmp_path, certificates) as (shop, broker), listening_to(broker) as listener:
        spoil(shop.directory / "state" / "journal.db")
        shop.start()
        wait(lambda: listener.is_online() is True, "there")
        broker.stall()
        assert shop.terminald("status").returncode == 3
        began = time.monotonic()
        assert shop.stop() == 0
        assert time.monotonic() - began < ANSWER_S, "the end waits for seconds, not for the broker"
        broker.go_on()

        (tmp_path / "mqtt.password").write_text("")
        shop.start()
        wait(lambda: "reason=file" in shop.log.read_text(), "no password")
        assert isinstance(stopped := shop.status()["stopped"], dict)
        assert stopped["code"] == "journal_damaged"
        assert shop.stop() == 0
