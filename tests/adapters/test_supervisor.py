"""Whatever a device does, its supervisor goes on (I8)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.adapters.supervisor import BACKOFF, CAUSES, FLAPPING, Backoff, Flapping, supervise
from terminald.errors import DeviceAbsent, DeviceLost
from tests.log_lines import line

LOGGER = "terminald.adapters.supervisor"
Step = Exception | None | str


class ScriptedDevice:
    """A device whose openings, runs and closings end as scripted; ``wait`` runs until cancelled, then all is well."""

    kind = "scanner"
    name = "front"
    watched: tuple[Path, ...] = ()

    def __init__(self, script: list[tuple[str, Step]]) -> None:
        self._script = script
        self.calls: list[str] = []
        self.is_waiting = asyncio.Event()

    async def open(self) -> None:
        await self._play("open")

    async def run(self) -> None:
        await self._play("run")

    async def close(self) -> None:
        self.calls.append("close")
        if self._script and self._script[0][0] == "close":
            await self._play("close", is_noted=True)

    async def _play(self, call: str, *, is_noted: bool = False) -> None:
        if not is_noted:
            self.calls.append(call)
        expected, step = self._script.pop(0) if self._script else (call, "wait" if call == "run" else None)
        assert expected == call
        if isinstance(step, Exception):
            raise step
        if step == "wait":
            self.is_waiting.set()
            await asyncio.Event().wait()
        # A turn of the loop, so that a run takes some time.
        await asyncio.sleep(0)


class Waits:
    """Stand in for sleeping: note how long, and give the loop a turn."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def play(
    script: list[tuple[str, Step]],
    *,
    backoff: Backoff = BACKOFF,
    jitter: Callable[[], float] = lambda: 1.0,
    sleep: Callable[[float], Awaitable[None]] | None = None,
    flapping: Flapping = FLAPPING,
) -> tuple[ScriptedDevice, list[DeviceReport]]:
    """Supervise until the device's script is over, then cancel."""

    async def scenario() -> tuple[ScriptedDevice, list[DeviceReport]]:
        device = ScriptedDevice(script)
        reports: list[DeviceReport] = []
        task = asyncio.create_task(
            supervise(device, reports.append, jitter=jitter, backoff=backoff, flapping=flapping, sleep=sleep or Waits())
        )
        await asyncio.wait_for(device.is_waiting.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return device, reports

    return asyncio.run(scenario())


def absent() -> DeviceAbsent:
    return DeviceAbsent("front", "not there")


def lost() -> DeviceLost:
    return DeviceLost("front", "went away")


def report(state: DeviceState, detail: str) -> DeviceReport:
    return DeviceReport(name="front", kind="scanner", state=state, detail=detail)


def test_a_device_is_opened_served_closed_and_opened_again() -> None:
    device, reports = play([("open", None), ("run", lost())])
    assert device.calls == ["open", "run", "close", "open", "run", "close"]
    assert reports == [
        report(DeviceState.READY, ""),
        report(DeviceState.ABSENT, "went away"),
        report(DeviceState.READY, ""),
    ]


def test_an_absent_device_is_reported_once_per_cause_and_closed_each_time() -> None:
    script: list[tuple[str, Step]] = [("open", absent()), ("open", absent()), ("open", DeviceAbsent("front", "held"))]
    device, reports = play(script)
    assert device.calls == ["open", "close"] * 3 + ["open", "run", "close"]
    assert [r.detail for r in reports] == ["not there", "held", ""]


def test_a_run_that_ends_without_a_reason_is_a_fault_as_well() -> None:
    _, reports = play([("open", None), ("run", None)])
    assert reports[1] == report(DeviceState.ABSENT, "stopped by itself")


@pytest.mark.parametrize(
    "script",
    [
        [("open", ValueError("6222222222222222222"))],
        [("open", None), ("run", ValueError("6222222222222222222"))],
        [("open", None), ("run", ExceptionGroup("all", [ValueError("6222222222222222222")]))],
    ],
)
def test_a_bug_of_a_driver_is_the_devices_fault_and_its_text_is_not_reported(
    script: list[tuple[str, Step]], caplog: pytest.LogCaptureFixture
) -> None:
    """I7, I8."""
    with caplog.at_level(logging.DEBUG, LOGGER):
        _, reports = play(script)
    fault = next(r for r in reports if r.state is DeviceState.ABSENT)
    assert fault.detail.startswith("unexpected ")
    assert "6222" not in fault.detail
    assert any(record.exc_info for record in caplog.records if record.levelno == logging.WARNING)


@pytest.mark.parametrize("fault", [OSError("x"), lost()])
def test_a_fault_while_closing_changes_nothing(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, LOGGER):
        _, reports = play([("open", None), ("run", lost()), ("close", fault)])
    assert [r.detail for r in reports] == ["", "went away", ""]
    assert any("closing" in line(record) for record in caplog.records)


def test_the_first_failure_warns_repeats_are_quiet_and_recovery_is_told(caplog: pytest.LogCaptureFixture) -> None:
    script: list[tuple[str, Step]] = [("open", absent()), ("open", absent()), ("open", None), ("run", lost())]
    with caplog.at_level(logging.DEBUG, LOGGER):
        play([*script, ("open", absent())])
    ready, failed = "a device is ready", "a device is away or does not work"
    assert [(r.levelname, line(r)) for r in caplog.records if r.name == LOGGER] == [
        ("WARNING", f"{failed} device=front kind=scanner detail=not there"),
        ("DEBUG", f"{failed} device=front kind=scanner detail=not there"),
        ("INFO", f"{ready} device=front kind=scanner"),
        ("WARNING", f"{failed} device=front kind=scanner detail=went away"),
        ("DEBUG", f"{failed} device=front kind=scanner detail=not there"),
        ("INFO", f"{ready} device=front kind=scanner"),
    ]


def test_waits_double_up_to_their_bounds() -> None:
    waits = Waits()
    play([("open", absent())] * 5, sleep=waits)
    assert waits.seconds == [0.5, 1, 2, 2, 2]
    waits = Waits()
    play([("open", lost())] * 6, sleep=waits)
    assert waits.seconds == [0.5, 1, 2, 4, 5, 5]


def test_jitter_keeps_at_least_half_of_a_wait() -> None:
    waits = Waits()
    jitters = iter([0.0, 0.5])
    play([("open", absent())] * 2, sleep=waits, jitter=lambda: next(jitters))
    assert waits.seconds == [0.25, 0.75]


def test_a_device_that_was_stable_is_opened_again_soon_and_a_failed_opening_is_not_stable() -> None:
    flapping: list[tuple[str, Step]] = [("open", None), ("run", lost())] * 3
    waits = Waits()
    play(list(flapping), sleep=waits)
    assert waits.seconds == [0.5, 1, 1]
    waits = Waits()
    play(list(flapping), sleep=waits, backoff=Backoff(stable_s=0))
    assert waits.seconds == [0.5, 0.5, 0.5]
    waits = Waits()
    play([("open", absent())] * 2, sleep=waits, backoff=Backoff(stable_s=0))
    assert waits.seconds == [0.5, 1]


def test_cancelling_while_waiting_for_an_absent_device_propagates() -> None:
    async def scenario() -> None:
        device = ScriptedDevice([("open", absent())])
        waiting = asyncio.Event()

        async def wait_for_ever(_: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        reports: list[DeviceReport] = []
        task = asyncio.create_task(supervise(device, reports.append, jitter=lambda: 0.0, sleep=wait_for_ever))
        await asyncio.wait_for(waiting.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert device.calls == ["open", "close"]

    asyncio.run(scenario())


# --- flapping --------------------------------------------------------------------------------------------------------


def flaps(times: int) -> list[tuple[str, Step]]:
    return [("open", None), ("run", lost())] * times


def test_a_device_that_goes_away_again_and_again_is_called_that_once(caplog: pytest.LogCaptureFixture) -> None:
    """I11: however long it goes on, the event log gets one entry for it."""
    limit = FLAPPING.losses
    with caplog.at_level(logging.INFO, LOGGER):
        device, reports = play(flaps(100))
    assert device.calls.count("open") == 101
    assert [r.state for r in reports] == [DeviceState.READY, DeviceState.ABSENT] * limit
    assert [r.detail for r in reports[1:-1:2]] == ["went away"] * (limit - 1)
    assert reports[-1].detail == (
        "went away 5 times within 1 s: check cable, power supply and hub; "
        "ready again when it has stayed for 60 s (last: went away)"
    )
    assert len(caplog.records) == 2 * limit


def test_a_flapping_device_is_opened_less_and_less_often() -> None:
    waits = Waits()
    play(flaps(9), sleep=waits)
    assert waits.seconds == [0.5, 1, 1, 1, 8, 10, 10, 10, 10]


def test_a_flapping_device_is_ready_again_when_it_has_stayed() -> None:
    """Nothing is said when it is only there again."""

    async def scene() -> None:
        device, said = ScriptedDevice(flaps(7)), asyncio.Queue[DeviceReport]()
        rule = Flapping(calm_s=0.02)
        task = asyncio.create_task(supervise(device, said.put_nowait, jitter=lambda: 0.0, flapping=rule, sleep=Waits()))
        async with asyncio.timeout(20):
            reports = [await said.get() for _ in range(2 * FLAPPING.losses + 1)]
        assert device.is_waiting.is_set()
        assert [r.state for r in reports[-3:]] == [DeviceState.READY, DeviceState.ABSENT, DeviceState.READY]
        assert reports[-2].detail.startswith("went away 5 times")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


def test_a_flapping_device_that_does_not_come_back_is_reported_as_what_it_is_then() -> None:
    script = [*flaps(5), *[("open", absent())] * 2]
    _, reports = play(list(script))
    assert reports[-1].detail.startswith("went away 5 times")
    _, reports = play(list(script), flapping=Flapping(calm_s=0.0))
    assert reports[-2].detail == "not there"
    assert reports[-1].state is DeviceState.READY


def test_losses_that_lie_far_apart_are_not_flapping() -> None:
    _, reports = play(flaps(20), flapping=Flapping(window_s=-1.0))
    assert len(reports) == 2 * 20 + 1
    _, reports = play(flaps(20), flapping=Flapping(calm_s=0.0))
    assert len(reports) == 2 * 20 + 1


def test_causes_that_follow_each_other_are_reported_up_to_a_bound() -> None:
    """I11: another process in each try, and another number for each."""
    script: list[tuple[str, Step]] = [("open", DeviceAbsent("front", f"held by {number}")) for number in range(100)]
    _, reports = play(script)
    assert [r.detail for r in reports] == [*(f"held by {number}" for number in range(CAUSES)), ""]


def test_a_fault_in_naming_the_paths_is_the_devices_own() -> None:
    """I8."""

    class Broken(ScriptedDevice):
        @property
        def watched(self) -> tuple[Path, ...]:  # type: ignore[override]  # as a driver may have it
            raise OSError(5, "x")

    async def scene() -> None:
        device, said = Broken([]), asyncio.Queue[DeviceReport]()
        task = asyncio.create_task(supervise(device, said.put_nowait, jitter=lambda: 0.0, sleep=Waits()))
        assert (await said.get()).detail.startswith("unexpected OSError")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
