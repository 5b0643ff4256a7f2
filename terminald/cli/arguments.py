"""What can be typed: commands and their options. Light, because every start of the program reads it.

A command's code is imported when the command is run: its function is named in :data:`_CODE`, and gets the parsed
arguments.
"""

import argparse
import gc
import importlib
import os
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import terminald
from terminald.cli.outcome import WRONG_USAGE
from terminald.core.money import Fen, parse_amount

DEFAULT_CONFIG = "/etc/terminald/terminald.toml"
#: The most sales that the API gives at once.
MAX_SALES = 200

_CODE = {
    "run": "service.run",
    "check": "service.check",
    "activate": "activate.activate",
    "adopt": "adopt.adopt",
    "token": "api_token.token",
    "doctor": "doctor.doctor",
    "status": "status.status",
    "checkin": "status.checkin",
    "metrics": "metrics.metrics",
    "restore": "restore.restore",
    "drain": "care.drain",
    "resume": "care.resume",
    "health": "care.health",
    "sell": "sell.sell",
    "cancel": "sales.cancel",
    "query": "sales.query",
    "sales": "sales.sales",
    "show": "sales.show",
    "explain": "explain.explain",
    "attention": "sales.attention",
    "delivered": "returns.delivered",
    "undelivered": "returns.undelivered",
    "refund": "returns.refund",
    "revoke": "returns.revoke",
    "receipt": "receipts.receipt",
    "report": "report.report",
    "events": "events.events",
    "demo": "demo.demo",
    "simulate": "simulate.simulate",
}
_STATES = (
    *("awaiting_payment", "processing", "paid", "completed"),
    *("canceling", "canceled", "returning", "returned"),
)
_TOPICS = ("sale", "refund", "print", "scan", "basket", "device", "readiness", "key", "attention")
_PARTS = ("gateway", "scanner", "printer", "vmc")
_SALE_HELP = "the sale's id, your reference, the gateway's sn, or a client_sn"

_AMOUNT_HELP = "in yuan (3.50) or fen (350fen)"
_RETURN_HELP = "Ctrl-C leaves it under way. Exit code 0 when it has gone back."

_DESCRIPTION = """\
Takes payments by scanned payment codes and by QR codes, for a host application or by hand.

the terminal:
  run          the daemon: serve sales until it is told to stop
  check        find every fault in the configuration
  activate     give this terminal its identity at the gateway, once
  adopt        let this board take over from the one that it replaces
  restore      go on with the copy of a journal that is damaged
  token        make a new token for callers over TCP
  doctor       test each part, and say what to do
  status       is it ready, and if not, what to do
  checkin      renew the terminal's key now
  metrics      the status as metrics, for a monitoring system
  drain        begin no more sales, and wait for what is under way
  resume       begin sales again
  health       does this version serve, for an updater
sales:
  sell         begin a sale and follow it to its end
  cancel       cancel a sale, and undo what may have happened
  query        ask the gateway how a sale stands
  sales        list sales
  show         one sale with its attempts and refunds
  explain      the story of one sale in plain words; what to tell the customer
  attention    what a person should look at in a sale; closes it
  receipt      print a receipt again, draw it, or show it
  report       what a day has brought; does the gateway say the same
  events       follow what happens
paid sales:
  delivered    report that the goods came out
  undelivered  report that they did not: the money goes back
  refund       give money back: an amount, or all that is left
  revoke       give the whole payment back without a fee, on its day
to try it out:
  demo         everything simulated, from end to end, in a few seconds
  simulate     one simulated part: gateway, scanner, printer or vmc (a vending machine)

"terminald COMMAND --help" says more about each."""
_EPILOG = """\
exit codes: 0 done · 1 failed · 2 wrong usage · 3 not ready, or refused by the daemon · 78 the configuration is wrong,
or the state directory is from another board"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace | int:
    """Return the arguments, or the exit code where there is nothing to run: help, version, wrong usage."""
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
        if args.command is None:
            parser.print_help()
            return WRONG_USAGE
    except SystemExit as exc:  # argparse's way to end
        return exc.code if isinstance(exc.code, int) else WRONG_USAGE
    return args


def dispatch(args: argparse.Namespace) -> int:
    """Run the command; return its exit code.

    Raises:
        TerminaldError: it failed; the message says what, why, and what to do.
    """
    module, _, function = _CODE[args.command].partition(".")
    # What is imported stays for good: looking for garbage in it again and again is a sixth of the time of a start.
    gc.disable()
    command: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"terminald.cli.{module}"), function)
    gc.freeze()
    gc.enable()
    return command(args)


def _amount(text: str) -> Fen:
    try:
        return parse_amount(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_SALES):
        raise argparse.ArgumentTypeError(f"a whole number, 1 to {MAX_SALES}")
    return int(text)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError("a day such as 2026-01-31") from None


def _position(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):  # noqa: PLR2004 - digits of a 64-bit number
        raise argparse.ArgumentTypeError("the number of an event; 0: from the beginning")
    return int(text)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, for those who describe it."""
    parser = argparse.ArgumentParser(
        prog="terminald",
        usage="terminald [--config FILE] COMMAND …",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"terminald {terminald.__version__}")
    default = Path(os.environ.get("TERMINALD_CONFIG") or DEFAULT_CONFIG)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=default, help="default: $TERMINALD_CONFIG, else %(default)s"
    )
    commands = parser.add_subparsers(dest="command", prog="terminald", metavar="COMMAND", help=argparse.SUPPRESS)

    def command(name: str, description: str, *, has_json: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, description=description)
        # Suppressed: a missing --config after the command must not hide one before it.
        made.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
        if has_json:
            made.add_argument("--json", action="store_true", help="print JSON, for programs")
        return made

    _terminal_commands(command)
    _care_commands(command)
    _sell_command(command)
    _sale_commands(command)
    _paid_sale_commands(command)
    _trial_commands(command)
    return parser


def _terminal_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    command("run", "The daemon. Serves sales until SIGTERM; systemd starts it this way.", has_json=False)
    command("check", "Find every fault in the configuration. Nothing else is touched.")
    activate = command(
        "activate", "Give this terminal its identity at the gateway. Needed once; spends a use of the code."
    )
    activate.add_argument(
        "code",
        nargs="?",
        metavar="CODE",
        help="activation code. Without it terminald takes the systemd credential activation_code, or asks for it: then "
        "no other user sees it",
    )
    activate.add_argument("--replace", action="store_true", help="give up the identity that the terminal has already")
    activate.add_argument("--yes", action="store_true", help="with --replace: do not ask")
    adopt = command(
        "adopt",
        "After the board was replaced: let this one take over the terminal that the state directory holds. The other "
        "board must be out of service for good: two boards with one terminal lock each other out.",
        has_json=False,
    )
    adopt.add_argument("--yes", action="store_true", help="do not ask")
    restore = command(
        "restore",
        "Put the weekly copy in the place of a damaged journal, with all that can still be read of what came after. "
        "The damaged files are kept as evidence. No sale is begun before it is resumed.",
        has_json=False,
    )
    restore.add_argument("--yes", action="store_true", help="do not ask")
    token = command(
        "token",
        "Make a new token for callers over TCP, and write it to api.token_file, in the place of the one before. It is "
        "not shown. The daemon takes it at its next reload.",
        has_json=False,
    )
    token.add_argument("--group", metavar="GROUP", help="who may read it beside the service, such as a web server")
    doctor = command("doctor", "Test each part for real; one line each. Works beside the daemon and without it.")
    doctor.add_argument(
        "--scan",
        action="store_true",
        help="wait for one scan of each scanner, and say what arrived; stop the daemon first",
    )
    doctor.add_argument(
        "--print", dest="print_ticket", action="store_true", help="print a self-test ticket; stop the daemon first"
    )
    command("status", "Is the terminal ready to take payments, and if not, what to do. Exit code 3 when it is not.")
    metrics = command("metrics", "The status as metrics, in the text format of Prometheus.", has_json=False)
    metrics.add_argument("--out", type=Path, metavar="FILE", help="replace this file, for a collector of text files")
    command("checkin", "Renew the terminal's key now. terminald does so by itself once a day. Exit code 3: it is not.")


def _care_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    drain = command(
        "drain",
        "Begin no more sales, and wait until nothing is under way. Lasts until it is resumed, over restarts. Exit code "
        "3 when that takes longer than --timeout.",
    )
    drain.add_argument("--until-restart", action="store_true", help="the next start begins sales again")
    drain.add_argument(
        "--timeout", metavar="TIME", help="wait no longer than, such as 5m (default: as long as it takes)"
    )
    drain.add_argument("--no-wait", action="store_true", help="do not wait")
    resume = command(
        "resume",
        "Begin sales again after a drain. After a restore it says what has to be compared first, and asks.",
    )
    resume.add_argument("--yes", action="store_true", help="after a restore: do not ask, the days since are compared")
    health = command(
        "health",
        "Prove that this version serves: engine and journal answer, the disk takes writes. Independent of gateway and "
        "devices. Exit code 3 when it does not.",
    )
    health.add_argument("--wait", metavar="TIME", help="until it does, or for so long, such as 60s")


def _sell_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    sell = command("sell", "Begin a sale and follow it to its end. Ctrl-C cancels it. Exit code 0 when it is paid.")
    sell.add_argument("amount", type=_amount, metavar="AMOUNT", help=_AMOUNT_HELP)
    sell.add_argument("--subject", default="Sale", help="what the customer's wallet shows (default: %(default)s)")
    sell.add_argument(
        "--method",
        action="append",
        choices=("scan", "qr"),
        help="how to pay: by a code that is scanned, or by a QR that is shown; repeat it for both at once",
    )
    sell.add_argument(
        "--payway",
        metavar="N",
        help="with whose app the QR is scanned: 1 Alipay, 3 WeChat Pay, 17 UnionPay, …; a scanned code tells it itself",
    )
    sell.add_argument(
        "--delivery",
        choices=("none", "confirm"),
        help="confirm: afterwards it is to be reported whether the goods came out",
    )
    sell.add_argument("--reference", metavar="R", help="your own name for the sale (default: a new one)")
    sell.add_argument(
        "--code", choices=("-",), metavar="-", help='"-": read payment codes from standard input, one a line'
    )


def _sale_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    for name, what in (
        ("cancel", "Cancel a sale before it is paid, and undo what may have happened at the gateway."),
        ("query", "Ask the gateway about every attempt of a sale."),
        ("show", "Show one sale with its attempts and refunds."),
        ("explain", "Tell the story of a sale in plain words: what is certain, what is not, what happens next."),
        ("attention", "Show what a person should look at in a sale; with --reason: note that it is settled."),
        ("receipt", "Print a receipt again, marked as a copy; or draw it, or show its text."),
    ):
        made = command(name, what)
        made.add_argument("sale", metavar="SALE", help=_SALE_HELP)
        if name == "explain":
            made.add_argument("--language", choices=("zh", "en"), help="default: as the locale says")
            made.add_argument(
                "--evidence", type=Path, metavar="FILE", help="write what the gateway's service may ask for, redacted"
            )
            made.add_argument("--force", action="store_true", help="with --evidence: write over a file that is there")
        if name == "attention":
            made.add_argument("--reason", metavar="TEXT", help="how it was settled, for the record")
            made.add_argument("--code", metavar="CODE", help="with --reason: close this call, and no other one")
        if name == "receipt":
            instead = made.add_mutually_exclusive_group()
            instead.add_argument("--png", type=Path, metavar="FILE", help="draw it into this file instead")
            instead.add_argument("--text", action="store_true", help="show it as text instead")
    listing = command("sales", "List sales, newest first.")
    listing.add_argument("--state", choices=_STATES)
    listing.add_argument("--day", metavar="YYYY-MM-DD", help="one business day of the gateway")
    listing.add_argument("--attention", action="store_true", help="those that a person must look at")
    listing.add_argument("--limit", type=_limit, default=50, metavar="N", help="up to %(default)s unless given")
    report = command("report", "Add up a business day of the gateway. Exit code 1 when something differs.")
    report.add_argument("--day", type=_day, metavar="YYYY-MM-DD", help="which day (default: today)")
    report.add_argument("--verify", action="store_true", help="ask the gateway about every order of the day")
    report.add_argument(
        "--host",
        type=Path,
        metavar="FILE",
        help='compare with your own list, a CSV file with the header "reference,paid" or "reference,paid,returned": '
        "fen (350), or yuan in the whole file (3.50), each sale's sums of that day",
    )
    report.add_argument("--print", dest="print_slip", action="store_true", help="print the closing slip")
    events = command("events", "Follow what happens until Ctrl-C. Nothing is lost while the daemon restarts.")
    events.add_argument("--since", type=_position, metavar="N", help="begin after this event; 0: from the beginning")
    events.add_argument("--topic", action="append", choices=_TOPICS, help="only this kind; may be repeated")


def _paid_sale_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    for name, what, amount in (
        ("delivered", "Report that the goods of a sale came out, where that is to be reported.", ""),
        (
            "undelivered",
            "Report that goods of a sale did not come out: their money goes back.",
            "what they were worth",
        ),
        ("refund", f"Give money of a paid sale back. {_RETURN_HELP}", "how much"),
        ("revoke", f"Give a whole payment back without a fee, on its business day. {_RETURN_HELP}", ""),
    ):
        made = command(name, what)
        made.add_argument("sale", metavar="SALE", help=_SALE_HELP)
        if amount:
            every = "all that is left when missing"
            made.add_argument(
                "amount", nargs="?", type=_amount, metavar="AMOUNT", help=f"{amount}, {_AMOUNT_HELP}; {every}"
            )
        if name == "refund":
            made.add_argument(
                "--reference",
                metavar="R",
                help="your own name for the refund, under which it is carried out once (default: a new one)",
            )


def _trial_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    demo = command("demo", "A payment terminal from end to end, with everything around it simulated.", has_json=False)
    demo.add_argument(
        "--out", type=Path, metavar="DIR", help="where the pictures of the receipts go (default: a new directory)"
    )
    demo.add_argument("--vending", action="store_true", help="a vending machine instead")
    demo.add_argument("--keep", type=Path, metavar="DIR", help="work here, and leave journal and logs to be looked at")
    simulate = command("simulate", "One simulated part, to develop a host application against.", has_json=False)
    simulate.add_argument("part", choices=_PARTS)
    simulate.add_argument("rest", nargs=argparse.REMAINDER, metavar="…", help='see "terminald simulate PART --help"')
