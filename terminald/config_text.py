"""Read a TOML file and remember on which line each key stands, so that a fault is shown where a person can mend it.

The standard library's parser judges the text; what follows it here only finds lines, in text that is known to be TOML.
A place is the path of keys and array indices from the top: ``("scanner", 0, "device")``.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from terminald.config_files import read_file
from terminald.errors import ConfigError

#: A place in the file: keys of tables and indices of arrays.
Place = tuple[str | int, ...]

#: The annotated file is 10 KiB. Dotted keys cost the parser quadratic time, so the bound is near.
MAX_CONFIG_BYTES = 64 * 1024

#: Ours have three parts at most. Each further one costs parser and places as much again as all before it.
#: None begins behind a backslash: so the search reads no text a second time for the quotes in it.
_TOO_DOTTED = re.compile(r"""(?<![\w\\-])(?:(?:[\w-]++|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")

#: Longer than the longest key of ours, with its table.
_SHOWN_KEY = 60

#: What the parser says, and what a person should do about it.
_HINTS = {
    "Invalid value": 'text stands in "quotes"; numbers, true and false without',
    "Expected newline": 'text stands in "quotes", durations too; one key = value on a line',
    "Expected '='": "a line is [table], key = value, or a # comment; a key has no blanks",
    "Invalid statement": "a line is [table], key = value, or a # comment",
    "Illegal character": "a text in quotes ends on the line where it began",
    "Cannot overwrite a value": "the key is given twice",
    "Cannot declare": "the table is given twice: put its keys together",
    "Unclosed array": "a list ends with ]",
}

_TOKEN = re.compile(
    r'''
      (?P<string> """(?:\\.|[^\\])*?"""(?:"{0,2}) | \'\'\'.*?\'\'\'(?:\'{0,2})
                | "(?:\\.|[^"\\\n])*" | '[^'\n]*' )
    | (?P<skip>   [ \t]+ | \#[^\n]* )
    | (?P<newline> \n )
    | (?P<mark>   [][{}=,.] )
    | (?P<bare>   [^][{}=,.\s\#"']+ )
    ''',
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """A file's name and the line of each place in it."""

    file: str = "configuration"
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """Return the line of the place, or of the nearest table around it; 1 when the file has neither."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def fault(self, place: Place, what: str) -> str:
        """Return ``file:line: key: what``; the line tells which of several ``[[scanner]]`` is meant."""
        key = ".".join(step for step in place if isinstance(step, str))
        return f"{self.file}:{self.line(place)}: {_plain(key)}: {what}"


def read(path: Path) -> tuple[dict[str, object], Places]:
    """Return the tables of a TOML file and the places of its keys.

    Raises:
        ConfigError: the file cannot be read, is too long, or is not TOML.
    """
    try:
        data = read_file(path, MAX_CONFIG_BYTES + 1)
    except FileNotFoundError as exc:
        advice = "copy the annotated config/terminald.toml there, or name another file with --config"
        raise ConfigError([f"{path}:1: file: does not exist; {advice}"]) from exc
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else "is not a file name"
        raise ConfigError([f"{path}:1: file: cannot be read: {reason}; it must be readable for the user"]) from exc
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError([f"{path}:1: file: is longer than the {MAX_CONFIG_BYTES} bytes allowed"])
    return parse(data, file=str(path))


def parse(data: bytes, *, file: str) -> tuple[dict[str, object], Places]:
    """Return the tables in the bytes of a TOML file, called ``file`` in faults, and the places of its keys.

    Raises:
        ConfigError: not UTF-8, not TOML, or TOML that would take minutes to read.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError([f"{file}:{line}: file: is not UTF-8 text; save it as UTF-8"]) from exc
    if dotted := _TOO_DOTTED.search(text):
        line = text.count("\n", 0, dotted.start()) + 1
        raise ConfigError([f"{file}:{line}: file: a key has too many parts; allowed: table.key = value"])
    try:
        return tomllib.loads(text), Places(file=file, lines=_Locator(text).locate())
    except RecursionError as exc:
        raise ConfigError([f"{file}:1: file: brackets are nested too deeply"]) from exc
    except ValueError as exc:  # TOMLDecodeError, and numbers of thousands of digits
        raise ConfigError([_syntax_fault(str(exc), text, file)]) from exc


def _plain(key: str) -> str:
    """A key in quotes may be anything: keep it printable and on the line."""
    shown = key if key.isprintable() else key.encode("unicode_escape").decode()
    return shown if len(shown) <= _SHOWN_KEY else f"{shown[:_SHOWN_KEY]}…"


def _syntax_fault(said: str, text: str, file: str) -> str:
    line, where = 1, ""
    if found := re.search(r" \(at line (\d+), column (\d+)\)$", said):
        line, where, said = int(found[1]), f" at column {found[2]}", said[: found.start()]
    elif said.endswith(" (at end of document)"):
        line, where, said = text.rstrip("\n").count("\n") + 1, " at the end", said.removesuffix(" (at end of document)")
    hint = next((f"; {hint}" for start, hint in _HINTS.items() if said.startswith(start)), "")
    return f"{file}:{line}: syntax: {said}{where}{hint}"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


class _Locator:
    """Walks text that is valid TOML and notes the line of each key and array element."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._lines: dict[Place, int] = {}
        self._elements: dict[Place, int] = {}  # an array of tables → index of its last element

    def locate(self) -> dict[Place, int]:
        table: Place = ()
        while (token := self._peek()).kind != "end":
            if token.kind == "newline":
                self._take()
            elif token.text == "[":
                table = self._header()
            else:
                self._pair(table)
        for place, line in tuple(self._lines.items()):
            # A table that has no line of its own begins with what is in it.
            for depth in range(1, len(place)):
                self._lines.setdefault(place[:depth], line)
        return self._lines

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _header(self) -> Place:
        line = self._take().line
        is_element = self._peek().text == "["
        if is_element:
            self._take()
        place: Place = ()
        for key in self._keys():
            place = (*self._inside(place), key)
        self._take()
        if is_element:
            self._take()
            self._elements[place] = self._elements.get(place, -1) + 1
            self._lines.setdefault(place, line)
        place = self._inside(place)
        self._lines.setdefault(place, line)
        return place

    def _inside(self, place: Place) -> Place:
        """Step into the last element where the place is an array of tables."""
        return (*place, self._elements[place]) if place in self._elements else place

    def _keys(self) -> list[str]:
        keys = [_key(self._take())]
        while self._peek().text == ".":
            self._take()
            keys.append(_key(self._take()))
        return keys

    def _pair(self, table: Place) -> None:
        line = self._peek().line
        place = table
        for key in self._keys():
            place = (*place, key)
            self._lines.setdefault(place, line)
        self._take()
        self._value(place)

    def _value(self, place: Place) -> None:
        if self._peek().text == "[":
            self._take()
            for index in count():
                if self._skip_to_item() == "]":
                    break
                self._lines[*place, index] = self._peek().line
                self._value((*place, index))
            self._take()
        elif self._peek().text == "{":
            self._take()
            while self._skip_to_item() != "}":
                self._pair(place)
            self._take()
        else:
            while self._peek().kind not in ("newline", "end") and self._peek().text not in (",", "]", "}"):
                self._take()

    def _skip_to_item(self) -> str:
        while self._peek().kind == "newline" or self._peek().text == ",":
            self._take()
        return self._peek().text


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "skip":
            tokens.append(_Token(found.lastgroup or "", found[0], line))
        line += found[0].count("\n")
    return [*tokens, _Token("end", "", line)]


def _key(token: _Token) -> str:
    if token.kind == "bare":
        return token.text
    (value,) = tomllib.loads(f"key = {token.text}").values()
    return str(value)
