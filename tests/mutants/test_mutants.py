"""The catalogue of mistakes fits the sources, and a mistake is found out; that all are takes minutes: make mutants."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.workshop import build, changed
from tests.simulation.worlds import WORLDS

#: Found out in the first history of its world, or nearly.
QUICK = "a submit without an answer is sent again"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_each_mistake_can_still_be_made(mutant: Mutant) -> None:
    for file, text in changed(mutant).items():
        compile(text, file, "exec")
    assert mutant.world in WORLDS


def test_a_mistake_is_made_in_a_copy_and_found_out_there(tmp_path: Path) -> None:
    build(next(one for one in MUTANTS if one.name == QUICK), tmp_path)
    command = [sys.executable, "-m", "tests.mutants.hunt", "scan", "100"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "I2" in done.stdout


def test_what_is_not_mistaken_is_not_found_out(tmp_path: Path) -> None:
    build(Mutant("none", "scan", ()), tmp_path)
    command = [sys.executable, "-m", "tests.mutants.hunt", "scan", "5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "null"
