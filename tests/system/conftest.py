"""The bench as a fixture, and a look at what each test leaves open."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.rig import Bench, bench


@pytest.fixture(autouse=True)
def _leaks_are_its_own() -> Iterator[None]:
    """Let the test that left a socket or a file open fail for it, not one that comes later."""
    yield
    gc.collect()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Bench]:
    """An activated terminal whose daemon is not started yet."""
    with bench(tmp_path) as made:
        yield made
