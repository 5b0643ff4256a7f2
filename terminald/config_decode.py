"""Turn the tables of a TOML file into dataclasses that declare their keys with a rule each, and collect every fault."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from itertools import chain
from typing import TypeVar

from terminald.config_rules import NotAllowed, Rule, show
from terminald.config_text import Place, Places
from terminald.errors import ConfigError

T = TypeVar("T")

#: More than a person mends in one go; a file that is not a configuration at all would fill the journal.
MAX_FAULTS = 100

#: Keys of the same table, and what is wrong between them. The first is where the fault is shown, or a place below it.
Conflict = tuple[tuple[str, ...], str, *tuple[Place, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Base of the dataclasses that each hold one table."""

    def conflicts(self) -> Iterable[Conflict]:
        """Return what is wrong between keys that are each right."""
        return ()


S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """What a field says of its key: a value with a rule, a table, or an array of so many tables."""

    key: str
    rule: Rule[object] | None = None
    section: type[Section] | None = None
    most: int = 0  # of an array of tables; 0: a single table
    distinct: tuple[str, ...] = ()


def option(rule: Rule[T], default: object, *, key: str = "") -> T:
    """Declare a key by its rule and its default, written as in TOML; ``key`` where it is not the field's name."""
    return field(default=rule(default), metadata={"declared": _Declared(key=key, rule=rule)})


def required(rule: Rule[T]) -> T:
    """Declare a key that has no default."""
    value: T = field(metadata={"declared": _Declared(key="", rule=rule)})
    return value


def table(section: type[S]) -> S:
    """Declare a table; when it is missing, all its keys have their defaults."""
    return field(default=section(), metadata={"declared": _Declared(key="", section=section)})


def tables(section: type[S], *, key: str, most: int, distinct: tuple[str, ...]) -> tuple[S, ...]:
    """Declare an array of up to so many tables that differ in these keys."""
    declared = _Declared(key=key, section=section, most=most, distinct=distinct)
    return field(default=(), metadata={"declared": declared})


def _keys(section: type[Section]) -> dict[str, tuple[Field[object], _Declared]]:
    found = {}
    for each in fields(section):
        declared: _Declared | None = each.metadata.get("declared")
        if declared:
            found[declared.key or each.name] = (each, declared)
    return found


def decode(section: type[S], raw: dict[str, object], places: Places) -> S:
    """Return the section that the tables describe.

    Raises:
        ConfigError: with every fault, in the order of lines.
    """
    decoder = _Decoder(section, places)
    made = decoder.section(section, raw, ())
    if decoder.faults or made is None:
        shown = [places.fault(place, what) for place, what in sorted(decoder.faults, key=lambda it: places.line(it[0]))]
        more = [f"{places.file}:1: file: {len(shown) - MAX_FAULTS} more faults"] if len(shown) > MAX_FAULTS else []
        raise ConfigError([*shown[:MAX_FAULTS], *more])
    return made


class _Decoder:
    def __init__(self, top: type[Section], places: Places) -> None:
        self.faults: list[tuple[Place, str]] = []
        self._top = top
        self._places = places

    def section(self, section: type[S], raw: object, place: Place) -> S | None:
        """Return the section with defaults where there were faults; None when that cannot be."""
        if not isinstance(raw, dict):
            self._fault(place, f"{show(raw)} is not a table; write [{place[-1]}] on a line of its own")
            return None
        declared = _keys(section)
        values: dict[str, object] = {}
        for key, value in raw.items():
            if key not in declared:
                self._fault((*place, key), self._unknown(key, list(declared)))
                continue
            into, how = declared[key]
            found = self._value(how, (*place, key), value)
            if found is not None:
                (values[into.name],) = found
        missing = [key for key, (into, _) in declared.items() if into.default is MISSING and key not in raw]
        for key in missing:
            self._fault((*place, key), "is missing")
        if any(into.default is MISSING and into.name not in values for into, _ in declared.values()):
            return None
        build: Callable[..., S] = section
        made = build(**values)
        for between, what, *below in made.conflicts():
            if all(declared[key][0].name in values or key not in raw for key in between):
                self._fault((*place, between[0], *chain.from_iterable(below)), what)
        return made

    def _value(self, how: _Declared, place: Place, value: object) -> tuple[object] | None:
        """Return the key's value, alone in a tuple; None after a fault."""
        try:
            found = how.rule(value) if how.rule else None
        except NotAllowed as exc:
            self._fault(place, str(exc))
            return None
        if how.section:
            found = self._array(how, how.section, value, place) if how.most else self.section(how.section, value, place)
        return None if found is None and how.section else (found,)

    def _array(self, how: _Declared, section: type[S], raw: object, place: Place) -> tuple[S, ...] | None:
        if not isinstance(raw, list):
            self._fault(place, f"is not a list of tables; write [[{place[-1]}]] on a line of its own")
            return None
        if len(raw) > how.most:
            self._fault(place, f"there are {len(raw)}; allowed: up to {how.most}")
            return None
        made: list[S] = []
        seen: set[tuple[str, object]] = set()
        for index, each in enumerate(raw):
            found = self.section(section, each, (*place, index))
            if found is None:
                continue
            made.append(found)
            for key in how.distinct:
                value: object = getattr(found, key)
                if (key, value) in seen:
                    self._fault(
                        (*place, index, key), f"{show(value)} is used twice; allowed: a different one in each table"
                    )
                seen.add((key, value))
        return tuple(made)

    def _unknown(self, key: str, known: list[str]) -> str:
        if len(self.faults) > MAX_FAULTS:
            return "unknown key"
        near = difflib.get_close_matches(key, known, n=1)
        if near:
            return f'unknown key; did you mean "{near[0]}"?'
        homes = [name for name, (_, how) in _keys(self._top).items() if how.section and key in _keys(how.section)]
        if homes:
            return f"unknown key here; it belongs in [{homes[0]}]"
        return f"unknown key; allowed: {', '.join(known)}"

    def _fault(self, place: Place, what: str) -> None:
        self.faults.append((place, what))
