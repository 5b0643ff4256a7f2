"""The configuration of a vending machine: ``[[vending]]``."""

# ruff: noqa: RUF009 - option() and its kin declare fields, as dataclasses.field() does
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from terminald import config_rules as rules
from terminald.config_decode import Conflict, Section, option, required
from terminald.core.ids import Duration
from terminald.core.money import MAX_AMOUNT

#: A board has a handful of ports; more is a mistake in the file.
MAX_VENDING = 4

_FEN_PER_UNIT = 100
#: MDB counts a session's funds in two bytes, of which the highest value means something else.
_MOST_STEPS = 0xFFFE


@dataclass(frozen=True, slots=True, kw_only=True)
class VendingConfig(Section):
    """One vending machine controller."""

    name: str = option(rules.text(1, 32), "vending")
    driver: Literal["qibixx"] = option(rules.choice("qibixx"), "qibixx")
    device: str = required(rules.text(1, 255))
    mode: Literal["always_idle", "session"] = option(rules.choice("always_idle", "session"), "always_idle")
    credit: int = option(rules.integer(1, MAX_AMOUNT, "fen"), 10_000)
    currency: str = option(
        rules.pattern("0x1[0-9]{3}", '"0x1" and the three digits of ISO 4217, such as "0x1156"'), "0x1156"
    )
    decimal_places: int = option(rules.integer(0, 3), 2)
    scale_factor: int = option(rules.integer(1, 100), 1)
    address: Literal["0x10", "0x60"] = option(rules.choice("0x10", "0x60"), "0x10")
    answer_limit: Duration = option(rules.duration("20s", "255s"), "120s")
    result_window: Duration = option(rules.duration("30s", "1h"), "180s")
    on_unknown: Literal["keep", "return"] = option(rules.choice("keep", "return"), "keep")
    display: bool = option(rules.boolean, default=True)

    def conflicts(self) -> Iterable[Conflict]:
        """The driver takes lines only; a credit is counted in the machine's steps, of which MDB has two bytes."""
        if not self.device.startswith("/"):
            yield ("device",), f"{rules.show(self.device)} is not a path; allowed: such as /dev/ttyACM0"
        if self.name in ("printer", "output"):
            yield ("name",), f"{rules.show(self.name)} is the name of another device; allowed: any other name"
        step = Fraction(_FEN_PER_UNIT * self.scale_factor, 10**self.decimal_places)
        if self.mode == "session" and (self.credit % step or self.credit > step * _MOST_STEPS):
            allowed = f"a multiple of {step.numerator} up to {int(step * _MOST_STEPS)}, which [[vending]] counts in"
            yield (
                ("credit", "mode", "decimal_places", "scale_factor"),
                f"{self.credit} is no credit; allowed: {allowed}",
            )
