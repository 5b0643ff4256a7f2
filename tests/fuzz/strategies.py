"""Inputs for hypothesis: what the real world sends, damaged."""

import re
from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from tests.fuzz.target import Target

#: Words, numbers and texts of whatever format.
_TOKEN: Final = re.compile(rb'"[^"\n]*"|[\w.+-]+')
#: Members of JSON, and lines of everything else.
_PART: Final = re.compile(rb'"[^"\n]*"\s*:\s*(?:"[^"\n]*"|[\w.+-]+)\s*,?|[^\n]*\n')
#: What has one fault only gets furthest.
_CHANGES: Final = st.sampled_from((1, 1, 1, 2, 2, 3, 6))


@st.composite
def damaged(draw: st.DrawFn, target: Target, seeds: Sequence[bytes]) -> bytes:
    """Draw a seed with some changes."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(_CHANGES)):
        change = draw(st.sampled_from((_bytes, _token, _token, _part, _word, _end)))
        data = change(draw, target, seeds, data)
    return data[: target.longest]


def _bytes(draw: st.DrawFn, _: Target, __: Sequence[bytes], data: bytes) -> bytes:
    """Flip, replace, cut out, double or move some bytes."""
    at = draw(st.integers(0, len(data)))
    end = min(len(data), at + draw(st.integers(0, 8)))
    match draw(st.integers(0, 4)):
        case 0 if at < len(data):
            return data[:at] + bytes((data[at] ^ 1 << draw(st.integers(0, 7)),)) + data[at + 1 :]
        case 1:
            return data[:at] + draw(st.binary(max_size=8)) + data[end:]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + data[at:end] * draw(st.integers(2, 20)) + data[end:]
        case _:
            return data[at:end] + data[:at] + data[end:]


def _token(draw: st.DrawFn, target: Target, _: Sequence[bytes], data: bytes) -> bytes:
    """Put a word, another token, or nothing in a token's place."""
    tokens = list(_TOKEN.finditer(data))
    if not tokens:
        return data
    chosen = draw(st.sampled_from(tokens))
    others = st.sampled_from([*target.words, b""]) | st.sampled_from(tokens).map(lambda found: found[0])
    return data[: chosen.start()] + draw(others) + data[chosen.end() :]


def _part(draw: st.DrawFn, _: Target, seeds: Sequence[bytes], data: bytes) -> bytes:
    """Double a part, take it out, or put one of another seed before it."""
    parts = list(_PART.finditer(data))
    if not parts:
        return data
    chosen = draw(st.sampled_from(parts))
    theirs = [found[0] for found in _PART.finditer(draw(st.sampled_from(seeds)))] or [b""]
    before = draw(st.sampled_from((b"", chosen[0], chosen[0])) | st.sampled_from(theirs))
    after = chosen[0] if before else b""
    return data[: chosen.start()] + before + after + data[chosen.end() :]


def _word(draw: st.DrawFn, target: Target, _: Sequence[bytes], data: bytes) -> bytes:
    """Put a word in, or write it over something."""
    word = draw(st.sampled_from(target.words))
    at = draw(st.integers(0, len(data)))
    return data[:at] + word + data[at + draw(st.sampled_from((0, 0, len(word)))) :]


def _end(draw: st.DrawFn, _: Target, seeds: Sequence[bytes], data: bytes) -> bytes:
    """Break off, or go on as another seed does."""
    other = draw(st.sampled_from(seeds))
    return data[: draw(st.integers(0, len(data)))] + other[draw(st.integers(0, len(other))) :]


def inputs(target: Target, seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return mostly damaged seeds, and some noise."""
    return st.one_of(damaged(target, seeds), damaged(target, seeds), damaged(target, seeds), st.binary(max_size=96))
