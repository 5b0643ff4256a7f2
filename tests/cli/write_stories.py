"""The golden texts of ``terminald explain``. To write them anew: ``python -m tests.cli.write_stories``."""

from collections.abc import Iterator
from pathlib import Path

from terminald.cli.explain import lines_of
from terminald.wire.api_story import explanation_shape
from tests.core.story_samples import STORIES

PLACE = Path(__file__).parent.parent / "data" / "stories"


def stories() -> Iterator[tuple[Path, str]]:
    """Yield every golden file with what is to stand in it."""
    for name, story in STORIES.items():
        dossier = story().dossier()
        for language in ("en", "zh"):
            told = explanation_shape(dossier, language)
            yield PLACE / f"{name}.{language}.txt", "\n".join(lines_of(told, None)) + "\n"


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    for old in PLACE.glob("*.txt"):
        old.unlink()
    for file, text in stories():
        file.write_text(text, encoding="utf-8")
