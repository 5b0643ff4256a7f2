"""A real Chromium without a window. It reaches this machine and nothing else."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: By the names that distributions give it.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: Names of strangers that the browser believes to be here; every other name is nowhere.
STRANGERS = ("evil.example", "rebind.example")
_RULES = ",".join([*(f"MAP {name} 127.0.0.1" for name in STRANGERS), "MAP * ~NOTFOUND", "EXCLUDE localhost"])


def find() -> str | None:
    """Return the path of a browser, if there is one: of $CHROMIUM, or by its usual names."""
    names = (os.environ["CHROMIUM"],) if os.environ.get("CHROMIUM") else _NAMES
    return next((path for path in map(shutil.which, names) if path), None)


@contextlib.contextmanager
def showing(url: str, profile: Path) -> Iterator[None]:
    """Show a page for as long as the context lasts."""
    program = find()
    assert program is not None
    command = [
        program, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
        f"--host-resolver-rules={_RULES},EXCLUDE 127.0.0.1", f"--user-data-dir={profile}",
        # Its sandbox needs a user that is not root, and namespaces that containers do not give.
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        url,
    ]  # fmt: skip
    log = profile.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        yield
    finally:
        # With all that it started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
