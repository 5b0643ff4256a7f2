"""The configured vending machines."""

from typing import Final

from terminald.adapters.ports_devices import DeviceSink
from terminald.adapters.ports_vending import Vmc, VmcSink
from terminald.adapters.vmc_qibixx import QibixxVmc
from terminald.config_vending import VendingConfig
from terminald.core.money import Fen
from terminald.wire.qibixx import Scale
from terminald.wire.qibixx_setup import Setting
from terminald.wire.qibixx_talk import Terms

_USUAL_ADDRESS: Final = "0x10"


def make_vmc(settings: VendingConfig, on_event: VmcSink, report: DeviceSink) -> Vmc:
    """Build a configured machine's driver, not yet open."""
    return QibixxVmc(
        name=settings.name,
        device=settings.device,
        terms=make_terms(settings),
        has_display=settings.display,
        on_event=on_event,
        report=report,
    )


def make_terms(settings: VendingConfig) -> Terms:
    """Return how a Qibixx adapter is to appear to its machine. The settings that prices depend on come first."""
    is_always_idle = settings.mode == "always_idle"
    return Terms(
        scale=Scale(decimal_places=settings.decimal_places, scale_factor=settings.scale_factor),
        settings=(
            Setting(keys=("mdb-currency-code",), value=settings.currency, is_needed=True),
            Setting(keys=("mdb-decimal-places",), value=str(settings.decimal_places), is_needed=True),
            Setting(keys=("mdb-scale-factor",), value=str(settings.scale_factor), is_needed=True),
            Setting(keys=("mdb-always-idle",), value=str(int(is_always_idle)), is_needed=is_always_idle),
            Setting(
                keys=("mdb-addr", "mdb-address"),
                value=settings.address,
                is_needed=settings.address != _USUAL_ADDRESS,
            ),
            Setting(keys=("mdb-timeout",), value=str(settings.answer_limit // 1000)),
            Setting(keys=("mdb-timeout-vend",), value=str(settings.result_window // 1000)),
            # Money goes back, so the machine may report what it did not dispense.
            Setting(keys=("mdb-restore-funds",), value="1"),
            Setting(keys=("mdb-cashsale-enabled",), value="0"),
        ),
        credit=None if is_always_idle else Fen(settings.credit),
        result_window_ms=settings.result_window,
    )
