"""Activation codes are used up, keys rotate, and a lost answer costs what the documents say it costs."""

import pytest

from terminald.simulator.gateway import GatewayWorld
from tests.simulator.gateway_terminal import (
    APP_ID,
    CODE,
    DEVICE_ID,
    Answer,
    Clock,
    Terminal,
    activation,
    decode,
    make_world,
    new_terminal,
)

HOUR = 3600.0


def check_in(terminal: Terminal) -> str:
    key = terminal.send("checkin", device_id=DEVICE_ID).biz_response.terminal_key
    assert len(key) == 32
    return key


def probe(terminal: Terminal, key: str) -> Answer:
    """Sign a harmless request with this key."""
    previous, terminal.key = terminal.key, key
    try:
        return terminal.query("none")
    finally:
        terminal.key = previous


def is_valid(terminal: Terminal, key: str) -> bool:
    valid = probe(terminal, key).error_code != "ILLEGAL_SIGN"
    assert terminal.world.accepts_key(terminal.sn, key) is valid
    return valid


def test_each_activation_uses_up_one_use_and_makes_a_new_terminal() -> None:
    world = make_world(Clock(), uses=2)
    first, second = (decode(world.receive(activation())).biz_response for _ in range(2))
    assert first.terminal_sn != second.terminal_sn
    assert first.terminal_key != second.terminal_key
    assert decode(world.receive(activation())).error_code == "INVALID_PARAMS"
    assert len(world.view().terminals) == 2


def test_an_unknown_code_or_app_costs_nothing() -> None:
    world = make_world(Clock(), uses=1)
    assert decode(world.receive(activation(code="OTHER"))).error_code == "INVALID_PARAMS"
    assert decode(world.receive(activation(app_id="other"))).error_code == "INVALID_PARAMS"
    assert decode(world.receive(activation())).result_code == "200"


def test_a_check_in_needs_the_device_of_the_activation() -> None:
    terminal = new_terminal()
    assert terminal.send("checkin", device_id="other").error_code == "INVALID_TERMINAL"
    assert is_valid(terminal, terminal.key)


def test_only_the_current_and_the_last_key_are_valid() -> None:
    terminal = new_terminal()
    keys = [terminal.key]
    for _ in range(3):
        terminal.key = check_in(terminal)
        keys.append(terminal.key)
        assert [is_valid(terminal, key) for key in keys] == [False] * (len(keys) - 2) + [True, True]


def test_one_lost_check_in_leaves_the_old_key_valid_and_two_lock_the_terminal_out() -> None:
    """I6 stands on this."""
    terminal = new_terminal()
    check_in(terminal)
    assert is_valid(terminal, terminal.key)
    check_in(terminal)
    assert not is_valid(terminal, terminal.key)


def test_the_last_key_may_check_in_and_the_current_one_becomes_the_last() -> None:
    terminal = new_terminal()
    lost = check_in(terminal)
    newest = check_in(terminal)
    assert (is_valid(terminal, lost), is_valid(terminal, newest)) == (True, True)


@pytest.mark.parametrize(("hours", "valid"), [(47.9, True), (48.0, True), (48.1, False)])
def test_a_key_lives_48_hours(hours: float, *, valid: bool) -> None:
    terminal = new_terminal()
    terminal.world.advance(hours * HOUR)
    assert is_valid(terminal, terminal.key) is valid


def test_the_last_key_also_dies_48_hours_after_it_was_issued() -> None:
    terminal = new_terminal()
    old = terminal.key
    terminal.world.advance(40 * HOUR)
    terminal.key = check_in(terminal)
    terminal.world.advance(9 * HOUR)
    assert (is_valid(terminal, old), is_valid(terminal, terminal.key)) == (False, True)


def test_speed_does_not_shorten_the_life_of_keys() -> None:
    terminal = new_terminal(speed=1000)
    terminal.world.advance(47 * HOUR)
    assert is_valid(terminal, terminal.key)


def test_an_unknown_terminal_is_told_so() -> None:
    terminal = new_terminal()
    terminal.sn = "199"
    assert terminal.query().error_code == "TERMINAL_NOT_EXISTS"
    assert not terminal.world.accepts_key("199", terminal.key)


def test_a_seed_decides_every_number_and_no_secret_is_in_a_repr() -> None:
    """I7."""
    one, same, other = new_terminal(seed=5), new_terminal(seed=5), new_terminal(seed=6)
    assert (one.sn, one.key, one.pay("00").data) == (same.sn, same.key, same.pay("00").data)
    assert one.key != other.key
    request = one.pay_request("00")
    for text in (repr(one.world), repr(request), repr(one.world.books), repr(one.world.view())):
        assert one.key not in text
        assert "vendor-key" not in text
        assert "130812341234123400" not in text


def test_a_world_refuses_a_speed_that_stops_time() -> None:
    with pytest.raises(ValueError, match="speed"):
        GatewayWorld(clock=Clock(), vendor_sn="v", vendor_key="k", app_id=APP_ID, activation_codes={CODE: 1}, speed=0.0)
    with pytest.raises(ValueError, match="seconds"):
        make_world(Clock()).advance(-1)
