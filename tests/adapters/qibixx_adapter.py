"""A small scripted Qibixx adapter on a pty, for the tests of its driver."""

import asyncio
import fcntl
import os
import sys
import termios
import tty
from pathlib import Path
from types import TracebackType
from typing import Final, Self

WAIT_S: Final = 20

INACTIVE: Final = ("c,STATUS,INACTIVE", "c,1", "c,STATUS,INACTIVE", "r,ACK", "c,STATUS,DISABLED", "r,ACK")


class ScriptedAdapter:
    """One that is switched off, configured and on as the host says. Its machine's lines are the test's."""

    def __init__(self, link: Path, *, end: str = "\r\n") -> None:
        self.link = link
        self.end = end
        self.commands: list[str] = []
        self.is_on = False
        self.is_mute = False
        self.after_on: tuple[str, ...] = (*INACTIVE, "c,STATUS,ENABLED")
        self._rest = b""
        self._news = asyncio.Event()
        self.plug_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def plug_in(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.is_on, self._rest = False, b""
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self._slave))
        self.listen()

    def unplug(self) -> None:
        if self._master < 0:
            return
        self.be_deaf()
        self.link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def be_deaf(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)

    def say(self, *lines: str) -> None:
        self.send("".join(line + self.end for line in lines).encode())

    def send(self, data: bytes) -> None:
        assert os.write(self._master, data) == len(data)

    def unread(self) -> int:
        """Count what it has not read."""
        return int.from_bytes(fcntl.ioctl(self._master, termios.FIONREAD, bytes(4)), sys.byteorder)

    async def heard(self, command: str, *, times: int = 1) -> None:
        """Return when the host has said this so many times."""
        async with asyncio.timeout(WAIT_S):
            while self.commands.count(command) < times:
                self._news.clear()
                await self._news.wait()

    def _read(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._master, 4096)).split(b"\n")
        for line in lines:
            self.commands.append(line.decode("ascii"))
            if not self.is_mute:
                self._answer(self.commands[-1])
        self._news.set()

    def _answer(self, command: str) -> None:
        match command.split(","):
            case ["C", "0"]:
                self.is_on = False
                self.say("c,0")
            case ["C", "1"] if self.is_on:
                self.say('c,ERR,"cashless is on"')
            case ["C", "1"]:
                self.is_on = True
                self.say(*self.after_on)
            case ["C", "SETCONF", _]:
                self.say("x,00,1,10,14", "c,SET,OK")
            case ["C", "VEND", "-1"]:
                self.say("r,ACK", "c,STATUS,IDLE", "c,STATUS,ENABLED")
            case ["C", "VEND", _]:
                self.say("r,ACK", "r,ACK")
