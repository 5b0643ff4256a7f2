"""The whole daemon with an engine that it has to switch on and off."""

import signal
from pathlib import Path

import pytest

from terminald.simulator.scanner import ENGINES, ScannerWindow
from tests.system.rig import PATIENCE_S, bench

ENGINE = ENGINES["gm65"]
CODE = "130812345678912300"


@pytest.mark.system
def test_an_engine_is_on_while_a_sale_waits_and_off_after_a_crash_a_payment_and_the_end(tmp_path: Path) -> None:
    """I8. The killed daemon leaves it on; the next one switches it off before anything else."""
    with bench(tmp_path) as it, ScannerWindow(it.scanner, engine=ENGINE) as window:
        trigger = f'name = "front"\ntrigger_on = "{ENGINE.on.hex()}"\ntrigger_off = "{ENGINE.off.hex()}"'
        it.config.write_text(it.config.read_text().replace('name = "front"', trigger))
        it.start()
        it.wait_ready()
        assert window.wait(lambda: window.heard == ["off"])
        it.open_sale("first")
        assert window.wait(lambda: window.heard == ["off", "on"])
        it.stop(signal.SIGKILL)
        assert window.is_lit
        it.start()
        assert window.wait(lambda: window.heard == ["off", "on", "off", "on"], PATIENCE_S)
        it.wait_ready()
        window.show(CODE)
        assert it.wait_state("first", "paid", "completed").paid == 350
        assert window.wait(lambda: window.heard == ["off", "on", "off", "on", "off"])
        assert it.stop() == 0
        assert window.wait(lambda: window.heard == ["off", "on", "off", "on", "off", "off"])
