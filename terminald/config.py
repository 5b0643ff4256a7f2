"""The configuration: a TOML file as frozen values, with every fault in it reported at once.

Each dataclass is one table: its fields are the keys, with the rule of each and its default written as in the file.
Attribute names are the keys, but for ``[[scanner]]`` (:attr:`Config.scanners`) and ``receipt.print``
(:attr:`ReceiptConfig.print_when`). Durations are milliseconds.
"""

# ruff: noqa: RUF009 - option() and its kin declare fields, as dataclasses.field() does
import datetime as dt
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from terminald import config_rules as rules
from terminald.config_decode import Conflict, Section, decode, option, required, table, tables
from terminald.config_keyboard import KeyboardChoice, parse_keyboard
from terminald.config_kiosk import KioskConfig
from terminald.config_mqtt import MqttConfig
from terminald.config_regex import regex
from terminald.config_secrets import credential, read_secret
from terminald.config_text import Places, read
from terminald.config_vending import MAX_VENDING, VendingConfig
from terminald.core.ids import Duration, Secret
from terminald.core.money import MAX_AMOUNT
from terminald.core.retention import LEAST_DAYS
from terminald.errors import ConfigError

#: A board has a handful of ports; more is a mistake in the file.
MAX_SCANNERS = 8
#: How the names begin that are terminald's own in the state directory.
OWN_NAMES: Final = ("journal", "terminald.lock", "evidence-", "log-upload", ".")

_BAUDRATES = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_LINE = rules.text(0, 96)

Method = Literal["scan", "qr"]
Delivery = Literal["none", "confirm"]
Suffix = Literal["auto", "cr", "lf", "crlf", "tab", "none"]
PrinterDriver = Literal["none", "serial", "usb", "network", "file"]
Flow = Literal["none", "xonxoff", "rtscts", "dsrdtr"]
Encoding = Literal["gbk", "gb18030", "utf-8", "raster"]
Cut = Literal["full", "partial", "none"]
Language = Literal["zh", "en"]
PrintWhen = Literal["paid", "all", "never"]
Requirement = Literal["gateway", "scanner", "printer", "clock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalConfig(Section):
    """How this terminal names itself to the gateway."""

    name: str = option(rules.text(1, 64), "lobby-1")
    device_id: str = option(
        rules.pattern("[!-~]{1,32}", '"auto", or 1 to 32 letters, digits and signs without blanks'), "auto"
    )
    client_sn: str = option(rules.pattern("[0-9A-Za-z_-]{0,32}", "up to 32 of letters, digits, - and _"), "")
    operator: str = option(rules.text(1, 32), "kiosk")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig(Section):
    """Where the gateway is, and how long to wait for it."""

    url: str = option(rules.url, "https://vsi-api.shouqianba.com")
    connect_timeout: Duration = option(rules.duration("10ms", "1m"), "5s")
    read_timeout: Duration = option(rules.duration("10ms", "2m"), "15s")
    ca_file: Path | None = option(rules.optional(rules.existing_file), "")
    timezone: dt.timezone = option(rules.utc_offset, "+08:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorConfig(Section):
    """Who activates the terminal; see :func:`read_vendor_key`. Nothing else looks at the file of the key."""

    sn: str = option(rules.pattern("[!-~]{0,64}", "up to 64 letters and digits, as the gateway's operator gave it"), "")
    app_id: str = option(
        rules.pattern("[!-~]{0,64}", "up to 64 letters and digits, as the gateway's operator gave it"), ""
    )
    key_file: Path | None = option(rules.optional(rules.secret_path), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateConfig(Section):
    """Where the journal lives, and how long what is in it."""

    directory: Path = option(rules.file_path, "/var/lib/terminald")
    keep_days: int = option(rules.integer(LEAST_DAYS, 36_500, "days"), 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig(Section):
    """Where host applications reach the daemon."""

    socket: Path = option(rules.socket_path, "/run/terminald/api.sock")
    socket_mode: int = option(rules.mode, "0660")
    socket_group: str = option(rules.group, "")
    admin_group: str = option(
        rules.pattern("(?:[a-z_][a-z0-9_-]{0,31})?", "the name of a group, or nothing"), "terminald-admin"
    )
    listen: rules.Address | None = option(rules.optional(rules.loopback_address), "")
    token_file: Path | None = option(rules.optional(rules.secret_file), "")
    allowed_origins: tuple[str, ...] = option(rules.listing(rules.origin, most=16, is_set=True), [])

    def conflicts(self) -> Iterable[Conflict]:
        """A port of the machine is open to every user of it: it needs a token."""
        if self.listen and not self.token_file:
            yield ("listen", "token_file"), "needs api.token_file; set it, or leave listen empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleConfig(Section):
    """How a sale runs unless the host says otherwise."""

    methods: tuple[Method, ...] = option(
        rules.listing(rules.choice("scan", "qr"), least=1, most=2, is_set=True), ["scan"]
    )
    qr_payway: str = option(rules.choice("1", "2", "3", "4", "5", "17"), "3")
    max_amount: int = option(rules.integer(1, MAX_AMOUNT, "fen"), 100_000)
    payment_window: Duration = option(rules.duration("10ms", "1h"), "90s")
    poll_interval: Duration = option(rules.duration("10ms", "1m"), "3s")
    poll_window: Duration = option(rules.duration("10ms", "10m"), "50s")
    late_lookups: tuple[Duration, ...] = option(
        rules.rising(rules.listing(rules.duration("10ms", "24h"), most=8)), ["30s", "5m", "1h"]
    )
    qr_window: Duration = option(rules.duration("10ms", "1h"), "240s")
    delivery: Delivery = option(rules.choice("none", "confirm"), "none")
    delivery_window: Duration = option(rules.duration("10ms", "24h"), "3m")
    on_overdue: Literal["attention", "return"] = option(rules.choice("attention", "return"), "attention")
    payment_code: re.Pattern[str] = option(regex, "^[0-9]{16,24}$")

    def conflicts(self) -> Iterable[Conflict]:
        """A window without a single query reverses every payment that is not immediate."""
        if self.poll_interval > self.poll_window:
            yield ("poll_interval", "poll_window"), "is longer than sale.poll_window; allowed: up to that window"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckinConfig(Section):
    """When the terminal key is rotated."""

    at: dt.time = option(rules.time_of_day, "04:30")
    jitter: Duration = option(rules.duration("0s", "12h"), "30m")
    upload_log: bool = option(rules.boolean, default=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerConfig(Section):
    """One scanner."""

    name: str = required(rules.text(1, 32))
    driver: Literal["serial", "hid"] = option(rules.choice("serial", "hid"), "serial")
    device: str = required(rules.text(1, 255))
    baudrate: int = option(rules.choice(*_BAUDRATES), 9600)
    suffix: Suffix = option(rules.choice("auto", "cr", "lf", "crlf", "tab", "none"), "auto")
    trigger_on: bytes = option(rules.hex_bytes, "")
    trigger_off: bytes = option(rules.hex_bytes, "")

    @property
    def keyboard(self) -> KeyboardChoice:
        """Return which keyboard the scanner is; only for driver "hid"."""
        return parse_keyboard(self.device)

    def conflicts(self) -> Iterable[Conflict]:
        """What a device is depends on the driver; the printer's name is taken in the list of devices."""
        if self.driver == "hid":
            yield from self._keyboard_conflicts()
        elif not self.device.startswith("/"):
            yield ("device", "driver"), f"{rules.show(self.device)} is not a path; allowed: such as /dev/ttyACM0"
        elif self.device.startswith("/dev/input/"):
            yield ("device", "driver"), f'{rules.show(self.device)} is a keyboard; set driver = "hid" for it'
        if self.name in ("printer", "output"):
            yield ("name",), f"{rules.show(self.name)} is the name of another device; allowed: any other name"

    def _keyboard_conflicts(self) -> Iterable[Conflict]:
        try:
            parse_keyboard(self.device)
        except rules.NotAllowed as exc:
            yield ("device", "driver"), str(exc)
        if self.suffix in ("lf", "crlf"):
            what = (
                f'{rules.show(self.suffix)} is no key; allowed with driver "hid": "auto", "cr" (Enter), "tab", "none"'
            )
            yield ("suffix", "driver"), what
        for key, command in (("trigger_on", self.trigger_on), ("trigger_off", self.trigger_off)):
            if command:
                yield (key, "driver"), 'a keyboard takes no commands; leave it empty, or use driver "serial"'


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterConfig(Section):
    """The receipt printer. Device is a path, but ``host:port`` for "network"; for "usb" also ``vendor:product``."""

    driver: PrinterDriver = option(rules.choice("none", "serial", "usb", "network", "file"), "none")
    device: str = option(rules.text(0, 255), "")
    baudrate: int = option(rules.choice(*_BAUDRATES), 115_200)
    flow: Flow = option(rules.choice("none", "xonxoff", "rtscts", "dsrdtr"), "none")
    columns: int = option(rules.choice(32, 42, 48), 32)
    width_dots: int = option(rules.choice(384, 512, 576), 384)
    encoding: Encoding = option(rules.choice("gbk", "gb18030", "utf-8", "raster"), "gbk")
    font: Path | None = option(rules.optional(rules.file_path), "")
    qr: Literal["native", "raster"] = option(rules.choice("native", "raster"), "native")
    cut: Cut = option(rules.choice("full", "partial", "none"), "full")
    status: Literal["dle_eot", "none"] = option(rules.choice("dle_eot", "none"), "dle_eot")
    confirm: Literal["gs_r", "process_id", "none"] = option(rules.choice("gs_r", "process_id", "none"), "gs_r")
    job_lifetime: Duration = option(rules.duration("10ms", "24h"), "2m")

    @property
    def address(self) -> rules.Address:
        """Return where a network printer listens; only for that driver."""
        return rules.parse_address(self.device)

    def conflicts(self) -> Iterable[Conflict]:
        """What a device is depends on the driver."""
        if self.driver == "network":
            try:
                rules.parse_address(self.device)
            except rules.NotAllowed as exc:
                yield ("device", "driver"), str(exc)
        elif self.driver == "usb" and re.fullmatch("[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}", self.device):
            return
        elif self.driver != "none" and not self.device.startswith("/"):
            example = {"serial": "/dev/ttyUSB0", "usb": "/dev/usb/lp0, or 04b8:0202"}.get(
                self.driver, "/var/lib/terminald/receipts.bin"
            )
            what = f'{rules.show(self.device)} is not a path; allowed with driver "{self.driver}": such as {example}'
            yield ("device", "driver"), what


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptConfig(Section):
    """What stands on a receipt, and when one is printed."""

    header: tuple[str, ...] = option(rules.listing(_LINE, most=16), ["Lobby Kiosk"])
    footer: tuple[str, ...] = option(rules.listing(_LINE, most=16), ["Thank you"])
    language: Language = option(rules.choice("zh", "en"), "zh")
    print_when: PrintWhen = option(rules.choice("paid", "all", "never"), "paid", key="print")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessConfig(Section):
    """Without what no sale is begun."""

    require: tuple[Requirement, ...] = option(
        rules.listing(rules.choice("gateway", "scanner", "printer", "clock"), most=4, is_set=True),
        ["gateway", "scanner"],
    )
    min_free_disk_mb: int = option(rules.integer(1, 1_000_000, "MB"), 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig(Section):
    """How much is logged."""

    level: Literal["debug", "info", "warning", "error"] = option(
        rules.choice("debug", "info", "warning", "error"), "info"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Section):
    """The whole configuration. ``places`` tells where each key stood; it takes no part in comparisons."""

    terminal: TerminalConfig = table(TerminalConfig)
    gateway: GatewayConfig = table(GatewayConfig)
    vendor: VendorConfig = table(VendorConfig)
    state: StateConfig = table(StateConfig)
    api: ApiConfig = table(ApiConfig)
    sale: SaleConfig = table(SaleConfig)
    checkin: CheckinConfig = table(CheckinConfig)
    scanners: tuple[ScannerConfig, ...] = tables(
        ScannerConfig, key="scanner", most=MAX_SCANNERS, distinct=("name", "device")
    )
    printer: PrinterConfig = table(PrinterConfig)
    receipt: ReceiptConfig = table(ReceiptConfig)
    readiness: ReadinessConfig = table(ReadinessConfig)
    kiosk: KioskConfig = table(KioskConfig)
    vending: tuple[VendingConfig, ...] = tables(
        VendingConfig, key="vending", most=MAX_VENDING, distinct=("name", "device")
    )
    mqtt: MqttConfig = table(MqttConfig)
    log: LogConfig = table(LogConfig)
    places: Places = field(default_factory=Places, compare=False, repr=False)

    def conflicts(self) -> Iterable[Conflict]:
        """What fits each by itself and not together."""
        yield from self._kiosk_conflicts()
        yield from self._vending_conflicts()
        if self.printer.driver == "file":
            yield from self._printer_conflicts()

    def _printer_conflicts(self) -> Iterable[Conflict]:
        """What is printed to a file goes to the end of one that is there: not of one of terminald's own."""
        place, state = (Path(os.path.realpath(one)) for one in (self.printer.device, self.state.directory))
        name = place.relative_to(state).parts[:1] if place.is_relative_to(state) else ("",)
        if not name or name[0].startswith(OWN_NAMES):
            what = f"{rules.show(self.printer.device)} is terminald's own in state.directory"
            yield ("printer", "state"), f"{what}; allowed: another name, such as receipts.bin", ("device",)

    def _kiosk_conflicts(self) -> Iterable[Conflict]:
        """What a kiosk sells has to be within what a sale may be, and its action within the time for a report."""
        kiosk, sale = self.kiosk, self.sale
        if kiosk.mode == "fixed" and kiosk.amount > sale.max_amount:
            yield ("kiosk", "sale"), f"amount {kiosk.amount} is more than sale.max_amount; allowed: up to it"
        if kiosk.mode != "off" and kiosk.longest_action >= sale.delivery_window:
            longest = rules.format_duration(kiosk.longest_action)
            yield ("kiosk", "sale"), f"the action may take {longest}; allowed: less than sale.delivery_window"
        if kiosk.mode != "off" and self.vending:
            yield ("kiosk", "vending"), "a code would be for the kiosk or for the machine; allowed: one of the two"
        for place, barcode in kiosk.barcodes():
            if sale.payment_code.fullmatch(barcode):
                why = "in a sale that somebody else has open, it would be sent to the gateway as a payment code"
                what = f"{rules.show(barcode)} matches sale.payment_code: {why}"
                yield ("kiosk", "sale"), f"{what}; use another barcode, or narrow that pattern", place

    def _vending_conflicts(self) -> Iterable[Conflict]:
        """Devices of different kinds share one list, and one line has one device."""
        names, lines = {one.name for one in self.scanners}, {one.device for one in self.scanners}
        for machine in self.vending:
            if machine.name in names:
                what = f"{rules.show(machine.name)} is the name of a scanner; allowed: any other name"
                yield ("vending", "scanner"), what
            if machine.device in lines:
                yield ("vending", "scanner"), f"{rules.show(machine.device)} is the device of a scanner"


def load(path: Path) -> Config:
    """Read the configuration file.

    Raises:
        ConfigError: with every fault, each as ``file:line: key: what is wrong, what is allowed``.
    """
    raw, places = read(path)
    return replace(decode(Config, raw, places), places=places)


def read_vendor_key(config: Config) -> Secret:
    """Return the vendor key, from ``vendor.key_file`` or else the systemd credential ``vendor_key``.

    One final line end does not belong to the key.

    Raises:
        ConfigError: what activation needs of ``[vendor]`` is missing, or the key cannot be read. The key is not shown.
    """
    vendor, places = config.vendor, config.places
    faults = [
        places.fault(("vendor", key), f"is missing; activation needs the {what} that the gateway's operator gave you")
        for key, what, value in (("sn", "vendor number", vendor.sn), ("app_id", "application id", vendor.app_id))
        if not value
    ]
    key = Secret("")
    try:
        key = _read_key(vendor.key_file)
    except rules.NotAllowed as exc:
        faults.append(places.fault(("vendor", "key_file"), str(exc)))
    if faults:
        raise ConfigError(faults)
    return key


def read_activation_code() -> Secret | None:
    """Return the activation code that systemd passes as the credential ``activation_code``; None where it passes none.

    Raises:
        ConfigError: there is one, and it is no code. It is not shown.
    """
    path = credential("activation_code")
    if path is None:
        return None
    try:
        return read_secret(path, "an activation code")
    except rules.NotAllowed as exc:
        raise ConfigError([f"activation_code: {exc}"]) from exc


def _read_key(key_file: Path | None) -> Secret:
    path = rules.secret_file(str(key_file)) if key_file else credential("vendor_key")
    if path is None:
        raise rules.NotAllowed(
            "is missing, and systemd passes no credential vendor_key; name a file that only the service user may read, "
            "or pass the credential"
        )
    return read_secret(path, "a key")
