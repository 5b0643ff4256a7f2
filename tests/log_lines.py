"""What was logged, as one line each, before it is redacted: the text, and the fields in their order."""

import logging
from collections.abc import Iterable, Mapping

from terminald.logs import Fields


def line(record: logging.LogRecord) -> str:
    """Return the line of a record."""
    fields: object = record.__dict__.get("fields")
    given: Mapping[str, object] = fields if isinstance(fields, dict) else {}
    shown = (f"{name}={given[name]}" for name in Fields.__annotations__ if given.get(name) is not None)
    return " ".join((record.getMessage(), *shown))


def lines(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return the lines of all of them."""
    return [line(record) for record in records]
