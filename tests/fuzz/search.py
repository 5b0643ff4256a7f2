"""Look for an input that breaks a contract, with hypothesis alone."""

from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import HypothesisException

from tests.fuzz.corpus import failure
from tests.fuzz.strategies import inputs
from tests.fuzz.target import Check, Target


def search(
    target: Target, check: Check, begin: Sequence[bytes], *, examples: int, is_random: bool = False
) -> bytes | None:
    """Return the first input that is found to break the contract, or None.

    The same examples are tried each time for what it begins with, unless they are to be random. Nothing is written.
    """
    broken: list[bytes] = []

    @settings(
        max_examples=examples,
        derandomize=not is_random,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(target, begin))
    def attempt(data: bytes) -> None:
        if failure(check, data) is not None:
            broken.append(data)
            raise _Found

    try:
        attempt()
    except _Found:
        return broken[0]
    return None


class _Found(HypothesisException):
    """An input breaks the contract: nothing further is tried."""
