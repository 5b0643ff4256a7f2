"""The receipt of a sale at the command line; the daemon is a stand-in."""

import json
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.core.ids import SaleId
from terminald.wire.api_views import receipt_json, sale_json
from tests.cli.fake_daemon import answer, fake_daemon, problem
from tests.wire.api_samples import NOW, paid_view

Capture = pytest.CaptureFixture[str]
BODY = receipt_json(SaleId("01JDSALE"), 32, "支付凭证\n商品  可乐\x1b[2J\n")


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
    with fake_daemon(tmp_path, answer(200, sale_json(paid_view(), NOW))):
        config = tmp_path / "terminald.toml"
        config.write_text(config.read_text() + f'[printer]\nencoding = "{encoding}"\nwidth_dots = 576\ncolumns = 48\n')
        assert run(tmp_path, "receipt", "01JDSALE", "--png", str(tmp_path / "r.png")) == 0
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
