"""The main job with real processes: sockets, pseudo-terminals, files and signals."""

import signal
from pathlib import Path

import httpx
import pytest

from terminald.simulator.printer_paper import print_job
from tests.system.rig import ACTIVATION_CODE, VENDOR_KEY, Bench, bench

pytestmark = pytest.mark.system

GOOD, WAITS_FOR_CUSTOMER = "130000000000000099", "130000000000000212"


def _receipts(terminal: Bench) -> list[str]:
    path = terminal.directory / "receipts.bin"
    if not path.exists():
        return []
    return [sheet.text for sheet in print_job(path.read_bytes(), width_dots=384, encoding="gbk")]


def test_a_scanned_code_becomes_a_paid_sale_and_a_receipt(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    assert terminal.open_sale("order-1").status_code == 201
    terminal.scanner.scan(GOOD, prefix="]Q1")
    sale = terminal.wait_state("order-1", "completed")
    assert (sale.paid, len(sale.attempts), sale.attempts[0].outcome) == (350, 1, "paid")
    assert terminal.books().kept == 350
    terminal.wait(lambda: terminal.sale("order-1").receipt == "unverified", "printed")
    (receipt,) = _receipts(terminal)
    assert "3.50" in receipt
    assert "Cola" in receipt
    assert terminal.api.post("/v1/sales/order-1/receipt").status_code < 300
    terminal.wait(lambda: len(_receipts(terminal)) == 2, "the copy")
    assert "补打" in _receipts(terminal)[1]


def test_a_declined_code_leaves_the_sale_open_for_another_one(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan("130000000000000020")
    terminal.wait(lambda: len(terminal.sale("order-1").attempts) == 1, "the first attempt")
    terminal.wait_state("order-1", "awaiting_payment")
    terminal.scanner.scan(GOOD)
    sale = terminal.wait_state("order-1", "completed")
    assert [attempt.outcome for attempt in sale.attempts] == ["declined", "paid"]
    assert terminal.books().kept == 350


@pytest.mark.parametrize("ending", ["40", "44", "45", "46", "47", "48", "49", "53"])
def test_an_answer_lost_after_the_charge_is_found_by_query_and_never_submitted_again(
    terminal: Bench, ending: str
) -> None:
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan("1300000000000000" + ending)
    sale = terminal.wait_state("order-1", "completed")
    assert len(sale.attempts) == 1
    (order,) = terminal.books().orders
    assert (order.submits, order.net) == (1, 350)


def test_a_payment_found_after_the_host_was_told_canceled_goes_back_by_itself(terminal: Bench) -> None:
    """I3: the request was delayed beyond the whole life of the sale, and arrived in the end."""
    terminal.fault(kind="delay_request", path="pay", seconds=45)
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan(GOOD)
    terminal.wait_state("order-1", "canceled")
    assert terminal.books().kept == 0
    terminal.wait(lambda: any(order.paid for order in terminal.books().orders), "the late arrival")
    terminal.wait(lambda: terminal.books().kept == 0, "its return")
    assert terminal.sale("order-1").state == "canceled"


def test_a_reference_names_one_sale_across_restarts(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan(GOOD)
    first = terminal.wait_state("order-1", "completed")
    assert terminal.stop() == 0
    terminal.start()
    terminal.wait_ready()
    again = terminal.open_sale("order-1")
    assert (again.status_code, again.json()["id"]) == (200, first.id)
    other = terminal.open_sale("order-1", amount=999)
    assert (other.status_code, other.json()["code"]) == (409, "reference_conflict")
    assert terminal.books().kept == 350


def test_what_is_no_payment_code_never_leaves_and_the_host_is_told_why(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    with terminal.api.stream("GET", "/v1/events", params={"since": "0"}) as events:
        terminal.scanner.scan("6901234567892", prefix="]E0")
        lines = events.iter_lines()
        told = next(line for line in lines if line.startswith("data:") and "product_barcode" in line)
    assert "6901234567892" not in told
    refused = terminal.api.post("/v1/sales/order-1/payment-code", json={"code": "hello"})
    assert (refused.status_code, refused.json()["code"]) == (422, "not_a_payment_code")
    assert terminal.sale("order-1").state == "awaiting_payment"
    assert terminal.books().orders == []


def test_sigterm_follows_the_payment_in_progress_and_refuses_new_sales(terminal: Bench) -> None:
    terminal.configure(poll_window='"20s"')
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan(WAITS_FOR_CUSTOMER)
    sale = terminal.wait_state("order-1", "processing")
    if terminal.daemon is None:
        raise AssertionError
    terminal.daemon.send_signal(signal.SIGTERM)
    terminal.wait(lambda: terminal.status().get("draining") is True, "draining")
    refused = terminal.open_sale("order-2")
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    assert "draining" in refused.json()["reasons"]
    terminal.pay(sale)
    assert terminal.daemon.wait(40) == 0
    terminal.start()
    terminal.wait_ready()
    assert terminal.sale("order-1").state == "completed"
    assert terminal.books().kept == 350


def test_sigterm_closes_a_sale_that_nobody_has_paid(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    assert terminal.stop() == 0
    terminal.start()
    terminal.wait_ready()
    sale = terminal.sale("order-1")
    assert (sale.state, sale.reason) == ("canceled", "shutdown")


def test_a_second_daemon_on_the_same_state_is_refused_and_says_who_holds_it(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    second = terminal.terminald("run")
    assert second.returncode == 1
    if terminal.daemon is None:
        raise AssertionError
    assert str(terminal.daemon.pid) in second.stderr
    assert terminal.open_sale("order-1").status_code == 201


def test_a_scanner_that_is_unplugged_and_plugged_in_again_is_used_again(terminal: Bench) -> None:
    """I8."""
    terminal.start()
    terminal.wait_ready()
    terminal.scanner.unplug()
    terminal.wait(lambda: terminal.status().get("reasons") == ["scanner_absent"], "absent")
    terminal.scanner.replug()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan(GOOD)
    terminal.wait_state("order-1", "completed")


def test_nothing_sensitive_is_written_anywhere(tmp_path: Path) -> None:
    """I7: keys and whole codes are searched in every file and output, failures included."""
    with bench(tmp_path) as terminal:
        terminal.start()
        terminal.wait_ready()
        codes = []
        for number, ending in enumerate(("99", "20", "40", "46", "51", "52")):
            code = f"13987654321098{number:02d}{ending}"
            codes.append(code)
            reference = f"order-{number}"
            terminal.open_sale(reference)
            terminal.api.post(f"/v1/sales/{reference}/payment-code", json={"code": code})
            terminal.api.post(f"/v1/sales/{reference}/payment-code", json={"code": code})
            terminal.api.post(f"/v1/sales/{reference}/cancel")
            terminal.wait_state(reference, "completed", "canceled")
        outputs = [
            terminal.api.get("/v1/sales").text,
            terminal.terminald("status").stdout,
            terminal.terminald("sales").stdout,
            *(terminal.terminald("show", f"order-{number}").stdout for number in range(len(codes))),
        ]
        terminal.stop()
        keys = _keys(terminal)
        files = {
            path: path.read_bytes()
            for path in tmp_path.rglob("*")
            if path.is_file() and path.name not in ("vendor.key", "gateway.log")
        }
    for secret in (*codes, VENDOR_KEY, ACTIVATION_CODE):
        assert not [str(path) for path, data in files.items() if secret.encode() in data], secret
        assert not [text for text in outputs if secret in text], secret
    for key in keys:
        assert not [path for path, data in files.items() if key in data and "state" not in path.parts]
        assert not [text for text in outputs if key.decode() in text]


def _keys(terminal: Bench) -> list[bytes]:
    """Read the terminal's keys from where alone they may be."""
    import sqlite3  # noqa: PLC0415 - no other test looks into the file

    (path,) = (terminal.directory / "state").glob("*.db")
    with sqlite3.connect(path) as connection:
        (key,) = connection.execute("SELECT current_key FROM terminal").fetchone()
    connection.close()
    return [key.encode()]


def test_the_daemon_serves_while_the_gateway_is_away_and_says_so(terminal: Bench) -> None:
    terminal.config.write_text(terminal.config.read_text().replace(terminal.url, "http://127.0.0.1:9"))
    terminal.start()
    terminal.wait(lambda: terminal.status().get("reasons") == ["gateway_unreachable"], "not ready")
    refused = terminal.open_sale("order-1")
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    assert refused.json()["reasons"] == ["gateway_unreachable"]
    assert httpx.codes.is_server_error(refused.status_code)


def test_a_receipt_without_a_printer_is_refused_before_the_sale_and_a_queued_one_is_given_up(terminal: Bench) -> None:
    """I8."""
    terminal.configure(poll_window='"20s"')
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan(WAITS_FOR_CUSTOMER)
    sale = terminal.wait_state("order-1", "processing")
    terminal.stop(signal.SIGKILL)
    terminal.pay(sale)
    without = terminal.config.read_text().replace('driver = "file"', 'driver = "none"\njob_lifetime = "1s"')
    terminal.config.write_text(without)
    terminal.start()
    terminal.wait_ready()
    terminal.wait(lambda: terminal.sale("order-1").receipt == "expired", "given up")
    assert terminal.sale("order-1").state == "completed"
    refused = terminal.api.post(
        "/v1/sales", json={"reference": "order-2", "amount": 1, "subject": "Cola", "receipt": True}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "printer_off")
    assert terminal.is_alive()


def test_receipts_that_wait_for_the_printer_are_bounded(terminal: Bench) -> None:
    """I11."""
    there, gone = f'device = "{terminal.directory}/receipts.bin"', 'device = "/dev/terminald-none"'
    terminal.config.write_text(terminal.config.read_text().replace(there, gone))
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan(GOOD)
    terminal.wait_state("order-1", "completed")
    answers = [terminal.api.post("/v1/sales/order-1/receipt").status_code for _ in range(5)]
    assert answers == [200, 200, 503, 503, 503]
    assert terminal.stop() == 0


def test_sighup_does_not_end_the_daemon(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    if terminal.daemon is None:
        raise AssertionError
    terminal.daemon.send_signal(signal.SIGHUP)
    terminal.wait(lambda: "the configuration was read again" in terminal.log.read_text(), "told")
    assert terminal.is_alive()


def test_a_refused_signature_makes_the_terminal_not_ready_until_it_is_accepted_again(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    terminal.fault(kind="illegal_sign", path="*", count=4)
    terminal.open_sale("order-1")
    terminal.scanner.scan(GOOD)
    sale = terminal.wait_state("order-1", "canceled")
    assert sale.reason == "terminal_refused"
    assert terminal.books().orders == []
    terminal.wait_ready()
