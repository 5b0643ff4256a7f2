"""Fills the socket of a journald that does not read: ``python -m tests.system.filler``. In place of a busy machine."""

import socket
from contextlib import closing, suppress

from terminald.logs_journal import SOCKET


def main() -> None:
    """Send until nothing is taken any more, by several senders: each may leave only so much unread."""
    senders = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(8)]
    for sender in senders:
        sender.setblocking(False)  # noqa: FBT003 - has no keywords
        taken = 0
        # Full is what it is to be.
        with closing(sender), suppress(BlockingIOError):
            while taken < 100_000:
                taken += sender.sendto(b"MESSAGE=x\n", SOCKET)


if __name__ == "__main__":
    main()
