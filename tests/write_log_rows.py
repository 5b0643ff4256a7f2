"""The rows of the README that explain the lines of the log, from the catalog: ``python -m tests.write_log_rows``."""

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from terminald.logs_ids import LogId

ROOT = Path(__file__).parent.parent
HEAD = "| log id | level | meaning | cause | remedy |\n|---|---|---|---|---|\n"
#: Of each language the parts that an entry has, in their order.
LANGUAGES: Mapping[str, tuple[str, str, str]] = {
    "": ("Meaning: ", "Cause: ", "Remedy: "),
    "zh": ("含义：", "原因：", "处理："),
}

_ENTRY = re.compile(r"^(?:# (\w+)\n)?-- ([0-9a-f]{32})(?: (\w+))?\n(.*?)(?=^# |^-- |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """What the catalog says of one line in one language; word is the comment above it."""

    word: str
    headers: Mapping[str, str]
    parts: Mapping[str, str]


def catalog(path: Path) -> dict[tuple[str, str], CatalogEntry]:
    """Return the entries by number and language. One that comes twice is a fault."""
    entries: dict[tuple[str, str], CatalogEntry] = {}
    text = path.read_text()
    for found in _ENTRY.finditer(text):
        word, number, language, body = found[1] or "", found[2], found[3] or "", found[4]
        head, _, rest = body.partition("\n\n")
        labels = LANGUAGES[language]
        parts = {
            label: line.removeprefix(label) for line in rest.split("\n") for label in labels if line.startswith(label)
        }
        headers = dict(line.split(": ", 1) for line in head.splitlines())
        if (number, language) in entries:
            raise ValueError(f"{number} {language} is there twice")
        entries[number, language] = CatalogEntry(word=word, headers=headers, parts=parts)
    return entries


def table(path: Path) -> str:
    """Return the table of the README."""
    entries = catalog(path)
    told = ((one, entries[one.message_id, ""].parts.values()) for one in LogId)
    cells = ([f"`{one.word}`", logging.getLevelName(one.level).lower(), *parts] for one, parts in told)
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in cells)


def main() -> None:
    """Put the rows in place of those that are there."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    begin = text.index(HEAD)
    end = text.index("\n\n", begin) + 1
    readme.write_text(text[:begin] + table(ROOT / "systemd" / "terminald.catalog") + text[end:])
    sys.stdout.write("written: README.md\n")


if __name__ == "__main__":
    main()
