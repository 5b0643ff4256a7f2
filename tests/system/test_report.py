"""The report of a day against the real daemon, with differences that were really made at the simulated gateway."""

import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import pytest
from PIL import Image

from terminald.simulator.gateway_protocol import sign
from terminald.simulator.printer_paper import print_job
from tests.system.rig import Bench, Sale, bench

pytestmark = pytest.mark.system

WECHAT, ALIPAY = "13000000000000", "28000000000000"


class Difference(msgspec.Struct):
    kind: str
    reference: str | None
    here: int | None
    there: int | None
    detail: str


class Sums(msgspec.Struct):
    count: int
    sold: int
    returns: int
    returned: int
    net: int


class InDoubt(msgspec.Struct):
    count: int
    amount: int
    sales: list[str]


class Day(msgspec.Struct):
    day: str
    total: Sums
    in_doubt: InDoubt


class Checked(msgspec.Struct):
    report: Day
    verified: int | None
    differences: list[Difference] | None


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Bench]:
    """A ready terminal that does not look for late payments by itself before the evening."""
    with bench(tmp_path) as made:
        made.configure(late_lookups="[]")
        made.start()
        made.wait_ready()
        yield made


def sell(shop: Bench, reference: str, code: str, amount: int = 350) -> Sale:
    assert shop.open_sale(reference, amount).status_code == 201
    assert shop.api.post(f"/v1/sales/{reference}/payment-code", json={"code": code}).status_code == 200
    return shop.wait_state(reference, "completed", "canceled")


def decline(shop: Bench, reference: str, code: str) -> None:
    assert shop.open_sale(reference).status_code == 201
    shop.api.post(f"/v1/sales/{reference}/payment-code", json={"code": code})
    shop.wait(lambda: [one.outcome for one in shop.sale(reference).attempts] == ["declined"], "declined")
    assert shop.api.post(f"/v1/sales/{reference}/cancel").status_code == 200


def at_the_gateway(shop: Bench, call: str, sale: Sale, **fields: str) -> None:
    """Do something behind the daemon's back, signed with the terminal's own key."""
    with closing(sqlite3.connect(f"file:{shop.directory}/state/journal.db?mode=ro", uri=True)) as journal:
        sn, key = journal.execute("SELECT terminal_sn, current_key FROM terminal").fetchone()
    client_sn = sale.attempts[-1].client_sn
    body = json.dumps({"terminal_sn": sn, "client_sn": client_sn, "operator": "console", **fields}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"{sn} {sign(body, key)}"}
    answer = httpx.post(f"{shop.url}/upay/v2/{call}", content=body, headers=headers).json()
    assert answer["biz_response"]["result_code"].endswith("_SUCCESS"), answer


def report(shop: Bench, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return shop.terminald("report", *arguments)


def verify(shop: Bench, *arguments: str, code: int) -> Checked:
    done = report(shop, "--verify", "--json", *arguments)
    assert done.returncode == code, done.stderr
    return msgspec.json.decode(done.stdout, type=Checked)


def kinds(checked: Checked) -> list[tuple[str, str | None]]:
    return sorted((one.kind, one.reference) for one in checked.differences or ())


def test_a_day_adds_up_and_agrees_with_the_gateway_and_the_host(shop: Bench) -> None:
    sell(shop, "first", f"{WECHAT}0100")
    sell(shop, "second", f"{ALIPAY}0200", 1250)
    decline(shop, "third", f"{WECHAT}0320")
    assert shop.terminald("refund", "first", "1").returncode == 0
    host = shop.directory / "host.csv"
    host.write_text("reference,paid,returned\nfirst,3.50,1.00\nsecond,12.50,\nthird,0,0\n")
    done = report(shop, "--verify", "--host", str(host))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^WeChat Pay +1 +3\.50 +1 +1\.00 +2\.50$", done.stdout, re.MULTILINE)
    assert re.search(r"^Alipay +1 +12\.50 +0 +0\.00 +12\.50$", done.stdout, re.MULTILINE)
    assert re.search(r"^total +2 +16\.00 +1 +1\.00 +15\.00$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith(f"asked the gateway about 3 orders\ncompared with {host}\nno differences\n")
    assert verify(shop, code=0).report.total.net == shop.books().kept == 1500


def test_what_was_returned_or_revoked_by_hand_is_a_difference(shop: Bench) -> None:
    sell(shop, "agrees", f"{WECHAT}1100")
    at_the_gateway(
        shop, "refund", sell(shop, "by-hand", f"{WECHAT}1200"), refund_request_no="console-1", refund_amount="50"
    )
    at_the_gateway(shop, "revoke", sell(shop, "revoked", f"{WECHAT}1300"))
    at_the_gateway(
        shop, "refund", sell(shop, "all-of-it", f"{WECHAT}1400"), refund_request_no="console-1", refund_amount="350"
    )
    found = verify(shop, code=1)
    assert kinds(found) == [
        ("not_paid_there", "revoked"),
        ("returned_there", "all-of-it"),
        ("returned_there", "by-hand"),
    ]
    assert [(one.here, one.there) for one in found.differences or () if one.reference == "by-hand"] == [(350, 300)]
    assert (found.verified, found.report.total.net) == (4, 1400)
    done = report(shop, "--verify")
    assert "3 differences:\n" in done.stdout
    assert "0.50 yuan was returned there and not here, by hand in the merchant's console perhaps" in done.stdout
    assert done.stderr.startswith("terminald: 3 differences on 20")


def test_a_refund_after_all_was_returned_by_hand_is_refused_and_the_sale_is_a_difference(shop: Bench) -> None:
    """The host is told that its refund moved nothing (I9), and the day that the payment is gone."""
    by_hand = sell(shop, "by-hand", f"{WECHAT}1500")
    at_the_gateway(shop, "refund", by_hand, refund_request_no="console-1", refund_amount="350")
    refused = shop.terminald("refund", "by-hand", "1", "--reference", "host-1")
    assert refused.returncode == 1
    assert "nothing is left to give back" in refused.stderr
    shown = json.loads(shop.terminald("show", "by-hand", "--json").stdout)
    assert [(one["reference"], one["state"]) for one in shown["refunds"]] == [("host-1", "refused")]
    assert (shown["state"], shown["paid"], shown["returned"], shop.books().kept) == ("completed", 350, 0, 0)
    found = verify(shop, code=1)
    assert [(one.kind, one.reference, one.here, one.there) for one in found.differences or ()] == [
        ("returned_there", "by-hand", 350, 0)
    ]
    assert found.report.total.returned == 0


def test_what_was_canceled_here_and_paid_there_is_found_and_undone(shop: Bench) -> None:
    """I3: a request that was held up in the network for long arrives after all."""
    shop.fault(kind="close_request", path="pay")
    lost = sell(shop, "lost", f"{WECHAT}2100")
    assert (lost.state, lost.attempts[0].outcome) == ("canceled", "watching")
    at_the_gateway(shop, "pay", lost, total_amount="350", dynamic_id=f"{WECHAT}2100", subject="Cola")
    assert shop.books().kept == 350
    found = verify(shop, code=1)
    assert [(one.kind, one.here, one.there) for one in found.differences or ()] == [("paid_there", 0, 350)]
    shop.wait(lambda: shop.books().kept == 0, "the money has gone back")
    shop.wait(lambda: shop.sale("lost").attempts[0].outcome == "reversed", "and that is known")
    assert kinds(verify(shop, code=0)) == []


def test_answers_that_say_nothing_or_something_else_are_differences(shop: Bench) -> None:
    names = {}
    for place, reference in enumerate(("silent", "unknown", "mixed-up", "agrees")):
        names[reference] = sell(shop, reference, f"{WECHAT}3{place}00").attempts[0].client_sn
    shop.fault(kind="html", path="query", client_sn=names["silent"], count=2)
    unknown = {"kind": "declined", "path": "query", "error_code": "UPAY_ORDER_NOT_EXISTS"}
    shop.fault(**unknown, client_sn=names["unknown"], count=2)
    shop.fault(kind="wrong_amount", path="query", client_sn=names["mixed-up"], count=2)
    assert kinds(verify(shop, code=1)) == [
        ("mismatched", "mixed-up"),
        ("not_paid_there", "unknown"),
        ("not_verified", "silent"),
    ]
    # The next time everything is as it should be, and an answer that is lost once is asked for again.
    shop.fault(kind="html", path="query", client_sn=names["silent"])
    assert kinds(verify(shop, code=0)) == []


def test_what_is_under_way_is_in_doubt_and_not_settled(shop: Bench) -> None:
    assert shop.stop() == 0
    shop.configure(poll_window='"30s"')
    shop.start()
    shop.wait_ready()
    assert shop.open_sale("typing").status_code == 201
    shop.api.post("/v1/sales/typing/payment-code", json={"code": f"{WECHAT}4112"})
    sale = shop.wait_state("typing", "processing")
    plain = msgspec.json.decode(report(shop, "--json").stdout, type=Checked)
    assert (plain.report.in_doubt.count, plain.report.in_doubt.amount, plain.differences) == (1, 350, None)
    shop.pay(sale)
    shop.wait_state("typing", "completed")


def test_the_hosts_list_is_compared_without_the_gateway_too(shop: Bench) -> None:
    sell(shop, "agrees", f"{WECHAT}5100")
    sell(shop, "forgotten", f"{WECHAT}5200")
    sell(shop, "dearer", f"{WECHAT}5300")
    host = shop.directory / "host.csv"
    host.write_text("reference,paid\nagrees,350\ndearer,400\ninvented,100\n")
    done = report(shop, "--host", str(host), "--json")
    assert done.returncode == 1
    found = msgspec.json.decode(done.stdout, type=Checked)
    assert kinds(found) == [("host_differs", "dearer"), ("host_missing", "forgotten"), ("host_only", "invented")]
    assert found.verified is None


def test_another_day_is_empty(shop: Bench) -> None:
    sell(shop, "today", f"{WECHAT}6100")
    done = report(shop, "--day", "2001-01-01", "--verify")
    assert (done.returncode, "no differences" in done.stdout) == (0, True)
    assert re.search(r"^total +0 +0\.00 +0 +0\.00 +0\.00$", done.stdout, re.MULTILINE)


def test_the_report_is_the_same_after_a_restart(shop: Bench) -> None:
    """I5: what is committed is in the report, whoever was restarted."""
    sell(shop, "kept", f"{WECHAT}7100")
    assert shop.terminald("refund", "kept", "2").returncode == 0
    assert shop.stop() == 0
    shop.start()
    shop.wait_ready()
    found = verify(shop, code=0)
    assert (found.report.total.sold, found.report.total.returned) == (350, 200)


def test_the_closing_slip_is_on_paper(shop: Bench, tmp_path: Path) -> None:
    sell(shop, "first", f"{WECHAT}8100")
    shop.wait(lambda: shop.sale("first").receipt == "unverified", "the receipt is printed")
    done = report(shop, "--print")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("closing slip: sent to the printer, which did not say whether it printed it\n")
    sheet = print_job((shop.directory / "receipts.bin").read_bytes(), width_dots=384, encoding="gbk")[-1]
    for part in ("日结单", "微信支付", "收款 1 笔", "￥3.50", "合计", "bench"):
        assert part in sheet.text
    sheet.draw().save(tmp_path / "closing.png")
    with Image.open(tmp_path / "closing.png") as picture:
        assert picture.width == 384
        assert picture.convert("L").getextrema()[0] == 0


def test_without_a_printer_there_is_no_slip(shop: Bench) -> None:
    assert shop.stop() == 0
    shop.config.write_text(shop.config.read_text().replace('driver = "file"', 'driver = "none"'))
    shop.start()
    shop.wait_ready()
    done = report(shop, "--print")
    assert done.returncode == 3
    assert "no printer is configured" in done.stderr
