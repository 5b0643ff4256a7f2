"""What all tests share."""

import signal

import pytest
from hypothesis import HealthCheck, settings

# A machine that is busy with other things draws examples slowly; that says nothing about what is tested.
settings.register_profile("terminald", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("terminald")

# A shell has what it starts in the background pass over Ctrl-C, and so would every program that a test starts and ends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what only a person with devices at hand can use."""
    parser.addoption("--scanner", metavar="PATH", help="a real keyboard scanner to scan with: /dev/input/…, or its id")
