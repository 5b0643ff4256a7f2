"""The real daemon with a vending machine: select, pay, dispense; and whatever can go wrong between that."""

import signal
from collections.abc import Iterator

import httpx
import msgspec
import pytest
import zxingcpp

from terminald.core.receipt import Line
from terminald.simulator.printer_paper import Sheet, print_job
from terminald.simulator.vmc import End
from tests.drawn_text import is_drawn
from tests.system.rig import Bench
from tests.system.vending import FEN, ITEM, PRICE, VendingMachine, configure

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

#: More than any vend here has; reaching it is a failure.
MAX_COMMITS = 40
#: Paid at once · in progress for ever.
PAID, PENDING = "13000000000000{:02}00", "13000000000000{:02}12"


class Vend(msgspec.Struct):
    machine: str
    item: str | None
    price: str
    state: str


class Attention(msgspec.Struct):
    code: str


class Sale(msgspec.Struct):
    id: str
    state: str
    paid: int
    returned: int
    vend: Vend | None
    reason: str | None
    attention: Attention | None


class Page(msgspec.Struct):
    sales: list[Sale]


class Vending:
    """A terminal in a vending machine, and the customer before it."""

    def __init__(self, bench: Bench, machine: VendingMachine) -> None:
        self.bench, self.machine = bench, machine
        self._codes = 0

    def start(self, *killer: str) -> None:
        self.bench.start(*killer)

    def wait_for_sale(self) -> None:
        """Wait until the machine can ask for money."""
        self.bench.wait(lambda: self.machine.status() == "ENABLED", "the reader on the bus")

    def select(self) -> None:
        assert self.machine.do(f"select {PRICE} {ITEM}") is None

    def last(self) -> Sale:
        answer = self.bench.api.get("/v1/sales", params={"limit": 1})
        return msgspec.json.decode(answer.content, type=Page).sales[0]

    def wait_vend(self, *states: str) -> Sale:
        self.bench.wait(lambda: self._state() in states, f"a vend that is {states}")
        return self.last()

    def _state(self) -> str:
        sales = self.bench.api.get("/v1/sales", params={"limit": 1}).json()["sales"]
        return sales[0]["vend"]["state"] if sales else ""

    def scan(self, code: str = PAID) -> None:
        self._codes += 1
        self.wait_vend("requested")
        self.bench.scanner.scan(code.format(self._codes))

    def buy(self) -> None:
        """Select and present a code that is paid at once."""
        self.select()
        self.scan()

    def assert_books(self, *, kept: int, dispensed: int) -> None:
        """Compare the gateway's books with the machine's."""
        books = self.machine.books()
        assert books.judge() == []
        assert sum(vend.is_dispensed for vend in books.vends) == dispensed
        assert self.bench.books().kept == kept
        assert all(order.submits == 1 for order in self.bench.books().orders)


@pytest.fixture
def vending(terminal: Bench) -> Iterator[Vending]:
    configure(terminal)
    with VendingMachine(terminal.directory / "vmc") as machine:
        yield Vending(terminal, machine)


def test_select_pay_dispense(vending: Vending) -> None:
    vending.start()
    vending.wait_for_sale()
    vending.buy()
    sale = vending.wait_vend("done")
    assert (sale.state, sale.paid) == ("completed", FEN)
    vending.bench.wait(lambda: vending.machine.display() == "Thank you", "what the customer reads at the end")
    assert sale.vend == Vend(machine="snacks", item=ITEM, price=PRICE, state="done")
    vending.assert_books(kept=FEN, dispensed=1)
    told = vending.bench.terminald("explain", sale.id).stdout
    assert "The vending machine “snacks” says that the goods came out." in told
    devices = vending.bench.status()["devices"]
    assert isinstance(devices, list)
    assert [one["kind"] for one in devices if one["name"] == "snacks"] == ["vmc"]
    vending.wait_for_sale()
    vending.buy()
    vending.bench.wait(lambda: vending.bench.books().kept == 2 * FEN, "the next customer")


def test_a_vend_is_paid_by_the_qr_that_is_printed_for_it(vending: Vending) -> None:
    """Without a scanner: what the customer sees is the paper."""
    bench = vending.bench
    bench.config.write_text(bench.config.read_text().replace("[sale]\n", '[sale]\nmethods = ["qr"]\n'))
    bench.scanner.unplug()
    vending.start()
    vending.wait_for_sale()
    vending.select()
    vending.bench.wait(lambda: _papers(bench) != [], "a printed QR")
    (slip,) = _papers(bench)
    (read,) = zxingcpp.read_barcodes(slip.draw())
    shown = bench.api.get(f"/v1/sales/{vending.last().id}").json()
    assert read.text == shown["qr"]["content"]
    assert is_drawn(slip.draw(), Line(text="￥3.50", align="center", bold=True, double=True))
    bench.pay(bench.sale(vending.last().id))
    assert vending.wait_vend("done").state == "completed"
    vending.assert_books(kept=FEN, dispensed=1)
    bench.wait(lambda: len(_papers(bench)) == 2, "a receipt")


def _papers(bench: Bench) -> list[Sheet]:
    printed = bench.directory / "receipts.bin"
    return print_job(printed.read_bytes(), width_dots=384, encoding="gbk") if printed.exists() else []


def test_what_does_not_come_out_is_paid_back(vending: Vending) -> None:
    vending.machine.do("dispense fail")
    vending.start()
    vending.wait_for_sale()
    vending.buy()
    assert vending.wait_vend("returned").state == "returned"
    vending.assert_books(kept=0, dispensed=0)


@pytest.mark.parametrize("how", ["cancel", "cash", "reset"])
def test_a_customer_who_goes_another_way_pays_nothing(vending: Vending, how: str) -> None:
    vending.start()
    vending.wait_for_sale()
    vending.select()
    vending.scan(PENDING)
    vending.wait_vend("paying")
    vending.machine.do(how)
    sale = vending.wait_vend("denied")
    assert (sale.state, sale.reason) == ("canceled", "machine")
    vending.assert_books(kept=0, dispensed=int(how == "cash"))
    vending.wait_for_sale()


def test_a_customer_who_does_not_pay_is_denied(terminal: Bench) -> None:
    configure(terminal, answer_limit="20s")
    with VendingMachine(terminal.directory / "vmc") as machine:
        vending = Vending(terminal, machine)
        vending.start()
        vending.wait_for_sale()
        vending.select()
        sale = vending.wait_vend("denied")
        assert (sale.state, sale.reason) == ("canceled", "expired")
        (vend,) = machine.books().vends
        assert (vend.end, vend.denials) == (End.DENIED, 1)


@pytest.mark.parametrize("moment", ["requested", "paying", "approved"])
def test_an_adapter_that_goes_away_comes_back_without_a_restart(vending: Vending, moment: str) -> None:
    vending.machine.do("dispense silent")
    vending.start()
    vending.wait_for_sale()
    vending.select()
    if moment != "requested":
        vending.scan(PENDING if moment == "paying" else PAID)
    vending.wait_vend(moment)
    vending.machine.do("unplug")
    ended = vending.wait_vend("denied", "unknown")
    if moment == "approved":
        assert (ended.state, ended.vend and ended.vend.state) == ("paid", "unknown")
        assert ended.attention is not None
        assert ended.attention.code == "delivery_overdue"
        done = vending.bench.terminald("undelivered", ended.id)
        assert done.returncode == 0, done.stderr
        vending.bench.wait(lambda: vending.last().state == "returned", "the money back")
        vending.machine.do("reset")  # it hangs in the middle of dispensing
    vending.machine.do("replug")
    vending.machine.do("dispense ok")
    vending.wait_for_sale()
    vending.buy()
    vending.wait_vend("done")
    vending.bench.wait(lambda: vending.bench.books().kept == FEN, "one sale kept")


def test_a_terminal_that_can_not_sell_is_not_on_the_bus(vending: Vending) -> None:
    vending.start()
    vending.wait_for_sale()
    vending.bench.scanner.unplug()
    vending.bench.wait(lambda: vending.machine.status() == "OFF", "the reader off the bus")
    assert vending.machine.do(f"select {PRICE}") == "the machine takes cash only: no reader"
    vending.bench.scanner.replug()
    vending.wait_for_sale()
    assert vending.bench.stop(signal.SIGTERM) == 0
    assert vending.machine.status() == "OFF"


def test_one_customer_at_a_time(vending: Vending) -> None:
    vending.start()
    vending.wait_for_sale()
    vending.bench.wait_ready()
    assert vending.bench.open_sale("at-the-kiosk").status_code == 201
    vending.select()
    vending.bench.wait(lambda: vending.machine.books().vends[0].end is End.DENIED, "a denial")
    assert vending.bench.sale("at-the-kiosk").state == "awaiting_payment"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_vend_survives_a_kill_at_any_commit(vending: Vending, when: str) -> None:
    """What was not approved is not kept; what may have been is announced; nothing is charged or approved twice."""
    seen: set[tuple[str, str]] = set()
    for number in range(1, MAX_COMMITS):
        vending.machine.do("unplug")
        vending.machine.do("replug")
        vending.start("vend", str(number), when)
        _buy_while_alive(vending, number)
        if vending.bench.is_alive():
            assert vending.last().state == "completed"
            break
        vending.bench.start()
        vending.bench.wait_ready()
        if vending.bench.api.get("/v1/sales").json()["sales"]:
            sale = vending.wait_vend("done", "denied", "returned", "unknown")
            _assert_settled(vending, sale)
            seen.add((sale.vend.state if sale.vend else "", sale.state))
        vending.bench.stop(signal.SIGKILL)
    else:
        raise AssertionError("the vend has no end")
    after_all = {("done", "completed")} if when == "after" else set()
    assert seen == {("denied", "canceled"), ("returned", "returned"), ("unknown", "paid"), *after_all}
    assert number >= 6  # opening, scanning, the payment, the intent, the approval, the result


def _buy_while_alive(vending: Vending, number: int) -> None:
    bench = vending.bench
    try:
        bench.wait(lambda: not bench.is_alive() or vending.machine.status() == "ENABLED", "the reader, or dead")
        asked = len(vending.machine.books().vends)
        vending.machine.do(f"select {PRICE} {ITEM}")
        bench.wait(lambda: not bench.is_alive() or bool(bench.api.get("/v1/status").json()["sale"]), "asked, or dead")
        bench.scanner.scan(PAID.format(number))
        bench.wait(lambda: not bench.is_alive() or _is_over(vending, asked), "the end, or dead")
    except httpx.TransportError:
        bench.wait(lambda: not bench.is_alive(), "dead")


def _is_over(vending: Vending, asked: int) -> bool:
    vends = vending.machine.books().vends
    return len(vends) > asked and vends[-1].end is End.SOLD and vending.last().state == "completed"


def _assert_settled(vending: Vending, sale: Sale) -> None:
    books = vending.machine.books()
    assert books.judge() == []
    sales = msgspec.json.decode(vending.bench.api.get("/v1/sales?limit=100").content, type=Page).sales
    assert sum(one.paid - one.returned for one in sales) == vending.bench.books().kept
    assert all(order.submits == 1 for order in vending.bench.books().orders)
    if sale.vend and sale.vend.state == "unknown":
        assert sale.attention is not None, "nobody is called"
        assert sale.attention.code == "delivery_overdue"
    else:
        assert bool(sale.paid - sale.returned) == (sale.state == "completed")
        assert bool(books.last and books.last.is_approved) == (sale.state == "completed")
