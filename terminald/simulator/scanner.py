"""A barcode scanner on a pseudo terminal, to be scanned with by tests and by people.

The host opens the path of the pseudo terminal as if it were ``/dev/ttyACM0``. A stable symbolic link does what udev
does for a real scanner: it goes away with the scanner and comes back pointing to another device.
"""

import argparse
import contextlib
import os
import random
import select
import signal
import sys
import time
import tty
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

SUFFIXES: Final = {"cr": "\r", "lf": "\n", "crlf": "\r\n", "tab": "\t", "none": ""}

#: A scanner does not wait for a host that does not read: when the line takes nothing for this long, the rest is lost.
WRITE_LIMIT_S: Final = 2.0
#: The kernel makes room in a pseudo terminal in the background, and does not always tell.
RETRY_MS: Final = 5
#: As much as a person would ask for; more only fills the line.
NOISE_LIMIT: Final = 1 << 20

HELP: Final = """\
CODE          scan CODE
:burst CODE   scan CODE byte by byte
:noise N      send N random bytes, as a bad cable does
:unplug       pull the plug
:replug       plug in again, as another device
:help         this text"""


class SimulatedScanner:
    """A scanner that can be scanned with, unplugged and plugged in again. For one thread at a time."""

    def __init__(self, *, link: Path | None = None, seed: int = 0) -> None:
        """Plug the scanner in. Link is created now; seed decides the noise.

        Raises:
            FileExistsError: something other than a symbolic link is in the link's place.
        """
        if link is not None and link.exists() and not link.is_symlink():
            raise FileExistsError(f"{link} is not a symbolic link")
        self._link = link
        self._random = random.Random(seed)
        self._master = -1
        self._slave = -1
        self._device = ""
        self.replug()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    @property
    def device(self) -> str:
        """Return the path of the pseudo terminal; empty while unplugged."""
        return self._device

    @property
    def path(self) -> str:
        """Return what the host is to be configured with: the link if there is one, else the device."""
        return str(self._link) if self._link is not None else self._device

    def scan(
        self, text: str, *, suffix: str = "\r", prefix: str = "", chunk: int | None = None, gap_s: float = 0
    ) -> bool:
        """Scan a code, sent whole or in chunks of that many bytes with a pause between them.

        Returns whether the line took it all; it takes nothing while unplugged.
        """
        data = f"{prefix}{text}{suffix}".encode()
        size = chunk or len(data) or 1
        for start in range(0, len(data), size):
            if start and gap_s:
                time.sleep(gap_s)
            if not self.send(data[start : start + size]):
                return False
        return True

    def noise(self, count: int) -> bool:
        """Send random bytes. Returns whether the line took them all."""
        return self.send(self._random.randbytes(count))

    def send(self, data: bytes) -> bool:
        """Send bytes as they are. Returns whether the line took them all."""
        if self._master < 0:
            return False
        poll = select.poll()
        poll.register(self._master, select.POLLOUT)
        rest = memoryview(data)
        give_up_at = time.monotonic() + WRITE_LIMIT_S
        while rest:
            try:
                rest = rest[os.write(self._master, rest) :]
                give_up_at = time.monotonic() + WRITE_LIMIT_S
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    return False
                poll.poll(RETRY_MS)
        return True

    def unplug(self) -> None:
        """Go away: the host sees a hang-up, and the link is gone. Harmless when unplugged."""
        if self._master < 0:
            return
        if self._link is not None and self._link.is_symlink() and str(self._link.readlink()) == self._device:
            self._link.unlink()
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        self._device = ""

    def replug(self) -> None:
        """Come back as a new device under the same link. Harmless when plugged in."""
        if self._master >= 0:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._device = os.ttyname(self._slave)
        if self._link is not None:
            fresh = self._link.with_name(f"{self._link.name}.new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self._device)
            fresh.replace(self._link)


def converse(scanner: SimulatedScanner, lines: Iterable[str], *, suffix: str = "\r", prefix: str = "") -> None:
    """Obey the lines that a person types, until they end; see :data:`HELP`."""
    for line in lines:
        command, _, argument = line.strip().partition(" ")
        argument = argument.strip()
        sent = True
        match command:
            case "":
                pass
            case ":unplug":
                scanner.unplug()
            case ":replug":
                scanner.replug()
                print(scanner.path, flush=True)
            case ":noise" if argument.isdecimal():
                sent = scanner.noise(min(int(argument), NOISE_LIMIT))
            case ":burst" if argument:
                sent = scanner.scan(argument, suffix=suffix, prefix=prefix, chunk=1)
            case _ if command.startswith(":"):
                print(HELP, flush=True)
            case _:
                sent = scanner.scan(line.strip(), suffix=suffix, prefix=prefix)
        if not sent:
            print("lost: the host does not read, or the scanner is unplugged", flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--link", type=Path, help="a symbolic link to keep pointing to the scanner")
    parser.add_argument("--suffix", choices=sorted(SUFFIXES), default="cr", help="what ends each code (default: cr)")
    parser.add_argument("--prefix", default="", help="what precedes each code, such as the AIM prefix ]Q1")
    parser.add_argument("--seed", type=int, default=0, help="decides what noise looks like")


def main(args: argparse.Namespace) -> int:
    """Print the scanner's path, then scan what is typed until the end of input. Returns the exit code."""
    link: Path | None = args.link
    suffix: str = SUFFIXES[args.suffix]
    prefix: str = args.prefix
    seed: int = args.seed
    # So that the link is removed when a service manager or a test ends this program.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        scanner = SimulatedScanner(link=link, seed=seed)
    except OSError as exc:
        print(exc, file=sys.stderr)
        return 1
    with scanner, contextlib.suppress(KeyboardInterrupt):
        print(scanner.path, flush=True)
        converse(scanner, sys.stdin, suffix=suffix, prefix=prefix)
    return 0
