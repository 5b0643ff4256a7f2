"""The machine of a kiosk without a host: the basket, the guard, and one sale at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core import kiosk as kiosks
from terminald.core import sale as sales
from terminald.core.commands import Command
from terminald.core.events import Event
from terminald.core.ids import ClientSn, Duration, Instant, PaymentCode, SaleId
from terminald.core.kiosk_events import (
    BasketExpired,
    BasketLine,
    BeginSale,
    CancelOpenSale,
    ClearScanned,
    CodeShown,
    CodeTaken,
    PresentCode,
    Product,
    ProductScanned,
    SaleAsks,
    SaleBegun,
    SaleEnded,
    SaleNotBegun,
    SalePaid,
    SaleWaits,
    Serve,
    Served,
    TellBasket,
    TellScan,
)
from terminald.core.kiosk_table import TABLE, Kiosk, KioskRules, KioskState
from terminald.core.money import Fen
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import SECOND
from terminald.errors import IllegalTransition
from tests.core.machine_builders import NOON, ORDER, RULES, SALE_ID

PAUSE = 3 * SECOND
FIXED = KioskRules(
    price=Fen(500), pause=Duration(PAUSE), basket_window=Duration(60 * SECOND), max_lines=3, max_total=Fen(2_000)
)
CATALOGUE = replace(FIXED, price=None)
COLA = Product(barcode="6901234567892", name="Cola 330ml", price=Fen(350))
CHIPS = Product(barcode="6901234567908", name="Chips", price=Fen(600))
GUM = Product(barcode="6901234567915", name="Gum", price=Fen(10))
TEA = Product(barcode="6901234567922", name="Tea", price=Fen(300))
CODE, OTHER = PaymentCode("130000000000000001"), PaymentCode("130000000000000002")
START = Instant(1_000_000)


class Counter:
    """One kiosk on a clock of its own; every command that it asked for is kept, and those of the last step apart."""

    def __init__(self, rules: KioskRules) -> None:
        self.rules = rules
        self.now = START
        self.kiosk = kiosks.begin(START, rules)
        self.asked: list[Command] = []

    def wait(self, by: int) -> None:
        self.now = Instant(self.now + by)

    def tell(self, event: Event) -> tuple[Command, ...]:
        self.kiosk, commands = kiosks.step(self.kiosk, event, now=self.now, rules=self.rules)
        self.asked.extend(commands)
        return commands

    @property
    def state(self) -> str:
        return self.kiosk.state.value

    def pay(self, code: PaymentCode = CODE) -> None:
        """Bring it to where a code is with the gateway."""
        self.tell(CodeShown(code=code))
        self.tell(SaleBegun(sale_id=SALE_ID))


def rested(rules: KioskRules) -> Counter:
    counter = Counter(rules)
    counter.wait(PAUSE)
    return counter


# --- a fixed price ---------------------------------------------------------------------------------------------------


def test_each_code_pays_the_fixed_price_in_a_sale_of_its_own() -> None:
    counter = rested(FIXED)
    assert counter.tell(CodeShown(code=CODE)) == (BeginSale(code=CODE, lines=()),)
    assert counter.tell(SaleBegun(sale_id=SALE_ID)) == ()
    assert counter.tell(SaleAsks()) == ()
    assert counter.tell(SalePaid()) == (Serve(sale_id=SALE_ID),)
    assert counter.tell(SaleEnded()) == ()
    assert counter.tell(Served()) == ()
    assert counter.state == "idle"
    counter.wait(PAUSE)
    assert counter.tell(CodeShown(code=OTHER)) == (BeginSale(code=OTHER, lines=()),)


@pytest.mark.parametrize("before", ["opening", "paying", "serving"])
def test_a_second_code_during_a_sale_is_ignored_and_told_once(before: str) -> None:
    counter = rested(FIXED)
    counter.tell(CodeShown(code=CODE))
    if before != "opening":
        counter.tell(SaleBegun(sale_id=SALE_ID))
    if before == "serving":
        counter.tell(SalePaid())
    told = [counter.tell(CodeShown(code=code)) for code in (OTHER, CODE, OTHER)]
    assert told == [(TellScan(reason="sale_open"),), (), ()]
    assert counter.state == before
    counter.wait(PAUSE)
    assert counter.tell(CodeShown(code=OTHER)) == (TellScan(reason="sale_open"),), "somebody else, after a pause"


def test_a_phone_that_stays_before_the_reader_pays_once_even_when_it_shows_another_code() -> None:
    """The wallet shows a new code each minute; only a pause without any code says that the phone was taken away."""
    counter = rested(FIXED)
    counter.pay()
    counter.wait(SECOND)
    counter.tell(SaleEnded())
    told: list[Command] = []
    for second in range(90):
        counter.wait(SECOND)
        told.extend(counter.tell(CodeShown(code=CODE if second < 40 else OTHER)))
    assert told == [TellScan(reason="still_there")]
    counter.wait(PAUSE - 1)
    assert counter.tell(CodeShown(code=OTHER)) == ()
    counter.wait(PAUSE)
    assert counter.tell(CodeShown(code=OTHER)) == (BeginSale(code=OTHER, lines=()),)


def test_a_kiosk_rests_after_a_start_because_who_paid_before_may_still_be_there() -> None:
    counter = Counter(FIXED)
    assert counter.tell(CodeShown(code=CODE)) == (TellScan(reason="still_there"),)


@pytest.mark.parametrize(("pause_s", "sales_begun"), [(90, 1), (3, 4)])
def test_a_reader_that_keeps_repeats_to_itself_needs_a_pause_longer_than_a_code_is_shown(
    pause_s: int, sales_begun: int
) -> None:
    """It tells each code of a phone that stays there once, a minute after the other: only time tells phones apart."""
    rules = replace(FIXED, pause=Duration(pause_s * SECOND))
    counter = Counter(rules)
    counter.wait(rules.pause)
    for minute in range(4):
        told = counter.tell(CodeShown(code=PaymentCode(f"13000000000000001{minute}")))
        if isinstance(told[0] if told else None, BeginSale):
            for event in (SaleBegun(sale_id=SALE_ID), SalePaid(), SaleEnded(), Served()):
                counter.tell(event)
        counter.wait(60 * SECOND)
    assert sum(isinstance(command, BeginSale) for command in counter.asked) == sales_begun


def test_the_pause_begins_when_the_customer_was_served() -> None:
    counter = rested(FIXED)
    counter.pay()
    counter.tell(SalePaid())
    counter.wait(20 * SECOND)
    counter.tell(Served())
    counter.wait(PAUSE - 1)
    assert counter.tell(CodeShown(code=OTHER)) == (TellScan(reason="still_there"),)


def test_without_a_pause_only_the_sales_refuse_a_repeated_code() -> None:
    counter = Counter(replace(FIXED, pause=Duration(0)))
    counter.pay()
    counter.tell(SaleEnded())
    assert counter.tell(CodeShown(code=CODE)) == (BeginSale(code=CODE, lines=()),)


def test_a_declined_code_leaves_the_sale_open_for_another_one_at_once() -> None:
    counter = rested(FIXED)
    counter.pay()
    assert counter.tell(SaleWaits()) == ()
    assert counter.state == "retrying"
    assert counter.tell(CodeShown(code=OTHER)) == (PresentCode(code=OTHER),)
    counter.tell(SaleWaits())
    counter.tell(SaleAsks())
    assert counter.state == "paying"
    assert counter.tell(SalePaid()) == (Serve(sale_id=SALE_ID),)


def test_a_sale_that_could_not_be_opened_leaves_the_kiosk_as_it_was() -> None:
    counter = rested(FIXED)
    counter.tell(CodeShown(code=CODE))
    assert counter.tell(SaleNotBegun()) == ()
    assert counter.state == "idle"


# --- a catalogue -----------------------------------------------------------------------------------------------------


def test_products_are_added_up_and_the_code_pays_them_together() -> None:
    counter = rested(CATALOGUE)
    for product in (COLA, CHIPS, COLA):
        counter.tell(ProductScanned(product=product))
    lines = (BasketLine(product=COLA, quantity=2), BasketLine(product=CHIPS))
    assert counter.asked[-1] == TellBasket(lines=lines, cause="added")
    assert kiosks.total(lines) == 1_300
    assert [(one.id, one.name, one.quantity, one.price) for one in kiosks.goods(lines)] == [
        ("6901234567892", "Cola 330ml", 2, 350),
        ("6901234567908", "Chips", 1, 600),
    ]
    assert kiosks.subject(lines) == "Cola 330ml, Chips"
    assert counter.tell(CodeShown(code=CODE)) == (BeginSale(code=CODE, lines=lines),)
    counter.tell(SaleBegun(sale_id=SALE_ID))
    assert counter.tell(SaleEnded()) == (TellBasket(lines=(), cause="ended"),)
    assert counter.state == "idle"


def test_a_code_without_a_basket_pays_nothing() -> None:
    counter = rested(CATALOGUE)
    assert counter.tell(CodeShown(code=CODE)) == (TellScan(reason="basket_empty"),)
    assert counter.state == "idle"


def test_a_barcode_clears_the_basket() -> None:
    counter = rested(CATALOGUE)
    counter.tell(ProductScanned(product=COLA))
    assert counter.tell(ClearScanned()) == (TellBasket(lines=(), cause="cleared"),)
    assert counter.state == "idle"
    assert counter.tell(ClearScanned()) == ()


def test_a_basket_that_nobody_adds_to_expires() -> None:
    counter = rested(CATALOGUE)
    assert kiosks.next_wakeup(counter.kiosk) is None
    counter.tell(ProductScanned(product=COLA))
    counter.wait(59 * SECOND)
    counter.tell(ProductScanned(product=COLA))
    wakeup = kiosks.next_wakeup(counter.kiosk)
    assert wakeup is not None
    assert wakeup.at == counter.now + 60 * SECOND
    assert counter.tell(wakeup.event) == (TellBasket(lines=(), cause="expired"),)
    assert kiosks.next_wakeup(counter.kiosk) is None


@pytest.mark.parametrize(
    ("products", "last"),
    [((COLA, CHIPS, GUM), TEA), ((CHIPS, CHIPS, CHIPS), CHIPS), ((GUM,) * 99, GUM)],
    ids=["lines", "total", "pieces"],
)
def test_a_basket_has_limits(products: Sequence[Product], last: Product) -> None:
    """I11."""
    counter = rested(CATALOGUE)
    for product in products:
        counter.tell(ProductScanned(product=product))
    lines = counter.kiosk.lines
    assert counter.tell(ProductScanned(product=last)) == (TellScan(reason="basket_full"),)
    assert (counter.kiosk.lines, counter.state) == (lines, "filling")


def test_what_is_too_dear_for_a_sale_does_not_begin_a_basket() -> None:
    counter = rested(CATALOGUE)
    dear = replace(COLA, price=Fen(2_001))
    assert counter.tell(ProductScanned(product=dear)) == (TellScan(reason="basket_full"),)
    assert counter.state == "idle"


def test_a_basket_whose_sale_could_not_be_opened_is_kept() -> None:
    counter = rested(CATALOGUE)
    counter.tell(ProductScanned(product=COLA))
    counter.wait(50 * SECOND)
    counter.tell(CodeShown(code=CODE))
    assert counter.tell(SaleNotBegun()) == ()
    assert counter.state == "filling"
    wakeup = kiosks.next_wakeup(counter.kiosk)
    assert wakeup is not None
    assert wakeup.at == counter.now + 60 * SECOND


def test_products_are_not_added_to_what_is_being_paid_and_the_clear_barcode_gives_a_declined_sale_up() -> None:
    counter = rested(CATALOGUE)
    counter.tell(ProductScanned(product=COLA))
    counter.pay()
    for event in (ProductScanned(product=COLA), ClearScanned()):
        counter.wait(PAUSE)
        counter.tell(event)
    assert counter.asked[-1] == TellScan(reason="sale_open")
    assert counter.kiosk.lines == (BasketLine(product=COLA),)
    counter.tell(SaleWaits())
    assert counter.tell(ClearScanned()) == (CancelOpenSale(sale_id=SALE_ID),)
    assert counter.tell(SaleEnded()) == (TellBasket(lines=(), cause="ended"),)


def test_a_subject_fits_the_wallet() -> None:
    lines = tuple(BasketLine(product=replace(COLA, barcode=str(n), name="n" * 32)) for n in range(3))
    assert kiosks.subject(lines) == "n" * 32 + ", " + "n" * 29 + "…"


# --- what a sale means here ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", SaleState)
@pytest.mark.parametrize("delivery", DeliveryState)
def test_every_state_of_a_sale_means_something_here(state: SaleState, delivery: DeliveryState) -> None:
    """Serving begins for money that is taken and goods that nobody has reported, and for nothing else."""
    sale, _ = sales.begin(SALE_ID, ORDER, now=NOON, rules=RULES, fresh=ClientSn("t-1"))
    event = kiosks.event_of(replace(sale, state=state, delivery=delivery))
    assert isinstance(event, SalePaid) == (state is SaleState.PAID and delivery is DeliveryState.PENDING)
    assert isinstance(event, SaleWaits | SaleAsks) == state.is_with_customer


# --- whatever happens ------------------------------------------------------------------------------------------------


@dataclass
class Customers:
    """Random things before a kiosk, and a sale that goes on in a random way; what was read and asked is kept."""

    counter: Counter
    #: When each code was read.
    read_at: list[Instant] = field(default_factory=list)
    #: When each sale was begun and ended.
    begun_at: list[Instant] = field(default_factory=list)
    ended_at: list[Instant] = field(default_factory=list)
    served: list[SaleId] = field(default_factory=list)

    def do(self, move: str) -> None:
        scanned = {"cola": COLA, "chips": CHIPS, "gum": GUM}
        if move in ("code", "other"):
            self._show(CODE if move == "code" else OTHER)
        elif move in scanned:
            self.counter.tell(ProductScanned(product=scanned[move]))
        elif move == "clear":
            self.counter.tell(ClearScanned())
        elif move == "expire":
            wakeup = kiosks.next_wakeup(self.counter.kiosk)
            if wakeup is not None and self.counter.now >= wakeup.at:
                self.counter.tell(wakeup.event)
        else:
            self._go_on(move)

    def _go_on(self, move: str) -> None:
        """Let the sale go on, where it can in this way."""
        state = self.counter.kiosk.state
        event = _SALE_MOVES[move]
        if type(event) not in TABLE[state] or (state is KioskState.SERVING and move != "served"):
            return
        if isinstance(event, SaleBegun):
            event = SaleBegun(sale_id=SaleId(f"sale-{len(self.begun_at)}"))
        self.served.extend(one.sale_id for one in self.counter.tell(event) if isinstance(one, Serve))
        if move in ("ended", "served"):
            self.ended_at.append(self.counter.now)

    def _show(self, code: PaymentCode) -> None:
        self.read_at.append(self.counter.now)
        commands = self.counter.tell(CodeShown(code=code))
        if any(isinstance(one, BeginSale) for one in commands):
            self.begun_at.append(self.counter.now)


_SALE_MOVES: dict[str, Event] = {
    "refuse": SaleNotBegun(),
    "begin": SaleBegun(sale_id=SALE_ID),
    "declined": SaleWaits(),
    "asks": SaleAsks(),
    "paid": SalePaid(),
    "ended": SaleEnded(),
    "served": Served(),
}
MOVES = (
    *("code", "other", "cola", "chips", "gum", "clear", "expire"),
    *_SALE_MOVES,
)


@given(
    st.sampled_from([FIXED, CATALOGUE]),
    st.lists(st.tuples(st.sampled_from([0, 100, 1_000, PAUSE - 1, PAUSE, 61_000]), st.sampled_from(MOVES))),
)
def test_whatever_is_scanned_one_presence_pays_once_and_no_basket_is_larger_than_allowed(
    rules: KioskRules, moves: list[tuple[int, str]]
) -> None:
    customers = Customers(counter=Counter(rules))
    counter = customers.counter
    for by, move in moves:
        counter.wait(by)
        customers.do(move)
        kiosk = counter.kiosk
        assert len(kiosk.lines) <= rules.max_lines
        assert kiosks.total(kiosk.lines) <= rules.max_total
        assert kiosk.code is None, "no code is kept"
        assert (kiosk.state is KioskState.FILLING) <= bool(kiosk.lines)
    for begun in customers.begun_at:
        earlier = [at for at in (START, *customers.read_at, *customers.ended_at) if at < begun]
        assert begun - max(earlier) >= PAUSE
    assert len(set(customers.served)) == len(customers.served), "served once"
    assert all(one.lines or rules.price is not None for one in counter.asked if isinstance(one, BeginSale))


@given(st.sampled_from([FIXED, CATALOGUE]), st.lists(st.sampled_from(MOVES), max_size=30))
def test_every_customer_can_be_done_with(rules: KioskRules, moves: list[str]) -> None:
    """I5: from wherever it is, the end of the sale, or of the wait, leads to where the next one begins."""
    customers = Customers(counter=rested(rules))
    for move in moves:
        customers.counter.wait(SECOND)
        customers.do(move)
    for move in ("refuse", "ended", "served"):
        customers.do(move)
    customers.counter.wait(rules.basket_window)
    customers.do("expire")
    assert customers.counter.state == "idle"


def test_what_is_not_in_the_table_changes_nothing() -> None:
    for state, rows in TABLE.items():
        before = Kiosk(state=state, rests_until=START, sale_id=SALE_ID)
        for event in (SaleBegun(sale_id=SALE_ID), BasketExpired(), Served(), SaleAsks()):
            if type(event) not in rows:
                with pytest.raises(IllegalTransition):
                    kiosks.step(before, event, now=START, rules=FIXED)


def test_a_row_that_needs_a_code_or_a_sale_says_so_where_there_is_none() -> None:
    bare = Kiosk(state=KioskState.IDLE, rests_until=START)
    for state, event in ((KioskState.IDLE, CodeTaken), (KioskState.RETRYING, ClearScanned)):
        (ask,) = TABLE[state][event].ask
        with pytest.raises(LookupError):
            ask(bare)
