"""``terminald report``: what a business day has brought, and whether gateway and host say the same."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from terminald.cli.client import Daemon, connect, decode
from terminald.cli.host_list import HostList, read_host_list
from terminald.cli.outcome import DONE, FAILED, say_error
from terminald.cli.verify import Difference, beside_host, left_out, ours_only, verified
from terminald.cli.words import money, provider, table
from terminald.core.money import format_yuan
from terminald.logs import escape
from terminald.wire import api_shapes as shapes
from terminald.wire.api_report import DaySums, PrintedSlip, ProviderSums, Report, SaleOnDay

#: Sales in doubt that are named in the text; ``--json`` names more.
_MAX_NAMED = 10
_SLIPS = {
    "printed": "printed",
    "unverified": "sent to the printer, which did not say whether it printed it",
    "blocked": "not printed yet: the printer reports a fault",
    "failed": "not printed whole: the printer failed",
    "absent": "not printed: the printer is not there",
}
_PRINTED = ("printed", "unverified")
_PRINTER_ADVICE = "terminald status tells how the printer is; then print it again"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` prints. Verified: orders that the gateway was asked about; null: not asked for."""

    report: Report
    verified: int | None
    differences: tuple[Difference, ...] | None
    slip: PrintedSlip | None


def report(args: argparse.Namespace) -> int:
    """Show a day; 1 where something differs, is not verified, or was not printed."""
    # Before anything is asked: a list that can not be read is no reason to ask the gateway for minutes.
    host = None if args.host is None else read_host_list(args.host)
    with connect(args) as daemon:
        checked = _check(daemon, args, host)
    print(msgspec.json.encode(checked).decode() if args.json else "\n".join(_told(checked, args.host)))
    faults = list(_faults(checked))
    for fault in faults:
        say_error(*fault)
    return FAILED if faults else DONE


def _check(daemon: Daemon, args: argparse.Namespace, host: HostList | None) -> Checked:
    wanted = {"day": args.day} if args.day else {}
    found = decode(daemon.get("/v1/report", wanted | {"sales": "true"}), Report)
    # The day that was meant first, even when it ends meanwhile.
    wanted = {"day": found.day}
    asked, differences = None, list[Difference]()
    if args.verify:
        asked = 0
        for count, some in _verified(daemon, found):
            asked += count
            differences += some
        found = decode(daemon.get("/v1/report", wanted | {"sales": "true"}), Report)
    if host is not None:
        differences += _compared(daemon, found, host)
    if args.verify or host is not None:
        differences += left_out(found)
    slip = None
    if args.print_slip:
        slip = decode(daemon.post(f"/v1/report/print?day={found.day}"), PrintedSlip)
    return Checked(
        report=msgspec.structs.replace(found, sales=None, left_out=0),
        verified=asked,
        differences=tuple(differences) if args.verify or host is not None else None,
        slip=slip,
    )


def _verified(daemon: Daemon, found: Report) -> Iterator[tuple[int, tuple[Difference, ...]]]:
    """Ask the gateway about every order of the day; yield how many, and what differs, for each sale."""
    sales = found.sales or ()
    with _Progress(len(sales)) as progress:
        for sale in sales:
            progress.step()
            queried = _query(daemon, sale)
            some = verified(queried)
            if some and not any(one.is_being_undone for one in some):
                # What moved between the two looks is no difference.
                queried = _query(daemon, sale)
                some = verified(queried)
            yield len(queried.orders), some


def _query(daemon: Daemon, sale: SaleOnDay) -> shapes.QueriedSale:
    return decode(daemon.post(f"{daemon.sale_path(sale.id)}/query"), shapes.QueriedSale)


def _compared(daemon: Daemon, found: Report, host: HostList) -> Iterator[Difference]:
    """Compare with the host's list both ways, by reference."""
    ours = {sale.reference: sale for sale in found.sales or ()}
    for line in host.lines:
        sale = ours.get(line.reference)
        other = None
        if sale is None and (line.paid or line.returned):
            page = decode(daemon.get("/v1/sales", {"reference": line.reference, "limit": "1"}), shapes.SaleList)
            other = next(iter(page.sales), None)
        yield from beside_host(line, sale, other)
    listed = {line.reference for line in host.lines}
    yield from ours_only((sale for sale in ours.values() if sale.reference not in listed), host)


class _Progress:
    """How far it is, on standard error, where that is a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._is_shown = total > 0 and sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def step(self) -> None:
        """Begin with the next one."""
        self._done += 1
        if self._is_shown:
            print(f"\rasking the gateway: sale {self._done} of {self._total}", end="", file=sys.stderr, flush=True)


# --- what is told ----------------------------------------------------------------------------------------------------


def _told(checked: Checked, host: Path | None) -> Iterator[str]:
    found = checked.report
    yield f"{escape(found.day)} ({escape(found.timezone)}){'' if found.over else ', so far'}"
    heading = ("provider", "sold", "yuan", "returned", "yuan", "net yuan")
    rows = [*(_row(_name(one), one) for one in found.providers), _row("total", found.total)]
    yield table([heading, *rows], right=(1, 2, 3, 4, 5))
    doubt = found.in_doubt
    if doubt.count:
        named = ", ".join(map(escape, doubt.sales[:_MAX_NAMED]))
        more = f" and {doubt.count - _MAX_NAMED} more" if doubt.count > _MAX_NAMED else ""
        yield f"in doubt: {_count(doubt.count, 'sale')}, {money(doubt.amount)}: {named}{more}"
    if checked.verified is not None:
        yield f"asked the gateway about {_count(checked.verified, 'order')}"
    if host is not None:
        yield f"compared with {escape(str(host))}"
    if checked.differences is not None:
        yield "no differences" if not checked.differences else f"{_count(len(checked.differences), 'difference')}:"
    for one in checked.differences or ():
        yield f"! {_about(one)}: {escape(one.detail)}"
    if checked.slip is not None and checked.slip.state in _PRINTED:
        yield f"closing slip: {_SLIPS[checked.slip.state]}"


def _name(sums: ProviderSums) -> str:
    return provider(sums.payway) or "(not named)"


def _row(name: str, sums: DaySums) -> tuple[str, ...]:
    amounts = (format_yuan(sums.sold), format_yuan(sums.returned), format_yuan(sums.net))
    return name, str(sums.count), amounts[0], str(sums.returns), amounts[1], amounts[2]


def _about(one: Difference) -> str:
    names = (one.reference, one.sale and f"sale {one.sale}", one.client_sn and f"order {one.client_sn}")
    return escape(", ".join(name for name in names if name)) or "the day"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _faults(checked: Checked) -> Iterator[tuple[str, str]]:
    if checked.differences:
        advice = "look at each of them: terminald show SALE, and the sn in the merchant's console"
        yield f"{_count(len(checked.differences), 'difference')} on {checked.report.day}", advice
    if checked.slip is not None and checked.slip.state not in _PRINTED:
        yield f"closing slip {_SLIPS[checked.slip.state]}: {checked.slip.detail}", _PRINTER_ADVICE
