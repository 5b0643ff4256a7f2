"""The process may be killed at any instruction: what was committed is there, and nothing is there by half."""

import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.adapters.state_directory import lock

ROOT = Path(__file__).parent.parent.parent
RUNS = 6


def run_and_kill(directory: Path, lines: int) -> int:
    """Let a child commit so many times at least, kill it, and return the last sequence number that it said."""
    command = [sys.executable, "-m", "tests.adapters.journal_child", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return max(int(line) for line in said if line.endswith(b"\n"))


def test_what_was_committed_survives_a_kill_and_nothing_is_there_by_half(tmp_path: Path) -> None:
    rng = random.Random(1)
    directory = tmp_path / "state"
    total = 0
    for _ in range(RUNS):
        said = run_and_kill(directory, rng.randint(1, 60))
        with lock(directory), closing(SqliteJournal(directory / "journal.db")) as journal:
            assert journal.last_seq() >= said
            views = journal.list_sales(SaleFilter(limit=100_000))
            events = journal.events_after(0, 100_000)
            for view in views:
                is_paid = view.sale.state.value == "completed"
                assert view.sale.paid == (350 if is_paid else 0)
                assert [one.state.value == "paid" for one in view.attempts] in ([], [is_paid])
                assert len(view.jobs) == is_paid
            told = [one.body for one in events if one.topic == "sale"]
            assert told.count(b"awaiting_payment") == len(views)
            assert told.count(b"completed") == sum(view.sale.state.value == "completed" for view in views)
            assert len(views) > total
            total = len(views)
