"""Pulses on a line, with the line where the hardware would be."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.adapters.action_gpio import INHIBITED, GpioOutput, Train
from terminald.adapters.gpio_lines import LineChoice, Lines, open_lines
from terminald.adapters.ports_actions import Action
from terminald.adapters.ports_devices import Device, DeviceReport
from terminald.core.kiosk_action import ActionDone, ActionFailed
from terminald.core.money import Fen
from terminald.errors import DeviceAbsent, DeviceLost, DeviceMissing, JournalUnavailable

TRAIN = Train(width_s=0.05, gap_s=0.1, pulses_for=lambda _: 3, has_parts=False)
CHOICE = LineChoice(chip="pinctrl-rp1", line="GPIO17", inhibit="GPIO27")


@dataclass
class FakeOutput:
    """A line that remembers what it was driven to, in one list with whatever else happens."""

    happened: list[str]
    #: At the n-th change of the line, counted from 1, the chip is gone.
    fails_at: int = 0
    changes: int = 0
    is_released: bool = False

    def set_active(self, *, is_active: bool) -> None:
        self.changes += 1
        if self.is_released or self.fails_at == self.changes:
            raise OSError(errno.ENODEV, "No such device")
        self.happened.append("active" if is_active else "inactive")

    def release(self) -> None:
        self.happened.append("released")
        self.is_released = True


@dataclass
class FakeInput:
    """An input with a real file descriptor for its edges."""

    is_on: bool = False
    fails: bool = False
    pipe: tuple[int, int] = field(default_factory=os.pipe)

    def is_active(self) -> bool:
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        return self.is_on

    def fileno(self) -> int:
        return self.pipe[0]

    def forget_edges(self) -> None:
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        os.read(self.pipe[0], 100)

    def edge(self, *, is_on: bool) -> None:
        self.is_on = is_on
        os.write(self.pipe[1], b"e")

    def release(self) -> None:
        for fd in self.pipe:
            os.close(fd)


class Machine:
    """Lines, what happened to them, and the output that drives them."""

    def __init__(
        self,
        *,
        pulses: int = 3,
        value: int = 0,
        fails_at: int = 0,
        has_inhibit: bool = False,
        hold: Callable[[float], None] | None = None,
    ) -> None:
        self.happened: list[str] = []
        self.reports: list[DeviceReport] = []
        self.output = FakeOutput(self.happened, fails_at=fails_at)
        self.inhibit = FakeInput()
        self._has_inhibit = has_inhibit
        train = Train(
            width_s=0.05,
            gap_s=0.1,
            pulses_for=lambda amount: amount // value if value else pulses,
            has_parts=bool(value),
        )
        self.device = GpioOutput(
            CHOICE,
            train,
            self.reports.append,
            opening=self._open,
            hold=hold or (lambda seconds: self.happened.append(f"hold {seconds}")),
            rest=self._rest,
        )

    def _open(self, _: str, __: LineChoice) -> Lines:
        return Lines(output=self.output, inhibit=self.inhibit if self._has_inhibit else None)

    async def _rest(self, seconds: float) -> None:
        self.happened.append(f"rest {seconds}")

    async def begin(self, number: int, steps: int) -> None:
        self.happened.append(f"mark {number} of {steps}")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[asyncio.Task[None]]:
        """Open the device, and serve it; give the task that does."""
        await self.device.open()
        task = asyncio.create_task(self.device.run())
        await asyncio.sleep(0)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.device.close()

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(report.state.value, report.detail) for report in self.reports]


def as_ports(output: GpioOutput) -> tuple[Device, Action]:
    """For the type checker: it is both."""
    return output, output


def test_every_pulse_is_on_record_before_its_edge_and_ends_before_the_next_one() -> None:
    machine = Machine(pulses=2)

    async def main() -> None:
        device, action = as_ports(machine.device)
        assert (device.name, device.kind, device.watched) == ("output", "output", ())
        async with machine.open():
            assert await action.perform(b"{}", Fen(500), machine.begin) == ActionDone()

    asyncio.run(main())
    assert machine.happened == [
        *("mark 1 of 2", "active", "hold 0.05", "inactive", "rest 0.1"),
        *("mark 2 of 2", "active", "hold 0.05", "inactive"),
        "released",
    ]


def test_the_amount_says_how_many_pulses_there_are_where_each_has_a_worth() -> None:
    machine = Machine(value=100)

    async def main() -> None:
        async with machine.open():
            assert await machine.device.perform(b"{}", Fen(700), machine.begin) == ActionDone()

    asyncio.run(main())
    assert machine.happened.count("active") == 7


@given(st.integers(1, 6), st.integers(1, 12), st.sampled_from([0, 100]))
def test_of_a_line_that_fails_only_pulses_that_have_ended_count(pulses: int, fails_at: int, value: int) -> None:
    """What goes back is never less than what may be missing, and what may have been seen is on record."""
    machine = Machine(pulses=pulses, value=value, fails_at=fails_at)

    async def main() -> object:
        async with machine.open() as serving:
            outcome = await machine.device.perform(b"{}", Fen(100 * pulses), machine.begin)
            await asyncio.sleep(0)
            assert serving.done() == (fails_at <= 2 * pulses), "the supervisor opens it again"
            return outcome

    outcome = asyncio.run(main())
    if fails_at > 2 * pulses:
        assert outcome == ActionDone()
        assert machine.happened.count("inactive") == pulses
        return
    assert isinstance(outcome, ActionFailed)
    number = (fails_at + 1) // 2
    assert (outcome.certain, outcome.steps, outcome.has_parts) == (number - 1, pulses, bool(value))
    assert outcome.evidence == f"pulse {number} of {pulses}: the line does not answer: No such device"
    assert machine.happened.count(f"mark {number} of {pulses}") == 1


def test_a_pulse_that_can_not_be_put_on_record_is_not_sent() -> None:
    machine = Machine(pulses=3)

    async def begin(number: int, steps: int) -> None:
        if number == 2:
            raise JournalUnavailable("the disk is full")
        await machine.begin(number, steps)

    async def main() -> None:
        async with machine.open():
            outcome = await machine.device.perform(b"{}", Fen(500), begin)
            assert outcome == ActionFailed(
                evidence="pulse 2 of 3: it was not begun: the disk is full", certain=1, steps=3
            )

    asyncio.run(main())
    assert machine.happened.count("active") == 1


def test_a_machine_that_can_not_serve_is_sent_nothing() -> None:
    machine = Machine(has_inhibit=True)

    async def main() -> None:
        async with machine.open():
            machine.inhibit.is_on = True
            outcome = await machine.device.perform(b"{}", Fen(500), machine.begin)
            assert outcome == ActionFailed(evidence=f"pulse 1 of 3: {INHIBITED}", certain=0, steps=3)

    asyncio.run(main())
    assert machine.happened == ["released"]


def test_an_inhibit_in_the_middle_of_the_pulses_does_not_stop_them() -> None:
    """A machine that has its money may well say that it takes no more."""
    machine = Machine(pulses=2, has_inhibit=True)

    async def begin(number: int, steps: int) -> None:
        machine.inhibit.is_on = number == 2
        await machine.begin(number, steps)

    async def main() -> None:
        async with machine.open():
            assert await machine.device.perform(b"{}", Fen(500), begin) == ActionDone()

    asyncio.run(main())


def test_the_inhibit_line_is_told_as_it_is_at_the_start_and_when_it_changes() -> None:
    machine = Machine(has_inhibit=True)
    machine.inhibit.is_on = True

    async def main() -> None:
        async with machine.open():
            assert machine.told == [("faulty", INHIBITED)]
            for is_on in (False, False, True):
                machine.inhibit.edge(is_on=is_on)
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert machine.told == [("faulty", INHIBITED), ("ready", ""), ("faulty", INHIBITED)]


@pytest.mark.parametrize("breaks", ["the edges", "the line"])
def test_a_chip_that_goes_away_is_lost_with_its_cause(breaks: str) -> None:
    """I8: the supervisor opens it again."""
    machine = Machine(has_inhibit=True)

    async def main() -> None:
        await machine.device.open()
        machine.inhibit.fails = breaks == "the line"
        running = asyncio.create_task(machine.device.run())
        await asyncio.sleep(0)
        machine.inhibit.fails = True
        machine.inhibit.edge(is_on=True)
        with pytest.raises(DeviceLost, match="the lines of pinctrl-rp1 do not answer: Input/output error"):
            await running
        await machine.device.close()

    asyncio.run(main())
    assert machine.told == []


def test_an_output_that_is_not_open_sends_nothing() -> None:
    machine = Machine()

    async def main() -> None:
        with pytest.raises(DeviceLost):
            await machine.device.run()
        outcome = await machine.device.perform(b"{}", Fen(500), machine.begin)
        assert outcome == ActionFailed(evidence="pulse 1 of 3: the output is not there", certain=0, steps=3)
        await machine.device.close()

    asyncio.run(main())
    assert machine.happened == []


def test_lines_that_were_opened_anew_meanwhile_get_no_rest_of_the_pulses() -> None:
    machine = Machine(pulses=3)

    async def begin(number: int, steps: int) -> None:
        await machine.begin(number, steps)
        await machine.device.close()
        machine.output = FakeOutput(machine.happened)
        await machine.device.open()

    async def main() -> None:
        await machine.device.open()
        outcome = await machine.device.perform(b"{}", Fen(500), begin)
        assert isinstance(outcome, ActionFailed)
        assert outcome.certain == 0
        await machine.device.close()

    asyncio.run(main())
    assert "active" not in machine.happened


def test_a_pulse_that_is_under_way_ends_before_the_lines_are_let_go_of() -> None:
    """Otherwise the line would stay active. So it is when the daemon is stopped in its middle."""
    is_active, may_end = threading.Event(), threading.Event()

    def hold(_: float) -> None:
        is_active.set()
        may_end.wait(10)

    machine = Machine(pulses=2, hold=hold)

    async def main() -> None:
        await machine.device.open()
        action = asyncio.create_task(machine.device.perform(b"{}", Fen(500), machine.begin))
        await asyncio.to_thread(is_active.wait, 10)
        action.cancel()
        with pytest.raises(asyncio.CancelledError):
            await action
        closing = asyncio.create_task(machine.device.close())
        await asyncio.sleep(0.01)
        assert machine.happened == ["mark 1 of 2", "active"]
        may_end.set()
        await closing

    asyncio.run(main())
    assert machine.happened == ["mark 1 of 2", "active", "inactive", "released"]


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "/dev/null"),
        OSError(errno.EIO, "Input/output error", "/dev/gpiochip9"),
    ],
)
def test_an_output_that_the_kernel_refuses_is_absent_with_what_to_do(error: OSError) -> None:
    def opening(_: str, __: LineChoice) -> Lines:
        raise error

    output = GpioOutput(CHOICE, TRAIN, lambda _: None, opening=opening)
    with pytest.raises(DeviceAbsent) as caught:
        asyncio.run(output.open())
    assert (caught.value.device, bool(caught.value.detail)) == ("output", True)


# --- libgpiod itself, as far as a machine without a chip shows it ----------------------------------------------------


def test_a_chip_that_is_not_there_is_missing_and_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceMissing, match="no GPIO chip has the label or name no-such-chip; gpiodetect lists them"):
        open_lines("output", LineChoice(chip="no-such-chip", line="GPIO17"))
    absent = GpioOutput(LineChoice(chip=str(tmp_path / "gpiochip0"), line="GPIO17"), TRAIN, lambda _: None)
    assert absent.watched == (tmp_path / "gpiochip0",)
    with pytest.raises(DeviceMissing):
        asyncio.run(absent.open())


def test_what_is_no_chip_is_absent(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    output = GpioOutput(LineChoice(chip=str(file), line="GPIO17"), TRAIN, lambda _: None)
    with pytest.raises(DeviceAbsent, match="is no GPIO chip; gpiodetect lists them"):
        asyncio.run(output.open())


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(DeviceAbsent) as caught:
        open_lines("output", CHOICE)
    assert caught.value.detail == f"the package gpiod is missing; run: {sys.executable} -m pip install 'gpiod>=2.1'"


def test_the_daemon_does_not_load_the_package_unless_it_needs_it() -> None:
    """It is optional, and most terminals have no such lines."""
    program = "import sys, terminald.app; print('gpiod' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
