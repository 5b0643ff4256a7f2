"""Makes a mistake in a copy of terminald."""

import shutil
from pathlib import Path

from tests.mutants.catalogue import Mutant

_ROOT = Path(__file__).resolve().parents[2]


def build(mutant: Mutant, directory: Path) -> None:
    """Put the changed package, and the tests, into an empty directory.

    Raises:
        ValueError: a text does not stand in its file exactly once: the catalogue is out of date.
    """
    shutil.copytree(_ROOT / "terminald", directory / "terminald", ignore=shutil.ignore_patterns("__pycache__"))
    (directory / "tests").symlink_to(_ROOT / "tests")
    for file, text in changed(mutant).items():
        (directory / file).write_text(text)


def changed(mutant: Mutant) -> dict[str, str]:
    """Return the files that differ, with their texts.

    Raises:
        ValueError: as :func:`build`.
    """
    texts = dict[str, str]()
    for change in mutant.changes:
        text = texts.get(change.file) or (_ROOT / change.file).read_text()
        if text.count(change.old) != 1:
            raise ValueError(f"{mutant.name}: found {text.count(change.old)} times in {change.file}: {change.old!r}")
        texts[change.file] = text.replace(change.old, change.new)
    return texts
