"""The real daemon under a journald, of which the test holds the socket: what is on that wire, and what is not."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.core.stimuli import Record
from terminald.logs import Fields
from terminald.logs_ids import LogId
from tests.journald import Journald, in_place, is_place_to_be_had, roomy_socket
from tests.system.recorder import Recorder
from tests.system.rig import ACTIVATION_CODE, PATIENCE_S, VENDOR_KEY, Bench, bench

#: Paid, declined, paid after the customer's password, and two more that are paid.
CODES = ("130812345678912300", "281234567890123420", "130000000000001610", "289876543210987600", "131112345678912301")

pytestmark = pytest.mark.system


class Machine:
    """A bench whose programs log to a journald, and speak to the gateway over a wire that is listened to."""

    def __init__(self, bench: Bench, recorder: Recorder, journald: Journald) -> None:
        self.bench = bench
        self.recorder = recorder
        self.journald = journald
        bench.configure(url=f'"{recorder.url}"', level='"debug"')

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program as a unit would whose standard error is connected to the journal."""
        with self.bench.log.open("ab") as log:
            status = os.fstat(log.fileno())
            environment = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
            place = in_place(self.journald.path.parent)
            return subprocess.Popen([*place, sys.executable, "-m", *command], stdout=log, stderr=log, env=environment)

    def terminald(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.run("terminald", "--config", str(self.bench.config), *arguments)

    def sell(self, reference: str, code: str, *states: str, scans: bool = False) -> None:
        assert self.bench.open_sale(reference).status_code == 201
        if scans:
            self.bench.scanner.scan(code)
        else:
            self.bench.api.post(f"/v1/sales/{reference}/payment-code", json={"code": code})
        self.bench.wait_state(reference, *states)

    def secrets(self) -> set[bytes]:
        """Return every secret that was anywhere: keys, signatures and codes, as they went over the wire, and others."""
        heard = self.recorder.heard
        keys = set(re.findall(rb'"terminal_key": ?"([^"]+)"', heard))
        signatures = set(re.findall(rb"(?i)authorization: \S+ (\S+)\r\n", heard))
        codes = set(re.findall(rb'"dynamic_id": ?"([^"]+)"', heard))
        assert len(keys) >= 2, "the activation's and that of a check-in"
        assert len(signatures) > 5
        assert codes >= {code.encode() for code in CODES[:3]}
        return keys | signatures | codes | {VENDOR_KEY.encode(), ACTIVATION_CODE.encode(), *map(str.encode, CODES)}

    def written(self) -> bytes:
        """Return every byte that journald, and standard error, got."""
        self.journald.read()
        return b"".join(self.journald.received) + self.bench.log.read_bytes()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "journal").mkdir()
    if not is_place_to_be_had(tmp_path / "journal"):
        pytest.skip("a process may not have mounts of its own here")
    if (receiver := roomy_socket()) is None:
        pytest.skip("net.unix.max_dgram_qlen is less than systemd's 512, and can not be set for a test")
    with bench(tmp_path, is_activated=False) as made, contextlib.ExitStack() as stack:
        made.config.write_text(made.config.read_text() + '[log]\nlevel = "info"\n')
        recorder = Recorder(made.url)
        stack.callback(recorder.close)
        journald = Journald(tmp_path / "journal" / "socket", receiver)
        stack.callback(journald.close)
        yield Machine(made, recorder, journald)
        if made.daemon is not None:  # before the wire is cut
            made.daemon.kill()
            made.daemon.wait()


def test_no_secret_is_on_the_wire_and_each_transition_is_one_line(machine: Machine) -> None:
    """I7: from the activation over payments, declines, a refund and a new key to exceptions that quote them all."""
    here = machine.bench
    assert machine.terminald("activate", ACTIVATION_CODE).wait(PATIENCE_S) == 0
    here.daemon = machine.terminald("run")
    here.wait_ready()
    machine.sell("host", CODES[0], "completed")
    machine.sell("scanned", CODES[1], "awaiting_payment", scans=True)
    here.wait(lambda: [one.outcome for one in here.sale("scanned").attempts] == ["declined"], "the decline")
    here.scanner.scan("not a payment code")
    here.api.post("/v1/sales/scanned/cancel", json={})
    here.wait_state("scanned", "canceled")
    machine.sell("slow", CODES[2], "processing", "completed")
    here.wait_state("slow", "completed")
    assert here.api.post("/v1/sales/host/refunds", json={"reference": "r", "amount": 100}).status_code == 202
    here.wait_state("host", "completed", "returned")
    here.wait(lambda: here.api.get("/v1/sales/host").json()["refunds"][0]["state"] == "done", "the refund")
    assert here.terminald("checkin").returncode == 0
    assert here.stop() == 0
    entries = machine.journald.read()
    leaked = sorted(one for one in machine.secrets() if one in machine.written())
    assert leaked == []
    check_fields(entries)
    assert [transition(entry) for entry in entries if entry.get("LOG_ID") in TRANSITIONS] == committed(here)
    kinds = {entry.get("LOG_ID") for entry in entries}
    assert kinds >= {"serving", "stopping", "gateway_request", "readiness_changed", "refund_changed", "key_changed"}


def test_exceptions_that_quote_secrets_are_redacted_on_the_wire(machine: Machine) -> None:
    """I7: the journal fails while a payment is recorded, and a call meets a bug; both tracebacks hold everything."""
    here = machine.bench
    assert machine.terminald("activate", ACTIVATION_CODE).wait(PATIENCE_S) == 0
    heard = machine.recorder.heard
    signatures = re.findall(rb"(?i)authorization: \S+ (\S+)\r\n", heard)
    quoted = (*CODES, *(one.decode() for one in signatures))
    here.daemon = machine.run("tests.system.leaky", str(here.config), *quoted)
    here.wait_ready()
    machine.sell("host", CODES[0], "completed")
    assert here.api.get("/v1/sales").status_code == 500
    assert here.terminald("checkin").returncode == 0
    machine.sell("again", CODES[2], "processing", "completed")
    here.stop(signal.SIGKILL)
    entries = machine.journald.read()
    told = {entry["LOG_ID"]: entry["MESSAGE"] for entry in entries if "LOG_ID" in entry}
    for kind in ("journal_failed", "call_failed"):
        assert "Traceback" in told[kind]
        assert "1308…2300" in told[kind]
        assert "***" in told[kind]
    keys = set(re.findall(rb'"terminal_key": ?"([^"]+)"', machine.recorder.heard))
    assert keys
    secrets = {*keys, *signatures, *(code.encode() for code in CODES), VENDOR_KEY.encode(), ACTIVATION_CODE.encode()}
    assert sorted(one for one in secrets if one in machine.written()) == []
    check_fields(entries)


def test_a_journald_that_hangs_or_goes_away_holds_up_no_payment(machine: Machine) -> None:
    """Nobody reads the socket: it is full after some hundreds of lines, and then it is gone altogether."""
    here = machine.bench
    assert machine.terminald("activate", ACTIVATION_CODE).wait(PATIENCE_S) == 0
    filler = machine.run("tests.system.filler")
    assert filler.wait(PATIENCE_S) == 0
    here.daemon = machine.terminald("run")
    here.wait_ready()
    machine.sell("full", CODES[0], "completed")
    told = machine.journald.read()  # it may be told already while this is read
    machine.sell("read again", CODES[4], "completed")
    lost = [entry for entry in told + machine.journald.read() if entry.get("LOG_ID") == "lines_lost"]
    assert int(lost[0]["COUNT"]) > 5
    machine.journald.path.unlink()
    machine.sell("gone", CODES[3], "completed")
    assert here.stop() == 0


# --- what is compared -----------------------------------------------------------------------------------------------

_KINDS = {
    "sale": "sale_changed",
    "attempt": "attempt_changed",
    "refund": "refund_changed",
    "vend": "vend_changed",
    "print": "print_changed",
    "key": "key_changed",
}
TRANSITIONS = set(_KINDS.values())
Transition = tuple[str, str, str, str]


def check_fields(entries: list[dict[str, str]]) -> None:
    """Look at each entry: allowed fields, the number of its kind, and one line of them in one order."""
    ids = {one.word: one for one in LogId}
    allowed = {"MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "LOGGER", "LOG_ID"}
    allowed |= {"CODE_FILE", "CODE_LINE", "CODE_FUNC", *(name.upper() for name in Fields.__annotations__)}
    assert len(entries) > 10
    for entry in entries:
        assert entry.keys() <= allowed
        one = ids[entry["LOG_ID"]]
        assert entry["MESSAGE_ID"] == one.message_id
        named = [name for name in Fields.__annotations__ if name.upper() in entry]
        first, *trace = entry["MESSAGE"].split("\n")
        assert re.findall(r" ([a-z_]+)=(?=[^ ])", first.removeprefix(one.text))[: len(named) + 1] == ["log_id", *named]
        assert not trace or one.level >= LogId.CONFIG_REFUSED.level


def transition(entry: dict[str, str]) -> Transition:
    subject = entry.get("CLIENT_SN") or entry.get("REFUND") or entry.get("JOB") or entry.get("SALE") or "key"
    return entry["LOG_ID"], subject, f"{entry['FROM_STATE']}→{entry['TO_STATE']}", entry["EVENT"]


def committed(here: Bench) -> list[Transition]:
    """Return the transitions that the terminal's own journal has."""
    with contextlib.closing(SqliteJournal(here.directory / "state" / "journal.db")) as journal:
        records: list[Record] = [one.record for one in journal.records_after(0, 10_000)]
    # The activation is no step of the daemon.
    return [
        (_KINDS[one.kind], "key" if one.kind == "key" else one.subject, f"{one.before}→{one.after}", one.cause)
        for one in records
        if one.kind in _KINDS and one.cause != "Activated"
    ]
