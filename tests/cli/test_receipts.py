"""The receipt of a sale at the command line; the daemon is a stand-in."""

import json
from pathlib import Path

import pytest
from PIL import Image

from terminald.__main__ import main
from terminald.core.commands import Goods, OrderText
from terminald.core.ids import SaleId
from terminald.core.money import Fen
from terminald.core.receipt import Line
from terminald.wire.api_receipt import receipt_json
from terminald.wire.api_views import sale_json
from tests.cli.fake_daemon import answer, fake_daemon, problem
from tests.drawn_text import is_drawn
from tests.wire.api_samples import NOW, open_view, order, paid_view

Capture = pytest.CaptureFixture[str]
COLA, CRISPS = (Goods(id="69", name=name, quantity=count, price=Fen(300)) for name, count in (("可乐", 2), ("薯片", 1)))
ORDER = OrderText(subject="可乐, 薯片", operator="kiosk-7", goods=(COLA, CRISPS))
BODY = receipt_json(SaleId("01JDSALE"), 32, "支付凭证\n商品  可乐\x1b[2J\n", ORDER)


def run(directory: Path, *arguments: str) -> int:
    return main([*arguments, "--config", str(directory / "terminald.toml")])


def test_the_text_of_a_receipt_is_shown_and_nothing_is_printed(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, BODY)) as fake:
        assert run(tmp_path, "receipt", "01JDSALE", "--text") == 0
    assert fake.requests[0].startswith(b"GET /v1/sales/01JDSALE/receipt ")
    assert capsys.readouterr().out == "支付凭证\n商品  可乐\\x1b[2J\n"


def test_the_text_of_a_receipt_is_given_to_programs_as_it_came(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, BODY)):
        assert run(tmp_path, "receipt", "01JDSALE", "--text", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(BODY)


def test_a_sale_that_is_not_paid_has_none(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, problem(409, "nothing_to_print")):
        assert run(tmp_path, "receipt", "01JDSALE", "--text") == 3
    assert "the advice" in capsys.readouterr().err


def test_a_copy_says_how_it_is_doing(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, sale_json(paid_view(), NOW))) as fake:
        assert run(tmp_path, "receipt", "01JDSALE") == 0
    assert fake.requests[0].startswith(b"POST /v1/sales/01JDSALE/receipt ")
    assert capsys.readouterr().out.startswith("Copy of the receipt of sale ")


@pytest.mark.parametrize("encoding", ["gbk", "raster"])
def test_a_receipt_is_drawn_as_the_printer_would_print_it(tmp_path: Path, encoding: str) -> None:
    with fake_daemon(tmp_path, answer(200, sale_json(paid_view(), NOW)), answer(200, BODY)):
        config = tmp_path / "terminald.toml"
        config.write_text(config.read_text() + f'[printer]\nencoding = "{encoding}"\nwidth_dots = 576\ncolumns = 48\n')
        assert run(tmp_path, "receipt", "01JDSALE", "--png", str(tmp_path / "r.png")) == 0
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_the_goods_and_the_operator_are_on_the_drawn_receipt(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, answer(200, sale_json(paid_view(), NOW)), answer(200, BODY)):
        assert run(tmp_path, "receipt", "01JDSALE", "--png", str(tmp_path / "r.png")) == 0
    with Image.open(tmp_path / "r.png") as picture:
        for left, right in (("可乐", "x2  6.00"), ("薯片", "3.00"), ("操作员", "kiosk-7")):
            assert is_drawn(picture, Line(text=left + " " * (32 - 2 * len(left) - len(right)) + right)), left
        assert not is_drawn(picture, Line(text=f"可乐{' ' * 20}x3  6.00"))


def test_a_receipt_of_a_sale_that_is_not_paid_is_not_drawn(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, sale_json(open_view("01JDSALE", order()), NOW))):
        assert run(tmp_path, "receipt", "01JDSALE", "--png", str(tmp_path / "r.png")) == 3
    assert "is not paid" in capsys.readouterr().err
    assert not (tmp_path / "r.png").exists()
