"""The driver of a Qibixx adapter on real pseudo terminals, with an adapter that follows a script."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.fd_writer import kernel_backlog
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.adapters.ports_vending import Vmc
from terminald.adapters.supervisor import Backoff, supervise
from terminald.adapters.vmc_qibixx import STALL_S, TAKES_NOTHING, QibixxVmc
from terminald.adapters.vmcs import make_terms, make_vmc
from terminald.config_vending import VendingConfig
from terminald.core.events import Event
from terminald.core.money import Fen
from terminald.core.vend_events import (
    AdapterLost,
    ApprovalNotSent,
    ApprovalSent,
    RequestGone,
    VendCanceled,
    VendEvent,
    VendRequested,
    VendSucceeded,
)
from terminald.errors import DeviceAbsent, DeviceHeld, DeviceLost, DeviceMissing
from terminald.wire.qibixx_talk import INACTIVE_MS, SILENT
from tests.adapters.qibixx_adapter import INACTIVE, WAIT_S, ScriptedAdapter
from tests.log_lines import lines

COLA = "c,STATUS,VEND,1.00,5"
FIRST = VendRequested(request=1, price="1.00", amount=Fen(100), item="5")


class Sink:
    """What the engine would be told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reports: list[tuple[DeviceState, str]] = []
        self._news = asyncio.Event()

    def __call__(self, name: str, event: Event) -> None:
        assert name == "vending"
        self.events.append(event)
        self._news.set()

    def report(self, report: DeviceReport) -> None:
        assert (report.name, report.kind) == ("vending", "vmc")
        self.reports.append((report.state, report.detail))

    async def told(self, event: VendEvent) -> None:
        async with asyncio.timeout(WAIT_S):
            while event not in self.events:
                self._news.clear()
                await self._news.wait()


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time can be put forward, so that nobody waits for what never comes."""

    def __init__(self) -> None:
        self.skipped_s = 0.0
        super().__init__()

    def time(self) -> float:
        return super().time() + self.skipped_s

    async def hurry(self) -> None:
        """Let time pass at once whenever nothing else is to be done."""
        while True:
            self.skipped_s += 0.1
            await asyncio.sleep(0)


async def quiet() -> None:
    """Settle at once."""


class Kernel:
    """What a driver keeps of what was written: a pty has no such queue, and says 0 whatever nobody has read."""

    def __init__(self) -> None:
        self.kept = 0

    def backlog(self, _: int) -> int:
        return self.kept


def build(
    link: Path,
    sink: Sink,
    *,
    settle: Callable[[], Awaitable[None]] = quiet,
    mode: str = "",
    backlog: Callable[[int], int] = kernel_backlog,
) -> QibixxVmc:
    settings = VendingConfig(device=str(link), mode="session" if mode else "always_idle")
    return QibixxVmc(
        name="vending",
        device=str(link),
        terms=make_terms(settings),
        has_display=True,
        on_event=sink,
        report=sink.report,
        settle=settle,
        backlog=backlog,
    )


@contextlib.asynccontextmanager
async def serving(vmc: Vmc) -> AsyncIterator[asyncio.Task[None]]:
    """Open and run it; it is closed at the end, and its fault comes out of the task."""
    await vmc.open()
    task = asyncio.create_task(vmc.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await vmc.close()


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not fact():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


def test_each_configured_machine_has_its_driver() -> None:
    vmc: Vmc = make_vmc(VendingConfig(name="hall", device="/dev/ttyACM0"), lambda *_: None, lambda _: None)
    assert (type(vmc), vmc.name, vmc.kind) == (QibixxVmc, "hall", "vmc")
    assert vmc.watched == (Path("/dev/ttyACM0"),)


def test_the_adapter_is_told_the_configuration() -> None:
    terms = make_terms(VendingConfig(device="/dev/ttyACM0"))
    assert [(setting.keys[0], setting.value, setting.is_needed) for setting in terms.settings] == [
        ("mdb-currency-code", "0x1156", True),
        ("mdb-decimal-places", "2", True),
        ("mdb-scale-factor", "1", True),
        ("mdb-always-idle", "1", True),
        ("mdb-addr", "0x10", False),
        ("mdb-timeout", "120", False),
        ("mdb-timeout-vend", "180", False),
        ("mdb-restore-funds", "1", False),
        ("mdb-cashsale-enabled", "0", False),
    ]
    assert (terms.credit, terms.result_window_ms) == (None, 180_000)
    other = make_terms(VendingConfig(device="/dev/ttyACM0", mode="session", credit=5000, address="0x60"))
    assert [setting.is_needed for setting in other.settings[3:5]] == [False, True]
    assert other.credit == 5000


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_sale_from_opening_to_success(tmp_path: Path, end: str) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc", end=end) as adapter:
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                assert adapter.commands[0] == "C,0"
                assert len(adapter.commands) == 11
                assert adapter.commands[-1] == "C,1"
                await until(lambda: vmc.is_ready)
                adapter.say(COLA)
                await sink.told(FIRST)
                vmc.display("Present your code, please")
                await adapter.heard("C,DISPLAY,Present your code please")
                assert await vmc.approve(1, "1.00") == ApprovalSent(request=1)
                await adapter.heard("C,VEND,1.00")
                adapter.say("c,VEND,SUCCESS", "c,STATUS,IDLE", "c,STATUS,ENABLED")
                await sink.told(VendSucceeded(request=1))
                assert await vmc.approve(1, "1.00") == ApprovalNotSent(
                    request=1, reason="the machine does not ask for it any more"
                )
            assert sink.events == [FIRST, VendSucceeded(request=1)]
            assert adapter.commands.count("C,VEND,1.00") == 1

    asyncio.run(scenario())


def test_a_denial_and_a_session(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink, mode="session")
            vmc.set_open(is_open=True)
            async with serving(vmc):
                await adapter.heard("C,START,100.00")
                adapter.say("c,STATUS,IDLE,100.00", COLA)
                await sink.told(FIRST)
                await vmc.deny(1)
                await vmc.deny(1)
                await adapter.heard("C,VEND,-1")
            assert adapter.commands.count("C,VEND,-1") == 1

    asyncio.run(scenario())


def test_a_cancel_that_nobody_has_read_yet_stops_the_approval(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                adapter.say(COLA)
                await sink.told(FIRST)
                adapter.say("c,ERR,VEND 1")
                assert isinstance(await vmc.approve(1, "1.00"), ApprovalNotSent)
                assert sink.events == [FIRST, VendCanceled(request=1)]
            assert "C,VEND,1.00" not in adapter.commands

    asyncio.run(scenario())


def test_the_reader_goes_off_the_bus_and_comes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink)
            async with serving(vmc):
                assert not adapter.is_on
                vmc.set_open(is_open=True)
                await until(lambda: vmc.is_ready)
                vmc.set_open(is_open=False)
                await until(lambda: not adapter.is_on)
                vmc.set_open(is_open=True)
                await until(lambda: adapter.is_on)
                adapter.say(COLA)
                await sink.told(FIRST)
            # Nobody is to select while terminald is away.
            await adapter.heard("C,0", times=4)
            assert adapter.commands[-2:] == ["C,VEND,-1", "C,0"]
            assert sink.events == [FIRST, AdapterLost(request=1)]

    asyncio.run(scenario())


def test_an_adapter_that_is_lost_with_a_request_says_so_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc) as task:
                adapter.say(COLA)
                await sink.told(FIRST)
                adapter.unplug()
                answer = await vmc.approve(1, "1.00")
                assert isinstance(answer, ApprovalNotSent)
                assert "went away" in answer.reason
                with pytest.raises(DeviceLost, match="went away"):
                    await asyncio.wait_for(task, WAIT_S)
                assert sink.events == [FIRST, AdapterLost(request=1)]
                await vmc.deny(1)
                vmc.display("x")
                vmc.set_open(is_open=True)
            assert await vmc.approve(1, "1.00") == ApprovalNotSent(request=1, reason="the adapter is away")
            assert sink.events == [FIRST, AdapterLost(request=1)]

    asyncio.run(scenario())


def test_it_is_recovered_after_each_unplugging_and_requests_count_on(tmp_path: Path) -> None:
    """I8: without a restart of terminald, and nothing of before reaches what comes after."""

    async def scenario() -> None:
        sink = Sink()
        reports: asyncio.Queue[DeviceReport] = asyncio.Queue()
        backoff = Backoff(first_s=0.001, longest_s=0.01, longest_absent_s=0.01, longest_lost_s=0.001)
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            task = asyncio.create_task(supervise(vmc, reports.put_nowait, jitter=lambda: 0.5, backoff=backoff))
            async with asyncio.timeout(WAIT_S):
                for number in (1, 2, 3):
                    while (await reports.get()).state is not DeviceState.READY:
                        pass
                    adapter.say(COLA)
                    await sink.told(VendRequested(request=number, price="1.00", amount=Fen(100), item="5"))
                    assert isinstance(await vmc.approve(number, "1.00"), ApprovalSent)
                    adapter.unplug()
                    await sink.told(AdapterLost(request=number))
                    adapter.commands.clear()
                    adapter.plug_in()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert "C,VEND,1.00" not in adapter.commands

    asyncio.run(scenario())


def test_an_adapter_that_is_started_anew_in_service_is_set_up_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                adapter.say(COLA)
                await sink.told(FIRST)
                adapter.is_on = False
                adapter.say('c,ERR,"cashless is off"')
                await sink.told(AdapterLost(request=1))
                await adapter.heard("C,1", times=2)
                await until(lambda: vmc.is_ready)

    asyncio.run(scenario())


def test_what_was_said_before_it_was_opened_is_not_heard(tmp_path: Path) -> None:
    async def scenario() -> None:
        with ScriptedAdapter(tmp_path / "vmc") as adapter:

            async def chatter() -> None:
                adapter.say(*["c,0", "c,SET,OK", "c,1", COLA] * 10)

            sink = Sink()
            vmc = build(adapter.link, sink, settle=chatter)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                assert len(adapter.commands) == 11
                assert sink.events == []

    asyncio.run(scenario())


def test_noise_between_lines_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                for _ in range(20):
                    adapter.send(os.urandom(500) + b"\xff")
                    await asyncio.sleep(0)
                for part in ("\n", *COLA, "\r"):
                    adapter.send(part.encode())
                    await asyncio.sleep(0)
                await sink.told(FIRST)
                adapter.send(b"\x00\xfe" + b"c,STATUS,ENABLED\r" + b"r,ACK\r\n")
                await sink.told(RequestGone(request=1))

    asyncio.run(scenario())


def test_something_that_is_no_adapter_is_absent_in_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            adapter.is_mute = True
            hurrying: list[asyncio.Task[None]] = []

            async def hurry() -> None:
                hurrying.append(asyncio.create_task(loop.hurry()))

            vmc = build(adapter.link, Sink(), settle=hurry)
            with pytest.raises(DeviceAbsent, match="does not answer mdb-currency-code=0x1156"):
                await vmc.open()
            hurrying[0].cancel()
            await vmc.close()
            await adapter.heard("C,SETCONF,mdb-currency-code=0x1156")
            assert adapter.commands[:3] == ["C,0", "C,0", "C,SETCONF,mdb-currency-code=0x1156"]

    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario())


async def stuff(adapter: ScriptedAdapter) -> None:
    """Fill the line to an adapter that does not read any more; the kernel makes room in the background."""
    adapter.be_deaf()
    fd = os.open(adapter.link, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    full = 0
    while full < 3:
        try:
            os.write(fd, b"\n" * (1 if full else 1024))  # what is no room for many may be room for one
            full = min(full, 1)
        except BlockingIOError:
            full += 1
            await asyncio.sleep(0.01)
    os.close(fd)


def test_a_line_that_takes_nothing_is_lost_and_nothing_waits_for_ever(tmp_path: Path) -> None:
    """I11: what waits to be written is bounded in size and in time, and no approval waits at all."""

    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc) as task:
                adapter.say(COLA)
                await sink.told(FIRST)
                await stuff(adapter)
                answer = await vmc.approve(1, "1.00")
                assert isinstance(answer, ApprovalNotSent)
                assert "takes nothing" in answer.reason
                for _ in range(100):
                    vmc.display("x" * 32)
                await vmc.deny(1)
                loop.skipped_s += 2 * STALL_S
                vmc.set_open(is_open=False)
                with pytest.raises(DeviceLost, match="takes nothing"):
                    await asyncio.wait_for(task, WAIT_S)

    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario())


@contextlib.contextmanager
def standing_still(adapter: ScriptedAdapter, kernel: Kernel) -> Iterator[None]:
    """Keep what is written from the adapter, until it is taken back or the line moves again."""
    adapter.be_deaf()
    fd = os.open(adapter.link, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    os.write(fd, b"\n" * 5000)  # the first 4 KB have reached it already, and can not be taken back
    os.close(fd)
    kernel.kept = 12
    yield
    kernel.kept = 0
    adapter.listen()


async def listen(adapter: ScriptedAdapter) -> None:
    """Return when the adapter has read all that there is."""
    async with asyncio.timeout(WAIT_S):
        while adapter.unread():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0)


def test_nothing_is_approved_behind_what_the_kernel_still_holds(tmp_path: Path) -> None:
    """H4: what waits there is for whoever has selected by the time at which it leaves."""

    async def scenario() -> None:
        sink, kernel = Sink(), Kernel()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink, backlog=kernel.backlog)
            vmc.set_open(is_open=True)
            async with serving(vmc) as task:
                adapter.say(COLA)
                await sink.told(FIRST)
                kernel.kept = 1
                assert await vmc.approve(1, "1.00") == ApprovalNotSent(request=1, reason=TAKES_NOTHING)
                kernel.kept = 0
                with pytest.raises(DeviceLost, match="takes nothing more"):
                    await asyncio.wait_for(task, WAIT_S)
                assert sink.events == [FIRST, AdapterLost(request=1)]
                assert await vmc.approve(1, "1.00") == ApprovalNotSent(
                    request=1, reason=f"{adapter.link}: {TAKES_NOTHING}"
                )
            assert "C,VEND,1.00" not in adapter.commands
            vmc.set_open(is_open=True)
            async with serving(vmc):
                adapter.say(COLA)
                await sink.told(replace(FIRST, request=2))
                assert await vmc.approve(2, "1.00") == ApprovalSent(request=2)
                await adapter.heard("C,VEND,1.00")

    asyncio.run(scenario())


def test_an_approval_waits_a_moment_for_what_was_written_before_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink, kernel = Sink(), Kernel()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink, backlog=kernel.backlog)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                adapter.say(COLA)
                await sink.told(FIRST)
                kernel.kept = 40
                approving = asyncio.create_task(vmc.approve(1, "1.00"))
                await asyncio.sleep(0)
                kernel.kept = 0
                assert await approving == ApprovalSent(request=1)
                await adapter.heard("C,VEND,1.00")

    asyncio.run(scenario())


def test_an_adapter_that_is_lost_while_an_approval_waits_is_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink, kernel = Sink(), Kernel()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink, backlog=kernel.backlog)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                adapter.say(COLA)
                await sink.told(FIRST)
                kernel.kept = 40
                approving = asyncio.create_task(vmc.approve(1, "1.00"))
                await asyncio.sleep(0)
                await vmc.close()
                assert await approving == ApprovalNotSent(request=1, reason="the adapter is away")

    asyncio.run(scenario())


def test_an_approval_that_does_not_leave_is_taken_back_and_its_fate_is_unknown(tmp_path: Path) -> None:
    """H4: it may have left in part, so it is not denied; and no byte of it is there for the next customer."""

    async def scenario() -> None:
        sink, kernel = Sink(), Kernel()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink, backlog=kernel.backlog)
            vmc.set_open(is_open=True)
            async with serving(vmc) as task:
                adapter.say(COLA)
                await sink.told(FIRST)
                with standing_still(adapter, kernel):
                    kernel.kept = 0
                    assert await vmc.approve(1, "1.00") == ApprovalSent(request=1)
                    kernel.kept = 12
                    loop.skipped_s += 2 * STALL_S
                    with pytest.raises(DeviceLost, match="does not take an approval"):
                        await asyncio.wait_for(task, WAIT_S)
                    assert sink.events == [FIRST, AdapterLost(request=1)]
                    assert isinstance(await vmc.approve(1, "1.00"), ApprovalNotSent)
                await listen(adapter)
            assert not [command for command in adapter.commands if "VEND" in command]

    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario())


@pytest.mark.parametrize("line", ["c,ERR,VEND 1", "c,STATUS,ENABLED", "c,STATUS,VEND,1.00,6", "c,ERR,VEND 5"])
def test_an_approval_that_is_overtaken_by_the_machine_does_not_reach_the_next_customer(
    tmp_path: Path, line: str
) -> None:
    """H4, at once: the next one may select before the line is given up as dead."""

    async def scenario() -> None:
        sink, kernel = Sink(), Kernel()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink, backlog=kernel.backlog)
            vmc.set_open(is_open=True)
            async with serving(vmc) as task:
                adapter.say(COLA)
                await sink.told(FIRST)
                with standing_still(adapter, kernel):
                    kernel.kept = 0
                    assert await vmc.approve(1, "1.00") == ApprovalSent(request=1)
                    kernel.kept = 12
                    adapter.say(line, "c,STATUS,VEND,1.00,7")
                    with pytest.raises(DeviceLost, match="overtaken"):
                        await asyncio.wait_for(task, WAIT_S)
                    assert len(sink.events) > 1
                await listen(adapter)
            assert not [command for command in adapter.commands if "VEND" in command]

    asyncio.run(scenario())


def test_a_result_that_comes_after_the_approval_has_left_is_no_reason_to_give_the_line_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink, kernel = Sink(), Kernel()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink, backlog=kernel.backlog)
            vmc.set_open(is_open=True)
            async with serving(vmc) as task:
                adapter.say(COLA)
                await sink.told(FIRST)
                assert await vmc.approve(1, "1.00") == ApprovalSent(request=1)
                kernel.kept = 12
                vmc.display("not behind an approval")
                await adapter.heard("C,VEND,1.00")
                kernel.kept = 0
                adapter.say("c,VEND,SUCCESS", "c,STATUS,IDLE", "c,STATUS,ENABLED")
                await sink.told(VendSucceeded(request=1))
                assert not task.done()
                vmc.display("thank you")
                await adapter.heard("C,DISPLAY,thank you")
            assert sum("DISPLAY" in command for command in adapter.commands) == 1

    asyncio.run(scenario())


def test_hostile_lines_are_a_fault_and_not_a_flood(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc) as task:
                adapter.say(*["c,STATUS,ENABLED", COLA] * 60)
                with pytest.raises(DeviceLost, match="than a person can make"):
                    await asyncio.wait_for(task, WAIT_S)
            assert len(sink.events) <= 20

    asyncio.run(scenario())


def test_the_log_tells_requests_and_no_content(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        sink = Sink()
        with ScriptedAdapter(tmp_path / "vmc") as adapter, caplog.at_level(logging.INFO, "terminald"):
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                adapter.say("c,STATUS,VEND,1.005,5", "c,STATUS,ENABLED", COLA)
                await sink.told(VendRequested(request=2, price="1.00", amount=Fen(100), item="5"))
                assert isinstance(await vmc.approve(2, "1.00"), ApprovalSent)

    asyncio.run(scenario())
    assert [one for one in lines(caplog.records) if "device=vending" in one] == [
        "a vending adapter says device=vending detail=the machine asks for '1.005,5', which has parts of a fen: denied",
        "a vending machine reports device=vending request=2 event=VendRequested",
        "a vend is approved device=vending request=2",
        "a vending machine reports device=vending request=2 event=AdapterLost",
    ]


def test_a_line_has_one_owner_and_must_be_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            first, second = build(adapter.link, Sink()), build(adapter.link, Sink())
            await first.open()
            with pytest.raises(DeviceHeld):
                await second.open()
            await first.close()
            await first.close()
            with pytest.raises(DeviceLost, match="not open"):
                await first.run()
        with pytest.raises(DeviceMissing):
            await first.open()

    asyncio.run(scenario())


def test_a_machine_that_is_not_there_leaves_the_adapter_ready_to_be_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            adapter.after_on = INACTIVE[:1]
            vmc = build(adapter.link, Sink())
            vmc.set_open(is_open=True)
            async with serving(vmc):
                assert not vmc.is_ready

    asyncio.run(scenario())


def test_a_machine_that_stays_silent_is_reported_until_it_talks(tmp_path: Path) -> None:
    async def scenario() -> None:
        with ScriptedAdapter(tmp_path / "vmc") as adapter:
            adapter.after_on = INACTIVE[:1]
            sink = Sink()
            vmc = build(adapter.link, sink)
            vmc.set_open(is_open=True)
            async with serving(vmc):
                assert sink.reports == []
                loop.skipped_s += INACTIVE_MS / 1000 + 1
                await until(lambda: bool(sink.reports))
                assert sink.reports == [(DeviceState.FAULTY, SILENT)]
                await adapter.heard("C,1", times=2)
                adapter.say("c,STATUS,DISABLED")
                await until(lambda: len(sink.reports) > 1)
                assert sink.reports[1:] == [(DeviceState.READY, "")]

    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario())
