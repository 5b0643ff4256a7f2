"""The configuration of a kiosk without a host application: ``[kiosk]``, its products, and its action on payment."""

# ruff: noqa: RUF009 - option() and its kin declare fields, as dataclasses.field() does
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from terminald import config_rules as rules
from terminald.config_decode import Conflict, Section, option, required, table, tables
from terminald.config_text import Place
from terminald.core.ids import Duration
from terminald.core.money import MAX_AMOUNT

#: As many as the file has room for.
MAX_PRODUCTS = 500
#: As many lines of goods as a receipt shows.
MAX_LINES = 50
#: Machines that count coins take some tens for one service; more is a mistake in a price or in the worth of a pulse.
MAX_PULSES = 100
#: What a person writes on a command line.
_MAX_ARGUMENTS = 32

#: goods_details takes 32 characters for an id and for a name (Web API documents, pay).
_GOODS_TEXT = 32
_BARCODE = "[!-~]{%d,32}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductConfig(Section):
    """One product of the host-less catalogue."""

    barcode: str = required(rules.pattern(_BARCODE % 1, "the product's barcode as the scanner reads it, up to 32"))
    name: str = required(rules.text(1, _GOODS_TEXT))
    price: int = required(rules.integer(1, MAX_AMOUNT, "fen"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandConfig(Section):
    """The command that is run when a sale is paid."""

    argv: tuple[str, ...] = option(rules.listing(rules.text(0, 1000), most=_MAX_ARGUMENTS), [])
    timeout: Duration = option(rules.duration("10ms", "10m"), "10s")

    def conflicts(self) -> Iterable[Conflict]:
        """No shell looks for it."""
        if self.argv and not self.argv[0].startswith("/"):
            what = f"{rules.show(self.argv[0])} is not an absolute path; allowed: such as /usr/local/bin/open-gate"
            yield ("argv",), what


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioConfig(Section):
    """The lines over which a machine is told that it was paid, and says that it can not serve."""

    chip: str = option(rules.text(0, 255), "")
    line: str = option(rules.text(0, 64), "")
    active_low: bool = option(rules.boolean, default=False)
    width: Duration = option(rules.duration("5ms", "10s"), "50ms")
    gap: Duration = option(rules.duration("5ms", "10s"), "100ms")
    pulses: int = option(rules.integer(1, MAX_PULSES), 1)
    pulse_value: int = option(rules.integer(0, MAX_AMOUNT, "fen"), 0)
    inhibit: str = option(rules.text(0, 64), "")
    inhibit_active_low: bool = option(rules.boolean, default=True)
    inhibit_bias: Literal["pull_up", "pull_down", "none"] = option(
        rules.choice("pull_up", "pull_down", "none"), "pull_up"
    )
    debounce: Duration = option(rules.duration("0s", "1s"), "20ms")

    def conflicts(self) -> Iterable[Conflict]:
        """A line is used for one thing; the number of pulses has one source."""
        if self.inhibit and self.inhibit == self.line:
            yield ("inhibit", "line"), f"{rules.show(self.inhibit)} is kiosk.gpio.line as well; allowed: another line"
        if self.pulse_value and self.pulses != 1:
            yield ("pulses", "pulse_value"), "has no meaning with pulse_value, which gives the number; leave it out"

    def pulses_for(self, amount: int) -> int:
        """Return how many pulses an amount is worth. The configuration has no price that is not in whole pulses."""
        return amount // self.pulse_value if self.pulse_value else self.pulses


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskConfig(Section):
    """Selling without a host application."""

    mode: Literal["off", "fixed", "catalogue"] = option(rules.choice("off", "fixed", "catalogue"), "off")
    amount: int = option(rules.integer(1, MAX_AMOUNT, "fen"), 500)
    subject: str = option(rules.text(1, 64), "Ticket")
    pause: Duration = option(rules.duration("0s", "5m"), "3s")
    clear: str = option(rules.pattern(_BARCODE % 0, "a barcode that no product has, up to 32 characters"), "")
    basket_window: Duration = option(rules.duration("10ms", "1h"), "60s")
    max_lines: int = option(rules.integer(1, MAX_LINES), 20)
    action: Literal["none", "command", "gpio"] = option(rules.choice("none", "command", "gpio"), "none")
    command: CommandConfig = table(CommandConfig)
    gpio: GpioConfig = table(GpioConfig)
    products: tuple[ProductConfig, ...] = tables(ProductConfig, key="product", most=MAX_PRODUCTS, distinct=("barcode",))

    def conflicts(self) -> Iterable[Conflict]:
        """What a mode and an action need has to be there."""
        if self.mode == "catalogue" and not self.products:
            yield ("mode", "product"), '"catalogue" needs products; write a [[kiosk.product]] for each'
        if self.clear and any(one.barcode == self.clear for one in self.products):
            yield ("clear", "product"), f"{rules.show(self.clear)} is the barcode of a product; allowed: another one"
        if self.action == "command" and not self.command.argv:
            yield ("action", "command"), '"command" needs kiosk.command.argv: the command and its arguments'
        if self.action == "gpio":
            yield from self._gpio_conflicts()

    def _gpio_conflicts(self) -> Iterable[Conflict]:
        if not self.gpio.chip or not self.gpio.line:
            yield ("action", "gpio"), '"gpio" needs kiosk.gpio.chip and kiosk.gpio.line; gpioinfo lists them'
        worth = self.gpio.pulse_value
        if not worth:
            return
        for price in self._prices():
            if price % worth:
                what = f"{price} fen are not in whole pulses of kiosk.gpio.pulse_value; allowed: multiples of {worth}"
                yield (self._priced_by, "gpio"), what
            elif price // worth > MAX_PULSES:
                what = f"{price} fen are {price // worth} pulses; allowed: up to {MAX_PULSES}"
                yield (self._priced_by, "gpio"), what

    def _prices(self) -> set[int]:
        if self.mode == "fixed":
            return {self.amount}
        return {one.price for one in self.products} if self.mode == "catalogue" else set()

    @property
    def _priced_by(self) -> str:
        return "amount" if self.mode == "fixed" else "product"

    def barcodes(self) -> Iterator[tuple[Place, str]]:
        """Return what is scanned beside payment codes, each with its place in this table."""
        if self.mode == "catalogue":
            yield from ((("product", index, "barcode"), one.barcode) for index, one in enumerate(self.products))
        if self.mode != "off" and self.clear:
            yield ("clear",), self.clear

    @property
    def longest_action(self) -> Duration:
        """Return how long the action may take, without the time that the disk needs between two pulses."""
        if self.action == "command":
            return self.command.timeout
        if self.action == "gpio":
            is_open = self.gpio.pulse_value and self.mode == "catalogue"
            most = MAX_PULSES if is_open else self.gpio.pulses_for(self.amount)
            return Duration(most * (self.gpio.width + self.gpio.gap))
        return Duration(0)
