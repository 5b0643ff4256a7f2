import dataclasses
import datetime as dt
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.adapters.journal_copy import COPY_NAME
from terminald.adapters.journal_file import DAMAGED, RESTORING
from terminald.adapters.log_store import DIRECTORY as LOGS
from terminald.adapters.state_directory import LOCK_NAME
from terminald.app_chores import JOURNAL_NAME
from terminald.config import (
    MAX_SCANNERS,
    ApiConfig,
    Config,
    ScannerConfig,
    load,
    read_activation_code,
    read_vendor_key,
)
from terminald.config_advice import warnings
from terminald.config_decode import MAX_FAULTS, Section
from terminald.config_fonts import find_font
from terminald.config_kiosk import KioskConfig, ProductConfig
from terminald.config_rules import Address, format_duration, parse_address, parse_duration
from terminald.config_text import MAX_CONFIG_BYTES, Place, parse
from terminald.config_vending import VendingConfig
from terminald.core.ids import Secret
from terminald.errors import ConfigError

CONFIG = Path(__file__).parent.parent / "config"
SECRET = "0e5f9c7d3b1a48f2a6c4e8d0b2f1a3c5"


def names_of(section: type[Section]) -> list[str]:
    return [each.name for each in dataclasses.fields(section)]


TABLES = {
    name: names_of(type(default))
    for name in names_of(Config)
    if isinstance(default := getattr(Config(), name), Section)
} | {"scanner": names_of(ScannerConfig)}

Loader = Callable[[str | bytes], Config]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


@pytest.fixture(scope="module")
def load_text(directory: Path) -> Loader:
    def load_text(text: str | bytes) -> Config:
        path = directory / "t.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path)

    return load_text


@pytest.fixture(scope="module")
def faults_of(load_text: Loader, directory: Path) -> Callable[[str | bytes], list[str]]:
    """Faults without the directory of the file."""

    def faults_of(text: str | bytes) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text)
        return [fault.removeprefix(f"{directory}/") for fault in caught.value.faults]

    return faults_of


Faults = Callable[[str | bytes], list[str]]


def test_an_empty_file_is_the_defaults(load_text: Loader) -> None:
    assert load_text("") == Config()


def test_defaults_are_those_of_the_contract() -> None:
    config = Config()
    assert config.sale.poll_interval == 3_000
    assert config.sale.poll_window == 50_000
    assert config.sale.late_lookups == (30_000, 300_000, 3_600_000)
    assert config.sale.qr_window == 240_000
    assert config.sale.payment_code.fullmatch("281234567890123456")
    assert config.gateway.timezone == dt.timezone(dt.timedelta(hours=8))
    assert config.checkin.at == dt.time(4, 30)
    assert config.checkin.upload_log
    assert config.api.socket_mode == 0o660
    assert config.api.listen is None
    assert config.receipt.print_when == "paid"
    assert config.readiness.require == ("gateway", "scanner")


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.toml")), ids=lambda path: path.name)
def test_shipped_files_load(path: Path) -> None:
    assert load(path).places.file == str(path)


def test_the_annotated_file_says_every_default() -> None:
    front = ScannerConfig(name="front", device="/dev/ttyACM0")
    assert load(CONFIG / "terminald.toml") == Config(scanners=(front,))
    assert warnings(dataclasses.replace(load(CONFIG / "terminald.toml"), places=Config().places)) == ()


def test_the_annotated_file_has_every_key_with_an_explanation() -> None:
    text = (CONFIG / "terminald.toml").read_text()
    raw = tomllib.loads(re.sub(r"^#(?! )", "", text, flags=re.MULTILINE))
    attributes = {"scanner": "scanners", "print": "print_when", "product": "products"}
    tables = TABLES | {"scanners": TABLES["scanner"], "vending": names_of(VendingConfig)}
    del tables["scanner"]
    assert {attributes.get(key, key) for key in raw} == set(tables)
    raw = {attributes.get(key, key): value[0] if isinstance(value, list) else value for key, value in raw.items()}
    tables["products"], raw["products"] = names_of(ProductConfig), raw["kiosk"]["product"][0]
    for part in ("command", "gpio"):
        tables[part], raw[part] = names_of(type(getattr(KioskConfig(), part))), raw["kiosk"][part]
    for name, names in tables.items():
        assert {attributes.get(key, key) for key in raw[name]} == set(names)
    bare = [line for line in re.findall(r"^[^#\n].*\n(?:[a-z_]+) = .*$", text, re.MULTILINE) if line[0] != "["]
    second = ['trigger_off = ""', 'footer = ["Thank you"]', 'gap = "100ms"', 'inhibit_bias = "pull_up"']
    assert [line.splitlines()[1] for line in bare] == second


HID = '[[scanner]]\nname = "a"\ndriver = "hid"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[terminal]\nnme = "x"', 't.toml:2: terminal.nme: unknown key; did you mean "name"?'),
        ('[terminl]\nname = "x"', 't.toml:1: terminl: unknown key; did you mean "terminal"?'),
        ('url = "https://x"', "t.toml:1: url: unknown key here; it belongs in [gateway]"),
        ("[log]\nxyzzy = 1", "t.toml:2: log.xyzzy: unknown key; allowed: level"),
        ('["ev\\nil"]', "t.toml:1: ev\\nil: unknown key"),
        (f'"{"k" * 100}" = 1', f"t.toml:1: {'k' * 60}…: unknown key"),
        ("terminal = 5", "t.toml:1: terminal: 5 is not a table; write [terminal]"),
        (
            "[terminal]\nname = 5",
            "t.toml:2: terminal.name: 5 is not a text in quotes; allowed: printable text of 1 to 64",
        ),
        ('[terminal]\nname = ""', 't.toml:2: terminal.name: "" has 0 characters; allowed: printable text of 1 to 64'),
        ('[terminal]\nname = "a\\u001b"', 't.toml:2: terminal.name: "a\\x1b" contains control characters; allowed'),
        (f'[terminal]\noperator = "{"o" * 33}"', "t.toml:2: terminal.operator: "),
        (f'[terminal]\ndevice_id = "{"d" * 33}"', "t.toml:2: terminal.device_id: "),
        ('[terminal]\nclient_sn = "a b"', "t.toml:2: terminal.client_sn: "),
        ('[gateway]\nurl = "http://pay.example"', 't.toml:2: gateway.url: "http://pay.example" is not encrypted'),
        ('[gateway]\nurl = "http://localhost.example"', "t.toml:2: gateway.url: "),
        ('[gateway]\nurl = "ftp://x"', "t.toml:2: gateway.url: "),
        ('[gateway]\nurl = "https://user@x"', "t.toml:2: gateway.url: "),
        ('[gateway]\nurl = "https://x?y"', "t.toml:2: gateway.url: "),
        ('[gateway]\nurl = "https://x:99999"', "t.toml:2: gateway.url: "),
        ('[gateway]\nurl = "https://[::1"', "t.toml:2: gateway.url: "),
        ('[gateway]\nurl = "pay.example"', "t.toml:2: gateway.url: "),
        ("[gateway]\nread_timeout = 5", 't.toml:2: gateway.read_timeout: 5 is not a duration such as "200ms", "5s"'),
        ('[gateway]\nread_timeout = "5"', 't.toml:2: gateway.read_timeout: "5" is not a duration; allowed: a duration'),
        ('[gateway]\nread_timeout = "3h"', 't.toml:2: gateway.read_timeout: "3h" is out of range; allowed: 10ms to 2m'),
        ('[gateway]\ntimezone = "Asia/Shanghai"', "t.toml:2: gateway.timezone: "),
        ('[gateway]\ntimezone = "+15:00"', "t.toml:2: gateway.timezone: "),
        ('[gateway]\nca_file = "/nonexistent/ca.pem"', "t.toml:2: gateway.ca_file: "),
        (f'[gateway]\nca_file = "/{"x" * 300}"', "t.toml:2: gateway.ca_file: "),
        (
            '[state]\ndirectory = "state"',
            't.toml:2: state.directory: "state" is not absolute; allowed: an absolute path',
        ),
        (f'[api]\nsocket = "/{"s" * 107}"', "t.toml:2: api.socket: is too long for a Unix socket"),
        ("[api]\nsocket_mode = 660", "t.toml:2: api.socket_mode: 660 is not possible here; allowed: four octal"),
        ('[api]\nsocket_group = "no-such-group"', "t.toml:2: api.socket_group: "),
        ('[api]\nlisten = "0.0.0.0:80"', 't.toml:2: api.listen: "0.0.0.0:80" can be reached from elsewhere'),
        ('[api]\nlisten = "127.0.0.1:0"', 't.toml:2: api.listen: "127.0.0.1:0" is not a network address'),
        ('[api]\nallowed_origins = ["http://a/b"]', "t.toml:2: api.allowed_origins: "),
        (
            '[api]\nallowed_origins = ["*"]',
            't.toml:2: api.allowed_origins: "*" is not possible here; allowed: an origin',
        ),
        ('[api]\nallowed_origins = ["null"]', 't.toml:2: api.allowed_origins: "null" is not possible here'),
        ('[api]\nallowed_origins = ["http://Till"]', "t.toml:2: api.allowed_origins: "),
        ('[api]\nallowed_origins = ["http://till:99999"]', "t.toml:2: api.allowed_origins: "),
        ('[api]\nallowed_origins = ["http://till:080"]', "t.toml:2: api.allowed_origins: "),
        (
            '[api]\nallowed_origins = ["https://till:443"]',
            't.toml:2: api.allowed_origins: "https://till:443" is written without the port by browsers; allowed: "h',
        ),
        ("[sale]\nmethods = []", "t.toml:2: sale.methods: has 0 entries; allowed: 1 to 2"),
        ('[sale]\nmethods = "scan"', 't.toml:2: sale.methods: "scan" is not a list; write it in [ ]'),
        ('[sale]\nmethods = ["scan", "scan"]', "t.toml:2: sale.methods: names the same value twice"),
        ('[sale]\nmethods = ["cash"]', 't.toml:2: sale.methods: "cash" is not possible here; allowed: "scan", "qr"'),
        ("[sale]\nqr_payway = 3", 't.toml:2: sale.qr_payway: 3 is not possible here; allowed: "1", "2"'),
        ("[sale]\nmax_amount = 0", "t.toml:2: sale.max_amount: 0 is out of range; allowed: a whole number from 1 to"),
        ("[sale]\nmax_amount = true", "t.toml:2: sale.max_amount: true is not a whole number"),
        ("[sale]\nmax_amount = 3.50", "t.toml:2: sale.max_amount: 3.5 is not a whole number"),
        (f"[sale]\nmax_amount = 0x{'f' * 9000}", "t.toml:2: sale.max_amount: a huge number is out of range"),
        ('[sale]\npoll_window = "2s"', "t.toml:1: sale.poll_interval: is longer than sale.poll_window"),
        ('[sale]\nlate_lookups = ["5m", "30s"]', "t.toml:2: sale.late_lookups: is not in order; allowed: rising"),
        ("[sale]\npayment_code = '[0-9'", 't.toml:2: sale.payment_code: "[0-9" is not a regular expression: '),
        ("[sale]\npayment_code = '[[0-9]'", "t.toml:2: sale.payment_code: "),
        ("[sale]\npayment_code = '[0-9]*'", 't.toml:2: sale.payment_code: "[0-9]*" matches an empty text'),
        (f"[sale]\npayment_code = '{'x' * 201}'", "t.toml:2: sale.payment_code: has 201 characters; allowed"),
        (
            "[checkin]\nat = 04:30:00",
            't.toml:2: checkin.at: 04:30:00 is not a time of day; allowed: "00:00" to "23:59"',
        ),
        ('[checkin]\nat = "24:00"', "t.toml:2: checkin.at: "),
        ('[checkin]\nupload_log = "yes"', 't.toml:2: checkin.upload_log: "yes" is not possible here; allowed: true'),
        ("scanner = 5", "t.toml:1: scanner: is not a list of tables; write [[scanner]]"),
        ("[gateway]\n\n[scanner.front]\ndevice = 1", "t.toml:3: scanner: is not a list of tables; write [[scanner]]"),
        ('[[scanner]]\nname = "a"', "t.toml:1: scanner.device: is missing"),
        ('\n[[scanner]]\nname = "a"\ndevice = "COM3"', 't.toml:4: scanner.device: "COM3" is not a path'),
        ('[[scanner]]\nname = "printer"\ndevice = "/dev/a"', "t.toml:2: scanner.name: "),
        (
            '[[scanner]]\nname = "a"\ndevice = "/dev/input/by-id/usb-X-event-kbd"',
            't.toml:3: scanner.device: "/dev/input/by-id/usb-X-event-kbd" is a keyboard; set driver = "hid" for it',
        ),
        (f'{HID}device = "/dev/ttyACM0"', 't.toml:4: scanner.device: "/dev/ttyACM0" is a serial line; set driver = "s'),
        (f'{HID}device = "/dev/serial/by-id/x"', "t.toml:4: scanner.device: "),
        (f'{HID}device = "/dev/hidraw0"', 't.toml:4: scanner.device: "/dev/hidraw0" gives no keys; allowed: vendor:pr'),
        (f'{HID}device = "5f9:2206"', 't.toml:4: scanner.device: "5f9:2206" is not vendor:product; allowed: four hexa'),
        (f'{HID}device = "0x05f9:0x2206"', "t.toml:4: scanner.device: "),
        (f'{HID}device = "event3"', 't.toml:4: scanner.device: "event3" is not absolute; allowed: '),
        (f'{HID}device = "by-id/usb-X-event-kbd"', "t.toml:4: scanner.device: "),
        (f'{HID}device = "05f9:2206"\nsuffix = "lf"', 't.toml:5: scanner.suffix: "lf" is no key; allowed with driver'),
        (f'{HID}device = "05f9:2206"\nsuffix = "crlf"', "t.toml:5: scanner.suffix: "),
        ('[[scanner]]\nname="a"\ndevice="/dev/a"\nbaudrate = 9601', "t.toml:4: scanner.baudrate: 9601 is not possible"),
        ('[[scanner]]\nname="a"\ndevice="/dev/a"\ntrigger_on = "1"', "t.toml:4: scanner.trigger_on: "),
        ("[[scanner]]\n" * (MAX_SCANNERS + 1), f"t.toml:1: scanner: there are 9; allowed: up to {MAX_SCANNERS}"),
        ("[printer]\ncolumns = 40", "t.toml:2: printer.columns: 40 is not possible here; allowed: 32, 42, 48"),
        ('[printer]\ndriver = "serial"', 't.toml:1: printer.device: "" is not a path; allowed with driver "serial"'),
        ('[printer]\ndriver = "network"\ndevice = "x"', "t.toml:3: printer.device: "),
        ('[printer]\ndriver = "network"\ndevice = "x:0"', "t.toml:3: printer.device: "),
        ('[receipt]\nheader = ["a\\nb"]', "t.toml:2: receipt.header: "),
        ('[log]\nlevel = "INFO"', 't.toml:2: log.level: "INFO" is not possible here; allowed: "debug", "info"'),
        ("[log]\nlevel = {}", "t.toml:2: log.level: a table is not possible here"),
        ("[log]\nlevel = []", "t.toml:2: log.level: a list is not possible here"),
    ],
)
def test_a_fault_says_where_what_and_what_is_allowed(text: str, fault: str, faults_of: Faults) -> None:
    (found,) = faults_of(text)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"[terminal]\nname = lobby", "t.toml:2: syntax: Invalid value at column 8; text stands in"),
        (b"[log]\n\n[log]", "t.toml:3: syntax: Cannot declare ('log',) twice"),
        (b"[sale]\nmethods = [\n'scan'\n", "t.toml:3: syntax: Unclosed array at the end; a list ends with ]"),
        (b"x = " + b"9" * 5000, "t.toml:1: syntax: "),
        (b"x = " + b"[" * 5000, "t.toml:1: file: brackets are nested too deeply"),
        (b"\n" + b"a . " * 64 + b"b = 1", "t.toml:2: file: a key has too many parts; allowed: table.key = value"),
        (b"\n[" + b"a." * 9000 + b"b]", "t.toml:2: file: a key has too many parts; allowed: table.key = value"),
        (b"\n" + rb'"\"".' * 64 + b"b = 1", "t.toml:2: file: a key has too many parts; allowed: table.key = value"),
        (b"[terminal]\nname = '\xff'", "t.toml:2: file: is not UTF-8 text"),
        (b"#" * (MAX_CONFIG_BYTES + 1), "t.toml:1: file: is longer than"),
    ],
)
def test_what_is_not_toml_is_a_fault_with_its_line(data: bytes, fault: str, faults_of: Faults) -> None:
    (found,) = faults_of(data)
    assert found.startswith(fault)


def test_every_fault_is_reported_at_once_in_the_order_of_lines(faults_of: Faults) -> None:
    text = """
        [[scanner]]
        name = "front"
        device = "/dev/a"
        [[scanner]]
        device = "/dev/b"
        [[scanner]]
        name = "front"
        device = "/dev/a"
        [sale]
        methods = [
            "cash",
        ]
        max_amount = -1
        [log]
        level = 1
    """
    where = [re.match(r"t\.toml:(\d+): ([a-z_.]+): ", fault) for fault in faults_of(text)]
    assert [(int(found[1]), found[2]) for found in where if found] == [
        (5, "scanner.name"),
        (8, "scanner.name"),
        (9, "scanner.device"),
        (11, "sale.methods"),
        (14, "sale.max_amount"),
        (16, "log.level"),
    ]


def test_a_fault_does_not_bring_another_one_with_it(faults_of: Faults) -> None:
    assert len(faults_of('[sale]\npoll_interval = "5"\npoll_window = "1s"')) == 1


def test_faults_are_bounded(faults_of: Faults) -> None:
    faults = faults_of("".join(f"key{number} = 1\n" for number in range(MAX_FAULTS * 3)))
    assert len(faults) == MAX_FAULTS + 1
    assert faults[-1] == "t.toml:1: file: 200 more faults"


def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml:1: file: does not exist; copy the annotated"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="1: file: cannot be read: Is a directory"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="1: file: cannot be read: is not a file name"):
        load(tmp_path / "a\0b")


def test_values_are_typed(load_text: Loader) -> None:
    config = load_text(
        "\ufeff[gateway]\r\nurl = 'http://[::1]:80/'\r\ntimezone = '-03:30'\r\n"
        "[sale]\nlate_lookups = []\n[checkin]\nat = '00:05'\njitter = '0s'\n[api]\nsocket_mode = '0600'\n"
        "[printer]\ndriver = 'network'\ndevice = '[fe80::1]:9100'\n[receipt]\nprint = 'never'\nheader = ['a\u3000b']\n"
    )
    assert config.gateway.url == "http://[::1]:80"
    assert config.gateway.timezone == dt.timezone(-dt.timedelta(hours=3, minutes=30))
    assert config.sale.late_lookups == ()
    assert config.checkin.at == dt.time(0, 5)
    assert config.checkin.jitter == 0
    assert config.api.socket_mode == 0o600
    assert config.printer.address == Address(host="fe80::1", port=9100)
    assert config.receipt.print_when == "never"


def test_a_sale_can_offer_both_ways_and_ask_for_a_report(load_text: Loader) -> None:
    sale = load_text(
        "[sale]\nmethods = ['qr', 'scan']\nqr_payway = '1'\nqr_window = '90s'\n"
        "delivery = 'confirm'\ndelivery_window = '1m'\non_overdue = 'return'\n"
    ).sale
    assert (sale.methods, sale.qr_payway, sale.qr_window) == (("qr", "scan"), "1", 90_000)
    assert (sale.delivery, sale.delivery_window, sale.on_overdue) == ("confirm", 60_000, "return")


@pytest.mark.parametrize(
    ("device", "by"),
    [
        ("/dev/input/by-id/usb-Example_Scanner-event-kbd", "path"),
        ("/dev/terminald/scanner0", "path"),
        ("05F9:2206", "id"),
        ("usb-0000:01:00.0-1.2/input0", "port"),
        ("usb-3f980000.usb-1.3", "port"),
        ("isa0060/serio0/input0", "port"),
        ("Example Barcode Scanner", "name"),
        ("BC-95", "name"),
    ],
)
def test_a_keyboard_scanner_is_named_in_four_ways(device: str, by: str, load_text: Loader) -> None:
    (scanner,) = load_text(f'{HID}device = "{device}"\nsuffix = "tab"').scanners
    assert (scanner.keyboard.by, scanner.keyboard.text) == (by, device.lower() if by == "id" else device)


def test_a_keyboard_scanner_takes_no_commands() -> None:
    scanner = ScannerConfig(name="a", driver="hid", device="05f9:2206", trigger_on=b"1", trigger_off=b"0")
    assert [key for (key, *_), *_ in scanner.conflicts()] == ["trigger_on", "trigger_off"]


def test_a_network_printer_may_look_like_a_usb_id(load_text: Loader) -> None:
    assert load_text('printer.driver = "network"\nprinter.device = "cafe:9100"').printer.address.host == "cafe"
    assert load_text('printer.driver = "usb"\nprinter.device = "/dev/usb/lp1"').printer.device == "/dev/usb/lp1"


@pytest.mark.parametrize(
    ("key", "doubt"),
    [
        ("trigger_on", ":1: scanner.trigger_off: is empty: after a sale"),
        ("trigger_off", ":1: scanner.trigger_on: is empty: the engine is switched off and never on"),
    ],
)
def test_half_a_trigger_is_a_doubt(key: str, doubt: str, load_text: Loader) -> None:
    config = load_text(f'[[scanner]]\nname = "a"\ndevice = "/dev/a"\n{key} = "16 54 0D"')
    assert [found for found in warnings(config) if doubt in found]


def test_the_commands_of_a_triggered_scanner_are_bytes(load_text: Loader) -> None:
    text = '[[scanner]]\nname = "a"\ndevice = "/dev/a"\ntrigger_on = "16 54 0D"\ntrigger_off = "16550d"'
    (scanner,) = load_text(text).scanners
    assert (scanner.trigger_on, scanner.trigger_off) == (b"\x16T\r", b"\x16U\r")


def test_a_kiosk_is_off_by_default() -> None:
    assert KioskConfig().mode == "off"


def test_a_kiosk_beside_a_vending_machine_is_a_fault(faults_of: Faults) -> None:
    """Both would take the one code that is presented."""
    (fault,) = faults_of('kiosk.mode = "fixed"\nkiosk.amount = 100\n[[vending]]\nname = "a"\ndevice = "/dev/a"')
    assert "allowed: one of the two" in fault


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_secret_file_that_others_can_open_is_a_fault(mode: int, faults_of: Faults, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(SECRET)
    path.chmod(mode)
    (fault,) = faults_of(f'api.token_file = "{path}"')
    assert fault == f"t.toml:1: api.token_file: is open to every user (mode {mode:04o}); run: chmod 0600 {path}"


def test_of_the_vendor_key_that_others_can_open_check_warns_and_activate_refuses_it(
    load_text: Loader, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text(SECRET)
    path.chmod(0o604)
    config = vendor(load_text, path)
    (doubt,) = (found for found in warnings(config) if "vendor" in found)
    assert ":4: vendor.key_file: is open to every user, and activate refuses it; run: chmod 0600" in doubt
    with pytest.raises(ConfigError, match=r"vendor\.key_file: is open to every user \(mode 0604\)"):
        read_vendor_key(config)


@pytest.mark.parametrize("key", ["vendor.key_file", "api.token_file", "vendor.key"])
def test_a_secret_written_in_place_of_its_file_is_not_shown(key: str, faults_of: Faults) -> None:
    """I7."""
    (fault,) = faults_of(f'{key} = "{SECRET}"')
    assert SECRET not in fault


def vendor(load_text: Loader, key_file: Path | str = "") -> Config:
    return load_text(f'[vendor]\nsn = "91800129"\napp_id = "2020"\nkey_file = "{key_file}"')


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_vendor_key_comes_from_its_file(end: str, load_text: Loader, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes((SECRET + end).encode())
    path.chmod(0o600)
    assert read_vendor_key(vendor(load_text, path)) == Secret(SECRET)


def test_the_vendor_key_comes_from_the_credential(
    load_text: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(ConfigError, match=r":4: vendor\.key_file: is missing, and systemd passes no credential"):
        read_vendor_key(vendor(load_text))
    (tmp_path / "vendor_key").write_text(f"{SECRET}\n")
    assert read_vendor_key(vendor(load_text)) == Secret(SECRET)


def test_what_activation_lacks_is_said_at_once(load_text: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError) as caught:
        read_vendor_key(load_text("\n[vendor]\n"))
    assert [re.sub(r"^.*t\.toml", "", fault).split(" is missing")[0] for fault in caught.value.faults] == [
        ":2: vendor.sn:",
        ":2: vendor.app_id:",
        ":2: vendor.key_file:",
    ]


def test_the_activation_code_comes_from_the_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I7: what is no code is not shown."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert read_activation_code() is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_activation_code() is None
    (tmp_path / "activation_code").write_text("48217366\n")
    assert read_activation_code() == Secret("48217366")
    (tmp_path / "activation_code").write_text("48217 366\n")
    with pytest.raises(ConfigError, match=r"activation_code: .* is not an activation code; allowed: one") as caught:
        read_activation_code()
    assert "48217" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"\n", SECRET.encode() + b" \n", b"\xff", SECRET.encode() + b"\n\n", b"x" * 1025]
)
def test_a_file_that_is_not_a_key_is_a_fault_without_its_content(
    content: bytes, load_text: Loader, tmp_path: Path
) -> None:
    """I7."""
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is not a key; allowed: one line") as caught:
        read_vendor_key(vendor(load_text, path))
    assert SECRET not in str(caught.value)
    path.chmod(0o600)
    config = vendor(load_text, path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="is open to every user"):
        read_vendor_key(config)


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ('[sale]\npoll_interval = "2s"', ":2: sale.poll_interval: 2s is short: the gateway asks for at least 3s"),
        ('[sale]\npoll_window = "39s999ms"', ":2: sale.poll_window: 39s999ms is short: the gateway asks"),
        ('[sale]\nqr_window = "1m"', ":2: sale.qr_window: 1m is short"),
        ("[sale]\nlate_lookups = []", ":2: sale.late_lookups: is empty"),
        ('[readiness]\nrequire = ["printer"]', ":2: readiness.require: "),
        ('[printer]\ndevice = "/dev/usb/lp0"', ":2: printer.device: has no effect"),
        ('[gateway]\nurl = "http://127.0.0.1:80"', ":2: gateway.url: is not encrypted"),
        ('[api]\nsocket_mode = "0666"', ":2: api.socket_mode: lets every user of this machine sell"),
        ('[state]\ndirectory = "/"', ":2: state.directory: is open to other users; run: chmod 0700 /"),
    ],
)
def test_a_doubt_is_a_warning_with_its_line(text: str, doubt: str, load_text: Loader) -> None:
    scanner = '\n[[scanner]]\nname = "a"\ndevice = "/dev/a"'
    assert [found.split("t.toml")[1][: len(doubt)] for found in warnings(load_text(text + scanner))] == [doubt]


RASTER = '[printer]\ndriver = "serial"\ndevice = "/dev/ttyUSB0"\nencoding = "raster"\n'


def printer_doubts(load_text: Loader, text: str) -> list[str]:
    return [found.split("t.toml")[1] for found in warnings(load_text(text)) if "printer." in found]


def test_a_printer_of_pictures_without_its_font_is_a_warning_that_names_the_package(
    load_text: Loader, tmp_path: Path
) -> None:
    (found,) = printer_doubts(load_text, f'{RASTER}font = "{tmp_path}/missing.ttf"')
    assert re.fullmatch(r":5: printer\.font: .*/missing\.ttf is not there, .*apt install fonts-wqy-microhei", found)
    (tmp_path / "empty.ttf").touch()
    (found,) = printer_doubts(load_text, f'{RASTER}font = "{tmp_path}/empty.ttf"')
    assert "can not be read, or has no Chinese characters" in found


def test_the_font_that_is_found_is_no_warning_and_none_is_one(load_text: Loader) -> None:
    doubts = printer_doubts(load_text, RASTER)
    font = find_font(None)
    if font is None:
        assert "apt install fonts-wqy-microhei" in doubts[0]
    else:
        assert not doubts
        assert not printer_doubts(load_text, f'{RASTER}font = "{font.path}"')


def test_a_slow_line_for_pictures_is_a_warning(load_text: Loader) -> None:
    doubts = printer_doubts(load_text, RASTER + "baudrate = 9600")
    assert ":5: printer.baudrate: is slow for text as pictures: a receipt takes about 20 s" in doubts[-1]


def test_a_font_for_a_printer_of_text_has_no_effect(load_text: Loader) -> None:
    (doubt,) = printer_doubts(load_text, RASTER.replace("raster", "gbk") + 'font = "/usr/share/fonts/x.ttf"')
    assert ":5: printer.font: has no effect" in doubt


def test_a_usb_printer_is_a_path_or_two_ids(load_text: Loader) -> None:
    for device in ("/dev/usb/lp0", "04b8:0202", "04B8:0E15"):
        assert load_text(f'[printer]\ndriver = "usb"\ndevice = "{device}"').printer.device == device
    with pytest.raises(ConfigError, match=r'"04b8:202" is not a path; allowed .*: such as /dev/usb/lp0, or 04b8:0202'):
        load_text('[printer]\ndriver = "usb"\ndevice = "04b8:202"')


def test_a_terminal_that_can_never_be_ready_is_a_warning(load_text: Loader) -> None:
    (found,) = warnings(load_text(""))
    assert 'readiness.require: "scanner" is required, and there is no [[scanner]]' in found


def test_a_file_that_others_may_change_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "w.toml"
    path.write_text("[readiness]\nrequire = []\n")
    path.chmod(0o646)
    assert warnings(load(path)) == (f"{path}:1: file: may be changed by other users; run: chmod go-w {path}",)


@given(st.integers(0, 10**10))
def test_durations_round_trip(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text("0123456789hms .-+", max_size=12))
def test_a_duration_is_read_or_refused(text: str) -> None:
    if re.fullmatch("(?=.)([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?([0-9]{1,9}ms)?", text):
        assert parse_duration(text) >= 0
    else:
        with pytest.raises(ValueError, match="is not a duration; allowed: "):
            parse_duration(text)


FRAGMENTS = [
    *("[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "\r\n", " ", "#", '"', "'", '"""', "'''", "\\", "\\u0000"),
    *(
        "terminal",
        "sale",
        "scanner",
        "kiosk",
        "product",
        "printer",
        "vendor",
        "api",
        "late_lookups",
        "methods",
        "device",
    ),
    *(
        '"scan"',
        '"5s"',
        "1",
        "-1",
        "0x1f",
        "1e999",
        "nan",
        "true",
        "1979-05-27T07:32:00Z",
        "04:30:00",
        '"/dev/a"',
        "\0",
    ),
]


def outcome(load_text: Loader, text: str | bytes) -> list[str]:
    """Return the faults of a text that may have none; any other exception than ConfigError is a bug."""
    try:
        load_text(text)
    except ConfigError as exc:
        return exc.faults
    return []


@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join)))
def test_whatever_the_file_holds_it_loads_or_is_a_config_error(load_text: Loader, text: str | bytes) -> None:
    assert all(re.fullmatch(r".*/t\.toml:\d+: .+: .+", fault) for fault in outcome(load_text, text))


RAW = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(max_size=5), st.sampled_from(["/dev/a", "5s", "scan", "qr", ""])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)
KEYS = [(table, key) for table, keys in TABLES.items() for key in keys]


@given(st.dictionaries(st.sampled_from(KEYS), RAW, max_size=4))
def test_whatever_a_key_holds_it_loads_or_is_a_config_error(
    load_text: Loader, rows: dict[tuple[str, str], object]
) -> None:
    lines = [f"{table}.{key} = {toml(value)}" for (table, key), value in rows.items() if table != "scanner"]
    lines += ["[[scanner]]", *(f"{key} = {toml(value)}" for (table, key), value in rows.items() if table == "scanner")]
    assert not [fault for fault in outcome(load_text, "\n".join(lines)) if ": syntax: " in fault]


def toml(value: object) -> str:
    """Write a value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            escaped = "".join(f"\\U{ord(char):08x}" if not 0xD800 <= ord(char) < 0xE000 else "" for char in value)
            return f'"{escaped}"'
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return "{" + ", ".join(f'"{key}" = {toml(each)}' for key, each in value.items()) + "}"
        case _:
            raise AssertionError(value)


# Values that take up to three lines, with what could be mistaken for keys, tables, comments and ends of texts inside.
VALUES = [
    "1",
    "'a # b'",
    '"a \\" # [x]"',
    '"""\nkey = 1\n[table] \\""" # """',
    '"""x"""""',
    "'''\n\"\"\"\n[[x]]'''",
    "[1,\n 2, # ]\n 3]",
    '[["]"], [\n]]',
    "{a = 1, b.c = [{d = '}'}]}",
    "1979-05-27 07:32:00",
    "-1.5e3",
    "true # [x]",
]


@given(
    st.lists(st.tuples(st.sampled_from(["a", "[b]", "[c]"]), st.lists(st.sampled_from(VALUES), max_size=3)), max_size=5)
)
def test_the_line_of_every_key_is_found(blocks: list[tuple[str, list[str]]]) -> None:
    text, expected = "", dict[Place, int]()
    counts = dict[str, int]()
    for header, values in blocks:
        name = header.strip("[]")
        number = counts[name] = counts.get(name, -1) + 1
        text += "# [comment]\n\n"
        place: Place = (name, number) if header != name else (f"{name}{number}",)
        expected[place] = text.count("\n") + 1
        text += f"[{header}] # x\n" if header != name else f"[{name}{number}]\n"
        for index, value in enumerate(values):
            expected[*place, f"k {index}"] = text.count("\n") + 1
            text += f'"k\\u0020{index}" = {value}\n'
            expected[*place, f"d{index}", "x"] = text.count("\n") + 1
            text += f"  d{index} . 'x' = {value}\n"
    _, places = parse(text.encode(), file="x")
    assert {place: places.lines.get(place) for place in expected} == expected


def test_keys_inside_values_have_lines_too() -> None:
    text = "s = [\n {n = 1},\n\n {n = 2, d = {x.y = 3}}]\n[[a]]\n[[a.b]]\nc = 1\n[[a]]\n[a.d]\n[[a.b]]\nc = 1\n"
    _, places = parse(text.encode(), file="x")
    assert places.line(("s", 0, "n")) == 2
    assert places.line(("s", 1, "d", "x", "y")) == 4
    assert places.line(("a", 0, "b", 0, "c")) == 7
    assert places.line(("a", 1, "d")) == 9
    assert places.line(("a", 1, "b", 0, "c")) == 11
    assert places.line(("a", 1, "b", 0, "missing")) == 10
    assert places.line(("nowhere",)) == 1


def test_a_port_needs_a_token() -> None:
    address = Address(host="127.0.0.1", port=8765)
    ((keys, what, *_),) = ApiConfig(listen=address).conflicts()
    assert keys == ("listen", "token_file")
    assert what == "needs api.token_file; set it, or leave listen empty"
    assert not list(ApiConfig(listen=address, token_file=Path("/etc/terminald/token")).conflicts())


def test_origins_are_taken_as_browsers_write_them(load_text: Loader) -> None:
    origins = ["http://localhost:8080", "https://till.example", "http://[::1]:8080", "https://a:80", "http://127.0.0.1"]
    assert load_text(f"api.allowed_origins = {origins}").api.allowed_origins == tuple(origins)


def test_an_address_is_written_as_it_is_read() -> None:
    for text in ("127.0.0.1:8765", "[::1]:8765", "localhost:80"):
        assert str(parse_address(text)) == text


def test_doubts_about_callers_over_tcp(load_text: Loader, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(0o600)
    origins = 'api.allowed_origins = ["http://localhost:80801", "http://till.example", "https://till.example"]'
    keys = f'api.token_file = "{token}"\n{origins.replace("80801", "8080")}\n'
    off = [doubt for doubt in warnings(load_text(keys)) if "api." in doubt]
    assert [doubt.split(": ")[1] for doubt in off] == ["api.token_file", "api.allowed_origins"]
    assert all("has no effect while api.listen is empty" in doubt for doubt in off)
    on = f'{keys}api.listen = "localhost:8765"\n'
    (doubt,) = [doubt for doubt in warnings(load_text(on)) if "api." in doubt]
    assert "api.allowed_origins: http://till.example is not encrypted" in doubt
    token.chmod(0o660)
    assert [doubt for doubt in warnings(load_text(on)) if "api.token_file: may be changed by its group" in doubt]


def test_a_ca_file_must_be_there(load_text: Loader, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.touch()
    assert load_text(f'gateway.ca_file = "{path}"').gateway.ca_file == path


def test_a_vending_machine_has_a_name_and_a_line_of_its_own(faults_of: Faults, load_text: Loader) -> None:
    scanner = '[[scanner]]\nname = "front"\ndevice = "/dev/a"\n'
    (fault,) = faults_of(scanner + '[[vending]]\nname = "front"\ndevice = "/dev/b"')
    assert fault == 't.toml:4: vending: "front" is the name of a scanner; allowed: any other name'
    (fault,) = faults_of(scanner + '[[vending]]\ndevice = "/dev/a"')
    assert fault == 't.toml:4: vending: "/dev/a" is the device of a scanner'
    assert load_text(scanner + '[[vending]]\ndevice = "/dev/b"').vending[0].name == "vending"


VENDING = '[[vending]]\ndevice = "/dev/b"\n'
SCANNER = '[[scanner]]\nname = "a"\ndevice = "/dev/a"\n'
BY_QR = '[sale]\nmethods = ["qr"]\n[readiness]\nrequire = []\n'
PAPER = '[printer]\ndriver = "usb"\ndevice = "/dev/usb/lp0"\n'
NOT_PRINTED = '[receipt]\nprint = "never"\n'


@pytest.mark.parametrize(
    ("text", "doubts"),
    [
        (
            VENDING + BY_QR,
            [':1: printer.driver: "none": the QR of a vend is seen by nobody but a program that follows'],
        ),
        (VENDING + BY_QR + SCANNER, [":1: printer.driver: "]),
        (VENDING + BY_QR + PAPER + NOT_PRINTED, [':11: receipt.print: "never": the QR of a vend is seen by nobody']),
        (VENDING + BY_QR.replace('"qr"', '"scan", "qr"'), [":1: printer.driver: "]),
        (VENDING + BY_QR.replace("qr", "scan"), [":4: sale.methods: there is no [[scanner]], and nobody else shows"]),
        (VENDING + BY_QR.replace("[]", '["scanner"]').replace("qr", "scan"), [":6: readiness.require: "]),
        (VENDING + BY_QR + PAPER, []),
        (VENDING + BY_QR.replace("qr", "scan") + SCANNER, []),
        (VENDING + BY_QR.replace('"qr"', '"scan", "qr"') + SCANNER, []),
        (BY_QR, []),
    ],
)
def test_a_vend_that_nobody_can_pay_is_a_warning(text: str, doubts: list[str], load_text: Loader) -> None:
    found = [each.split("t.toml")[1] for each in warnings(load_text(text))]
    assert [each[: len(doubt)] for each, doubt in zip(found, doubts, strict=True)] == doubts


def test_the_configuration_of_a_vending_machine_has_nothing_to_doubt() -> None:
    config = load(CONFIG / "vending.toml")
    assert [one.name for one in config.vending] == ["snacks"]
    assert warnings(config) == ()


# --- what is printed to a file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *(JOURNAL_NAME, f"{JOURNAL_NAME}-wal", COPY_NAME, DAMAGED, RESTORING, LOCK_NAME, f"{LOGS}/receipts.bin"),
        *("evidence-20260101T000000Z/journal.db", "", ".", "x/../journal.db"),
    ],
)
def test_a_receipt_is_not_printed_into_a_file_of_terminalds_own(name: str, faults_of: Faults, tmp_path: Path) -> None:
    text = f'[state]\ndirectory = "{tmp_path}"\n[printer]\ndriver = "file"\ndevice = "{tmp_path}/{name}"\n'
    (fault,) = faults_of(text)
    assert fault.startswith("t.toml:5: printer.device: ")
    assert "is terminald's own in state.directory; allowed: another name" in fault


def test_a_receipt_is_not_printed_into_the_journal_by_another_name(faults_of: Faults, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "state" / JOURNAL_NAME)
    text = f'[state]\ndirectory = "{tmp_path}/state"\n[printer]\ndriver = "file"\ndevice = "{tmp_path}/link"\n'
    (fault,) = faults_of(text)
    assert "is terminald's own" in fault


@pytest.mark.parametrize(
    "place", ["state/receipts.bin", "state/paper/journal.bin", "journal.bin", "state-2/journal.db"]
)
def test_any_other_file_is_printed_to(place: str, load_text: Loader, tmp_path: Path) -> None:
    """The state directory is the only one that the service may write to."""
    text = f'[state]\ndirectory = "{tmp_path}/state"\n[printer]\ndriver = "file"\ndevice = "{tmp_path}/{place}"\n'
    assert load_text(text).printer.device == f"{tmp_path}/{place}"
