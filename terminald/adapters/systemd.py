"""What the service manager is told, and what it passes on. Without one every call is a harmless nothing.

The protocols are datagrams and variables (sd_notify(3), sd_listen_fds(3)); no library is needed for them, and none has
MONOTONIC_USEC.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: A manager that is busy with a reboot takes a moment; longer the daemon does not wait for it.
_SEND_S: Final = 1.0
#: The first descriptor that is passed (SD_LISTEN_FDS_START).
_FIRST_FD: Final = 3
#: How much time is asked for with each message. The next comes long before it is over.
EXTENSION_S: Final = 60
#: How often: well within TimeoutStartSec= of the unit, and within the time that was asked for.
EXTEND_EVERY_S: Final = 10.0
#: A journal of years on a slow card is checked in a few minutes. What takes longer than this hangs.
LONGEST_OPENING_S: Final = 1800.0


def notify(*lines: str) -> None:
    """Send state to the service manager: ``READY=1``, ``STATUS=…``, ``STOPPING=1``."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(_SEND_S)
            manager.sendto("\n".join(lines).encode(), address)
    except OSError as exc:
        log_event(_log, LogId.MANAGER_UNREACHED, detail=f"{lines[0]}: {exc.strerror or exc}")


def status(text: str) -> str:
    """Return the assignment of a STATUS, on one line."""
    return f"STATUS={' '.join(text.split())}"


def extension() -> str:
    """Return the assignment that asks for more time to start or to stop."""
    return f"EXTEND_TIMEOUT_USEC={EXTENSION_S * 1_000_000}"


def reloading() -> str:
    """Return the assignment that says that a reload has begun. Without the time ``systemctl reload`` would hang."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


@contextmanager
def extending(text: str, *, every_s: float = EXTEND_EVERY_S, longest_s: float = LONGEST_OPENING_S) -> Iterator[None]:
    """Ask for more time, at once and again and again, while something is done that blocks; text is the status."""
    is_over = threading.Event()

    def extend() -> None:
        end = time.monotonic() + longest_s
        while not is_over.wait(every_s) and time.monotonic() < end:
            notify(extension())

    notify(extension(), status(text))
    thread = threading.Thread(target=extend, name="extending", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def watchdog_s() -> float | None:
    """Return how long the watchdog waits for a sign of life; None where there is none, or it is another process's."""
    text = os.environ.get("WATCHDOG_USEC", "")
    if not _is_ours("WATCHDOG_PID", is_optional=True) or not text.isdecimal() or int(text) == 0:
        return None
    return int(text) / 1_000_000


def has_passed_sockets() -> bool:
    """Whether callers wait at a socket that was passed, before :func:`passed_descriptors` has taken it."""
    return _is_ours("LISTEN_PID", is_optional=False)


def passed_descriptors() -> range:
    """Return the descriptors that were passed to this process; they are not passed on any further.

    The variables are removed: what is told once is not told to children.
    """
    count = os.environ.pop("LISTEN_FDS", "")
    is_ours = _is_ours("LISTEN_PID", is_optional=False)
    for name in ("LISTEN_PID", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    found = range(_FIRST_FD, _FIRST_FD + (int(count) if is_ours and count.isdecimal() else 0))
    for number in found:
        os.set_inheritable(number, False)  # noqa: FBT003 - has no keywords
    return found


def _is_ours(variable: str, *, is_optional: bool) -> bool:
    number = os.environ.get(variable, "")
    return number == str(os.getpid()) or (is_optional and not number)
