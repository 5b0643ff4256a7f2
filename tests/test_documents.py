"""What is written for people is true: commands, calls, settings, codes and units are compared with the program."""

import argparse
import configparser
import importlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

import terminald
from terminald.adapters.api_views import queried_json
from terminald.adapters.ports import OrderLook
from terminald.app import STOP_GRACE_S, sale_defaults
from terminald.cli import outcome
from terminald.cli.arguments import parse
from terminald.cli.words import reason_words
from terminald.config import Config, PrinterDriver, load
from terminald.core import attempt as attempts
from terminald.core import attempt_table, sale_table
from terminald.core import sale as sales
from terminald.core.commands import TellSale
from terminald.core.events import UNRECORDED, Answer, AttemptEvent, OfferWithdrawn
from terminald.core.ids import ClientSn, WallTime
from terminald.core.kiosk_table import REASONS as KIOSK_REASONS
from terminald.core.readiness import Reason
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.spool import JobState
from terminald.core.vend_table import EXPIRED, GONE
from terminald.logs_ids import LogId
from terminald.wire import api_shapes as shapes
from terminald.wire import barcode
from terminald.wire.api import (
    decode_closing_request,
    decode_code_request,
    decode_empty_request,
    decode_refund_request,
    decode_sale_request,
    decode_undelivered_request,
)
from terminald.wire.api_problems import ATTENTION_ADVICE, PROBLEMS, READINESS_ADVICE
from terminald.wire.fleet import About, FleetVoice
from terminald.wire.openapi import EVENTS, openapi_json
from tests.core.machine_builders import (
    AMOUNT,
    CLIENT_SN,
    EVENT_TYPES,
    NOON,
    OPENING,
    ORDER,
    RULES,
    SALE_ID,
    TEXT,
    make_event,
)
from tests.every_metric import families
from tests.wire.api_samples import NOW, paid_view

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CHANGELOG = (ROOT / "terminald" / "CHANGELOG.md").read_text()
SYSTEMD = ROOT / "systemd"
NOT_YET = "*Not in this version"

SIMULATE = "simulate"
OPERATORS = {"&&", "||", "|", ";"}


# --- reading the README ----------------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    """Return the fenced blocks in this language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def lines_to_type() -> Iterator[str]:
    """Yield what a reader would type: all of a ``sh`` block, the lines of a ``console`` block that have a prompt."""
    for block in blocks("sh"):
        yield from block.replace("\\\n", " ").splitlines()
    for block in blocks("console"):
        yield from (line[2:] for line in block.splitlines() if line.startswith("$ "))


def split_commands(line: str) -> Iterator[list[str]]:
    """Yield the simple commands of a line, each without what runs it as somebody else."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: list[str] = []
    for token in [*lexer, ";"]:
        if token not in OPERATORS:
            command.append(token)
            continue
        if command:
            yield unwrapped(command)
        command = []


def unwrapped(command: list[str]) -> list[str]:
    if command[0] == "runuser":
        command = command[command.index("--") + 1 :]
    elif command[0] == "systemd-run":
        command = [each for each in command[1:] if not each.startswith("--")]
    return [Path(command[0]).name, *command[1:]]


COMMANDS = [command for line in lines_to_type() for command in split_commands(line)]


def commands_of(program: str) -> list[list[str]]:
    found = [command[1:] for command in COMMANDS if command[0] == program]
    assert found, program
    return found


def rows(name: str) -> list[list[str]]:
    """Return the rows of the table that stands below its mark, without the heading."""
    _, _, rest = README.partition(f"<!-- table: {name} -->\n")
    lines = rest.partition("\n\n")[0].splitlines()
    assert len(lines) > 2, name
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def codes(name: str) -> list[str]:
    """Return the first column, without its marks."""
    return [row[0].strip("`") for row in rows(name)]


def not_yet(name: str) -> set[str]:
    """Return the rows that say of themselves that this version does not do it."""
    return {row[0].strip("`") for row in rows(name) if any(cell.startswith(NOT_YET) for cell in row)}


# --- what the program knows ------------------------------------------------------------------------------------------


def reasons_of_sales() -> set[str]:
    """Let every row of the machines that ends a sale without money say why."""
    attempt, _ = attempts.begin(OPENING, amount=AMOUNT, text=TEXT, now=NOON, rules=RULES)
    fresh = ClientSn("t-0003")
    sale, _ = sales.begin(SALE_ID, ORDER, now=NOON, rules=RULES, fresh=fresh)
    found: set[str] = set()
    for table_row in (row for state in attempt_table.TABLE.values() for row in state.values()):
        for ask in table_row.ask:
            for is_unanswered in (False, True):
                told = ask(replace(attempt, is_unanswered=is_unanswered))
                if isinstance(told, TellSale) and isinstance(told.event, AttemptEvent):
                    found.add(told.event.reason)
    for state, table_rows in sale_table.TABLE.items():
        for kind, row in table_rows.items():
            has_offer = kind is OfferWithdrawn or state in (SaleState.SWITCHING, SaleState.EXPIRING)
            offer = CLIENT_SN if has_offer else None
            present = replace(sale, state=state, attempts=(CLIENT_SN,), offer=offer)
            if row.to in (SaleState.CANCELING, SaleState.CANCELED):
                found.add(sales.step(present, make_event(kind), now=NOON, rules=RULES, fresh=fresh)[0].reason)
    return (found | {GONE, EXPIRED, UNRECORDED}) - {""}


def answers_of_queries() -> set[str]:
    view = paid_view()
    looks = tuple(
        OrderLook(client_sn=CLIENT_SN, answer=kind.__name__) for kind in EVENT_TYPES if issubclass(kind, Answer)
    )
    queried = msgspec.json.decode(queried_json(view, looks, NOW), type=shapes.QueriedSale)
    return {look.answer for look in queried.orders}


class Operation(msgspec.Struct, frozen=True, rename="camel"):
    operation_id: str
    parameters: list[dict[str, object]] = []


class Document(msgspec.Struct, frozen=True):
    paths: dict[str, dict[str, Operation]]


OPENAPI = msgspec.json.decode(openapi_json(terminald.__version__), type=Document)
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in OPENAPI.paths.items()
    for method, operation in methods.items()
}

_FLEET = FleetVoice(
    root=f"{Config().mqtt.prefix}/NAME",
    about=About(name="NAME", label="", device_id="", terminal_sn="", version="", log=""),
)
_FLEET_MESSAGES = (
    _FLEET.discovery(),
    _FLEET.online(WallTime(0)),
    _FLEET.status(b""),
    _FLEET.event(1, "KIND", WallTime(0), b""),
)

TABLES: dict[str, Iterable[str]] = {
    "fleet topics": [message.topic for message in _FLEET_MESSAGES],
    "sale states": [state.value for state in shapes.ShownState],
    "outcomes": [one.value for one in shapes.Outcome],
    "refund kinds": [kind.value for kind in RefundKind],
    "refund states": [state.value for state in RefundState],
    "delivery states": [state.value for state in DeliveryState],
    "reasons": reasons_of_sales(),
    "scan reasons": [*get_args(barcode.Reason), "code_reused", "earlier_order_open", *KIOSK_REASONS],
    "calls": OPERATIONS,
    "answers": answers_of_queries(),
    "events": EVENTS,
    "problems": PROBLEMS,
    "readiness": READINESS_ADVICE,
    "attention": ATTENTION_ADVICE,
    "metrics": [family.name for family in families()],
    "log ids": [one.word for one in LogId],
    "drivers": get_args(PrinterDriver),
    "receipt states": get_args(shapes.ReceiptState),
    "exit codes": [
        str(code) for code in (outcome.DONE, outcome.FAILED, outcome.WRONG_USAGE, outcome.REFUSED, outcome.CONFIG_WRONG)
    ],
}


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_every_code_once_and_no_other(name: str) -> None:
    assert sorted(codes(name)) == sorted(TABLES[name])


def test_every_marked_table_is_compared_with_something() -> None:
    assert set(re.findall(r"<!-- table: (.*) -->", README)) == {*TABLES, "commands"}


def test_no_cell_is_empty_but_where_there_is_nothing_to_say() -> None:
    empty = [row for name in TABLES for row in rows(name) if "" in row]
    assert empty == [["`none`", "", "no receipts"]]


def test_every_command_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    parse(["no-such-command"])
    found = re.search(r"choose from (.*)\)", capsys.readouterr().err)
    assert found
    known = {name.strip("' ") for name in found[1].split(",")}
    assert {code.split()[0] for code in codes("commands")} == known


def test_problems_have_their_status() -> None:
    assert {row[0].strip("`"): int(row[1]) for row in rows("problems")} == {
        code: kind.status for code, kind in PROBLEMS.items()
    }


def test_what_the_broker_retains_is_said() -> None:
    said = {row[0].strip("`"): row[2] for row in rows("fleet topics")}
    assert said == {message.topic: "yes" if message.is_retained else "no" for message in _FLEET_MESSAGES}


def test_what_is_not_in_this_version_is_marked() -> None:
    assert not_yet("readiness") == READINESS_ADVICE.keys() - {reason.value for reason in Reason}
    assert not_yet("receipt states") == set(TABLES["receipt states"]) - {state.value for state in JobState} - {"off"}


def test_every_reason_has_plain_words() -> None:
    for code in codes("reasons"):
        assert reason_words(code) != code


def test_the_diagram_of_a_sale_has_the_arrows_of_its_table() -> None:
    (diagram,) = blocks("mermaid")
    drawn = re.findall(r"^ +(\w+) --> (\w+): ", diagram, re.MULTILINE)
    table = {(state.shown, row.to.shown) for state, found in sale_table.TABLE.items() for row in found.values()}
    assert sorted(drawn) == sorted(arrow for arrow in table if arrow[0] != arrow[1])


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", commands_of("terminald"), ids=" ".join)
def test_terminald_has_the_command_and_its_options(argv: list[str]) -> None:
    args = parse(argv)
    assert isinstance(args, argparse.Namespace)
    if args.command == SIMULATE:
        parser = argparse.ArgumentParser()
        importlib.import_module(f"terminald.simulator.{args.part}").add_arguments(parser)
        parser.parse_args(args.rest)


@pytest.mark.parametrize("text", [README, (ROOT / "config" / "devices.md").read_text()], ids=["README", "devices"])
@pytest.mark.parametrize("between", ["serial device server", "USB-to-parallel cable"])
def test_what_hides_a_printer_without_power_is_named_with_its_setting(text: str, between: str) -> None:
    """The drivers ``network`` and ``usb`` see the box between, and not the printer."""
    (item,) = [item for item in re.split(r"^- ", text, flags=re.MULTILINE) if between in item]
    assert 'confirm = "none"' in item


@pytest.mark.parametrize("text", re.findall(r"`terminald ([a-z][^`…]*)`", README + CHANGELOG))
def test_a_command_in_the_text_exists(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse([text.split(maxsplit=1)[0], "--help"]) == outcome.DONE
    shown = capsys.readouterr().out
    for option in re.findall(r"--[a-z-]+", text):
        assert text.startswith(SIMULATE) or option in shown


@pytest.mark.parametrize("argv", commands_of("curl"), ids=" ".join)
def test_the_api_has_the_call(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-N", action="store_true")
    parser.add_argument("-H", dest="header")
    parser.add_argument("-d", dest="body")
    parser.add_argument("-X", dest="method")
    parser.add_argument("--unix-socket", type=Path)
    parser.add_argument("url")
    args = parser.parse_args(argv)
    assert args.unix_socket == Config().api.socket
    url = urlsplit(args.url)
    path = re.sub(r"(?<=^/v1/sales/)[^/]+", "{id}", url.path)
    operation = OPERATIONS[f"{args.method or ('POST' if args.body else 'GET')} {path}"]
    assert {name for name, _ in parse_qsl(url.query)} <= {str(each["name"]) for each in operation.parameters}
    check_body(operation.operation_id, (args.body or "").encode())
    assert args.header in (None, "Content-Type: application/json")
    assert (args.header is None) == (args.body is None)


def check_body(operation: str, body: bytes) -> None:
    if operation == "open_sale":
        decode_sale_request(body, sale_defaults(Config()))
    elif operation == "present_code":
        judged = barcode.classify(decode_code_request(body).reveal(), Config().sale.payment_code)
        assert not isinstance(judged, barcode.NotPaymentCode)
    elif operation == "refund":
        decode_refund_request(body)
    elif operation == "undelivered":
        decode_undelivered_request(body)
    elif operation == "close_attention":
        decode_closing_request(body)
    else:
        decode_empty_request(body)


def test_make_has_the_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {argv[-1] for argv in commands_of("make")} | set(re.findall(r"`make (?:-C \S+ )?(\w+)`", README))
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_what_is_installed_is_there() -> None:
    sources = [each for argv in commands_of("install") for each in argv if re.match(r"(systemd|config)/", each)]
    assert len(sources) == 6
    for source in sources:
        assert (ROOT / source).is_file()


# --- settings, JSON, links, versions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", blocks("toml"))
def test_a_piece_of_configuration_loads(text: str, tmp_path: Path) -> None:
    file = tmp_path / "terminald.toml"
    file.write_text(text)
    load(file)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z]+\.[a-z_]+)`", README))))
def test_a_setting_in_the_text_exists(name: str) -> None:
    table, _, key = name.partition(".")
    if name not in ("journal.db", "terminald.lock", "api.sock", "terminald.socket"):
        assert hasattr(getattr(Config(), table), {"print": "print_when"}.get(key, key)), name


@pytest.mark.parametrize("text", blocks("json"))
def test_a_sale_is_shown_as_the_api_shows_it(text: str) -> None:
    sale = msgspec.json.decode(text, type=shapes.Sale)
    assert json.loads(msgspec.json.encode(sale)) == json.loads(text)


def test_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    for link in links:
        assert link.removeprefix("#") in anchors if link.startswith("#") else (ROOT / link).is_file(), link


def test_the_newest_version_in_the_changelog_is_this_one() -> None:
    assert re.findall(r"^## (\S+)", CHANGELOG, re.MULTILINE)[0] == terminald.__version__


# --- systemd ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None, delimiters="=", comment_prefixes="#", strict=False)
    unit.read(SYSTEMD / "terminald.service")
    return unit["Service"]


def test_the_unit_fits_the_program(service: configparser.SectionProxy) -> None:
    program, *argv = service["ExecStart"].split()
    assert Path(program).name == "terminald"
    assert isinstance(parse(argv), argparse.Namespace)
    assert int(service["RestartPreventExitStatus"]) == outcome.CONFIG_WRONG
    assert int(service["TimeoutStopSec"].removesuffix("s")) > STOP_GRACE_S
    assert Path("/var/lib", service["StateDirectory"]) == Config().state.directory
    assert int(service["StateDirectoryMode"], 8) == 0o700
