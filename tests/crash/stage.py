"""A place for one daemon behind the boundary: its files, its gateway, and the process itself."""

import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx

from terminald.simulator.gateway_terminals import Terminal
from tests.crash.boundary import Control, Places, build
from tests.crash.gateways import ACTIVATION_CODE, VENDOR_KEY, Gateway, Gateways
from tests.system.unix_transport import UnixTransport

#: How long anything here may take before it is a failure: generous, for a machine that does other work too.
PATIENCE_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.01
_LOG_SHOWN: Final = 3000
#: Names the boot in which every first daemon is started.
_FIRST_BOOT: Final = "00000000-0000-4000-8000-000000000001"

#: The key is not renewed meanwhile: every life begins with the same journal.
_CONFIG: Final = """\
[terminal]
name = "crash"
device_id = "crash-1"
[gateway]
url = "{url}"
connect_timeout = "2s"
read_timeout = "2s"
[vendor]
sn = "V100"
app_id = "A100"
key_file = "{directory}/vendor.key"
[state]
directory = "{directory}/state"
[checkin]
at = "{checkin_at}"
jitter = "0s"
[api]
socket = "{directory}/api.sock"
[sale]
payment_window = "30s"
poll_interval = "200ms"
poll_window = "2s"
late_lookups = ["1s"]
delivery_window = "30s"
[printer]
driver = "file"
device = "{directory}/receipts.bin"
[readiness]
require = ["gateway"]
min_free_disk_mb = 1
"""


class Gone(Exception):
    """The daemon has died."""


class Stage:
    """One directory in which daemons live one after the other, on one journal. Used by one thread."""

    def __init__(self, directory: Path, library: Path) -> None:
        """The directory is empty."""
        self.directory = directory
        self._config = directory / "terminald.toml"
        self._log = directory / "daemon.log"
        self.state, self.durable = directory / "state", directory / "durable"
        self.durable.mkdir(mode=0o700)
        self.places = Places(
            library=library,
            control=directory / "control",
            state=self.state,
            durable=self.durable,
            api=directory / "api.sock",
            printer=directory / "receipts.bin",
            boot_id=directory / "boot_id",
        )
        self._boot(_FIRST_BOOT)
        self.control = Control(self.places.control)
        (directory / "vendor.key").write_text(VENDOR_KEY)
        (directory / "vendor.key").chmod(0o600)
        self._nursery = self._start_nursery()
        #: Readable when the daemon has died; None before the first.
        self._daemon: int | None = None
        #: Held where the descriptor is used beside the thread that closes it.
        self._closing = threading.Lock()
        self.api = httpx.Client(
            base_url="http://terminald", transport=UnixTransport(self.places.api, timeout_s=PATIENCE_S)
        )

    def close(self) -> None:
        """End the daemon, and forget everything."""
        self.kill()
        self._nursery.communicate(timeout=PATIENCE_S)
        self.api.close()
        self.control.close()
        shutil.rmtree(self.directory)

    def configure(self, url: str) -> None:
        """Write the configuration for a gateway."""
        in_half_a_day = time.gmtime(time.time() + (8 + 12) * 3600)
        checkin_at = time.strftime("%H:%M", in_half_a_day)
        self._config.write_text(_CONFIG.format(url=url, directory=self.directory, checkin_at=checkin_at))

    def put_state(self, template: Path) -> None:
        """Begin with a copy of a state directory, all of which is durable. No daemon lives."""
        self.control.disarm()
        for place in (self.state, self.durable):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(template, place)
        self.places.printer.unlink(missing_ok=True)
        self._boot(_FIRST_BOOT)
        self._log.write_bytes(b"")

    # --- the process -------------------------------------------------------------------------------------------------

    def run(self, *arguments: str) -> None:
        """Run one command to its end, without a boundary."""
        subprocess.run(
            [sys.executable, "-m", "terminald", *self._arguments(*arguments)],
            check=True,
            capture_output=True,
            timeout=PATIENCE_S,
        )

    def start(self) -> None:
        """Start a daemon behind the boundary; the one before is dead."""
        self.kill()
        assert self._nursery.stdin
        assert self._nursery.stdout
        self._nursery.stdin.write(json.dumps(self._arguments("run")).encode())
        self._daemon = os.pidfd_open(int(self._nursery.stdout.readline()))

    def _start_nursery(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.crash.nursery"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.places.environment(),
                bufsize=0,
            )

    def _arguments(self, *arguments: str) -> list[str]:
        return ["--config", str(self._config), *arguments]

    def is_alive(self) -> bool:
        """Whether the daemon lives."""
        with self._closing:
            return self._daemon is not None and not self._has_died(0.0)

    def _has_died(self, within_s: float) -> bool:
        assert self._daemon is not None
        found, _, _ = select.select([self._daemon], [], [], within_s)
        return bool(found)

    def kill(self) -> None:
        """End the daemon as the kernel does, and wait for that; harmless when it is dead."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the daemon as a person does."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._daemon is None:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._daemon, number)
        if not self._has_died(PATIENCE_S):
            raise AssertionError(f"it does not end\n{self.log_tail()}")
        with self._closing:
            os.close(self._daemon)
            self._daemon = None

    def cut_power(self) -> None:
        """Take away what was not synced, and let the next daemon see another boot."""
        self.kill()
        shutil.rmtree(self.state)
        shutil.copytree(self.durable, self.state)
        self._boot(str(uuid.uuid4()))

    def _boot(self, boot_id: str) -> None:
        self.places.boot_id.write_text(boot_id)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def wait_ready(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until the daemon takes payments; meanwhile is done again and again.

        Raises:
            Gone: it has died.
        """
        self.wait(lambda: self._is_ready(meanwhile), "ready")

    def _is_ready(self, meanwhile: Callable[[], None]) -> bool:
        meanwhile()
        with suppress(httpx.TransportError):
            return self.api.get("/v1/status").json().get("ready") is True
        return False

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Ask again until it is so. The daemon is another process: there is nothing to wait on but its answers.

        Raises:
            Gone: the daemon has died.
        """
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            if not self.is_alive():
                raise Gone
            if time.monotonic() > end:
                raise AssertionError(f"not within {PATIENCE_S} s: {what}\n{self.log_tail()}")
            select.select([], [], [], _LOOK_AGAIN_S)

    def log_tail(self) -> str:
        """Return the last lines that the daemons have written."""
        return self._log.read_text()[-_LOG_SHOWN:] if self._log.exists() else ""


@dataclass(frozen=True, slots=True)
class Theatre:
    """Where stages are put up, all with the same beginning: an activated terminal that has been started once."""

    directory: Path
    library: Path
    gateways: Gateways
    template: Path
    terminals: dict[str, Terminal]

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        """Put up a stage; no daemon is started."""
        directory = self.directory / secrets.token_hex(6)
        directory.mkdir()
        stage = Stage(directory, self.library)
        try:
            yield stage
        finally:
            stage.close()

    @contextmanager
    def play(self, stage: Stage) -> Iterator[Gateway]:
        """Let a stage begin anew, with a gateway of its own; no daemon is started, and none left alive."""
        with self.gateways.open(self.terminals) as gateway:
            stage.configure(gateway.url)
            stage.put_state(self.template)
            try:
                yield gateway
            finally:
                stage.kill()


@contextmanager
def theatre(directory: Path) -> Iterator[Theatre]:
    """Build the boundary, and activate a terminal."""
    directory = directory.resolve()
    template = directory / "template"
    library = build(directory)
    with Gateways() as gateways, gateways.open() as gateway:
        shown = Theatre(directory, library, gateways, template, {})
        with shown.stage() as stage:
            stage.configure(gateway.url)
            stage.run("activate", ACTIVATION_CODE)
            stage.start()
            stage.wait_ready()
            stage.stop()
            shutil.copytree(stage.state, template)
        yield replace(shown, terminals=gateway.terminals())
