"""Mistakes that somebody could make in terminald, as ``catalogue.toml`` lists them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Change:
    """One text of one file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake."""

    name: str
    #: The sort of history in which it should show.
    world: str
    changes: tuple[Change, ...]


def _read(file: Path) -> tuple[Mutant, ...]:
    told = tomllib.loads(file.read_text())["mutant"]
    return tuple(
        Mutant(one["name"], one["world"], tuple(Change(**change) for change in one["changes"])) for one in told
    )


MUTANTS = _read(Path(__file__).with_name("catalogue.toml"))
