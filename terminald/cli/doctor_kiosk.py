"""Checks of what a kiosk without a host does for its sales."""

import os
from collections.abc import Iterator

from terminald.adapters.gpio_lines import open_lines
from terminald.app_kiosk import line_choice
from terminald.cli.doctor_devices import as_root, daemon_pid, fault_of, is_held_by_daemon
from terminald.cli.doctor_findings import Finding, fail, ok, warn
from terminald.config import Config
from terminald.errors import DeviceError

_CHECK = "kiosk"


def check_kiosk(config: Config) -> Iterator[Finding]:
    """Whether the command can be run; whether the lines can be taken, and what the machine says. Nothing is sent."""
    kiosk = config.kiosk
    if kiosk.mode == "off":
        return
    if kiosk.action == "command":
        path = kiosk.command.argv[0]
        if os.access(path, os.X_OK):
            yield ok(_CHECK, f"{path} can be run{as_root()}")
        else:
            yield fail(_CHECK, f"{path} is not there, or can not be run", "every sale would be given back: correct it")
    elif kiosk.action == "gpio":
        yield _lines(config)


def _lines(config: Config) -> Finding:
    gpio = config.kiosk.gpio
    try:
        lines = open_lines(_CHECK, line_choice(gpio))
    except DeviceError as exc:
        daemon = daemon_pid(config)
        if is_held_by_daemon(exc, daemon):
            return ok(_CHECK, f"{gpio.chip} {gpio.line} is in use by terminald (process {daemon})")
        return fault_of(_CHECK, gpio.chip, exc)
    except OSError as exc:
        return fail(_CHECK, f"{exc.filename or gpio.chip}: {exc.strerror}", "gpiodetect and gpioinfo list the lines")
    try:
        if lines.inhibit is not None and lines.inhibit.is_active():
            return warn(_CHECK, f"the machine says by {gpio.inhibit} that it can not serve", "see to the machine")
    finally:
        lines.release()
    return ok(_CHECK, f"{gpio.chip} {gpio.line} can be driven{as_root()}")
