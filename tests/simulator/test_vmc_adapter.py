"""Each row of the adapter's message tables, on a real pseudo terminal."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.simulator.vmc import End, Firmware, MachineModel, Misdeed, SimulatedVmc
from tests.simulator.vmc_host import QUICK, WAIT_S, PtyHost

Scene = Callable[[SimulatedVmc, PtyHost], Awaitable[None]]
BY_HAND = replace(QUICK, dispensing_s=1e6)


def play(
    scene: Scene, *, model: MachineModel = QUICK, firmware: Firmware | None = None, is_set_up: bool = True
) -> None:
    async def run() -> None:
        async with asyncio.timeout(2 * WAIT_S), SimulatedVmc(model=model, firmware=firmware) as vmc:
            with PtyHost(vmc.path) as host:
                if is_set_up:
                    await host.set_up()
                await scene(vmc, host)

    asyncio.run(run())


def misdeeds(vmc: SimulatedVmc) -> list[Misdeed]:
    return [violation.misdeed for violation in vmc.books.violations]


def test_an_always_idle_sale_goes_as_it_was_captured() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        host.send("C,0", "C,SETCONF,mdb-always-idle=1", "C,SETCONF,mdb-currency-code=0x1156", "C,1")
        await host.expect("c,0", "c,SET,OK", "c,SET,OK", "c,STATUS,INACTIVE", "c,1", "c,STATUS,INACTIVE", "r,ACK")
        await host.expect("c,STATUS,DISABLED", "r,ACK", "r,ACK", "c,STATUS,ENABLED")
        vend = vmc.select("1.00", 5)
        assert vend is not None
        await host.expect("c,STATUS,VEND,1.00,5")
        host.send("C,VEND,1.00")
        await host.expect("r,ACK", "r,ACK", "c,VEND,SUCCESS", "c,STATUS,IDLE", "c,STATUS,ENABLED")
        assert (vend.is_approved, vend.is_dispensed, vend.is_result_told, vend.end) == (True, True, True, End.SOLD)
        assert [approval.text for approval in vend.taken] == ["1.00"]
        assert vmc.books.judge() == []

    play(scene, is_set_up=False)


def test_a_session_comes_before_the_selection_where_the_machine_knows_no_always_idle() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        assert vmc.select("1.00", 5) is None
        assert vmc.machine.why_not("1.00") == "no session, and not always idle"
        host.send("C,START,99.99")
        await host.expect("c,STATUS,IDLE,99.99")
        assert vmc.machine.why_not("100.00") == "more than the credit of the session"
        assert vmc.select("99.99", 5) is not None
        host.send("C,VEND,99.99,5")
        await host.expect("c,STATUS,VEND,99.99,5", "r,ACK", "r,ACK")
        await host.expect("c,VEND,SUCCESS", "c,STATUS,IDLE", "c,STATUS,ENABLED")
        host.send("C,START,5")
        await host.expect("c,STATUS,IDLE,5")
        assert vmc.cancel()
        await host.expect("c,STATUS,ENABLED")
        host.send("C,START,5.0", "C,STOP")
        await host.expect("c,STATUS,IDLE,5.0", "c,STATUS,ENABLED")
        assert vmc.machine.why_not("1.00")
        assert vmc.books.judge() == []
        assert vmc.books.not_asked == 1

    play(scene, model=replace(QUICK, supports_always_idle=False))


def test_always_idle_is_only_used_if_it_was_configured() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        await host.set_up("mdb-always-idle=0")
        assert vmc.select("1.00") is None

    play(scene, is_set_up=False)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("V", "v,4.0.2.0,0123456789abcdef"),
        ("H", "h,3.1,0"),
        ("X,1", "x,ACK"),
        ("X,0", "x,ACK"),
        ("F,SERIAL,115200", "f,ACK"),
        ("F,REVERT", "f,ACK"),
        ("C,1", 'c,ERR,"cashless is on"'),
        ("C,SETCONF,mdb-timeout=60", 'c,ERR,"cashless is on"'),
        ("C,VEND,1.00", 'c,ERR,"VEND -3"'),
        ("C,VEND,-1", 'c,ERR,"VEND -3"'),
        ("C,VEND,free", 'c,ERR,"VEND -2"'),
        ("C,VEND", 'c,ERR,"VEND -2"'),
        ("C,START,lots", 'c,ERR,"START -2"'),
        ("C,STOP", 'c,ERR,"STOP -3"'),
        ("C,DISPLAY,Scan your code, please", "r,ACK"),
        (f"C,DISPLAY,{'x' * 33}", 'c,ERR,"DISPLAY -2"'),
        ("C,SALE,1.00,5", "r,ACK"),
        ("C,REVALUE,0", 'c,ERR,"REVALUE -3"'),
        ("C,REVALUE,1", 'c,ERR,"REVALUE -3"'),
        ("C,PAY,1.00", "c,UNKNOWN,C,PAY,1.00"),
        ("hello", "c,UNKNOWN,hello"),
        ("c,1", "c,UNKNOWN,c,1"),
    ],
)
def test_each_command_has_its_answer_while_no_vend_is_open(line: str, answer: str) -> None:
    async def scene(_: SimulatedVmc, host: PtyHost) -> None:
        host.send(line)
        await host.expect(answer)

    play(scene)


@pytest.mark.parametrize(
    ("line", "misdeed"),
    [
        ("C,1", None),
        ("C,SETCONF,mdb-timeout=60", Misdeed.WHILE_ON),
        ("C,VEND,1.00", Misdeed.APPROVED_NOTHING),
        ("C,VEND,free", Misdeed.BAD_ARGUMENT),
        ("C,REVALUE,1", Misdeed.REVALUE_ACCEPTED),
        ("hello", Misdeed.UNKNOWN_COMMAND),
        ("C,VEND,-1", None),
        ("C,STOP", None),
    ],
)
def test_misdeeds_are_written_down(line: str, misdeed: Misdeed | None) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        host.send(line, "V")
        await host.skip_to("v,4.0.2.0,0123456789abcdef")
        assert misdeeds(vmc) == ([misdeed] if misdeed else [])
        assert vmc.books.judge() == ([f"{misdeed}: {line}"] if misdeed else [])

    play(scene)


@pytest.mark.parametrize("line", ["C,START,1.00", "C,VEND,1.00", "C,VEND,-1", "C,STOP", "C,DISPLAY,hello"])
def test_a_slave_that_is_off_says_so(line: str) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        host.send(line)
        await host.expect('c,ERR,"cashless is off"')
        assert misdeeds(vmc) == ([] if line in ("C,VEND,-1", "C,STOP") else [Misdeed.WHILE_OFF])

    play(scene, is_set_up=False)


@pytest.mark.parametrize(
    ("setting", "is_good"),
    [
        ("mdb-always-idle=1", True),
        ("mdb-always-idle=2", False),
        ("mdb-currency-code=0x1156", True),
        ("mdb-currency-code=1156", False),
        ("mdb-addr=0x60", True),
        ("mdb-address=0x10", True),
        ("mdb-addr=0x30", False),
        ("mdb-decimal-places=3", True),
        ("mdb-decimal-places=4", False),
        ("mdb-scale-factor=100", True),
        ("mdb-timeout=255", True),
        ("mdb-timeout=256", False),
        ("mdb-timeout-idle=60", True),
        ("mdb-timeout-vend=180", True),
        ("mdb-cashsale-enabled=0", True),
        ("mdb-restore-funds=1", True),
        ("mdb-ftl-enabled=0", True),
        ("mdb-display-time=5", True),
        ("mdb-colour=red", False),
        ("mdb-timeout", False),
    ],
)
def test_settings_are_checked_and_forgotten_with_the_power(setting: str, *, is_good: bool) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        host.send(f"C,SETCONF,{setting}")
        await host.expect("c,SET,OK" if is_good else 'c,ERR,"SETCONF -2"')
        assert vmc.adapter is not None
        assert vmc.adapter.conf == (dict([setting.split("=")]) if is_good else {})
        assert misdeeds(vmc) == ([] if is_good else [Misdeed.BAD_ARGUMENT])
        vmc.unplug()
        vmc.replug()
        assert vmc.adapter.conf == {}

    play(scene, is_set_up=False)


@pytest.mark.parametrize("word", ["C,VEND,-1", "C,STOP"])
def test_a_denied_request_is_not_dispensed(word: str) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vend = vmc.select("2.50", 7)
        host.send(word)
        await host.expect("c,STATUS,VEND,2.50,7", "r,ACK", "c,STATUS,IDLE", "c,STATUS,ENABLED")
        assert vend is not None
        assert (vend.end, vend.denials, vend.is_approved, vend.is_dispensed) == (End.DENIED, 1, False, False)
        assert vmc.books.judge() == []

    play(scene)


def test_stop_denies_not_with_every_firmware() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vend = vmc.select("2.50", 7)
        host.send("C,STOP")
        await host.expect("c,STATUS,VEND,2.50,7", 'c,ERR,"STOP -3"')
        assert vend is not None
        assert vend.end is None

    play(scene, firmware=Firmware(stop_denies=False))


@pytest.mark.parametrize(
    ("price", "item", "approved", "misdeed"),
    [
        ("2", 1, "2", None),
        ("2.0", 1, "2.0", None),
        ("2.00", 65535, "2.00", None),
        ("2.00", 65535, "2.00,65535", None),
        ("0.00", 1, "0.00", None),
        ("2", 1, "2.00", Misdeed.AMOUNT_REWRITTEN),
        ("2.00", 1, "1.00", Misdeed.AMOUNT_DIFFERS),
        ("2.00", 1, "0", Misdeed.APPROVED_ZERO),
        ("2.00", 1, "2.00,2", Misdeed.ITEM_DIFFERS),
    ],
)
def test_prices_are_sent_as_they_are_and_expected_back(
    price: str, item: int, approved: str, misdeed: Misdeed | None
) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vmc.select(price, item)
        host.send(f"C,VEND,{approved}")
        await host.expect(f"c,STATUS,VEND,{price},{item}", "r,ACK", "r,ACK", "c,VEND,SUCCESS")
        assert misdeeds(vmc) == ([misdeed] if misdeed else [])
        is_other = misdeed in (Misdeed.AMOUNT_DIFFERS, Misdeed.APPROVED_ZERO)
        assert any("another amount" in found for found in vmc.books.judge()) is is_other

    play(scene)


def test_a_vend_failure_is_told_and_nothing_comes_out() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vmc.dispense("fail")
        vend = vmc.select("1.00", 5)
        host.send("C,VEND,1.00")
        await host.expect("c,STATUS,VEND,1.00,5", "r,ACK", "r,ACK")
        await host.expect("c,ERR,VEND 3", "c,STATUS,IDLE", "c,STATUS,ENABLED")
        assert vend is not None
        assert (vend.end, vend.is_approved, vend.is_dispensed, vend.is_result_told) == (End.FAILED, True, False, True)
        assert vmc.books.judge() == []

    play(scene)


@pytest.mark.parametrize(("act", "end"), [("cancel", End.CANCELED), ("cash", End.CASH)])
def test_coin_return_and_coins_cancel_a_request(act: str, end: End) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        assert not vmc.cash()
        vend = vmc.select("1.00", 5)
        assert vmc.cash() if act == "cash" else vmc.cancel()
        await host.expect("c,STATUS,VEND,1.00,5", "c,ERR,VEND 1", "c,STATUS,IDLE", "c,STATUS,ENABLED")
        assert vend is not None
        assert (vend.end, vend.is_dispensed, vend.is_paid_in_cash) == (end, act == "cash", act == "cash")
        host.send("C,VEND,1.00")
        await host.expect('c,ERR,"VEND -3"')
        (approval,) = vend.approvals
        assert (approval.is_taken, approval.has_crossed, vend.is_approved) == (False, True, False)
        assert not vmc.cancel()
        assert vmc.books.judge() == []

    play(scene)


def test_an_approval_can_be_refused_without_the_machine_hearing_of_it() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vmc.refuse(1)
        vend = vmc.select("1.00", 5)
        host.send("C,VEND,1.00")
        await host.expect("c,STATUS,VEND,1.00,5", 'c,ERR,"VEND -3"')
        assert vend is not None
        assert (vend.is_approved, vend.end, vend.approvals[0].answer) == (False, None, "VEND -3")
        vmc.refuse(answer="VEND -2")
        host.send("C,VEND,1.00", "C,VEND,-1")
        await host.expect('c,ERR,"VEND -2"', "r,ACK", "c,STATUS,IDLE", "c,STATUS,ENABLED")
        assert vmc.books.judge() == []

    play(scene)


def test_a_second_approval_and_a_denial_after_the_first_are_misdeeds() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vend = vmc.select("1.00", 5)
        host.send("C,VEND,1.00", "C,VEND,1.00", "C,VEND,-1")
        await host.expect("c,STATUS,VEND,1.00,5", "r,ACK", "r,ACK", 'c,ERR,"VEND -3"', 'c,ERR,"VEND -3"')
        assert vend is not None
        assert (len(vend.approvals), len(vend.taken), vend.denials) == (2, 1, 0)
        assert misdeeds(vmc) == [Misdeed.APPROVED_TWICE, Misdeed.DENIED_TOO_LATE]
        vmc.dispense("ok")
        await host.skip_to("c,VEND,SUCCESS")
        assert len(vmc.books.judge()) == 2

    play(scene, model=BY_HAND)


def test_a_repeated_line_is_the_same_request() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vmc.manner = replace(vmc.manner, repeats=3)
        vmc.select("1.00", 5)
        vmc.repeat_request()
        await host.expect(*["c,STATUS,VEND,1.00,5"] * 4)
        assert len(vmc.books.vends) == 1
        host.send("C,VEND,1.00")
        await host.skip_to("c,STATUS,ENABLED")
        vmc.repeat_request()
        host.send("V")
        await host.expect("v,4.0.2.0,0123456789abcdef")

    play(scene)


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_reader_that_is_disabled_in_mid_vend_goes_on(*, is_taken: bool) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vmc.disable()
        await host.expect("c,STATUS,DISABLED")
        assert vmc.select("1.00") is None
        vmc.enable()
        vend = vmc.select("1.00", 5)
        vmc.disable()
        host.send("C,VEND,1.00")
        await host.expect("c,STATUS,ENABLED", "c,STATUS,VEND,1.00,5", "c,STATUS,DISABLED")
        if is_taken:
            await host.expect("r,ACK", "r,ACK", "c,VEND,SUCCESS", "c,STATUS,IDLE", "c,STATUS,DISABLED")
        else:
            await host.expect('c,ERR,"VEND -3"')
            vmc.cancel()
            await host.expect("c,ERR,VEND 1", "c,STATUS,IDLE", "c,STATUS,DISABLED")
        assert vend is not None
        assert (vend.is_approved, vend.is_dispensed) == (is_taken, is_taken)
        vmc.enable()
        await host.expect("c,STATUS,ENABLED")
        assert vmc.books.judge() == []

    play(scene, firmware=Firmware(approves_when_disabled=is_taken))


def test_switching_off_leaves_the_bus_and_a_running_dispense_goes_on() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vend = vmc.select("1.00", 5)
        host.send("C,VEND,1.00", "C,0")
        await host.skip_to("c,0")
        vmc.dispense("ok")
        await vmc.until_ended(1)
        assert vend is not None
        assert (vend.is_dispensed, vend.is_result_told, vmc.machine.phase.value) == (True, False, "no reader")
        await host.set_up()
        assert vmc.select("1.00", 5) is not None

    play(scene, model=BY_HAND)


def test_the_sniffer_shows_the_bus() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        host.send("X,1")
        await host.expect("x,ACK")
        vmc.select("1.00", 11)
        lines = await host.skip_to("c,STATUS,VEND,1.00,11")
        assert [line.split(",")[:2] for line in lines] == [["x", "00"], ["x", "80"]]
        assert lines[0].endswith(",13,00....000B")
        assert lines[1].endswith(",ACK")

    play(scene)


@pytest.mark.parametrize(
    ("firmware", "expected"),
    [
        (Firmware(after_deny="state"), ["r,ACK", "c,STATUS,ENABLED"]),
        (Firmware(after_deny="idle"), ["r,ACK", "c,STATUS,IDLE"]),
        (Firmware(after_deny="nothing"), ["r,ACK"]),
        (Firmware(enabled_word="ONLINE"), ["r,ACK", "c,STATUS,IDLE", "c,STATUS,ONLINE"]),
    ],
)
def test_what_follows_a_denial_is_not_known(firmware: Firmware, expected: list[str]) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        host.send("C,SETCONF,mdb-always-idle=1", "C,1")
        await host.skip_to(f"c,STATUS,{firmware.enabled_word}")
        vmc.select("1.00", 5)
        host.send("C,VEND,-1")
        await host.skip_to("c,STATUS,VEND,1.00,5")
        await host.expect(*expected)
        assert vmc.machine.phase.value == "ready"

    play(scene, firmware=firmware, is_set_up=False)


@pytest.mark.parametrize(
    ("quotes", "expected"),
    [
        ("documented", ['c,ERR,"VEND -3"', "c,ERR,VEND 1"]),
        ("all", ['c,ERR,"VEND -3"', 'c,ERR,"VEND 1"']),
        ("none", ["c,ERR,VEND -3", "c,ERR,VEND 1"]),
    ],
)
def test_errors_come_with_and_without_quotes(quotes: str, expected: list[str]) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        vmc.select("1.00", 5)
        await host.skip_to("c,STATUS,VEND,1.00,5")
        vmc.cancel()
        host.send("C,VEND,1.00")
        lines = await host.skip_to(expected[0])
        assert lines[0] == expected[1]

    firmware = Firmware(quotes="all" if quotes == "all" else "none" if quotes == "none" else "documented")
    play(scene, firmware=firmware)


def test_a_restart_hangs_up_and_comes_back_unconfigured(tmp_path: Path) -> None:
    async def scene() -> None:
        link = tmp_path / "adapter"
        async with SimulatedVmc(link=link, model=QUICK, firmware=Firmware(banner="v,boot")) as vmc:
            assert vmc.path == str(link)
            with PtyHost(vmc.path) as host:
                await host.expect("v,boot")
                await host.set_up()
                device = vmc.device
                host.send("F,RESET")
                await host.expect("f,ACK")
                await host.until(lambda: host.is_hung_up)
                assert not link.is_symlink()
                await vmc.until_status("OFF")
                assert vmc.adapter is not None
                assert vmc.adapter.conf == {}
            # While the old end was open its number could not be used again.
            assert vmc.device != device
            assert str(link.readlink()) == vmc.device
        assert not link.is_symlink()

    asyncio.run(scene())
