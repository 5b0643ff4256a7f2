"""What systemd wants to know. Without systemd every call is a harmless nothing."""

import os


def notify(*lines: str) -> None:
    """Send state to the service manager: ``READY=1``, ``STATUS=…``, ``STOPPING=1``."""
    if "NOTIFY_SOCKET" not in os.environ:
        return
    import systemd.daemon  # noqa: PLC0415 - a C library that only a service needs

    systemd.daemon.notify("\n".join(lines))
