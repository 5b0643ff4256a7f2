"""What the configuration's contract names and this version does not do: refused in words, never silently ignored."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """A value that is refused: a text, or one of the listed texts, of this form; without a form, any but empty."""

    key: str
    form: str = ""
    allowed: str


#: To support something is to delete its line.
NOT_YET = (NotYet(key="api.listen", allowed="leave it empty and use api.socket"),)


def refusal(key: str, value: object) -> str | None:
    """Return why this raw value of the dotted key is refused, or None."""
    for row in NOT_YET:
        if row.key != key:
            continue
        texts = value if isinstance(value, list) else [value]
        found = next((each for each in texts if isinstance(each, str) and re.fullmatch(row.form, each)), None)
        if not row.form and value:
            return f"is not supported by this version; allowed: {row.allowed}"
        if row.form and found is not None:
            return f'"{found}" is not supported by this version; allowed: {row.allowed}'
    return None
