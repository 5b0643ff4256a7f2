"""The real daemon renews its key, and a lost answer costs neither the key nor a sale (I6)."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from terminald.engine_custody import FIRST_SALE_WAIT_S
from tests.system.rig import PATIENCE_S, bench


@pytest.mark.system
def test_a_person_has_the_key_renewed(tmp_path: Path) -> None:
    with bench(tmp_path) as shop:
        shop.start()
        shop.wait_ready()
        done = shop.terminald("checkin")
        assert (done.returncode, done.stdout) == (0, "The terminal's key is renewed.\n")
        again = shop.terminald("checkin")
        assert again.returncode == 3
        assert re.match(r"The terminal's key is NOT renewed: .* The next try is at .*ten minutes between", again.stdout)
        assert shop.open_sale("after").status_code == 201
        shop.scanner.scan("130000000000001001")
        shop.wait_state("after", "completed")
        assert shop.stop() == 0
        shop.start()
        shop.wait_ready()
        assert shop.open_sale("after-restart").status_code == 201
        shop.scanner.scan("130000000000001101")
        shop.wait_state("after-restart", "completed")


@pytest.mark.system
def test_a_lost_answer_leaves_the_old_key_and_the_sales(tmp_path: Path) -> None:
    with bench(tmp_path) as shop:
        shop.start()
        shop.wait_ready()
        shop.fault(kind="close_answer", path="checkin")
        done = shop.terminald("checkin")
        assert done.returncode == 3
        assert "renewal had no clear answer" in done.stdout
        assert "The log says why" in done.stdout
        assert re.search(
            r"to_state=doubtful event=CheckinUnanswered code=gateway_no_answer detail=.+", shop.log.read_text()
        )
        assert shop.open_sale("doubtful").status_code == 201
        assert shop.terminald("checkin").returncode == 3
        shop.scanner.scan("130000000000001001")
        shop.wait_state("doubtful", "completed")
        key = shop.status()["key"]
        assert isinstance(key, dict)
        assert key["state"] == "doubtful"


@pytest.mark.system
def test_a_renewal_waits_for_the_payment_that_the_gateway_holds(tmp_path: Path) -> None:
    with bench(tmp_path) as shop:
        shop.configure(read_timeout='"20s"')
        shop.start()
        shop.wait_ready()
        shop.fault(kind="slow", path="pay", seconds=60)
        assert shop.open_sale("slow").status_code == 201
        shop.scanner.scan("130000000000001001")
        shop.wait_state("slow", "processing")
        done = shop.terminald("checkin")
        assert done.returncode == 3
        assert "(slow) is open" in done.stderr
        shop.wait_state("slow", "completed")
        assert shop.terminald("checkin").returncode == 0


@pytest.mark.system
def test_a_sale_beside_a_check_in_is_paid(tmp_path: Path) -> None:
    """The payment is signed with the key that the gateway has just made its last one."""
    with bench(tmp_path) as shop:
        shop.configure(read_timeout='"20s"')
        shop.start()
        shop.wait_ready()
        opened = time.monotonic()
        shop.open_sale("before")
        shop.scanner.scan("130000000000000901")
        shop.wait_state("before", "completed")
        shop.wait(lambda: time.monotonic() - opened > FIRST_SALE_WAIT_S, "the end of what the first sale waits")
        shop.fault(kind="slow", path="checkin", seconds=50)
        asked = subprocess.Popen(
            [sys.executable, "-m", "terminald", "--config", str(shop.config), "checkin"], stdout=subprocess.PIPE
        )
        try:
            shop.wait(lambda: "to_state=checking_in" in shop.log.read_text(), "the check-in")
            assert shop.open_sale("beside").status_code == 201
            shop.scanner.scan("130000000000001001")
            assert shop.wait_state("beside", "completed").paid == 350
            assert "KeyRenewed" not in shop.log.read_text()
            out, _ = asked.communicate(timeout=PATIENCE_S)
        finally:
            asked.kill()
            asked.wait()
        assert (asked.returncode, out) == (0, b"The terminal's key is renewed.\n")
        log = shop.log.read_text()
        assert re.search(r"event=KeyRenewed command=CheckIn key_version=1", log)
        assert re.search(r"event=PayConfirmed command=SubmitPayment key_version=1", log)
        assert shop.open_sale("after").status_code == 201
        shop.scanner.scan("130000000000001101")
        shop.wait_state("after", "completed")
        assert re.search(r"event=PayConfirmed command=SubmitPayment key_version=2", shop.log.read_text())
