"""The configuration of the broker that a fleet of terminals reports to: ``[mqtt]``."""

# ruff: noqa: RUF009 - option() and its kin declare fields, as dataclasses.field() does
import importlib.util
import re
import sys
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald import config_rules as rules
from terminald.config_decode import Conflict, Section, option
from terminald.config_secrets import credential, read_secret
from terminald.config_text import Place
from terminald.core.ids import Duration, Secret

#: The library, which not every terminal needs, and how it is installed; the same versions as in pyproject.toml.
PACKAGE: Final = "aiomqtt"
INSTALL: Final = f"{sys.executable} -m pip install 'aiomqtt==2.5.1' 'paho-mqtt>=2.2,<3'"

#: Where brokers listen: with TLS, and without.
_PORTS: Final = {"mqtts": 8883, "mqtt": 1883}
_LEVEL: Final = "[0-9A-Za-z._-]{1,64}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUrl:
    """Where the broker is."""

    host: str
    port: int
    has_tls: bool


def broker_url(value: object) -> BrokerUrl:
    """Allow mqtts addresses, and mqtt addresses on this machine."""
    allowed = "mqtts://host[:port], or mqtt:// with a loopback address"
    try:
        parts = urllib.parse.urlsplit(value if isinstance(value, str) else "")
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port that is no number, or brackets that do not close
        parts, host, port = urllib.parse.urlsplit(""), "", 0
    is_plain = parts.scheme in _PORTS and not (parts.path or parts.query or parts.fragment or parts.username)
    if not is_plain or port == 0 or not re.fullmatch(r"[0-9A-Za-z._:-]{1,253}", host):
        raise rules.NotAllowed(f"{rules.show(value)} is not the address of a broker; allowed: {allowed}")
    if parts.scheme == "mqtt" and not rules.is_loopback(host):
        raise rules.NotAllowed(f"{rules.show(value)} is not encrypted; allowed: {allowed}")
    return BrokerUrl(host=host, port=port or _PORTS[parts.scheme], has_tls=parts.scheme == "mqtts")


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConfig(Section):
    """The broker, and how to talk to it. Nobody but the daemon and doctor looks at the files of secrets."""

    url: BrokerUrl | None = option(rules.optional(broker_url), "")
    name: str = option(
        rules.pattern(f"(?:{_LEVEL})?", "up to 64 of letters, digits, ., - and _, or nothing for the device id"), ""
    )
    prefix: str = option(
        rules.pattern(f"{_LEVEL}(?:/{_LEVEL}){{0,3}}", 'up to 4 levels such as "shop/terminals"'), "terminald"
    )
    username: str = option(rules.text(0, 128), "")
    password_file: Path | None = option(rules.optional(rules.secret_file), "")
    ca_file: Path | None = option(rules.optional(rules.existing_file), "")
    certificate_file: Path | None = option(rules.optional(rules.existing_file), "")
    key_file: Path | None = option(rules.optional(rules.secret_file), "")
    keep_alive: Duration = option(rules.duration("5s", "20m"), "60s")
    jitter: Duration = option(rules.duration("100ms", "10m"), "30s")
    max_rate: int = option(rules.integer(1, 1000, "events a second"), 20)

    def conflicts(self) -> Iterable[Conflict]:
        """A secret belongs to the name that it proves."""
        if self.password_file and not self.username:
            yield ("password_file", "username"), "needs mqtt.username; set it, or leave the password out"
        if self.key_file and not self.certificate_file:
            yield ("key_file", "certificate_file"), "needs mqtt.certificate_file; set it, or leave the key out"
        if self.url and not self.url.has_tls and (self.ca_file or self.certificate_file):
            yield ("url", "ca_file", "certificate_file"), "has no encryption to use certificates for; allowed: mqtts://"


def has_package() -> bool:
    """Tell whether the library is installed, without importing it."""
    return importlib.util.find_spec(PACKAGE) is not None


def read_password(mqtt: MqttConfig) -> Secret | None:
    """Return the password, from ``mqtt.password_file`` or else the systemd credential ``mqtt_password``.

    Raises:
        NotAllowed: there is one, and it can not be read or is none. It is not shown.
    """
    path = rules.secret_file(str(mqtt.password_file)) if mqtt.password_file else credential("mqtt_password")
    return None if path is None or not mqtt.username else read_secret(path, "a password")


def key_path(mqtt: MqttConfig) -> Path | None:
    """Return where the key of the client's certificate is; None: in the file of the certificate.

    Raises:
        NotAllowed: it is open to every user.
    """
    return rules.secret_file(str(mqtt.key_file)) if mqtt.key_file else credential("mqtt_key")


def doubts_of_mqtt(mqtt: MqttConfig) -> Iterator[tuple[Place, str]]:
    """Yield what is allowed and yet worth a second look, each with its place."""
    if mqtt.url is None:
        if mqtt != MqttConfig():
            yield ("mqtt", "url"), "is empty: nothing is told to a broker, and the rest of [mqtt] has no effect; set it"
        return
    if not has_package():
        yield ("mqtt", "url"), f"nothing is told to a broker: the package {PACKAGE} is missing; run: {INSTALL}"
    if not mqtt.url.has_tls:
        yield ("mqtt", "url"), "is not encrypted: use it with a broker on this machine only"
    try:
        if mqtt.username and not mqtt.certificate_file and read_password(mqtt) is None:
            yield ("mqtt", "username"), "has no password: neither mqtt.password_file nor the credential mqtt_password"
    except rules.NotAllowed as exc:
        yield ("mqtt", "password_file"), str(exc)
