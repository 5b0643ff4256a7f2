import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.simulator.printer_buffer import BUSY_FREE, READY_FREE, XOFF, XON, Flow, ReceiveBuffer

SIZE = 1000


def buffer(flow: Flow = "xonxoff", *, on_the_way: int = 0) -> ReceiveBuffer:
    return ReceiveBuffer(flow=flow, size=SIZE, on_the_way=on_the_way)


def test_it_is_busy_and_ready_at_its_thresholds() -> None:
    held = buffer()
    held.arrive(bytes(SIZE - BUSY_FREE - 1))
    assert held.regulate(is_off_line=False) == b""
    held.arrive(b"x")
    assert held.regulate(is_off_line=False) == XOFF
    assert held.regulate(is_off_line=False) == b""
    held.take(READY_FREE - BUSY_FREE - 1)
    assert held.regulate(is_off_line=False) == b""
    held.take(1)
    assert held.regulate(is_off_line=False) == XON


def test_off_line_is_busy_too_and_cts_is_no_byte() -> None:
    held = buffer()
    assert held.regulate(is_off_line=True) == XOFF
    assert held.regulate(is_off_line=False) == XON
    wire = buffer("rtscts")
    assert wire.regulate(is_off_line=True) == b""
    assert wire.readable == SIZE
    wire.arrive(bytes(SIZE - BUSY_FREE))
    assert wire.regulate(is_off_line=False) == b""
    assert wire.readable == 0


def test_what_finds_no_room_is_lost_but_no_real_time_command() -> None:
    held = buffer("none")
    held.arrive(bytes(SIZE - 2))
    held.arrive(b"\x10\x04\x01")
    assert len(held) == SIZE - 2
    held.arrive(b"abcd\x10\x05\x02")
    assert (held.overrun, held.received) == (2, SIZE + 8)
    assert held.take(SIZE)[-2:] == b"ab"


def test_bytes_on_the_way_wait_for_xon_and_more_than_that_is_disobedience() -> None:
    held = buffer(on_the_way=500)
    held.arrive(b"a" * 1500)
    assert held.overrun == 0
    assert len(held) == SIZE
    held.regulate(is_off_line=False)
    held.arrive(b"b" * 10)
    assert held.overrun == 10
    held.take(SIZE)
    assert held.regulate(is_off_line=False) == XON
    assert held.take(SIZE) == b"a" * 490 + b"b" * 10


def test_a_new_start_takes_what_waited() -> None:
    held = buffer(on_the_way=500)
    held.regulate(is_off_line=True)
    held.arrive(b"waits")
    assert held.take(9) == b""
    assert held.restart() == XON
    assert held.take(9) == b"waits"
    held.arrive(b"gone")
    held.drop()
    assert len(held) == 0


@pytest.mark.parametrize(("busy", "ready"), [(-1, 5), (5, 5), (5, SIZE + 1)])
def test_impossible_thresholds_are_refused(busy: int, ready: int) -> None:
    with pytest.raises(ValueError, match="impossible"):
        ReceiveBuffer(flow="none", size=SIZE, busy_free=busy, ready_free=ready)


@given(
    steps=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 700), st.booleans())),
    flow=st.sampled_from(["xonxoff", "none"]),
    on_the_way=st.integers(0, 2000),
)
def test_bytes_keep_their_order_and_each_is_taken_or_counted(
    steps: list[tuple[int, int, bool]], flow: Flow, on_the_way: int
) -> None:
    held = buffer(flow, on_the_way=on_the_way)
    sent = 0
    taken: list[int] = []
    for arriving, taking, is_off_line in steps:
        held.arrive(bytes((sent + at) % 251 for at in range(arriving)))
        sent += arriving
        held.regulate(is_off_line=is_off_line)
        taken += held.take(taking)
        assert len(held) <= SIZE
    held.regulate(is_off_line=False)
    while data := held.take(SIZE):
        taken += data
        held.regulate(is_off_line=False)
    assert len(taken) + held.overrun == sent
    if not held.overrun:
        assert taken == [at % 251 for at in range(sent)]
