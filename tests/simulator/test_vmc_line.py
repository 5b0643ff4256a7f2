"""What the simulated adapter's line does to the bytes, in both directions."""

import asyncio
from dataclasses import replace

import pytest

from terminald.simulator.vmc import ENDS, Manner, Misdeed, SimulatedVmc
from tests.simulator.vmc_host import QUICK, WAIT_S, Bench, PtyHost


def misdeeds(bench: Bench) -> list[Misdeed]:
    return [violation.misdeed for violation in bench.vmc.books.violations]


@pytest.mark.parametrize("name", ENDS)
def test_lines_end_with_each_of_the_ends(name: str) -> None:
    bench = Bench(manner=Manner(end=ENDS[name]))
    bench.vmc.hear(b"V\n")
    assert bench.writes == [f"v,4.0.2.0,0123456789abcdef{ENDS[name]}".encode()]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_hosts_lines_may_end_with_each_and_come_in_pieces(end: bytes, size: int) -> None:
    bench = Bench()
    data = end.join([b"C,0", b"C,SETCONF,mdb-always-idle=1", b"C,1", b""])
    for start in range(0, len(data), size):
        bench.vmc.hear(data[start : start + size])
    bench.clock.advance(10)
    assert bench.said()[-1] == "c,STATUS,ENABLED"
    assert misdeeds(bench) == []


def test_a_line_that_is_not_ended_is_a_misdeed_and_spoils_the_next() -> None:
    bench = Bench()
    bench.vmc.hear(b"C,0")
    bench.clock.advance(0.9)
    assert misdeeds(bench) == []
    bench.clock.advance(0.2)
    assert misdeeds(bench) == [Misdeed.NOT_ENDED]
    assert bench.send("C,0") == ["c,UNKNOWN,C,0C,0"]


def test_a_line_that_is_too_long_is_dropped_to_its_end() -> None:
    bench = Bench()
    assert bench.send("x" * 600, "V") == ["v,4.0.2.0,0123456789abcdef"]
    assert misdeeds(bench) == [Misdeed.TOO_LONG]
    bench.vmc.hear(b"\xff\xfe\n")
    assert misdeeds(bench)[1:] == [Misdeed.UNKNOWN_COMMAND]


def test_lines_are_late_and_in_order() -> None:
    bench = Bench(manner=Manner(end="\n", delay_s=0.5))
    assert bench.send("V", "H", after_s=0.4) == []
    bench.vmc.manner = replace(bench.vmc.manner, delay_s=0)
    assert bench.send("X,1") == []
    assert bench.send(after_s=0.2) == ["v,4.0.2.0,0123456789abcdef", "h,3.1,0", "x,ACK"]


def test_lines_come_in_pieces_or_together() -> None:
    bench = Bench(manner=Manner(end="\n", chunk=3, gap_s=0.01))
    bench.vmc.hear(b"X,1\n")
    assert bench.writes == [b"x,A"]
    bench.clock.advance(1)
    assert bench.writes == [b"x,A", b"CK\n"]
    bench = Bench(manner=Manner(end="\n", merge_s=0.1))
    for line in (b"X,1\n", b"V\n", b"H\n"):
        bench.vmc.hear(line)
        bench.clock.advance(0.01)
    bench.clock.advance(1)
    assert bench.writes == [b"x,ACK\nv,4.0.2.0,0123456789abcdef\nh,3.1,0\n"]


def test_echoes_and_lines_in_between_and_noise_are_of_no_meaning() -> None:
    bench = Bench(manner=Manner(end="\n", is_echoing=True, interleave=1))
    first, second, answer = bench.send("X,1")
    assert (first, answer) == ("X,1", "x,ACK")
    assert second.startswith(("r,", "x,", "d,")) or not second
    other = Bench(manner=Manner(end="\n", is_echoing=True, interleave=1))
    assert other.send("X,1") == [first, second, answer]
    bench.vmc.noise(50)
    other.vmc.noise(50)
    assert bench.writes == other.writes
    assert sum(map(len, bench.writes)) == 50
    bench.writes.clear()
    bench.vmc.send(b"\x00")
    bench.vmc.say("c,ERR,-3")
    assert b"".join(bench.writes).startswith(b"\x00")
    assert bench.said()[-1] == "c,ERR,-3"


def test_an_adapter_without_power_says_nothing_even_of_what_was_on_its_way() -> None:
    bench = Bench(manner=Manner(end="\n", delay_s=0.5))
    bench.vmc.hear(b"V\nH")
    bench.vmc.unplug()
    bench.vmc.say("c,ERR,-3")
    bench.vmc.send(b"x")
    bench.vmc.noise(5)
    bench.vmc.refuse()
    bench.vmc.repeat_request()
    assert bench.send("V", after_s=5) == []
    bench.vmc.replug()
    assert bench.send("V", after_s=5) == ["v,4.0.2.0,0123456789abcdef"]
    assert misdeeds(bench) == []


def test_a_host_that_does_not_read_loses_lines_and_stops_nothing() -> None:
    async def scene() -> None:
        async with asyncio.timeout(WAIT_S), SimulatedVmc(model=QUICK) as vmc:
            vmc.noise(1 << 20)
            assert 0 < vmc.lost < 1 << 20
            vmc.say("x")

    asyncio.run(scene())


def test_pieces_arrive_whole_on_a_pseudo_terminal() -> None:
    async def scene() -> None:
        manner = Manner(chunk=2, gap_s=0.0005, end="\r", interleave=0.5)
        async with asyncio.timeout(WAIT_S), SimulatedVmc(model=QUICK, manner=manner, seed=3) as vmc:
            with PtyHost(vmc.device) as host:
                await host.set_up()
                vmc.select("1.00", 5)
                await host.skip_to("c,STATUS,VEND,1.00,5")
                host.send("C,VEND,1.00")
                await host.skip_to("c,VEND,SUCCESS")
                assert vmc.books.judge() == []

    asyncio.run(scene())
