"""Whatever comes from outside, each decoder keeps its contract: what was found once, and what hypothesis makes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.corpus import CORPUS, failure, seeds, smallest
from tests.fuzz.search import search
from tests.fuzz.target import Check, Target
from tests.fuzz.targets import TARGETS


@pytest.fixture(scope="module", params=TARGETS.values(), ids=lambda target: target.name)
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[Target, Check]]:
    target: Target = request.param
    with target.opened() as check:
        yield target, check


def test_the_samples_and_the_corpus_keep_the_contract(opened: tuple[Target, Check]) -> None:
    target, check = opened
    for data in seeds(target):
        check(data)


def test_damaged_inputs_keep_the_contract(opened: tuple[Target, Check]) -> None:
    target, check = opened
    found = search(target, check, seeds(target), examples=target.examples)
    if found is not None:
        found = smallest(check, found)
        raise AssertionError(f"{target.name}: {found!r}; to be kept in {CORPUS / target.name}") from failure(
            check, found
        )


def test_every_directory_of_the_corpus_is_of_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
    assert all(path.stat().st_size <= 64 * 1024 for path in CORPUS.rglob("*") if path.is_file())


def test_inputs_are_made_of_the_samples_and_within_their_bounds() -> None:
    for target in TARGETS.values():
        assert target.samples
        assert all(len(sample) <= target.longest for sample in target.samples), target.name
    assert Path(__file__).parent.name not in TARGETS
