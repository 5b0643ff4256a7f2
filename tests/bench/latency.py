"""What a sale costs: time from the scan on, commits, bytes; with an empty journal and with one that has a past."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.simulator.scanner import SimulatedScanner
from tests.bench.startup import Starter, daemon_command
from tests.bench.table import Row, Section
from tests.bench.terminal import LAST_BYTE_S, SETTLE_S, Sale, TappedTerminal, overlap_ms, pause, payment_code, tapped
from tests.bench.timed_daemon import Commit

#: Before anything is measured: imports, caches, and the first pages of the write-ahead file.
_WARM_UPS = 5
#: An attempt, a sale and their events are about so long; one page of the database.
_ROW_BYTES, _PAGE_BYTES = 2048, 4096
#: A sale that is opened, paid and printed can not be known after a power cut with fewer commits: that it is open, that
#: the request may leave, that it is paid, that the receipt may be on paper, that it is.
_LEAST_COMMITS = 5
_WITH_HTTPX = "bare script with asyncio and httpx"


class _Bare:
    """A bare script with a scanner of its own, on the same wire tap."""

    def __init__(self, variant: str, terminal: TappedTerminal, stack: contextlib.ExitStack) -> None:
        self._scanner = stack.enter_context(SimulatedScanner())
        self._tap = terminal.tap
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bare", variant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        stack.enter_context(self._process)
        stack.callback(self._process.kill)
        self._begin(terminal)

    def _begin(self, terminal: TappedTerminal) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise AssertionError
        sn, key = credentials(terminal)
        stdin.write(json.dumps({"device": self._scanner.path, "port": self._tap.port, "sn": sn, "key": key}).encode())
        stdin.close()
        if stdout.readline() != b"ready\n":
            raise AssertionError("the bare script did not start")

    def scan_ms(self, number: int) -> float:
        """Scan one code; return the time to the first byte of the pay request."""
        pause(SETTLE_S)
        self._scanner.send(payment_code(number).encode())
        pause(LAST_BYTE_S)
        self._tap.forget()
        at = time.monotonic_ns()
        self._scanner.send(b"\r")
        return (self._tap.next_pay_ns() - at) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Disk:
    """The disk, without the journal."""

    database: sqlite3.Connection
    file: int

    def sqlite_commit_ms(self) -> float:
        body = os.urandom(_ROW_BYTES)
        begin = time.monotonic_ns()
        self.database.execute("BEGIN IMMEDIATE")
        self.database.execute("INSERT INTO rows (body) VALUES (?)", (body,))
        self.database.execute("COMMIT")
        return (time.monotonic_ns() - begin) / 1e6

    def sync_ms(self) -> float:
        begin = time.monotonic_ns()
        os.write(self.file, bytes(_PAGE_BYTES))
        os.fdatasync(self.file)
        return (time.monotonic_ns() - begin) / 1e6


def _disk(directory: Path, stack: contextlib.ExitStack) -> _Disk:
    database = stack.enter_context(contextlib.closing(sqlite3.connect(directory / "bare.db", isolation_level=None)))
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "CREATE TABLE rows (number INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
    ):
        database.execute(statement).fetchall()
    file = os.open(directory / "bare.bin", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stack.callback(os.close, file)
    return _Disk(database=database, file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One turn of everything."""

    young: Sale
    old: Sale | None
    with_socket_ms: float
    with_httpx_ms: float
    sqlite_ms: Sequence[float]
    sync_ms: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """Everything, and all commits of the young terminal."""

    rounds: Sequence[_Round]
    commits: Sequence[Commit]

    @property
    def young(self) -> tuple[Sale, ...]:
        return tuple(one.young for one in self.rounds)

    @property
    def old(self) -> tuple[Sale, ...]:
        return tuple(one.old for one in self.rounds if one.old is not None)


def measure(directory: Path, bytecode: Path, *, rounds: int, starts: int, old_sales: int) -> tuple[Section, ...]:
    """Sell on two terminals in turn, and let the bare scripts and the bare disk have their turn in each round.

    Without old sales there is one terminal, and nothing is said of the past.
    """
    with contextlib.ExitStack() as stack:
        young = stack.enter_context(tapped(directory / "young"))
        old = stack.enter_context(tapped(directory / "old", old_sales=old_sales)) if old_sales else None
        with_socket, with_httpx = _Bare("socket", young, stack), _Bare("httpx", young, stack)
        disk = _disk(directory, stack)
        looked_s = 0.0 if old is None else old.settle()
        taken = [
            _Round(
                young=young.sell(),
                old=None if old is None else old.sell(),
                with_socket_ms=with_socket.scan_ms(10**9 + number),
                with_httpx_ms=with_httpx.scan_ms(2 * 10**9 + number),
                sqlite_ms=[disk.sqlite_commit_ms() for _ in range(_LEAST_COMMITS)],
                sync_ms=[disk.sync_ms() for _ in range(_LEAST_COMMITS)],
            )
            for number in range(_WARM_UPS + rounds)
        ]
        measured = _Measured(rounds=taken[_WARM_UPS:], commits=young.stop())
        if old is None:
            return _scan(measured), _disk_cost(measured)
        old.stop()
        _, *start_ms = [(_start_ms(young, bytecode), _start_ms(old, bytecode)) for _ in range(1 + starts)]
        past = _past(measured, start_ms, old_sales, (old.journal_file.stat().st_size, looked_s))
    return _scan(measured), _disk_cost(measured), past


def _start_ms(terminal: TappedTerminal, bytecode: Path) -> float:
    with contextlib.closing(Starter(terminal.bench.directory, bytecode)) as starter:
        return starter.time_ms(daemon_command(terminal.bench), terminal.bench.directory / "start.log")


def credentials(terminal: TappedTerminal) -> tuple[str, str]:
    """Read the identity from the journal, beside the daemon: readers do not disturb it."""
    journal = SqliteJournal(terminal.journal_file)
    try:
        identity = journal.load_terminal()
    finally:
        journal.close()
    if identity is None:
        raise AssertionError("not activated")
    return identity.terminal_sn, identity.current_key.reveal()


def _scan(measured: _Measured) -> Section:
    sales = measured.young
    in_commits = [overlap_ms(measured.commits, sale.scanned, sale.submitted) for sale in sales]
    with_socket = tuple(one.with_socket_ms for one in measured.rounds)
    with_httpx = tuple(one.with_httpx_ms for one in measured.rounds)
    return Section(
        title="Scan: last byte of the code on the line → first byte of the pay request at the gateway",
        rows=(
            Row(name="terminald", values=tuple(sale.scan_to_submit_ms for sale in sales), unit="ms"),
            Row(name=_WITH_HTTPX, values=with_httpx, unit="ms", role="beside", most=2.0, most_p99=3.0),
            Row(name="bare script on a socket", values=with_socket, unit="ms", role="beside"),
            Row(name="in the durable commit", values=tuple(in_commits), unit="ms", role="part"),
            Row(name="all but the commit", values=_difference(sales, in_commits), unit="ms"),
            Row(name=_WITH_HTTPX, values=with_httpx, unit="ms", role="beside"),
        ),
        notes=("The bare scripts sign and post on a warm connection as well, and have no journal.",),
    )


def _difference(sales: Sequence[Sale], in_commits: Sequence[float]) -> tuple[float, ...]:
    return tuple(sale.scan_to_submit_ms - commit for sale, commit in zip(sales, in_commits, strict=True))


def _disk_cost(measured: _Measured) -> Section:
    sales = measured.young
    own = [[one for one in measured.commits if sale.opened <= one.begin <= sale.printed] for sale in sales]
    durations = tuple((one.end - one.begin) / 1e6 for commits in own for one in commits)
    payloads = tuple(sum(one.payload for one in commits) for commits in own)
    written = tuple(sale.written_bytes for sale in sales)
    rows = [
        Row(name="commits a sale", values=tuple(len(commits) for commits in own), unit=""),
        Row(name="least for a write-ahead terminal", values=(_LEAST_COMMITS,), unit="", role="beside"),
        Row(name="events logged a sale", values=tuple(sum(one.entries for one in commits) for commits in own), unit=""),
        Row(name="one commit", values=durations, unit="ms"),
        Row(
            name="one row in a bare SQLite (WAL, FULL)",
            values=_all(one.sqlite_ms for one in measured.rounds),
            unit="ms",
            role="beside",
        ),
        Row(
            name="append 4 KiB, fdatasync",
            values=_all(one.sync_ms for one in measured.rounds),
            unit="ms",
            role="beside",
        ),
        Row(name="bytes to disk a sale", values=written, unit="B"),
        Row(name="snapshots and events in them", values=payloads, unit="B", role="beside"),
    ]
    notes = (
        f"Checkpoints included, {sum(written) / len(written):,.0f} bytes a sale on the average."
        if any(written)
        else "The file system is in memory: no bytes to disk, and syncs cost nothing.",
    )
    return Section(title="Disk: what a sale that is opened, paid and printed costs", rows=tuple(rows), notes=notes)


def _all(bursts: Iterable[Sequence[float]]) -> tuple[float, ...]:
    return tuple(one for burst in bursts for one in burst)


def _past(
    measured: _Measured, start_ms: Sequence[tuple[float, float]], old_sales: int, old_file: tuple[int, float]
) -> Section:
    young, old = measured.young, measured.old
    pairs = (
        (
            "scan → completed",
            [sale.scan_to_completed_ms for sale in old],
            [sale.scan_to_completed_ms for sale in young],
        ),
        ("scan → pay request", [sale.scan_to_submit_ms for sale in old], [sale.scan_to_submit_ms for sale in young]),
        ("start → READY", [aged for _, aged in start_ms], [fresh for fresh, _ in start_ms]),
    )
    rows: list[Row] = []
    for name, aged, fresh in pairs:
        rows += [
            Row(name=f"{name}, old journal", values=tuple(aged), unit="ms"),
            Row(name=f"{name}, young journal", values=tuple(fresh), unit="ms", role="beside", most=1.2),
        ]
    return Section(
        title=f"Past: {old_sales:,} old sales in the journal, beside none",
        rows=tuple(rows),
        notes=(
            f"The old journal has {old_file[0] / 1e6:,.0f} MB.",
            f"A start has it looked through beside the sales, {old_file[1]:.0f} s; these were made after that.",
        ),
    )
