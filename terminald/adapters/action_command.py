"""A command that is run for a paid sale: no shell, a bounded time, and nothing of it left when the time is over."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from terminald.adapters.ports_actions import BeginStep
from terminald.core.kiosk_action import ActionDone, ActionFailed, ActionOutcome
from terminald.core.money import Fen
from terminald.errors import JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: What is to be ended may clean up for so long before it is killed.
TERM_S: Final = 1.0
#: A killed process that does not end hangs in the kernel: it is left there.
KILL_S: Final = 2.0
#: The daemon's own environment is none of the command's business: it names sockets and credentials.
ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


class CommandAction:
    """Implements :class:`terminald.adapters.ports_actions.Action` as one step: exit code 0 is done, all else is not."""

    def __init__(self, argv: tuple[str, ...], *, timeout_s: float) -> None:
        """The first argument is the absolute path of the program."""
        self._argv = argv
        self._name = Path(argv[0]).name  # what is told of it leaves the terminal with the event log
        self._timeout_s = timeout_s

    async def perform(self, sale: bytes, amount: Fen, begin: BeginStep) -> ActionOutcome:  # noqa: ARG002 - the sale has it
        """Run it once with the sale on its standard input; what it writes to standard error is in our log's stream."""
        try:
            await begin(1, 1)
        except JournalUnavailable as exc:
            return ActionFailed(evidence=f"it was not begun: {exc}")
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else str(exc)
            return ActionFailed(evidence=f"{self._name} can not be started: {reason}")
        try:
            async with asyncio.timeout(self._timeout_s):
                await process.communicate(sale)
        except TimeoutError:
            return ActionFailed(evidence=f"{self._name} did not end within {self._timeout_s:g} s")
        finally:
            if process.returncode is None:
                await asyncio.shield(_end(process))
        code = process.returncode
        return ActionDone() if code == 0 else ActionFailed(evidence=f"{self._name} ended with exit code {code}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process that is still there, with all of its group: politely, then not. Who obeys may leave others."""
    for number, patience_s in ((signal.SIGTERM, TERM_S), (signal.SIGKILL, KILL_S)):
        _signal(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await process.wait()
    if process.returncode is None:
        log_event(_log, LogId.COMMAND_STUCK, detail=f"process {process.pid}")


def _signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group, or to its leader alone where the group is somebody else's by now (sudo)."""
    for send, whom in ((os.killpg, "process group"), (os.kill, "process")):
        try:
            send(pid, number)
        except ProcessLookupError:
            return
        except PermissionError as exc:
            log_event(_log, LogId.COMMAND_NOT_ENDED, detail=f"{number.name} to {whom} {pid}: {exc.strerror}")
        else:
            return
