"""``[mqtt]``: what is allowed, what is doubted, and secrets that are never shown."""

import subprocess
import sys
from pathlib import Path

import pytest

from terminald.config import Config, load
from terminald.config_advice import warnings
from terminald.config_mqtt import INSTALL, BrokerUrl, has_package, key_path, read_password
from terminald.config_rules import NotAllowed
from terminald.errors import ConfigError

URL = 'url = "mqtts://broker.example"\n'


def loaded(directory: Path, text: str) -> Config:
    path = directory / "t.toml"
    path.write_text(f"[mqtt]\n{text}")
    return load(path)


def doubts(directory: Path, text: str) -> list[str]:
    return [doubt.partition(": ")[2] for doubt in warnings(loaded(directory, text)) if "mqtt" in doubt]


def secret_in(directory: Path, name: str, text: str, mode: int = 0o600) -> Path:
    path = directory / name
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("mqtts://broker.example", BrokerUrl(host="broker.example", port=8883, has_tls=True)),
        ("mqtts://broker.example:443", BrokerUrl(host="broker.example", port=443, has_tls=True)),
        ("mqtts://[fd00::1]:8884", BrokerUrl(host="fd00::1", port=8884, has_tls=True)),
        ("mqtt://127.0.0.1", BrokerUrl(host="127.0.0.1", port=1883, has_tls=False)),
        ("", None),
    ],
)
def test_addresses_of_brokers(text: str, url: BrokerUrl | None, tmp_path: Path) -> None:
    assert loaded(tmp_path, f'url = "{text}"\n').mqtt.url == url


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('url = "mqtt://broker.example"', 'mqtt.url: "mqtt://broker.example" is not encrypted; allowed: mqtts://'),
        ('url = "mqtts://broker.example:0"', 'mqtt.url: "mqtts://broker.example:0" is not the address of a broker'),
        ('url = "mqtts://broker.example:x"', "mqtt.url: "),
        ('url = "mqtts://broker.example/path"', "mqtt.url: "),
        ('url = "mqtts://user@broker.example"', "mqtt.url: "),
        ('url = "https://broker.example"', "mqtt.url: "),
        ('url = "mqtts://"', "mqtt.url: "),
        ('url = "mqtts://a b"', "mqtt.url: "),
        ("url = 5", "mqtt.url: 5 is not the address of a broker"),
        ('name = "a/b"', 'mqtt.name: "a/b" is not possible here; allowed: up to 64 of letters'),
        ('name = "+"', "mqtt.name: "),
        ('prefix = ""', "mqtt.prefix: "),
        ('prefix = "/a"', "mqtt.prefix: "),
        ('prefix = "a/#"', "mqtt.prefix: "),
        ('prefix = "$SYS"', "mqtt.prefix: "),
        ('ca_file = "/no/such.pem"', "mqtt.ca_file: "),
        ('password_file = "/no/such"', "mqtt.password_file: needs mqtt.username"),
        ('key_file = "/no/such"', "mqtt.key_file: needs mqtt.certificate_file"),
        ('url = "mqtt://localhost"\nca_file = "/etc/passwd"', "mqtt.url: has no encryption to use certificates for"),
        ("max_rate = 0", "mqtt.max_rate: 0 is out of range"),
        ('jitter = "0s"', "mqtt.jitter: "),
        ('keep_alive = "1s"', "mqtt.keep_alive: "),
    ],
)
def test_what_is_not_allowed(text: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    (found,) = caught.value.faults
    assert found.split(": ", 1)[1].startswith(fault), found


def test_a_secret_that_everybody_can_read_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = secret_in(tmp_path, "password", "hunter2hunter2\n", 0o644)
    with pytest.raises(ConfigError, match="is open to every user") as caught:
        loaded(tmp_path, f'{URL}username = "u"\npassword_file = "{path}"')
    assert "hunter2" not in str(caught.value)


def test_secrets_come_from_files_or_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    mqtt = loaded(tmp_path, f'{URL}username = "u"\n').mqtt
    assert (read_password(mqtt), key_path(mqtt)) == (None, None)
    path = secret_in(tmp_path, "password", "from-the-file\n")
    filed = loaded(tmp_path, f'{URL}username = "u"\npassword_file = "{path}"').mqtt
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    secret_in(tmp_path, "mqtt_password", "from-the-credential\n")
    secret_in(tmp_path, "mqtt_key", "")
    password, other = read_password(mqtt), read_password(filed)
    assert password is not None
    assert other is not None
    assert (password.reveal(), other.reveal()) == ("from-the-credential", "from-the-file")
    assert key_path(mqtt) == tmp_path / "mqtt_key"
    assert read_password(loaded(tmp_path, URL).mqtt) is None, "a password without a user is nobody's"
    path.write_text("two words\n")
    with pytest.raises(NotAllowed, match="is not a password") as caught:
        read_password(filed)
    assert "two words" not in str(caught.value)


def test_what_is_worth_a_second_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert doubts(tmp_path, "") == doubts(tmp_path, URL) == []
    assert doubts(tmp_path, 'name = "x"')[0].startswith("mqtt.url: is empty: nothing is told to a broker")
    assert doubts(tmp_path, 'url = "mqtt://localhost"')[0].startswith("mqtt.url: is not encrypted")
    assert doubts(tmp_path, f'{URL}username = "u"')[0].startswith("mqtt.username: has no password")
    (missing,) = doubts(tmp_path, f'{URL}username = "u"\npassword_file = "/no/such"')
    assert missing.startswith("mqtt.password_file: /no/such cannot be read")


def test_a_package_that_is_missing_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_package()
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    (doubt,) = doubts(tmp_path, URL)
    assert doubt.startswith("mqtt.url: nothing is told to a broker: the package aiomqtt is missing; run: ")
    assert "pip install 'aiomqtt==" in doubt


def test_the_library_is_not_imported_by_a_terminal_without_a_broker() -> None:
    code = (
        "import sys, terminald.app, terminald.cli.doctor; print([m for m in ('aiomqtt', 'paho') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_command_that_installs_the_library_names_the_versions_of_the_project() -> None:
    pyproject = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    for requirement in INSTALL.split(" install ")[1].replace("'", "").split():
        assert f'"{requirement}",' in pyproject
