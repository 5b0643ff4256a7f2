"""Every sort of history by its name: one seed of a sort is one history, and always the same."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.happenings import happened
from tests.simulation.key_script import DAYS
from tests.simulation.key_year import live_year
from tests.simulation.kiosk_history import live_as_kiosk
from tests.simulation.money_history import live_with_money
from tests.simulation.scan_history import live_through
from tests.simulation.vend_history import live_vending
from tests.simulation.virtual_time import run_virtually


@dataclass(frozen=True, slots=True)
class Lived:
    """What became of one history."""

    violations: list[str]
    #: What went wrong in it, in its order: each can be kept from it by its number.
    troubles: list[str] = field(default_factory=list)
    happenings: Counter[str] = field(default_factory=Counter)


#: Takes a seed, the path of a journal that is not there yet, and the numbers of the troubles to keep from it.
World = Callable[[int, Path, frozenset[int]], Lived]


def _scan(seed: int, path: Path, without: frozenset[int]) -> Lived:
    history = run_virtually(live_through(seed, path, without=without))
    return Lived(history.faults_found(), history.troubles, happened(history))


def _money(seed: int, path: Path, without: frozenset[int]) -> Lived:
    history = run_virtually(live_with_money(seed, path, without=without))
    return Lived(history.faults_found(), history.troubles, happened(history))


def _vend(seed: int, path: Path, without: frozenset[int]) -> Lived:
    history = run_virtually(live_vending(seed, path, without=without))
    return Lived(history.faults_found(), history.troubles, happened(history))


def _kiosk(seed: int, path: Path, without: frozenset[int]) -> Lived:
    history = run_virtually(live_as_kiosk(seed, path, without=without))
    return Lived(history.judge(), history.troubles, happened(history))


def _key(seed: int, path: Path, _: frozenset[int]) -> Lived:
    year = live_year(seed, path, days=DAYS)
    return Lived([one.text for one in year.violations])


#: Sales by payment code alone; sales of every kind with goods and refunds; vending machines; kiosks without a host.
MONEY_WORLDS: Mapping[str, World] = {"scan": _scan, "money": _money, "vend": _vend, "kiosk": _kiosk}
#: And years of the terminal's key.
WORLDS: Mapping[str, World] = {**MONEY_WORLDS, "key": _key}
