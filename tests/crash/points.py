"""The points at which a daemon dies, or its disk fails, and what becomes of a sale there."""

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from tests.crash.boundary import ERRORS, OF_JOURNAL, How, Kind
from tests.crash.host import Host
from tests.crash.sales import Kind as SaleKind
from tests.crash.stage import Gone, Stage, Theatre
from tests.crash.verdict import violations

#: How often a point is tried for. What the daemon does beside the sale comes a moment earlier or later.
TRIES: Final = 12
#: A disk that fails for a while fails for so long: what it could not write is tried again meanwhile.
FAILING_S: Final = 0.4
#: Sales that one daemon lives through, each with another fault of its disk, before the books are compared.
SALES_AT_ONCE: Final = 12
_JOURNAL: Final = "journal.db"
_REFERENCE: Final = "order"
#: Sixteen digits, the first of which name a wallet.
_DIGITS: Final = "13{:014d}"


class Way(Enum):
    """What happens at a point."""

    KILLED_BEFORE = "killed before"
    KILLED_WITHIN = "killed within"
    KILLED_AFTER = "killed after"
    CUT_BEFORE = "power cut before"
    CUT_AFTER = "power cut after"
    FAILS_ONCE = "fails once"
    FAILS_ON = "fails until healed"
    FAILS_AND_DIES = "fails until killed"

    @property
    def how(self) -> How:
        """Return what is to be done at the call."""
        return _HOW[self]

    @property
    def is_cut(self) -> bool:
        """Whether what was not synced is lost."""
        return self in (Way.CUT_BEFORE, Way.CUT_AFTER)

    @property
    def is_fault(self) -> bool:
        """Whether the process is to live on."""
        return self in (Way.FAILS_ONCE, Way.FAILS_ON)


_HOW: Final = {
    Way.KILLED_BEFORE: How.DIE_BEFORE,
    Way.KILLED_WITHIN: How.DIE_WITHIN,
    Way.KILLED_AFTER: How.DIE_AFTER,
    Way.CUT_BEFORE: How.DIE_BEFORE,
    Way.CUT_AFTER: How.DIE_AFTER,
    Way.FAILS_ONCE: How.FAIL_ONCE,
    Way.FAILS_ON: How.FAIL_ON,
    Way.FAILS_AND_DIES: How.FAIL_ON,
}

#: A process that is killed after a write, or before the next one, leaves the same files: one of both is enough there.
#: What is sent has been sent, and what is synced is synced: there it makes a difference.
_DEATHS: Final = {
    Kind.WRITE: (Way.KILLED_BEFORE, Way.KILLED_WITHIN),
    Kind.SYNC: (Way.KILLED_BEFORE, Way.KILLED_AFTER, Way.CUT_BEFORE, Way.CUT_AFTER),
    Kind.TRUNCATE: (Way.KILLED_BEFORE, Way.KILLED_AFTER, Way.CUT_AFTER),
    Kind.GATEWAY: (Way.KILLED_BEFORE, Way.KILLED_WITHIN, Way.KILLED_AFTER, Way.CUT_AFTER),
    Kind.HOST: (Way.KILLED_BEFORE, Way.KILLED_AFTER, Way.CUT_AFTER),
    Kind.PRINTER: (Way.KILLED_BEFORE, Way.KILLED_WITHIN, Way.KILLED_AFTER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The n-th call of a kind in a sale, and what happens there."""

    kind: Kind
    at: int
    way: Way
    error: int = 0

    def __str__(self) -> str:
        error = f" ({errno.errorcode[self.error]})" if self.error else ""
        return f"{self.way.value}: {self.kind.name.lower()} {self.at}{error}"


def deaths(counts: dict[Kind, int]) -> Iterator[Point]:
    """Return every point at which the process dies."""
    for kind, count in counts.items():
        for at in range(1, count + 1):
            for way in _DEATHS[kind]:
                yield Point(kind=kind, at=at, way=way)
            if kind is Kind.SYNC:
                yield Point(kind=kind, at=at, way=Way.FAILS_AND_DIES, error=errno.EIO)


def faults(counts: dict[Kind, int]) -> Iterator[Point]:
    """Return every fault of the disk."""
    for kind in OF_JOURNAL:
        for at in range(1, counts[kind] + 1):
            for error in ERRORS:
                yield Point(kind=kind, at=at, way=Way.FAILS_ONCE, error=error)
                yield Point(kind=kind, at=at, way=Way.FAILS_ON, error=error)


@dataclass(slots=True)
class Result:
    """What came of a point."""

    point: Point
    violations: list[str] = field(default_factory=list)
    #: How the sale ended.
    end: str = ""
    #: The host was told that the journal can not be written.
    was_refused: bool = False


class _Meanwhile:
    """Does something when the disk has failed for a while; asked again and again."""

    def __init__(self, stage: Stage, then: Callable[[], None]) -> None:
        self._stage = stage
        self._then = then
        self._since: float | None = None

    def __call__(self) -> None:
        if not self._stage.control.hits:
            return
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif now > self._since + FAILING_S:
            self._then()


@dataclass(slots=True)
class Actor:
    """Lives sales on a stage of its own. Used by one thread."""

    theatre: Theatre
    stage: Stage
    #: The disk says that it has synced, and has not: to see whether that is found out.
    is_lying: bool = False
    _sales: int = 0

    def do(self, sale: SaleKind, points: list[Point]) -> list[Result]:
        """Do what is to happen at these points: one at which the process dies, or some at which it does not."""
        (first, *_) = points
        if first.way.is_fault and sale.before is None:
            return self.fail(sale, points)
        result = self.die(sale, first)
        return [] if result is None else [result]

    def count(self, sale: SaleKind) -> dict[Kind, int]:
        """Live a sale in which nothing happens; return how many calls of each kind it takes.

        On a busy machine the customer may come too late: then it is lived again.
        """
        end = ""
        for _ in range(TRIES):
            with self.theatre.play(self.stage) as gateway:
                host = Host(self.stage, gateway)
                self._begin(host, sale, None)
                end = self._live(host, sale)
                counts = {kind: self.stage.control.count(kind) for kind in Kind}
                self.stage.kill()
                host.leave()
                assert not (found := self._judge(host)), found
                if end == sale.end:
                    return counts
        raise AssertionError(f"{sale.name}: {end}")

    def die(self, sale: SaleKind, point: Point) -> Result | None:
        """Live a sale in which the process dies, and go on with another one; None where nothing happened.

        A start at which the disk fails may be the end of the process too.
        """
        with self.theatre.play(self.stage) as gateway:
            host = Host(self.stage, gateway)
            hung = list[str]()
            try:
                self._begin(host, sale, point)
                self._live(host, sale)
            except Gone:
                host.meanwhile = lambda: None
            except AssertionError as exc:
                hung.append(f"before it died: {exc}")
            was_hit = self.stage.control.hits > 0
            self.stage.kill()
            host.leave()
            self.stage.control.disarm()
            # Who has read the last that the process says may be done before the process is dead.
            if not hung and not was_hit:
                return None
            if point.way.is_cut:
                self.stage.cut_power()
            result = self._go_on(host, sale, point)
            result.violations += hung
            return result

    def _go_on(self, host: Host, sale: SaleKind, point: Point) -> Result:
        result = Result(point, was_refused=host.told.refusals > 0)
        try:
            self._start(host)
            result.end = self._live(host, sale)
        except Gone:
            result.violations.append(f"it does not live after the start\n{self.stage.log_tail()}")
        except AssertionError as exc:
            result.violations.append(str(exc))
        self.stage.kill()
        host.leave()
        result.violations += self._judge(host)
        return result

    def fail(self, sale: SaleKind, points: list[Point]) -> list[Result]:
        """Live one sale for each fault of the disk, all with one daemon, which is to survive them.

        What did not happen is left out. Whatever is wrong in the end is told of the last of them.
        """
        results = list[Result]()
        with self.theatre.play(self.stage) as gateway:
            host = Host(self.stage, gateway)
            self._start(host)
            for number, point in enumerate(points):
                result = self._fail_once(host, sale, point, f"{_REFERENCE}-{number}")
                if self.stage.control.hits or result.violations:
                    results.append(result)
                if result.violations:
                    break
            self.stage.kill()
            host.leave()
            if results:
                results[-1].violations += self._judge(host)
        return results

    def _fail_once(self, host: Host, sale: SaleKind, point: Point, reference: str) -> Result:
        self._arm(host, point)
        host.told.refusals = 0
        result = Result(point)
        try:
            result.end = self._live(host, sale, reference)
        except Gone:
            result.violations.append(f"it died\n{self.stage.log_tail()}")
        except AssertionError as exc:
            result.violations.append(str(exc))
        self.stage.control.disarm()
        result.was_refused = host.told.refusals > 0
        return result

    # --- how ---------------------------------------------------------------------------------------------------------

    def _start(self, host: Host) -> None:
        self.stage.start()
        self.stage.wait_ready(host.meanwhile)
        host.follow()

    def _begin(self, host: Host, sale: SaleKind, point: Point | None) -> None:
        """Start a daemon; what happens at the point may do so in the sale, or in a start that follows another life."""
        self._start(host)
        if sale.before is not None:
            self._live(host, replace(sale, live=sale.before))
            self.stage.kill()
            host.leave()
        self._arm(host, point)
        if sale.before is not None:
            self._start(host)

    def _arm(self, host: Host, point: Point | None) -> None:
        if point is None:
            self.stage.control.arm()
            return
        self.stage.control.arm(point.kind, point.at, point.way.how, point.error)
        if self.is_lying:
            self.stage.control.lie()
        if point.error:
            is_end = point.way is Way.FAILS_AND_DIES
            host.meanwhile = _Meanwhile(self.stage, self.stage.kill if is_end else self.stage.control.heal)

    def _live(self, host: Host, sale: SaleKind, reference: str = _REFERENCE) -> str:
        if host.latest(reference) is None:
            self._sales += 1
        sale.live(host, reference, _DIGITS.format(self._sales))
        found = host.latest(reference)
        assert found is not None
        return found.state

    def _judge(self, host: Host) -> list[str]:
        return violations(self.stage.state / _JOURNAL, host.gateway.books(), host.told)
