"""The vending machines, put together from their configuration."""

from terminald.adapters.ports_devices import DeviceSink
from terminald.adapters.ports_vending import Vmc, VmcSink
from terminald.config import Config
from terminald.engine_vending import VendTerms
from terminald.wire.api import SaleDefaults


def make_vmcs(config: Config, on_event: VmcSink, report: DeviceSink) -> dict[str, Vmc]:
    """Build the configured machines' drivers by their names, not yet open."""
    if not config.vending:
        return {}
    from terminald.adapters.vmcs import make_vmc  # noqa: PLC0415 - costs 5 ms, and most terminals serve no machine

    return {one.name: make_vmc(one, on_event, report) for one in config.vending}


def vend_terms(config: Config, sale: SaleDefaults) -> dict[str, VendTerms]:
    """Return how the requests of each vending machine are served."""
    return {
        one.name: VendTerms(
            answer_limit=one.answer_limit,
            result_window=one.result_window,
            returns_unknown=one.on_unknown == "return",
            payment_window=config.sale.payment_window,
            sale=sale,
        )
        for one in config.vending
    }
