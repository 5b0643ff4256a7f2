"""The vendor key is for ``activate`` alone: the daemon neither opens its file nor looks at it (I7)."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.rig import Bench, bench

pytestmark = pytest.mark.system


def absent(key: Path) -> None:
    key.unlink()


def blocking(key: Path) -> None:
    """Whoever opens it waits for ever."""
    key.unlink()
    os.mkfifo(key, mode=0o600)


def open_to_all(key: Path) -> None:
    """Whoever looks at its mode refuses it."""
    key.chmod(0o644)


def without_table(key: Path) -> None:
    key.unlink()
    config = key.with_name("terminald.toml")
    config.write_text(re.sub(r"(?ms)^\[vendor\]\n.*?(?=^\[)", "", config.read_text()))
    assert "vendor" not in config.read_text()


@pytest.mark.parametrize("change", [absent, blocking, open_to_all, without_table])
def test_the_daemon_starts_whatever_became_of_the_vendor_key(change: Callable[[Path], None], terminal: Bench) -> None:
    change(terminal.directory / "vendor.key")
    assert terminal.terminald("check").returncode == 0
    terminal.start()
    terminal.wait_ready()
    assert terminal.stop() == 0


def trace_of(shop: Bench, *arguments: str) -> tuple[list[str], Path]:
    """Return what runs a command under strace, as the direct child, and where every file is written that it names."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("no strace here")
    written = shop.directory / f"{arguments[0]}.trace"
    program = [sys.executable, "-m", "terminald", "--config", str(shop.config), *arguments]
    # -D: the program is our child, and gets our signals.
    return [strace, "-D", "-f", "-q", "-e", "trace=%file", "-s", "4096", "-o", str(written), *program], written


def test_no_system_call_of_the_daemon_names_the_vendor_key(tmp_path: Path) -> None:
    """Nor a systemd credential, even where somebody passes it one by mistake. Activation, traced alike, names both."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "vendor_key").write_text("another-vendor-key")
    environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(credentials)}
    with bench(tmp_path, is_activated=False) as shop:
        command, written = trace_of(shop, "activate")
        (credentials / "activation_code").write_text("4821736605\n")
        subprocess.run(command, check=True, capture_output=True, env=environment)
        assert f'"{tmp_path}/vendor.key"' in written.read_text()
        assert f'"{credentials}/activation_code"' in written.read_text()

        command, written = trace_of(shop, "run")
        with shop.log.open("ab") as log:
            shop.daemon = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        shop.wait_ready()
        assert shop.stop(signal.SIGTERM) == 0
        # The tracer writes on for a moment after its tracee has ended.
        shop.wait(lambda: "+++ exited with 0 +++" in written.read_text(), "the end of the trace")
        assert f'"{tmp_path}/state/journal.db"' in written.read_text()
        assert not re.search(r"vendor[._]key", written.read_text())
        assert str(credentials) not in written.read_text()
