"""The simulated machine over time: patience, dispensing, resets, power, and its books; on a clock that tests move."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.simulator.vmc import (
    End,
    Firmware,
    MachineModel,
    Misdeed,
    Outcome,
    Phase,
    Vend,
    VmcWorld,
)
from tests.simulator.vmc_host import QUICK, SETTINGS, Bench

UP = ["c,STATUS,INACTIVE", "r,ACK", "c,STATUS,DISABLED", "r,ACK", "r,ACK", "c,STATUS,ENABLED"]
OVER = ["c,STATUS,IDLE", "c,STATUS,ENABLED"]
SOLD = ["r,ACK", "r,ACK", "c,VEND,SUCCESS", *OVER]
APPROVED = ["r,ACK", "r,ACK"]
SLOW = replace(QUICK, dispensing_s=10)


def selected(bench: Bench, price: str = "1.00", item: int = 5) -> Vend:
    vend = bench.vmc.select(price, item)
    assert vend is not None, bench.vmc.machine.why_not(price)
    assert bench.said() == [f"c,STATUS,VEND,{price},{item}"]
    return vend


def test_the_machine_gives_up_when_the_reader_said_it_would() -> None:
    bench = Bench().set_up()
    vend = selected(bench)
    assert bench.send(after_s=119.9) == []
    assert bench.send(after_s=0.2) == ["c,ERR,VEND 1", *OVER]
    assert (vend.end, vend.is_dispensed, vend.ended_at_s) == (End.NO_ANSWER, False, vend.asked_at_s + 120)


def test_the_machine_may_wait_less_or_not_be_told() -> None:
    bench = Bench().set_up()
    bench.vmc.set_patience(45)
    selected(bench)
    assert bench.send(after_s=45) == ["c,ERR,VEND 1", *OVER]
    bench = Bench(firmware=Firmware(tells_timeout=False)).set_up()
    selected(bench)
    assert bench.send(after_s=30) == ["c,ERR,VEND 1", *OVER]


def test_the_machine_may_reset_instead() -> None:
    bench = Bench(model=replace(QUICK, at_max_wait="reset")).set_up()
    vend = selected(bench)
    assert bench.send(after_s=120) == ["c,ERR,VEND 5", *UP]
    assert vend.end is End.NO_ANSWER
    selected(bench)


@pytest.mark.parametrize(
    ("outcome", "said", "end", "is_dispensed"),
    [
        ("ok", ["c,VEND,SUCCESS", *OVER], End.SOLD, True),
        ("fail", ["c,ERR,VEND 3", *OVER], End.FAILED, False),
        ("empty", ["c,VEND,SUCCESS", *OVER], End.SOLD, False),
        ("silent", [], End.SOLD, True),
        ("jam", [], None, False),
    ],
)
def test_dispensing_ends_as_it_was_told_to(
    outcome: str, said: list[str], end: End | None, *, is_dispensed: bool
) -> None:
    bench = Bench().set_up()
    bench.vmc.dispense(outcome, 20)
    vend = selected(bench)
    assert bench.send("C,VEND,1.00", after_s=19.9) == APPROVED
    assert not vend.is_dispensed
    assert bench.send(after_s=1000) == said
    assert (vend.end, vend.is_dispensed, vend.is_result_told) == (end, is_dispensed, bool(said))
    assert bench.vmc.books.judge() == []
    assert (bench.vmc.select("1.00") is not None) is bool(said)


def test_a_jam_is_freed_by_another_outcome_and_a_hanging_machine_by_a_reset() -> None:
    bench = Bench().set_up()
    bench.vmc.dispense("jam")
    selected(bench)
    bench.send("C,VEND,1.00", after_s=200)
    bench.vmc.dispense("fail", 3)
    assert bench.send(after_s=3) == ["c,ERR,VEND 3", *OVER]
    bench.vmc.dispense(Outcome.SILENT)
    vend = selected(bench)
    assert bench.send("C,VEND,1.00", after_s=200) == APPROVED
    assert bench.vmc.machine.phase is Phase.HUNG
    bench.vmc.disable()
    bench.vmc.enable()
    bench.vmc.reset()
    assert bench.said() == ["c,ERR,VEND 5", *UP]
    assert (vend.end, vend.is_dispensed) == (End.SOLD, True)


def test_a_machine_may_tell_failures_only_readers_that_can_return_money() -> None:
    model = replace(QUICK, needs_restore_funds=True, outcome=Outcome.FAIL)
    bench = Bench(model=model).set_up("mdb-always-idle=1")
    vend = selected(bench)
    assert bench.send("C,VEND,1.00") == [*APPROVED, *OVER]
    assert (vend.end, vend.is_result_told) == (End.FAILED, False)
    bench = Bench(model=model).set_up()
    selected(bench)
    assert bench.send("C,VEND,1.00") == [*APPROVED, "c,ERR,VEND 3", *OVER]


# --- resets and power ------------------------------------------------------------------------------------------------


def nothing(bench: Bench) -> None:
    assert bench.vmc.machine.phase is Phase.READY


def in_session(bench: Bench) -> None:
    bench.send("C,START,9.00")
    assert bench.vmc.machine.phase is Phase.SESSION


def asking(bench: Bench) -> None:
    selected(bench)


def dispensing(bench: Bench) -> None:
    selected(bench)
    bench.send("C,VEND,1.00")
    assert bench.vmc.machine.phase is Phase.DISPENSING


def disabled(bench: Bench) -> None:
    bench.vmc.disable()
    bench.said()


def greeting(bench: Bench) -> None:
    bench.vmc.reset()


STATES = [nothing, in_session, asking, dispensing, disabled, greeting]
State = Callable[[Bench], None]


@pytest.mark.parametrize("reach", STATES)
@pytest.mark.parametrize("comes_out", [True, False])
def test_a_reset_in_each_state_ends_it_and_sets_the_reader_up(reach: State, *, comes_out: bool) -> None:
    bench = Bench(model=SLOW).set_up()
    reach(bench)
    is_vending = bench.vmc.status in ("VEND", "APPROVED")
    bench.vmc.reset(comes_out=comes_out)
    up = UP if reach is not disabled else UP[:-1]
    assert bench.said() == (["c,ERR,VEND 5"] if is_vending else []) + up
    for vend in bench.vmc.books.vends:
        assert (vend.end, vend.is_dispensed) == (End.RESET, comes_out and reach is dispensing)
    assert bench.send(after_s=500) == []
    bench.vmc.enable()
    bench.said()
    selected(bench)
    assert bench.vmc.books.judge() == []


@pytest.mark.parametrize(("tells", "in_vend", "outside"), [("always", 1, 1), ("vend", 1, 0), ("never", 0, 0)])
def test_when_a_reset_is_told_is_not_known(tells: str, in_vend: int, outside: int) -> None:
    firmware = Firmware(tells_reset="always" if tells == "always" else "vend" if tells == "vend" else "never")
    bench = Bench(firmware=firmware).set_up()
    bench.vmc.reset()
    assert bench.said().count("c,ERR,VEND 5") == outside
    selected(bench)
    bench.vmc.reset()
    assert bench.said().count("c,ERR,VEND 5") == in_vend


@pytest.mark.parametrize("reach", STATES)
def test_a_power_cut_takes_the_adapter_with_it(reach: State) -> None:
    bench = Bench(model=SLOW).set_up()
    reach(bench)
    bench.vmc.power_cut()
    bench.vmc.power_cut()
    assert (bench.is_plugged_in, bench.vmc.status, bench.vmc.machine.phase) == (False, "UNPLUGGED", Phase.OFF)
    assert bench.vmc.select("1.00") is None
    bench.vmc.reset()
    assert bench.send("V", after_s=500) == []
    assert [vend.end for vend in bench.vmc.books.vends] == [End.POWER_CUT] * len(bench.vmc.books.vends)
    bench.vmc.power_on()
    bench.vmc.power_on()
    assert (bench.is_plugged_in, bench.plugged, bench.vmc.status) == (True, 2, "OFF")
    bench.vmc.enable()
    bench.set_up()
    selected(bench)


@pytest.mark.parametrize("reach", STATES)
def test_an_adapter_with_its_own_power_hears_of_a_power_cut_when_it_is_over(reach: State) -> None:
    bench = Bench(model=replace(SLOW, powers_adapter=False)).set_up()
    reach(bench)
    is_vending = bench.vmc.status in ("VEND", "APPROVED")
    bench.vmc.power_cut(comes_out=True)
    assert bench.send(after_s=500) == []
    assert bench.is_plugged_in
    bench.vmc.power_on()
    assert bench.said()[: 1 + is_vending] == (["c,ERR,VEND 5"] if is_vending else []) + ["c,STATUS,INACTIVE"]
    assert [vend.is_dispensed for vend in bench.vmc.books.vends] == [reach is dispensing] * is_vending


def test_an_approval_into_a_machine_without_power_reaches_nobody() -> None:
    bench = Bench(model=replace(QUICK, powers_adapter=False)).set_up()
    vend = selected(bench)
    bench.vmc.power_cut()
    assert bench.send("C,VEND,1.00") == []
    assert bench.send("C,VEND,1.00") == ['c,ERR,"VEND -3"']
    bench.vmc.power_on()
    assert bench.said() == ["c,ERR,VEND 5", *UP]
    assert (vend.is_approved, len(vend.approvals), vend.is_dispensed) == (False, 2, False)
    assert [each.misdeed for each in bench.vmc.books.violations] == [Misdeed.APPROVED_TWICE]


@pytest.mark.parametrize("reach", STATES)
def test_unplugging_in_each_state_loses_what_was_configured(reach: State) -> None:
    bench = Bench(model=SLOW).set_up()
    reach(bench)
    bench.vmc.unplug()
    assert not bench.is_plugged_in
    assert bench.send("C,VEND,1.00", after_s=500) == []
    bench.vmc.unplug()
    bench.vmc.replug()
    bench.vmc.replug()
    assert (bench.plugged, bench.vmc.status) == (2, "OFF")
    assert bench.vmc.adapter is not None
    assert bench.vmc.adapter.conf == {}
    for vend in bench.vmc.books.vends:
        is_sold = reach is dispensing
        assert (vend.end, vend.is_dispensed) == (End.SOLD if is_sold else End.NO_ANSWER, is_sold)
        assert not vend.is_result_told
    bench.vmc.enable()
    bench.set_up()
    selected(bench)


def test_a_reader_that_comes_back_at_once_ends_the_request() -> None:
    bench = Bench().set_up()
    vend = selected(bench)
    assert bench.send("C,0", *(f"C,SETCONF,{each}" for each in SETTINGS), "C,1", after_s=1) == [
        "c,0",
        *["c,SET,OK"] * len(SETTINGS),
        "c,STATUS,INACTIVE",
        "c,1",
        *UP,
    ]
    assert vend.end is End.NO_ANSWER
    assert bench.send("C,VEND,1.00") == ['c,ERR,"VEND -3"']
    assert vend.approvals[0].has_crossed


def test_a_reader_that_comes_back_while_the_machine_dispenses_waits_for_it() -> None:
    bench = Bench(model=SLOW).set_up()
    vend = selected(bench)
    bench.send("C,VEND,1.00")
    assert bench.send("C,0", "C,1", after_s=9) == ["c,0", "c,STATUS,INACTIVE", "c,1"]
    assert bench.send(after_s=2) == UP
    assert (vend.end, vend.is_dispensed, vend.is_result_told) == (End.SOLD, True, False)


def test_the_adapter_alone_waits_for_a_machine() -> None:
    bench = Bench(model=replace(QUICK, addresses=(0x60,)))
    assert bench.send("C,1", after_s=500) == ["c,STATUS,INACTIVE", "c,1"]
    assert bench.send("C,0", "C,SETCONF,mdb-addr=0x60", "C,1", after_s=1)[-1] == "c,STATUS,ENABLED"


def test_a_machine_may_want_its_own_currency() -> None:
    bench = Bench(model=replace(QUICK, currency="1156"))
    assert bench.send("C,1", after_s=500)[-3:] == ["c,STATUS,DISABLED", "r,ACK", "r,ACK"]
    bench.vmc.enable()
    assert bench.said() == []
    bench.set_up()


def test_always_idle_can_be_taken_away_and_given_back() -> None:
    bench = Bench().set_up()
    bench.vmc.set_always_idle(is_supported=False)
    selected(bench)
    bench.vmc.reset()
    bench.said()
    assert bench.vmc.select("1.00") is None
    assert bench.send("C,START,1.00") == ["c,STATUS,IDLE,1.00"]
    assert bench.send("C,START,1.00") == ['c,ERR,"START -3"']
    selected(bench)


# --- what the adapter does by itself ---------------------------------------------------------------------------------


def test_what_happens_at_the_adapters_time_limits_is_not_known() -> None:
    limits = ("mdb-always-idle=1", "mdb-timeout-vend=60", "mdb-timeout-idle=20")
    bench = Bench(model=SLOW).set_up(*limits)
    bench.vmc.dispense("ok", 100)
    vend = selected(bench)
    assert bench.send("C,VEND,1.00", after_s=99) == APPROVED
    assert bench.send(after_s=1) == ["c,VEND,SUCCESS", *OVER]
    assert bench.send("C,START,5.00", after_s=20) == ["c,STATUS,IDLE,5.00", "c,STATUS,ENABLED"]
    assert bench.vmc.machine.phase is Phase.READY
    for is_passed_on in (False, True):
        firmware = Firmware(at_vend_timeout="end", at_idle_timeout="nothing", passes_late_results=is_passed_on)
        bench = Bench(firmware=firmware).set_up(*limits)
        for outcome, result in (("ok", "c,VEND,SUCCESS"), ("fail", "c,ERR,VEND 3")):
            bench.vmc.dispense(outcome, 100)
            vend = selected(bench)
            assert bench.send("C,VEND,1.00", after_s=60) == [*APPROVED, *OVER]
            assert bench.send(after_s=40) == ([result, *OVER] if is_passed_on else [])
            assert (vend.is_dispensed, vend.is_result_told) == (outcome == "ok", is_passed_on)
        assert bench.send("C,START,5.00", after_s=500) == ["c,STATUS,IDLE,5.00"]


def test_an_approval_that_crosses_the_cancel_is_no_misdeed_but_a_late_one_is() -> None:
    bench = Bench().set_up()
    for delay_s, is_misdeed in ((1.9, False), (2.1, True)):
        vend = selected(bench)
        bench.vmc.cancel()
        bench.send(after_s=delay_s)
        assert bench.send("C,VEND,1.00") == ['c,ERR,"VEND -3"']
        assert vend.approvals[0].has_crossed is not is_misdeed
        assert [each.misdeed for each in bench.vmc.books.violations] == [Misdeed.APPROVED_NOTHING] * is_misdeed


def test_what_was_not_told_can_not_be_known() -> None:
    bench = Bench().set_up()
    vend = selected(bench)
    bench.vmc.is_mute = True
    assert bench.vmc.is_mute
    bench.vmc.cancel()
    bench.vmc.is_mute = False
    assert bench.send("C,VEND,1.00", after_s=60) == ['c,ERR,"VEND -3"']
    assert vend.approvals[0].has_crossed
    bench.vmc.is_deaf = True
    assert bench.send("V") == []


def test_a_text_on_the_display_stays_until_the_power_goes() -> None:
    bench = Bench().set_up()
    bench.send("C,DISPLAY,Present your code, please")
    assert bench.vmc.machine.display == "Present your code, please"
    bench.vmc.power_cut()
    assert bench.vmc.machine.display == ""


# --- the books -------------------------------------------------------------------------------------------------------


def test_the_books_find_what_must_never_be() -> None:
    bench = Bench().set_up()
    vend = selected(bench)
    assert bench.vmc.books.last is vend
    vend.is_dispensed = True
    assert bench.vmc.books.judge() == [
        "dispensed unpaid: vend 1: item 5 for 1.00: not approved, dispensed: under way",
    ]
    bench.send("C,VEND,1.00")
    assert str(vend) == "vend 1: item 5 for 1.00: approved 1.00, dispensed: sold"
    vend.approvals *= 2
    vend.is_paid_in_cash = True
    assert [found.split(":")[0] for found in bench.vmc.books.judge()] == ["paid twice", "approved twice"]


LINES = ["C,0", "C,1", "C,VEND,1.00", "C,VEND,2", "C,VEND,-1", "C,STOP", "C,START,9", "F,RESET", "X,1", "V", "rubbish"]
ACTS: list[Callable[[VmcWorld], object]] = [
    lambda vmc: vmc.select("1.00", 5),
    lambda vmc: vmc.select("2", 6),
    lambda vmc: vmc.cancel(),
    lambda vmc: vmc.cash(),
    lambda vmc: vmc.reset(),
    lambda vmc: vmc.reset(comes_out=True),
    lambda vmc: vmc.disable(),
    lambda vmc: vmc.enable(),
    lambda vmc: vmc.power_cut(comes_out=True),
    lambda vmc: vmc.power_on(),
    lambda vmc: vmc.unplug(),
    lambda vmc: vmc.replug(),
    lambda vmc: vmc.refuse(),
    lambda vmc: vmc.repeat_request(),
    lambda vmc: vmc.noise(7),
    *(lambda vmc, outcome=outcome: vmc.dispense(outcome, 3) for outcome in Outcome),
]
STEPS = st.one_of(st.sampled_from(LINES), st.sampled_from(ACTS), st.sampled_from([0.01, 1.0, 6.0, 200.0]))
FIRMWARES = st.builds(
    Firmware,
    after_deny=st.sampled_from(["idle+state", "nothing"]),
    at_vend_timeout=st.sampled_from(["nothing", "end"]),
    approves_when_disabled=st.booleans(),
)
MODELS = st.builds(
    MachineModel,
    supports_always_idle=st.booleans(),
    at_max_wait=st.sampled_from(["cancel", "reset"]),
    powers_adapter=st.booleans(),
)


@settings(max_examples=100)
@given(st.lists(STEPS, max_size=40), MODELS, FIRMWARES)
def test_whatever_happens_nothing_comes_out_unpaid_and_the_machine_can_sell_again(
    steps: list[str | float | Callable[[VmcWorld], object]], model: MachineModel, firmware: Firmware
) -> None:
    bench = Bench(model=model, firmware=firmware).set_up()
    for step in steps:
        if isinstance(step, str):
            bench.send(step)
        elif isinstance(step, float):
            bench.clock.advance(step)
        else:
            step(bench.vmc)
    books = bench.vmc.books
    for vend in books.vends:
        assert len(vend.taken) <= 1
        assert not vend.is_dispensed or vend.is_approved or vend.is_paid_in_cash
        assert not (vend.is_paid_in_cash and vend.is_approved)
        assert not vend.is_result_told or vend.end in (End.SOLD, End.FAILED)
        assert (vend.end is None) == (vend.ended_at_s is None)
    assert sum(vend.end is None for vend in books.vends) <= 1
    bench.vmc.power_cut()
    bench.vmc.unplug()
    bench.clock.advance(10)
    bench.vmc.power_on()
    bench.vmc.replug()
    bench.vmc.enable()
    bench.vmc.dispense("ok")
    bench.set_up()
    if not model.supports_always_idle:
        bench.send("C,START,9")
    vend = selected(bench)
    bench.send("C,VEND,1.00", after_s=5)
    assert vend.end is End.SOLD
