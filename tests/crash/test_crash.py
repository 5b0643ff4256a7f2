"""A few points of each kind at which the daemon dies or its disk fails; all of them take half an hour: make crash."""

import errno
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.crash.boundary import ERRORS, Kind
from tests.crash.campaign import Task, run
from tests.crash.host import Host
from tests.crash.points import Actor, Point, Way, deaths
from tests.crash.sales import KINDS, PAID_AT_ONCE, STARTED_AGAIN
from tests.crash.sales import Kind as SaleKind
from tests.crash.stage import Theatre, theatre

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

#: How often a point is tried for: what the daemon does beside the sale comes a moment earlier or later.
_TRIES = 6
#: A write-ahead file has a head, and of each page a head of its own; each is written by one call.
_PAGE_IN_LOG = 24 + 4096


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with theatre(tmp_path_factory.mktemp("crash")) as made:
        yield made


@pytest.fixture(scope="module")
def actor(shown: Theatre) -> Iterator[Actor]:
    with shown.stage() as stage:
        yield Actor(shown, stage)


def _die(actor: Actor, sale: SaleKind, point: Point) -> list[str]:
    """Let the process die at a point; return what is wrong then."""
    found = next((one for one in (actor.die(sale, point) for _ in range(_TRIES)) if one is not None), None)
    assert found is not None, f"{point}: never reached"
    return found.violations


def _in_the_middle(counts: dict[Kind, int], *kinds: Kind) -> list[Point]:
    """Return all that can happen at one call of each of these kinds."""
    found = [one for one in deaths(counts) if one.kind in kinds and one.at == (counts[one.kind] + 1) // 2]
    assert {one.kind for one in found} == set(kinds)
    return found


def test_every_write_and_every_sync_of_the_journal_is_seen(actor: Actor) -> None:
    stage = actor.stage
    with actor.theatre.play(stage) as gateway:
        stage.start()
        stage.wait_ready()
        host = Host(stage, gateway)
        host.follow()
        log = stage.state / "journal.db-wal"
        # The first sale is there so that nothing else is under way during the second.
        PAID_AT_ONCE.live(host, "first", "1300000000000001")
        size, commits = log.stat().st_size, _commits(stage.api.get("/metrics").text)
        stage.control.arm()
        PAID_AT_ONCE.live(host, "second", "1300000000000002")
        pages, rest = divmod(log.stat().st_size - size, _PAGE_IN_LOG)
        assert (rest, stage.control.count(Kind.WRITE)) == (0, 2 * pages)
        assert stage.control.count(Kind.SYNC) == _commits(stage.api.get("/metrics").text) - commits
        # The head of a request and its body: a question when the sale is opened, and the payment.
        assert stage.control.count(Kind.GATEWAY) >= 2 * 2
        stage.kill()
        host.leave()


def _commits(metrics: str) -> int:
    found = re.search(r"^terminald_journal_commit_duration_seconds_count (\d+)", metrics, re.MULTILINE)
    assert found
    return int(found[1])


def test_the_process_dies_at_calls_of_each_kind(actor: Actor) -> None:
    kinds = (Kind.WRITE, Kind.SYNC, Kind.GATEWAY, Kind.HOST, Kind.PRINTER)
    for point in _in_the_middle(actor.count(PAID_AT_ONCE), *kinds):
        assert _die(actor, PAID_AT_ONCE, point) == [], str(point)


def test_the_process_dies_in_the_start_after_a_crash(actor: Actor) -> None:
    for point in _in_the_middle(actor.count(STARTED_AGAIN), Kind.TRUNCATE):
        assert _die(actor, STARTED_AGAIN, point) == [], str(point)


@pytest.mark.parametrize("kind", [Kind.WRITE, Kind.SYNC])
def test_the_disk_fails_for_a_while_and_the_daemon_lives_on(actor: Actor, kind: Kind) -> None:
    ways = (Way.FAILS_ONCE, Way.FAILS_ON)
    points = [Point(kind=kind, at=2, way=way, error=error) for error in ERRORS for way in ways]
    results = actor.fail(PAID_AT_ONCE, points)
    assert [one.point for one in results] == points
    assert [each for one in results for each in one.violations] == []
    assert any(one.was_refused for one in results), "the host is told that the journal can not be written"


def test_the_disk_fails_at_the_start(actor: Actor) -> None:
    for error in (errno.EIO, errno.EROFS):
        point = Point(kind=Kind.WRITE, at=2, way=Way.FAILS_ON, error=error)
        assert _die(actor, STARTED_AGAIN, point) == [], str(point)


def test_a_disk_that_only_says_that_it_has_synced_is_found_out(actor: Actor) -> None:
    """The judges can fail: the payment is on record nowhere."""
    liar = replace(actor, is_lying=True)
    found = _die(liar, PAID_AT_ONCE, Point(kind=Kind.PRINTER, at=1, way=Way.CUT_AFTER))
    assert any("I2" in one for one in found)
    assert any("is not on disk" in one for one in found)


def test_a_point_that_is_never_reached_is_a_failure(shown: Theatre) -> None:
    task = Task(PAID_AT_ONCE, [Point(kind=Kind.SYNC, at=1000, way=Way.KILLED_BEFORE)], tries_left=1)
    tally = run(shown, [task], jobs=1)
    assert tally.violations == ["paid at once, killed before: sync 1000: never reached"]


def test_each_sale_has_a_name_of_its_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
