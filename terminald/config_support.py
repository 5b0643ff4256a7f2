"""What the configuration's contract names and this version does not do: refused in words, never silently ignored."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """A value that is refused: a text, or one of the listed texts, of this form; without a form, any but empty."""

    key: str
    form: str = ""
    when: tuple[str, str] | None = None  # only where this other key of the same table has this value
    allowed: str


#: To support something is to delete its line.
NOT_YET = (
    NotYet(key="api.listen", allowed="leave it empty and use api.socket"),
    NotYet(
        key="scanner.driver", form="hid", allowed='"serial" (set the scanner to USB serial, also called CDC or VCOM)'
    ),
    NotYet(key="scanner.trigger_on", allowed="leave it empty (set the scanner to read by itself)"),
    NotYet(key="scanner.trigger_off", allowed="leave it empty (set the scanner to read by itself)"),
    NotYet(key="kiosk.mode", form="fixed|catalogue", allowed='"off"'),
    NotYet(key="kiosk.product", allowed="leave [[kiosk.product]] out"),
    NotYet(key="vending", allowed="leave [[vending]] out"),
)


def refusal(key: str, value: object, table: dict[str, object]) -> str | None:
    """Return why this raw value of the dotted key is refused, or None; ``table`` is the raw table around it."""
    for row in NOT_YET:
        if row.key != key or (row.when and table.get(row.when[0]) != row.when[1]):
            continue
        texts = value if isinstance(value, list) else [value]
        found = next((each for each in texts if isinstance(each, str) and re.fullmatch(row.form, each)), None)
        if not row.form and value:
            return f"is not supported by this version; allowed: {row.allowed}"
        if row.form and found is not None:
            return f'"{found}" is not supported by this version; allowed: {row.allowed}'
    return None
