"""The commands of a person, against the real daemon with a simulated world around it."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.system.rig import ACTIVATION_CODE, PATIENCE_S, VENDOR_KEY, Bench, bench

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One daemon for all of these tests."""
    with bench(tmp_path_factory.mktemp("shop")) as made:
        made.start()
        made.wait_ready()
        yield made


def run(shop: Bench, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "terminald", *arguments, "--config", str(shop.config)],
        input=stdin, check=False, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip


def sell(shop: Bench, reference: str, code: str) -> "subprocess.CompletedProcess[str]":
    return run(shop, "sell", "1.25", "--reference", reference, "--code", "-", stdin=f"{code}\n")


def start_selling(shop: Bench, reference: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "terminald", "--config", str(shop.config), "sell", "3.50"]
    process = subprocess.Popen(
        [*command, "--reference", reference, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    shop.wait(lambda: is_open(shop, reference), "the sale is open")
    return process


def is_open(shop: Bench, reference: str) -> bool:
    """Tell whether a code that is scanned now would be for this sale; that it is in the journal is not enough."""
    answer = shop.api.get(f"/v1/sales/{reference}")
    return answer.status_code == httpx.codes.OK and shop.status().get("sale") == answer.json()["id"]


def test_status_of_a_ready_terminal(shop: Bench) -> None:
    done = run(shop, "status")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("ready to take payments\n")
    assert re.search(r"^terminal +1\d{16}, activated 20", done.stdout, re.MULTILINE)
    assert re.search(r"^scanner +front ready$", done.stdout, re.MULTILINE)
    assert json.loads(run(shop, "status", "--json").stdout)["ready"] is True


def test_a_sale_is_told_to_its_end(shop: Bench) -> None:
    process = start_selling(shop, "told-1", "--subject", "Cola")
    shop.scanner.scan("130000000000001001")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    lines = out.splitlines()
    assert lines[0].endswith("over 3.50 yuan, reference told-1.")
    assert lines[1] == "Now the customer shows a payment code to the scanner."
    assert re.fullmatch(r"Paid 3\.50 yuan with WeChat Pay, transaction \d+\.", lines[-2])
    assert lines[-1].startswith("Receipt: ")
    assert "130000000000001001" not in out


def test_codes_are_read_from_standard_input_until_one_is_good(shop: Bench) -> None:
    """I7: they are neither shown nor on the command line."""
    codes = ["6901234567892", "130000000000001120", "280000000000001202"]
    done = run(shop, "sell", "350fen", "--code", "-", "--json", stdin="\n".join(["", *codes]))
    assert done.returncode == 0, done.stderr
    sale = json.loads(done.stdout)
    assert sale["reference"].startswith("cli-")
    assert [attempt["outcome"] for attempt in sale["attempts"]] == ["declined", "paid"]
    assert "INSUFFICIENT_FUND" in done.stderr
    assert "barcode of a product" in done.stderr
    assert not any(code in done.stdout + done.stderr for code in codes)


def test_interrupting_cancels_the_sale(shop: Bench) -> None:
    """I3"""
    process = start_selling(shop, "given-up")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "canceled, no money is kept: it was canceled on request" in err
    assert shop.sale("given-up").state == "canceled"


def test_a_sale_beside_an_open_one_is_refused(shop: Bench) -> None:
    process = start_selling(shop, "first")
    refused = run(shop, "sell", "1")
    assert refused.returncode == 3
    assert "(first) is open" in refused.stderr
    canceled = run(shop, "cancel", "first")
    assert canceled.returncode == 0
    assert "no money is kept" in canceled.stdout
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert out.splitlines()[-1] == "Canceled, no money is kept: it was canceled on request."


def test_a_sale_is_found_by_its_names_and_shown(shop: Bench) -> None:
    assert sell(shop, "order 7/a", "130000000000001301").returncode == 0
    sale = json.loads(run(shop, "show", "order 7/a", "--json").stdout)
    names = [sale["id"], "order 7/a", sale["attempts"][0]["client_sn"], sale["attempts"][0]["sn"]]
    shown = {run(shop, "show", name).stdout for name in names}
    assert len(shown) == 1
    assert "reference   order 7/a\n" in shown.pop()
    queried = run(shop, "query", "order 7/a")
    assert queried.returncode == 0
    assert queried.stdout.startswith(f"order {sale['attempts'][0]['client_sn']}: paid\n")


def test_sales_are_listed(shop: Bench) -> None:
    assert sell(shop, "listed", "130000000000001401").returncode == 0
    listed = run(shop, "sales", "--state", "completed")
    assert re.search(r"^\S+ \S+ +completed +1\.25  listed ", listed.stdout, re.MULTILINE)
    page = json.loads(run(shop, "sales", "--json", "--limit", "1").stdout)
    assert (len(page["sales"]), page["next_cursor"] is None) == (1, False)
    assert "the newest 1;" in run(shop, "sales", "--limit", "1").stdout
    assert run(shop, "sales", "--attention").stdout == "no sales\n"
    assert run(shop, "sales", "--day", "2001-01-01").stdout == "no sales\n"


def test_a_receipt_is_printed_again_or_drawn(shop: Bench, tmp_path: Path) -> None:
    assert sell(shop, "paper", "130000000000001501").returncode == 0
    copied = run(shop, "receipt", "paper")
    assert copied.returncode == 0
    assert copied.stdout.startswith("Copy of the receipt of sale ")
    png = tmp_path / "receipt.png"
    drawn = run(shop, "receipt", "paper", "--png", str(png))
    assert (drawn.returncode, drawn.stdout) == (0, f"{png}\n")
    with Image.open(png) as image:
        assert image.width == 384
        assert image.getextrema()[0] == 0
    nowhere = run(shop, "receipt", "paper", "--png", str(tmp_path / "none" / "receipt.png"))
    assert nowhere.returncode == 1
    assert "can not be written" in nowhere.stderr


def test_what_is_not_paid_has_no_receipt(shop: Bench, tmp_path: Path) -> None:
    process = start_selling(shop, "no-paper")
    assert run(shop, "cancel", "no-paper").returncode == 0
    process.communicate(timeout=PATIENCE_S)
    for arguments in ([], ["--png", str(tmp_path / "receipt.png")]):
        refused = run(shop, "receipt", "no-paper", *arguments)
        assert refused.returncode == 3
        assert "is not paid" in refused.stderr


def test_events_are_followed(shop: Bench) -> None:
    command = [sys.executable, "-m", "terminald", "--config", str(shop.config), "events", "--since", "0"]
    for arguments in ([], ["--json", "--topic", "readiness"]):
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
        if arguments:
            event = json.loads(line)
            # The first of a slow start may be told when everything is there already.
            assert (event["event"], event["data"]["ready"]) == ("readiness", event["data"]["reasons"] == [])
        else:
            assert re.match(r" +\d+  (readiness|device) ", line)


# --- QR, refunds, delivery -------------------------------------------------------------------------------------------


def shown(shop: Bench, reference: str) -> dict[str, object]:
    found = shop.api.get(f"/v1/sales/{reference}").json()
    assert isinstance(found, dict)
    return found


def qr_of(shop: Bench, reference: str) -> str:
    """Wait for the QR of a sale, and return what it says."""
    shop.wait(lambda: shown(shop, reference)["qr"] is not None, "a QR")
    qr = shown(shop, reference)["qr"]
    assert isinstance(qr, dict)
    return str(qr["content"])


def scan_qr(shop: Bench, content: str) -> None:
    """Let a customer pay the QR."""
    body = {"qr_code": content, "action": "pay"}
    httpx.post(f"{shop.url}/_sim/customer", json=body, timeout=PATIENCE_S).raise_for_status()


def kept(shop: Bench, reference: str) -> int:
    """Return how much of the sale's money the gateway has."""
    attempts = shop.sale(reference).attempts
    names = {one.client_sn for one in attempts}
    return sum(order.net for order in shop.books().orders if order.client_sn in names)


def test_a_sale_is_paid_by_qr(shop: Bench) -> None:
    process = start_selling(shop, "qr-1", "--method", "qr")
    content = qr_of(shop, "qr-1")
    assert f"  QR          {content} for WeChat Pay, until " in run(shop, "show", "qr-1").stdout
    scan_qr(shop, content)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "The customer scans this QR with WeChat Pay until" in out
    assert content in out
    assert re.search(r"^Paid 3\.50 yuan with WeChat Pay, transaction \d+\.$", out, re.MULTILINE)
    assert kept(shop, "qr-1") == 350


def test_a_code_beside_a_qr_is_charged_once(shop: Bench) -> None:
    """I1"""
    process = start_selling(shop, "both-1", "--method", "qr", "--method", "scan")
    qr_of(shop, "both-1")
    shop.scanner.scan("280000000000002001")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "Paid 3.50 yuan with Alipay" in out
    assert [attempt.outcome for attempt in shop.sale("both-1").attempts] == ["reversed", "paid"]
    assert kept(shop, "both-1") == 350


def test_money_goes_back_in_parts_once_for_each_reference(shop: Bench) -> None:
    """I9"""
    assert sell(shop, "back-1", "130000000000002101").returncode == 0
    for _ in range(2):
        done = run(shop, "refund", "back-1", "0.25", "--reference", "part")
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("Gone back.\n")
    assert kept(shop, "back-1") == 100
    too_much = run(shop, "refund", "back-1", "1.01")
    assert (too_much.returncode, "at most 1.00 yuan (100 fen)" in too_much.stderr) == (1, True)
    other = run(shop, "refund", "back-1", "0.26", "--reference", "part")
    assert (other.returncode, "another amount" in other.stderr) == (3, True)
    assert run(shop, "revoke", "back-1").returncode == 3
    rest = run(shop, "refund", "back-1", "--json")
    assert (rest.returncode, json.loads(rest.stdout)["amount"]) == (0, 100)
    assert (shop.sale("back-1").state, kept(shop, "back-1")) == ("returned", 0)
    again = run(shop, "refund", "back-1")
    assert (again.returncode, "has gone back" in again.stderr) == (3, True)
    assert re.search(r" returned +1\.25  back-1 ", run(shop, "sales", "--state", "returned").stdout)


def test_a_payment_is_revoked(shop: Bench) -> None:
    assert sell(shop, "revoked", "130000000000002201").returncode == 0
    done = run(shop, "revoke", "revoked")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Gone back."
    assert (shop.sale("revoked").state, kept(shop, "revoked")) == ("returned", 0)


def test_a_refund_that_is_not_waited_for_goes_on(shop: Bench) -> None:
    """I5"""
    assert sell(shop, "left", "130000000000002301").returncode == 0
    shop.fault(kind="in_progress", path="refund", seconds=30)
    command = [sys.executable, "-m", "terminald", "--config", str(shop.config), "refund", "left"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        shop.wait(lambda: shown(shop, "left")["state"] == "returning", "the refund is under way")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "Interrupted. " in err
    assert "goes on by itself" in err or "may have been asked for already" in err
    shop.wait_state("left", "returned")
    assert kept(shop, "left") == 0


@pytest.mark.parametrize(
    ("command", "amount", "code", "state", "left"),
    [
        ("delivered", [], "130000000000002401", "completed", 125),
        ("undelivered", ["0.25"], "130000000000002402", "completed", 100),
        ("undelivered", [], "130000000000002403", "returned", 0),
    ],
)
def test_goods_are_reported_and_the_money_of_those_that_did_not_come_out_goes_back(
    command: str, amount: list[str], code: str, state: str, left: int, shop: Bench
) -> None:
    reference = f"goods-{code[-4:]}"
    arguments = ["sell", "1.25", "--reference", reference, "--delivery", "confirm", "--code", "-"]
    sold = run(shop, *arguments, stdin=f"{code}\n")
    assert sold.returncode == 0, sold.stderr
    assert "Now report the goods until " in sold.stdout
    assert shop.sale(reference).state == "paid"
    done = run(shop, command, reference, *amount)
    assert done.returncode == 0, done.stderr
    shop.wait(lambda: kept(shop, reference) == left, f"{left} fen are left")
    shop.wait_state(reference, state)


def test_a_person_is_called_and_closes_the_call(shop: Bench) -> None:
    assert sell(shop, "alarm", "130000000000002501").returncode == 0
    shop.fault(kind="declined", path="refund", error_code="ACCOUNT_BALANCE_NOT_ENOUGH")
    held_up = run(shop, "refund", "alarm", "1")
    assert held_up.returncode == 1
    assert "1.00 yuan did not go back: held up" in held_up.stderr
    listed = run(shop, "sales", "--attention").stdout
    assert "(alarm)" in listed
    assert "  merchant_balance since " in listed
    assert "Top it up" in run(shop, "attention", "alarm").stdout
    assert run(shop, "attention", "alarm", "--reason", "paid back in cash").returncode == 0
    assert run(shop, "sales", "--attention").stdout == "no sales\n"
    assert run(shop, "attention", "alarm", "--reason", "again").returncode == 3
    assert "closed by a person" in run(shop, "show", "alarm").stdout


def test_what_goes_back_is_told_as_events(shop: Bench) -> None:
    assert sell(shop, "told-back", "130000000000002601").returncode == 0
    command = [sys.executable, "-m", "terminald", "--config", str(shop.config), "events", "--since", "0", "--json"]
    with subprocess.Popen([*command, "--topic", "refund"], stdout=subprocess.PIPE, text=True) as process:
        assert run(shop, "refund", "told-back", "--reference", "told").returncode == 0
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)["data"]["refund"]
            if (told["reference"], told["state"]) == ("told", "done"):
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    "command",
    ["show", "cancel", "query", "receipt", "attention", "refund", "revoke", "delivered", "undelivered"],
)
def test_a_name_of_nothing_is_a_failure(shop: Bench, command: str) -> None:
    done = run(shop, command, "nothing")
    assert done.returncode == 1
    assert "there is no sale 'nothing'" in done.stderr


def test_a_second_daemon_and_an_activation_are_turned_away(shop: Bench) -> None:
    for command in (["run"], ["activate", ACTIVATION_CODE]):
        done = run(shop, *command)
        assert done.returncode == 1
        assert "stop that terminald first" in done.stderr
        assert ACTIVATION_CODE not in done.stderr


def test_secrets_are_in_no_log(shop: Bench) -> None:
    """I7"""
    assert sell(shop, "logged", "130000000000001601").returncode == 0
    log = shop.log.read_text()
    assert "13000000000000" not in log
    assert VENDOR_KEY not in log
    assert ACTIVATION_CODE not in log


def test_a_sale_is_followed_over_a_restart_of_the_daemon(terminal: Bench) -> None:
    """I5"""
    terminal.start()
    terminal.wait_ready()
    process = start_selling(terminal, "followed")
    terminal.stop(signal.SIGKILL)
    terminal.start()
    terminal.wait_ready()
    terminal.scanner.scan("130000000000001701")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert re.search(r"^Paid 3\.50 yuan with WeChat Pay", out, re.MULTILINE)
    assert terminal.books().kept == 350
