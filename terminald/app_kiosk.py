"""A kiosk without a host application, put together from its configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

from terminald.adapters.action_command import CommandAction
from terminald.adapters.action_gpio import OUTPUT, GpioOutput, Train
from terminald.adapters.gpio_lines import LineChoice
from terminald.adapters.ports_actions import Action, ActionJournal
from terminald.adapters.ports_devices import DeviceSink, Scanner
from terminald.config import Config
from terminald.config_kiosk import MAX_PULSES, GpioConfig, KioskConfig
from terminald.core.kiosk_action import ActionMark
from terminald.core.kiosk_events import Product
from terminald.core.kiosk_table import KioskRules
from terminald.core.money import Fen
from terminald.engine import Engine
from terminald.engine_desk import EngineDesk
from terminald.engine_kiosk import KioskHost, KioskTerms
from terminald.engine_kiosk_service import KioskService, Means
from terminald.wire.api import SaleDefaults


def is_on(config: Config) -> bool:
    """Whether the scanners are the kiosk's."""
    return config.kiosk.mode != "off"


def required_parts(config: Config) -> frozenset[str]:
    """Return without what no sale is begun: what the configuration says, and the line to a machine."""
    return frozenset({*config.readiness.require, *((OUTPUT,) if _has_output(config) else ())})


def make_output(config: Config, report: DeviceSink) -> GpioOutput | None:
    """Return the line to a machine as a device, not yet open; None where there is none."""
    if not _has_output(config):
        return None
    gpio = config.kiosk.gpio
    train = Train(
        width_s=gpio.width / 1000,
        gap_s=gpio.gap / 1000,
        pulses_for=gpio.pulses_for,
        has_parts=bool(gpio.pulse_value),
    )
    return GpioOutput(line_choice(gpio), train, report)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of the daemon a kiosk needs; mark is the journal's, of the last action."""

    engine: Engine
    desk: EngineDesk
    scanners: Sequence[Scanner]
    output: GpioOutput | None
    journal: ActionJournal
    mark: ActionMark | None


def make_kiosk(config: Config, parts: Parts, defaults: SaleDefaults) -> KioskHost | None:
    """Return the kiosk; None where there is none."""
    if not is_on(config):
        return None
    action = parts.output or _command(config.kiosk)
    means = None if action is None else Means(action=action, journal=parts.journal)
    service = KioskService(parts.engine, parts.desk, means, parts.mark)
    terms = _terms(config, defaults)
    return KioskHost(parts.engine, parts.desk, terms, service=service, scanners=parts.scanners)


def _has_output(config: Config) -> bool:
    return is_on(config) and config.kiosk.action == "gpio"


def _command(kiosk: KioskConfig) -> Action | None:
    if kiosk.action != "command":
        return None
    return CommandAction(kiosk.command.argv, timeout_s=kiosk.command.timeout / 1000)


def line_choice(gpio: GpioConfig) -> LineChoice:
    """Return which lines are meant."""
    return LineChoice(
        chip=gpio.chip,
        line=gpio.line,
        is_active_low=gpio.active_low,
        inhibit=gpio.inhibit,
        is_inhibit_active_low=gpio.inhibit_active_low,
        inhibit_bias=gpio.inhibit_bias,
        debounce_ms=gpio.debounce,
    )


def _terms(config: Config, defaults: SaleDefaults) -> KioskTerms:
    kiosk = config.kiosk
    products = kiosk.products if kiosk.mode == "catalogue" else ()
    most = config.sale.max_amount
    if kiosk.action == "gpio" and kiosk.gpio.pulse_value:
        most = min(most, kiosk.gpio.pulse_value * MAX_PULSES)
    return KioskTerms(
        rules=KioskRules(
            price=Fen(kiosk.amount) if kiosk.mode == "fixed" else None,
            pause=kiosk.pause,
            basket_window=kiosk.basket_window,
            max_lines=kiosk.max_lines,
            max_total=Fen(most),
        ),
        subject=kiosk.subject,
        products={one.barcode: Product(barcode=one.barcode, name=one.name, price=Fen(one.price)) for one in products},
        clear=kiosk.clear,
        code_pattern=config.sale.payment_code,
        operator=defaults.operator,
        wants_receipt=defaults.receipt,
        prints_refunds=defaults.refund_slips,
    )
