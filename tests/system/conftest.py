"""The bench as a fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.rig import Bench, bench


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Bench]:
    """An activated terminal whose daemon is not started yet."""
    with bench(tmp_path) as made:
        yield made
