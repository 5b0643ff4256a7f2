"""Who may do what at the real daemon: callers of other users, told apart by the kernel."""

import contextlib
import grp
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.system.manager import Manager
from tests.system.rig import PATIENCE_S, Bench

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can call as somebody else"),
]

NOBODY = 65534
#: Becomes another user once everything is imported: that user may not be able to read this interpreter.
_CALL = """\
import os, socket, sys
os.setgroups([int(number) for number in sys.argv[5].split()])
os.setgid(int(sys.argv[4]))
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as caller:
    caller.settimeout(30)
    caller.connect(sys.argv[1])
    head = f"{sys.argv[2]} HTTP/1.1\\r\\nHost: t\\r\\nConnection: close\\r\\nContent-Type: application/json\\r\\n"
    caller.sendall(f"{head}Content-Length: {len(sys.argv[3])}\\r\\n\\r\\n{sys.argv[3]}".encode())
    answer = b""
    while piece := caller.recv(65536):
        answer += piece
sys.stdout.write(answer.decode())
"""


@pytest.fixture
def door(terminal: Bench) -> Iterator[Path]:
    """A terminal that sold something, with its socket where every user can reach it."""
    group = grp.getgrgid(1).gr_name
    config = terminal.config.read_text()
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Manager(terminal)) as manager:
        Path(directory).chmod(0o755)
        path = Path(directory, "api.sock")
        terminal.config.write_text(config.replace("[sale]", f'admin_group = "{group}"\n[sale]'))
        manager.listen(path)
        manager.start()
        manager.hear("STATUS", "ready to take payments")
        yield path
        assert terminal.stop() == 0


def call(path: Path, what: str, body: str = "", *, gid: int = NOBODY, groups: Sequence[int] = ()) -> tuple[int, str]:
    """Return status and body of a call that user nobody makes."""
    command = [sys.executable, "-I", "-c", _CALL, str(path), what, body, str(gid), " ".join(map(str, groups))]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True)
    head, _, content = done.stdout.decode().partition("\r\n\r\n")
    return int(head.split()[1]), content


def test_clients_sell_and_administrators_give_back(terminal: Bench, door: Path) -> None:
    order = '{"reference": "theirs", "amount": 350, "subject": "Cola"}'
    assert call(door, "POST /v1/sales", order)[0] == 201
    assert call(door, "POST /v1/sales/theirs/payment-code", '{"code": "130812345678912300"}')[0] == 200
    terminal.wait(lambda: json.loads(call(door, "GET /v1/sales/theirs")[1])["state"] == "completed", "completed")
    refund = '{"reference": "back", "amount": 100}'
    for what, body in (
        ("POST /v1/sales/theirs/refunds", refund),
        ("POST /v1/sales/theirs/revoke", "{}"),
        ("POST /v1/sales/theirs/attention", '{"reason": "seen"}'),
        ("POST /v1/checkin", "{}"),
        ("POST /v1/drain", "{}"),
        ("POST /v1/resume", "{}"),
    ):
        status, problem = call(door, what, body)
        assert status == 403
        assert f"user id {NOBODY} may sell" in problem
        assert f"group {grp.getgrgid(1).gr_name}" in problem
    assert terminal.books().kept == 350
    assert call(door, "POST /v1/sales/theirs/refunds", refund, groups=[1])[0] == 202
    assert call(door, "POST /v1/sales/theirs/refunds", '{"reference": "more", "amount": 50}', gid=1)[0] == 202
    terminal.wait(lambda: terminal.books().kept == 200, "both refunds")
