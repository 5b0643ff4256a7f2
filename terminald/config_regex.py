"""The regular expression that says what a payment code looks like: one whose answer never takes long.

What a customer presents is tried against it in the daemon's loop, and Python's matcher tries way after way: of
``([0-9]+)+`` there are millions for a code that does not fit. So the ways are counted here, before any is tried: a
bound from above, for texts as long as a code may be.
"""

import re
import warnings
from dataclasses import dataclass
from typing import Final

from terminald.config_rules import NotAllowed, show, text

#: A pattern longer than this cannot be read by a person, and compiles slowly.
_MAX_PATTERN: Final = 200
#: No code is longer, and no longer one is tried: nothing that takes a character is repeated more often.
_LONGEST: Final = 32
#: So many ways take some milliseconds on a good board, and some tens on a slow one.
_MOST_WAYS: Final = 100_000

_SIMPLER: Final = "allowed: a simpler one, such as ^(28[0-9]{16}|01[0-9]{17})$"

_FLAGS: Final = re.compile(r"\(\?[aimsu]+\)")
_OPENING: Final = re.compile(r"\((?:\?(?:[>=!]|<[=!]|P<\w+>|[aimsu]*(?:-[ims]+)?:))?")
_ASSERTING: Final = ("(?=", "(?!", "(?<=", "(?<!")
_SET: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEAT: Final = re.compile(r"(?:([*+?])|\{(?!\})([0-9]*)(,?)([0-9]*)\})[?+]?")
#: What takes no character.
_PLACES: Final = frozenset({"^", "$", r"\A", r"\Z", r"\b", r"\B"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of a pattern: how many ways there are to try it, at most, and whether it always takes a character."""

    ways: int
    takes: bool


def regex(value: object) -> re.Pattern[str]:
    """Allow a regular expression for ``fullmatch`` that is short, matches no empty text, and soon knows of any code."""
    allowed = f"a regular expression of up to {_MAX_PATTERN} characters"
    if isinstance(value, str) and len(value) > _MAX_PATTERN:
        raise NotAllowed(f"has {len(value)} characters; allowed: {allowed}")
    found = text(1, _MAX_PATTERN)(value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what the compiler finds doubtful is a fault of the pattern
            compiled = re.compile(found, re.ASCII)
    except (re.error, OverflowError, RecursionError, Warning) as exc:
        raise NotAllowed(f"{show(found)} is not a regular expression: {exc}; allowed: {allowed}") from exc
    _Count(found).whole()
    if compiled.fullmatch(""):
        raise NotAllowed(f"{show(found)} matches an empty text; allowed: a pattern of whole payment codes")
    return compiled


class _Count:
    """Counts the ways of one pattern, which is known to compile."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def whole(self) -> None:
        """See that there are not too many.

        Raises:
            NotAllowed: there are, or it has what is not counted here.
        """
        self._branches()
        if self._at < len(self._pattern):
            raise self._refusal("has what can not be judged here")

    def _refusal(self, what: str) -> NotAllowed:
        return NotAllowed(f"{show(self._pattern)} {what}; {_SIMPLER}")

    def _bounded(self, ways: int) -> int:
        if ways > _MOST_WAYS:
            raise self._refusal(
                "may try for minutes whether a code fits (a repetition in a repetition, or many in a row)"
            )
        return ways

    def _next(self, form: re.Pattern[str]) -> re.Match[str] | None:
        found = form.match(self._pattern, self._at)
        if found:
            self._at = found.end()
        return found

    def _branches(self) -> _Part:
        """Return what is up to the end of a group, or of the whole: one of several, or the only one."""
        found = [self._sequence()]
        while self._pattern.startswith("|", self._at):
            self._at += 1
            found.append(self._sequence())
        return _Part(ways=self._bounded(sum(one.ways for one in found)), takes=all(one.takes for one in found))

    def _sequence(self) -> _Part:
        whole = _Part(ways=1, takes=False)
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            part = self._repeated(self._atom())
            whole = _Part(ways=self._bounded(whole.ways * part.ways), takes=whole.takes or part.takes)
        return whole

    def _atom(self) -> _Part:
        if self._next(_FLAGS):
            return _Part(ways=1, takes=False)
        if self._pattern.startswith("(", self._at):
            return self._group()
        if self._next(_SET):
            return _Part(ways=1, takes=True)
        size = 2 if self._pattern.startswith("\\", self._at) else 1
        atom = self._pattern[self._at : self._at + size]
        if size > 1 and atom[1] in "123456789":
            raise self._refusal("refers back to a group")
        self._at += size
        return _Part(ways=1, takes=atom not in _PLACES)

    def _group(self) -> _Part:
        opening = self._next(_OPENING)
        if opening is None or self._pattern.startswith("?", self._at):
            raise self._refusal("has a group of a kind that is not allowed here")
        inner = self._branches()
        self._at += 1
        return _Part(ways=inner.ways, takes=inner.takes and opening[0] not in _ASSERTING)

    def _repeated(self, part: _Part) -> _Part:
        found = self._next(_REPEAT)
        if found is None:
            return part
        least, most = _times(found)
        if most <= 1:
            return _Part(ways=part.ways + (least == 0), takes=part.takes and least > 0)
        if not part.takes:
            raise self._refusal("repeats what may be nothing")
        # How often is a choice, and each time takes one of the ways of what is repeated.
        ways = sum(part.ways**times for times in range(min(least, _LONGEST), min(most, _LONGEST) + 1))
        return _Part(ways=self._bounded(ways), takes=least > 0)


def _times(repeat: re.Match[str]) -> tuple[int, int]:
    """Return how often at least, and at most."""
    sign, least, comma, most = repeat.groups()
    if sign:
        return (1 if sign == "+" else 0), (1 if sign == "?" else _LONGEST)
    fewest = int(least or 0)
    return fewest, (int(most) if most else _LONGEST if comma else fewest)
