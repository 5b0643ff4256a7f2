"""systemd-python's way to journald, beside ours: ``python -m tests.adapters.library_child same|waits``."""

import sys
import threading
import time

from systemd.journal import send, sendv

from terminald.logs_journal import JournalSocket

ENTRY = {
    "MESSAGE": "first\nsecond",
    "MESSAGE_ID": "0" * 32,
    "PRIORITY": "4",
    "SYSLOG_IDENTIFIER": "t",
    "SALE": "01JD",
    "DETAIL": "数=1",
    "EVENT": "",
}
#: As long as the other thread would have to be able to do something.
PATIENCE_S = 3.0


def same() -> None:
    """Send one entry by the library, and by our own means."""
    send(ENTRY["MESSAGE"], ENTRY["MESSAGE_ID"], CODE_FILE="f", **{k: v for k, v in ENTRY.items() if k[:7] != "MESSAGE"})
    sender = JournalSocket()
    sender.send([*list(ENTRY.items())[:2], ("CODE_FILE", "f"), *list(ENTRY.items())[2:]])
    sender.close()


def waits() -> None:
    """Fill the socket by the library, from a thread; say the longest time in which this thread could do nothing."""
    thread = threading.Thread(target=lambda: [sendv("MESSAGE=x") for _ in range(5000)], daemon=True)
    begun = last = time.monotonic()
    longest = 0.0
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    thread.start()
    while last - begun < PATIENCE_S:
        time.sleep(0.01)
        now = time.monotonic()
        last, longest = now, max(longest, now - last)
    thread.join()
    sys.stdout.write(f"{longest}\n")


if __name__ == "__main__":
    {"same": same, "waits": waits}[sys.argv[1]]()
