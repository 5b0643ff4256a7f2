"""The real daemon renews its key, and a lost answer costs neither the key nor a sale (I6)."""

import re
from pathlib import Path

import pytest

from tests.system.rig import bench


@pytest.mark.system
def test_a_person_has_the_key_renewed(tmp_path: Path) -> None:
    with bench(tmp_path) as shop:
        shop.start()
        shop.wait_ready()
        done = shop.terminald("checkin")
        assert (done.returncode, done.stdout) == (0, "The terminal's key is renewed.\n")
        again = shop.terminald("checkin")
        assert again.returncode == 3
        assert re.match(r"The terminal's key is NOT renewed: .* The next try is at ", again.stdout)
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
        assert shop.open_sale("doubtful").status_code == 201
        assert shop.terminald("checkin").returncode == 3
        shop.scanner.scan("130000000000001001")
        shop.wait_state("doubtful", "completed")
        key = shop.status()["key"]
        assert isinstance(key, dict)
        assert key["state"] == "doubtful"
