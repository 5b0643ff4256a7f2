"""What a kiosk's configuration may be, and what is said of one that may not be."""

from pathlib import Path

import pytest

from terminald.app_kiosk import required_parts
from terminald.config import Config, load
from terminald.config_advice import warnings
from terminald.config_decode import decode
from terminald.config_kiosk import MAX_PULSES, GpioConfig, KioskConfig
from terminald.config_text import parse
from terminald.errors import ConfigError

CONFIG = Path(__file__).parent.parent / "config"
COLA = '[[kiosk.product]]\nbarcode = "6901234567892"\nname = "Cola"\nprice = 350\n'
FIXED = '[kiosk]\nmode = "fixed"\n'
GPIO = f'{FIXED}action = "gpio"\n[kiosk.gpio]\nchip = "pinctrl-rp1"\nline = "GPIO17"\n'
COMMAND = f'{FIXED}action = "command"\n[kiosk.command]\nargv = ["/bin/true"]\n'


def read(text: str) -> Config:
    raw, places = parse(text.encode(), file="t.toml")
    return decode(Config, raw, places)


def test_the_example_is_a_machine_that_is_told_by_pulses() -> None:
    config = load(CONFIG / "kiosk.toml")
    assert (config.kiosk.mode, config.kiosk.action, config.sale.on_overdue) == ("fixed", "gpio", "return")
    assert config.kiosk.gpio.pulses_for(config.kiosk.amount) == 5
    assert required_parts(config) == {"gateway", "scanner", "output"}


def test_a_catalogue_and_a_command_are_read() -> None:
    kiosk = read(f'[kiosk]\nmode = "catalogue"\nclear = "CLEAR"\npause = "1s"\nmax_lines = 5\n{COLA}').kiosk
    assert (kiosk.mode, kiosk.clear, kiosk.pause, kiosk.max_lines) == ("catalogue", "CLEAR", 1_000, 5)
    (product,) = kiosk.products
    assert (product.barcode, product.name, product.price) == ("6901234567892", "Cola", 350)
    command = read(f'{COMMAND}timeout = "30s"').kiosk
    assert (command.command.argv, command.longest_action) == (("/bin/true",), 30_000)


def test_of_a_kiosk_that_is_off_nothing_is_required() -> None:
    config = read('[kiosk]\naction = "gpio"\n[kiosk.gpio]\nchip = "c"\nline = "1"\ninhibit = "2"')
    assert required_parts(config) == {"gateway", "scanner"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[kiosk]\nmode = "on"', 't.toml:2: kiosk.mode: "on" is not possible here; allowed: "off", "fixed", "catalog'),
        ('[kiosk]\nmode = "catalogue"', 't.toml:2: kiosk.mode: "catalogue" needs products; write a [[kiosk.product]]'),
        (f"{COLA}{COLA}", 't.toml:6: kiosk.product.barcode: "6901234567892" is used twice'),
        (f'{COLA}[kiosk]\nclear = "6901234567892"', 't.toml:6: kiosk.clear: "6901234567892" is the barcode of'),
        (f'[[kiosk.product]]\nbarcode = "{"1" * 33}"\nname = "x"\nprice = 1', "t.toml:2: kiosk.product.barcode: "),
        (f'[[kiosk.product]]\nbarcode = "1"\nname = "{"x" * 33}"\nprice = 1', "t.toml:3: kiosk.product.name: "),
        ('[[kiosk.product]]\nbarcode = "1"\nname = "x"\nprice = 0', "t.toml:4: kiosk.product.price: 0 is out of range"),
        (f"{FIXED}amount = 200000", "t.toml:1: kiosk: amount 200000 is more than sale.max_amount; allowed: up to it"),
        (f'{FIXED}pause = "6m"', 't.toml:3: kiosk.pause: "6m" is out of range; allowed: 0s to 5m'),
        (f"{FIXED}max_lines = 51", "t.toml:3: kiosk.max_lines: 51 is out of range"),
        (f'{FIXED}action = "command"', 't.toml:3: kiosk.action: "command" needs kiosk.command.argv'),
        (f'{FIXED}action = "gpio"', 't.toml:3: kiosk.action: "gpio" needs kiosk.gpio.chip and kiosk.gpio.line'),
        (f'{FIXED}[kiosk.command]\nargv = "/bin/true"', 't.toml:4: kiosk.command.argv: "/bin/true" is not a list'),
        (f'{FIXED}[kiosk.command]\nargv = ["true"]', 't.toml:4: kiosk.command.argv: "true" is not an absolute path'),
        (f'{COMMAND}timeout = "3m"', "t.toml:1: kiosk: the action may take 3m; allowed: less than sale.deliv"),
        (f"{GPIO}pulses = 101", "t.toml:7: kiosk.gpio.pulses: 101 is out of range; allowed: a whole number from 1 to"),
        (f'{GPIO}inhibit = "GPIO17"', 't.toml:7: kiosk.gpio.inhibit: "GPIO17" is kiosk.gpio.line as well'),
        (f"{GPIO}pulses = 2\npulse_value = 100", "t.toml:7: kiosk.gpio.pulses: has no meaning with pulse_value"),
        (f"{GPIO}pulse_value = 300", "t.toml:1: kiosk.amount: 500 fen are not in whole pulses of kiosk.gpio.pulse_val"),
        (f"{GPIO}pulse_value = 1", "t.toml:1: kiosk.amount: 500 fen are 500 pulses; allowed: up to 100"),
        (f'{GPIO}width = "1m"', 't.toml:7: kiosk.gpio.width: "1m" is out of range'),
        (f'{GPIO}inhibit_bias = "up"', "t.toml:7: kiosk.gpio.inhibit_bias: "),
        (f'{GPIO}widht = "1s"', 't.toml:7: kiosk.gpio.widht: unknown key; did you mean "width"?'),
        (f'{GPIO}[[scanner]]\nname = "output"\ndevice = "/dev/a"', "t.toml:8: scanner.name: "),
    ],
)  # fmt: skip
def test_a_fault_says_where_what_and_what_is_allowed(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    (found,) = caught.value.faults
    assert found.startswith(fault)


NO_PRODUCT = COLA.replace("6901234567892", "1300000000000000")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'{COLA}{NO_PRODUCT}[kiosk]\nmode = "catalogue"', "6: kiosk.product.barcode"),
        (f'[kiosk]\nmode = "catalogue"\nclear = "1300000000000000"\n{COLA}', "3: kiosk.clear"),
        (f'{FIXED}clear = "1300000000000000"', "3: kiosk.clear"),
    ],
)
def test_what_would_be_taken_for_a_payment_code_is_no_barcode(text: str, line: str) -> None:
    """A scan belongs to a host's sale while one is open, and then nobody asks the catalogue."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    (fault,) = caught.value.faults
    assert fault.startswith(f't.toml:{line}: "1300000000000000" matches sale.payment_code: ')
    assert fault.endswith("; use another barcode, or narrow that pattern")
    narrow = "[sale]\npayment_code = '^[0-9]{17,24}$'\n"
    assert read(f"{narrow}{text}").kiosk.mode in ("catalogue", "fixed")


def test_products_that_are_not_sold_may_have_any_barcode() -> None:
    assert read(f"{NO_PRODUCT}{FIXED}").kiosk.products[0].barcode == "1300000000000000"


def test_every_price_of_a_catalogue_is_in_whole_pulses() -> None:
    products = COLA + COLA.replace("7892", "7908").replace("350", "400")
    with pytest.raises(ConfigError) as caught:
        read(f"{GPIO.replace('fixed', 'catalogue')}pulse_value = 100\n{products}")
    (fault,) = caught.value.faults
    assert ": kiosk.product: 350 fen are not in whole pulses of kiosk.gpio.pulse_value; allowed: multiples" in fault
    kiosk = read(f"{GPIO.replace('fixed', 'catalogue')}pulse_value = 50\n{products}").kiosk
    assert kiosk.gpio.pulses_for(750) == 15
    assert kiosk.longest_action == MAX_PULSES * 150


def test_the_number_of_pulses_has_one_source() -> None:
    assert GpioConfig(pulses=3).pulses_for(500) == 3
    assert GpioConfig(pulse_value=100).pulses_for(500) == 5
    assert KioskConfig(mode="fixed", action="gpio", gpio=GpioConfig(pulses=3)).longest_action == 450
    assert KioskConfig().longest_action == 0


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        (f"{COMMAND}".replace("/bin/true", "/no/such"), "kiosk.command.argv: /no/such is not there, or can not be run"),
        ('[kiosk]\naction = "command"\n[kiosk.command]\nargv = ["/bin/true"]', "kiosk.action: has no effect while"),
        (FIXED.replace("fixed", "fixed"), "kiosk.mode: there is no [[scanner]], and nobody else shows codes"),
        (f"{COLA}{FIXED}", "kiosk.product: has no effect"),
    ],
)
def test_what_is_doubtful_is_told(text: str, doubt: str) -> None:
    assert [found for found in warnings(read(text)) if doubt in found]


def test_what_is_right_raises_no_doubt() -> None:
    scanner = '[[scanner]]\nname = "a"\ndevice = "/dev/a"\n'
    assert not [found for found in warnings(read(scanner + COMMAND)) if "kiosk" in found]
