"""``terminald receipt``: print a receipt once more, draw it, or show its text."""

import argparse
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from terminald.adapters.printers import make_profile
from terminald.cli.client import connect, decode
from terminald.cli.outcome import DONE, REFUSED, CommandFailed
from terminald.cli.words import paid_attempt, receipt_words
from terminald.config import Config, load
from terminald.core.receipt import Goods, Receipt, layout
from terminald.logs import escape
from terminald.simulator.printer_escpos import Interpreter
from terminald.simulator.printer_paper import Paper
from terminald.wire import api_shapes as shapes
from terminald.wire.api_receipt import ReceiptText
from terminald.wire.escpos import encode


def receipt(args: argparse.Namespace) -> int:
    """Print a copy of a receipt on the terminal's printer, draw it into a file, or show it as text."""
    png: Path | None = args.png
    with connect(args) as daemon:
        path = daemon.sale_path(args.sale)
        if args.text:
            return _show(daemon.get(f"{path}/receipt"), is_json=args.json)
        body = daemon.get(path) if png else daemon.post(f"{path}/receipt")
        sale = decode(body, shapes.Sale)
        if png:
            attempt = _paid_by(sale)
            _draw(sale, attempt, decode(daemon.get(f"{path}/receipt"), ReceiptText), load(args.config), png)
    if args.json:
        print(body.decode())
    else:
        print(png or f"Copy of the receipt of sale {sale.id}: {receipt_words(sale.receipt)}.")
    return DONE


def _show(body: bytes, *, is_json: bool) -> int:
    shown = decode(body, ReceiptText)
    print(body.decode() if is_json else "\n".join(map(escape, shown.text.splitlines())))
    return DONE


def _paid_by(sale: shapes.Sale) -> shapes.Attempt:
    """Return the attempt that the receipt is of.

    Raises:
        CommandFailed: the sale is not paid.
    """
    attempt = paid_attempt(sale)
    if attempt is None:
        raise CommandFailed(
            f"sale {sale.id} is not paid: there is no receipt", advice=f"terminald show {sale.id}", code=REFUSED
        )
    return attempt


def _draw(sale: shapes.Sale, attempt: shapes.Attempt, shown: ReceiptText, config: Config, png: Path) -> None:
    printer = config.printer
    slip = _receipt_of(sale, attempt, shown, config)
    data = encode(layout(slip, columns=printer.columns), replace(make_profile(printer), cut="full"))
    paper = Paper(width_dots=printer.width_dots)
    encoding = "gbk" if printer.encoding == "raster" else printer.encoding  # of pictures: any will do
    for item in Interpreter(width_dots=printer.width_dots, encoding=encoding).feed(data):
        if (sheet := paper.add(item)) is not None:
            try:
                sheet.draw().save(png, format="PNG")
            except OSError as exc:
                raise CommandFailed(f"{png} can not be written: {exc.strerror or exc}") from exc


def _receipt_of(sale: shapes.Sale, attempt: shapes.Attempt, shown: ReceiptText, config: Config) -> Receipt:
    """Say what the receipt of a paid sale says."""
    return Receipt(
        kind="sale",
        language=config.receipt.language,
        header=config.receipt.header,
        footer=config.receipt.footer,
        terminal_name=config.terminal.name,
        subject=sale.subject,
        goods=tuple(Goods(name=one.name, quantity=one.quantity, price=one.price) for one in shown.goods),
        operator=shown.operator,
        amount=sale.amount,
        payway=attempt.payway or "",
        sn=attempt.sn or "",
        trade_no=attempt.trade_no or "",
        client_sn=attempt.client_sn,
        code_masked=attempt.code or "",
        reference=sale.reference,
        time=_printed_time(attempt.ended_at or attempt.started_at, config.gateway.timezone),
        copy=True,
    )


def _printed_time(text: str, zone: timezone) -> str:
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
