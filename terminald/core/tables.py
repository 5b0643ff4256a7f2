"""The shape of a machine: one total table, state × event type → row. An absent pair is illegal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from terminald.core.commands import Command
from terminald.core.events import Event
from terminald.core.ids import Instant
from terminald.errors import IllegalTransition

S = TypeVar("S", bound=Enum)
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Row(Generic[S, M]):
    """The next state, and what to ask for."""

    to: S
    ask: tuple[Callable[[M], Command], ...] = ()


Table = Mapping[S, Mapping[type[Event], Row[S, M]]]


def find_row(table: Table[S, M], state: S, event: Event) -> Row[S, M]:
    """Look up the row of a state and an event.

    Raises:
        IllegalTransition: there is none; nothing was changed.
    """
    row = table[state].get(type(event))
    if row is None:
        raise IllegalTransition(state.value, type(event).__name__)
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Wakeup:
    """The one next moment at which a snapshot wants to be told something, and what."""

    at: Instant
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """A person should look. Never keeps the money from being put right without one."""

    code: str
    since: Instant
