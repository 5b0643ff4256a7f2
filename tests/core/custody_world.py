"""A terminal and its gateway as one small state, and everything that can happen next to the two of them.

Times are left out: a timer may fire whenever its row exists, a refusal may last from the first proof on, and a check-in
may be sent after every proof that allows one at all. So whatever the real times allow is among what is explored here.

One thing is excluded by times: a check-in that is held up in the network for so long that it arrives after its
successor was sent. SETTLE and LEAST_WAIT see to that, and ``test_custody`` holds them against the longest request.

The gateway may refuse any signature for no reason (a replica that lags behind), and the two queries of a proof are two
requests: anything may happen between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from terminald.core import custody as keys
from terminald.core.custody_events import (
    CheckIn,
    CheckinNotSent,
    CheckinRefused,
    CheckinRequested,
    CheckinUnanswered,
    ClockTrusted,
    CustodyAnswer,
    KeyAccepted,
    KeyLifeEnded,
    KeyRefused,
    KeyRenewed,
    KeyUnanswered,
    LinkLost,
    PreviousKeyAccepted,
    PreviousKeyHolds,
    ProofDue,
    RenewalDue,
    RenewalOverdue,
)
from terminald.core.custody_learning import LOST
from terminald.core.custody_table import TABLE, Custody, CustodyState
from terminald.core.events import Event, PowerReturned, Recovered
from terminald.core.ids import Instant, Secret, WallTime
from terminald.core.terminal import Terminal
from tests.core.machine_builders import NOON, RULES

#: What comes from inside or from a person, at any time and any number of times.
SPONTANEOUS: tuple[Event, ...] = (
    RenewalDue(), ProofDue(), KeyLifeEnded(), RenewalOverdue(), CheckinRequested(), ClockTrusted(),
    LinkLost(since=NOON.instant),
)  # fmt: skip
RESTARTS: tuple[Event, ...] = (Recovered(), PowerReturned())


@dataclass(frozen=True, slots=True)
class Request:
    """One request on its way. Orphans are those whose sender gave up or died: they may still arrive."""

    kind: str  # "prove" | "prove the previous" | "check in"
    token: int
    current: str
    previous: str | None
    is_orphan: bool = False
    #: What the gateway answered, on its way back.
    answer: CustodyAnswer | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """The whole: what is on disk, whether the process runs, what is on the road, and the gateway's keys."""

    custody: Custody
    is_up: bool
    requests: tuple[Request, ...]
    #: The current one first; at most two.
    gateway: tuple[str, ...]
    #: Whether the last accepted key that the terminal held died of age.
    has_aged: bool = False


def start(previous: str | None = None) -> Pair:
    """A terminal that was just activated, before its first start; or one of an older release."""
    terminal = Terminal(
        terminal_sn="T1",
        device_id="d1",
        current_key=Secret("a"),
        previous_key=None if previous is None else Secret(previous),
        activated_at=WallTime(0),
        rotated_at=WallTime(0),
    )
    custody = keys.begin(terminal, now=NOON, rules=RULES)
    return _canonical(Pair(custody, is_up=False, requests=(), gateway=("a",) if previous is None else ("a", previous)))


def held(pair: Pair) -> tuple[str, ...]:
    """The keys that the terminal has on disk, the current one first."""
    terminal = pair.custody.terminal
    return tuple(key.reveal() for key in (terminal.current_key, terminal.previous_key) if key is not None)


def is_served(pair: Pair) -> bool:
    """Whether the gateway accepts a key that the terminal holds."""
    return not set(held(pair)).isdisjoint(pair.gateway)


def successors(pair: Pair, *, ages: bool = False) -> Iterator[tuple[str, Pair]]:
    """Everything that can happen next, each with its name."""
    for name, after in _happenings(pair, ages=ages):
        yield name, _canonical(after)


def _happenings(pair: Pair, *, ages: bool) -> Iterator[tuple[str, Pair]]:
    if pair.is_up:
        for event in SPONTANEOUS:
            yield from _told(pair, event, None)
        yield "the process dies", _dead(pair)
    else:
        for event in RESTARTS:
            yield from _told(replace(pair, is_up=True), event, None)
    for request in pair.requests:
        yield from _travel(pair, request)
    if ages and pair.gateway:
        after = replace(pair, gateway=pair.gateway[:-1])
        yield "the last key dies of age", replace(after, has_aged=pair.has_aged or not is_served(after))


def _travel(pair: Pair, request: Request) -> Iterator[tuple[str, Pair]]:
    others = replace(pair, requests=tuple(one for one in pair.requests if one is not request))
    name = request.kind
    if request.is_orphan:
        yield f"{name}: an orphan is lost", others
        yield f"{name}: an orphan arrives", replace(others, gateway=_arrive(pair, request)[0])
        return
    unanswered = CheckinUnanswered() if request.kind == "check in" else KeyUnanswered()
    if request.answer is not None:
        yield from _told(others, request.answer, request.token)
        yield from _told(others, unanswered, request.token)
        return
    gateway, answer = _arrive(pair, request)
    after = replace(others, gateway=gateway)
    if answer is not None:
        yield f"{name}: arrives", _with(after, replace(request, answer=answer))
    if request.kind == "prove":
        # For a reason or for none; then the same is asked with the previous key.
        second = replace(request, kind="prove the previous")
        refused = second if request.previous is not None else replace(request, answer=KeyRefused())
        yield f"{name}: is refused", _with(others, refused)
    elif request.kind == "prove the previous":
        yield f"{name}: is refused", _with(others, replace(request, answer=KeyRefused()))
    yield from _told(others, unanswered, request.token)
    if request.kind == "check in":
        late = replace(others, requests=(*others.requests, replace(request, is_orphan=True)))
        yield from _told(late, unanswered, request.token)
        yield from _told(others, CheckinNotSent(), request.token)
        yield from _told(others, CheckinRefused(), request.token)


def _with(pair: Pair, request: Request) -> Pair:
    return replace(pair, requests=(*pair.requests, request))


def _arrive(pair: Pair, request: Request) -> tuple[tuple[str, ...], CustodyAnswer | None]:
    """The gateway's side: it keeps exactly the current and the last key. None where a proof is refused."""
    if request.kind == "prove":
        return pair.gateway, KeyAccepted(is_quiet=True) if request.current in pair.gateway else None
    if request.kind == "prove the previous":
        return pair.gateway, PreviousKeyAccepted() if request.previous in pair.gateway else None
    if request.current not in pair.gateway:
        return pair.gateway, CheckinRefused()
    fresh = "new"
    while fresh in (*pair.gateway, *held(pair)):
        fresh += "'"
    return (fresh, *pair.gateway)[:2], KeyRenewed(key=Secret(fresh))


def _told(pair: Pair, event: Event, token: int | None) -> Iterator[tuple[str, Pair]]:
    """The event is taken: the process dies before the commit, after it, or lives and performs what is asked."""
    if not _is_legal(pair, event, token):
        yield f"{type(event).__name__} is stale", pair
        return
    variants = [event]
    if isinstance(event, KeyAccepted):
        variants.append(KeyAccepted(is_quiet=False))
    if isinstance(event, PreviousKeyAccepted) and pair.custody.state not in LOST:
        variants.append(PreviousKeyHolds())
    for told in variants:
        name = type(told).__name__
        custody, commands = keys.step(_open(pair.custody), told, now=NOON, rules=RULES)
        yield f"{name}, dies before the commit", _dead(pair)
        committed = replace(pair, custody=custody)
        yield f"{name}, dies after the commit", _dead(committed)
        requests = list(pair.requests)
        for command in commands:
            kind = "check in" if isinstance(command, CheckIn) else "prove"
            if kind == "check in":
                # SETTLE and LEAST_WAIT: what was held up in the network has arrived or is lost by now.
                requests = [one for one in requests if one.kind != "check in"]
            terminal = custody.terminal
            previous = None if terminal.previous_key is None else terminal.previous_key.reveal()
            requests.append(Request(kind, custody.rotation.token, terminal.current_key.reveal(), previous))
        yield name, replace(committed, requests=tuple(requests))


def _is_legal(pair: Pair, event: Event, token: int | None) -> bool:
    return type(event) in TABLE[pair.custody.state] and not keys.is_stale(pair.custody, token)


def _open(custody: Custody) -> Custody:
    """Let a check-in be sent at any proof, but where only a person may have it sent."""
    rotation = custody.rotation
    if rotation.not_before is None:
        return custody
    return replace(custody, rotation=replace(rotation, not_before=NOON.instant, asked=None))


def _dead(pair: Pair) -> Pair:
    """Nobody waits for answers any more; requests that have not arrived yet still may. Of each kind one is enough."""
    orphans = [
        replace(one, is_orphan=True, token=0, answer=None)
        for one in pair.requests
        if one.answer is None and one.kind == "check in"
    ]
    return replace(pair, is_up=False, requests=tuple(orphans[-1:]))


def _canonical(pair: Pair) -> Pair:
    """The same state under the same name: keys by their place, tokens by their order, and no times."""
    requests = tuple(one for one in pair.requests if one.is_orphan or not keys.is_stale(pair.custody, one.token))
    names: dict[str, str] = {}
    for key in (*pair.gateway, *held(pair), *(key for one in requests for key in _named(one))):
        names.setdefault(key, f"k{len(names)}")
    terminal, rotation = pair.custody.terminal, pair.custody.rotation
    previous = terminal.previous_key
    return replace(
        pair,
        custody=Custody(
            terminal=replace(
                terminal,
                current_key=Secret(names[terminal.current_key.reveal()]),
                previous_key=None if previous is None else Secret(names[previous.reveal()]),
                rotated_at=WallTime(0),
            ),
            rotation=replace(
                rotation,
                token=0,
                version=2,
                previous_version=1,
                rotated=NOON.instant,
                is_rotated_at_trusted=False,
                asked=None,
                asked_at=None,
                proven=None,
                due=NOON.instant,
                not_before=None if rotation.not_before is None else Instant(0),
                retry=None,
                tries=0,
                power_back=None,
                asked_before=None,
                asked_before_at=None,
                unsent=0,
                previous_rotated=None,
                refused_since=None,
                refusals=0,
                out_since=None,
                was_out=False,
                outages=(),
                attention=None if rotation.attention is None else replace(rotation.attention, since=Instant(0)),
            ),
        ),
        requests=tuple(sorted({_renamed(one, names) for one in requests}, key=repr)),
        gateway=tuple(names[key] for key in pair.gateway),
        has_aged=pair.has_aged and not is_served(pair),
    )


def _named(request: Request) -> list[str]:
    keys_of = [request.current, *([] if request.previous is None else [request.previous])]
    return [*keys_of, *([request.answer.key.reveal()] if isinstance(request.answer, KeyRenewed) else [])]


def _renamed(request: Request, names: dict[str, str]) -> Request:
    answer = request.answer
    if isinstance(answer, KeyRenewed):
        answer = replace(answer, key=Secret(names[answer.key.reveal()]))
    previous = None if request.previous is None else names[request.previous]
    return replace(request, token=0, current=names[request.current], previous=previous, answer=answer)


#: States in which the terminal says that its key may be lost.
SAYS_SO = frozenset({CustodyState.STOPPED, CustodyState.EXPIRED, CustodyState.LOCKED_OUT})


def is_finding_out(pair: Pair) -> bool:
    """Whether a check-in after a lost answer is under way, and nothing else is sent until its outcome is on disk."""
    return pair.custody.state is CustodyState.RECHECKING and all(one.kind == "check in" for one in pair.requests)
