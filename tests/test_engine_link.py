"""The link is believed only on a proof."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from terminald.adapters.ports import CLOCK_FAULT, LinkReport, LinkState
from terminald.core.commands import GatewayCommand
from terminald.core.events import (
    Answer,
    Fault,
    OrderPending,
    OutcomeUnknown,
    QueryFailed,
    RequestNotSent,
    RequestRefused,
)
from terminald.core.ids import Instant, WallTime
from terminald.core.schedule import Now
from terminald.engine_link import IDLE_S, RETRY_FIRST_S, LinkMonitor
from tests.log_lines import lines
from tests.simulation.virtual_time import run_virtually


class StillClock:
    def now(self) -> Now:
        return Now(instant=Instant(0), wall=WallTime(1_000))

    def timer_at(self, instant: Instant) -> float:
        return instant / 1000


class ScriptedGateway:
    """Answers probes as told, and notes when it was asked."""

    def __init__(self, *states: LinkState) -> None:
        self.states = list(states)
        self.asked_at: list[float] = []

    async def perform(self, command: GatewayCommand) -> Answer:
        raise AssertionError(command)

    async def probe(self) -> LinkReport:
        self.asked_at.append(asyncio.get_running_loop().time())
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return LinkReport(state=state, fault=Fault(code="said", message=state.value))


def watch(gateway: ScriptedGateway, seconds: float, meanwhile: Callable[[LinkMonitor], None]) -> LinkMonitor:
    """Run a monitor for a while on virtual time; meanwhile is called after a second."""

    async def run() -> LinkMonitor:
        monitor = LinkMonitor(gateway, StillClock(), jitter=lambda: 0.0, on_change=lambda: None)
        task = asyncio.create_task(monitor.run())
        await asyncio.sleep(1)
        meanwhile(monitor)
        await asyncio.sleep(seconds - 1)
        task.cancel()
        return monitor

    return run_virtually(run())


def test_a_proven_link_is_asked_rarely_and_one_that_is_not_proven_often() -> None:
    proven, down = ScriptedGateway(LinkState.PROVEN), ScriptedGateway(LinkState.DOWN)
    assert watch(proven, IDLE_S - 1, lambda _: None).is_reachable
    assert proven.asked_at == [0]
    assert not watch(down, 15, lambda _: None).is_reachable
    assert down.asked_at == [0, RETRY_FIRST_S, 3 * RETRY_FIRST_S, 7 * RETRY_FIRST_S]


@pytest.mark.parametrize("state", [LinkState.KEY_REFUSED, LinkState.TERMINAL_REFUSED])
def test_a_refusal_is_asked_again_soon_as_it_may_pass(state: LinkState) -> None:
    gateway = ScriptedGateway(state, LinkState.PROVEN)
    monitor = watch(gateway, 5, lambda monitor: _assert_refused(monitor, state))
    assert (monitor.is_reachable, monitor.is_key_refused, monitor.is_terminal_refused) == (True, False, False)


def _assert_refused(monitor: LinkMonitor, state: LinkState) -> None:
    assert monitor.is_reachable
    assert monitor.is_key_refused is (state is LinkState.KEY_REFUSED)
    assert monitor.is_terminal_refused is (state is LinkState.TERMINAL_REFUSED)


@pytest.mark.parametrize("answer", [RequestRefused(), OutcomeUnknown(), QueryFailed()])
def test_an_exchange_that_proves_nothing_makes_it_ask(answer: Answer) -> None:
    gateway = ScriptedGateway(LinkState.PROVEN, LinkState.KEY_REFUSED)
    monitor = watch(gateway, 2, lambda monitor: monitor.note(answer))
    assert gateway.asked_at[:2] == [0, 1]
    assert monitor.is_key_refused


def test_a_fault_of_the_clock_is_told_as_one_and_told_again_when_it_is_one_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class OffByYears(ScriptedGateway):
        codes = ("gateway_unreachable", CLOCK_FAULT, CLOCK_FAULT, "gateway_no_answer", "gateway_unreachable")

        async def probe(self) -> LinkReport:
            report = await super().probe()
            code = self.codes[len(self.asked_at) - 1]
            return replace(report, fault=Fault(code=code, message="said"))

    caplog.set_level("INFO")
    seen: list[bool] = []
    gateway = OffByYears(LinkState.DOWN)
    monitor = watch(gateway, 12, lambda monitor: seen.append(monitor.is_clock_in_the_way))
    assert (seen, monitor.is_clock_in_the_way) == ([False], True)
    monitor = watch(OffByYears(LinkState.DOWN), 31, lambda _: None)
    assert not monitor.is_clock_in_the_way
    told = [line.partition("code=")[2] for line in lines(caplog.records)]
    assert told == ["gateway_unreachable detail=said", "clock detail=said"] * 2 + ["gateway_no_answer detail=said"]


def test_exchanges_that_are_made_anyway_tell_as_well() -> None:
    gateway = ScriptedGateway(LinkState.PROVEN, LinkState.DOWN)
    assert not watch(gateway, 1.5, lambda monitor: monitor.note(RequestNotSent())).is_reachable
    assert gateway.asked_at[:2] == [0, 1]
    gateway = ScriptedGateway(LinkState.DOWN)
    assert watch(gateway, 1.5, lambda monitor: monitor.note(OrderPending())).is_reachable


def test_every_refusal_of_the_key_is_told() -> None:
    """I6: the question that it gives rise to may be lost, and would be the last one."""
    gateway, told = ScriptedGateway(LinkState.PROVEN, LinkState.KEY_REFUSED), list[float]()

    async def run() -> None:
        monitor = LinkMonitor(
            gateway,
            StillClock(),
            jitter=lambda: 0.0,
            on_change=lambda: told.append(asyncio.get_running_loop().time()),
        )
        task = asyncio.create_task(monitor.run())
        await asyncio.sleep(IDLE_S + 60)
        task.cancel()

    run_virtually(run())
    assert told == gateway.asked_at
    assert len(told) > 4
