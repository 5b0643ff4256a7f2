"""A real Mosquitto with certificates of its own, and somebody who listens to it."""

import contextlib
import getpass
import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).parent.parent.parent
#: Where make unpacks it: the tests' broker is no service of this machine.
UNPACKED = ROOT / ".venv" / "mosquitto" / "usr"
PATIENCE_S = 30.0
USERNAME, PASSWORD = "lobby-1", "correct-horse-battery"
#: Reads everything and writes nothing.
READER, READER_PASSWORD = "reader", "reads-everything"

ACL = f"""\
user {READER}
topic read #
user {USERNAME}
topic write terminald/+/#
"""


def program(name: str) -> str:
    """Find a program of Mosquitto, installed or unpacked."""
    for found in (shutil.which(name), f"/usr/sbin/{name}", UNPACKED / "sbin" / name, UNPACKED / "bin" / name):
        if found and Path(found).is_file():
            return str(found)
    raise AssertionError(f"{name} is missing: make install brings it")


def wait(is_so: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Ask again until it is so: the broker is another process."""
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, f"not within {patience_s} s: {what}"
        select.select([], [], [], 0.02)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _openssl(*arguments: str, directory: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)  # noqa: S607 - wherever it is


def make_certificates(directory: Path) -> None:
    """Make ``ca.pem``, a stranger's ``other-ca.pem``, and ``server`` and ``client`` with certificate and key."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for authority in ("ca", "other-ca"):
        _openssl(
            "req", "-x509", *curve, "-days", "30", "-subj", f"/CN={authority}", "-keyout", f"{authority}.key",
            "-out", f"{authority}.pem", directory=directory,
        )  # fmt: skip
    (directory / "names.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        _openssl(
            "req", "-new", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            directory=directory,
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "names.ext", "-out", f"{name}.pem", directory=directory,
        )  # fmt: skip
        (directory / f"{name}.key").chmod(0o600)


@dataclass
class Broker:
    """One Mosquitto. Its retained messages are gone when it ends, unless it keeps them in a file."""

    directory: Path
    certificates: Path
    port: int = field(default_factory=free_port)
    acl: str = ACL
    #: Further lines of its configuration, before the listener's.
    settings: str = ""
    certificate: str = "server.pem"
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.directory / "mosquitto.log"

    def start(self, *, listener: str = "") -> None:
        """Start it; listener are further lines about that."""
        passwords = self.directory / "passwords"
        passwords.write_text(f"{USERNAME}:{PASSWORD}\n{READER}:{READER_PASSWORD}\n")
        subprocess.run([program("mosquitto_passwd"), "-U", str(passwords)], check=True, capture_output=True)
        (self.directory / "acl").write_text(self.acl)
        key = self.certificate.replace(".pem", ".key")
        key = key if (self.certificates / key).exists() else self.certificate
        (self.directory / "mosquitto.conf").write_text(
            f"user {getpass.getuser()}\nlog_dest stderr\nlog_type all\nallow_anonymous false\n"
            f"password_file {passwords}\nacl_file {self.directory}/acl\n{self.settings}"
            f"listener {self.port} 127.0.0.1\ncertfile {self.certificates / self.certificate}\n"
            f"keyfile {self.certificates / key}\n{listener}"
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program("mosquitto"), "-c", str(self.directory / "mosquitto.conf")],
                stdout=log, stderr=log, env={**os.environ, "LD_LIBRARY_PATH": self._libraries()},
            )  # fmt: skip
        wait(lambda: "running" in self.log.read_text(), f"mosquitto: {self.log.read_text()}")

    @staticmethod
    def _libraries() -> str:
        return os.pathsep.join(str(path.parent) for path in (UNPACKED / "lib").rglob("libmosquitto.so.1"))

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(PATIENCE_S)
            self.process = None

    def stall(self) -> None:
        """Let it hold its connections and answer nothing, until :meth:`go_on`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def connections(self) -> int:
        """Return how often somebody but the reader has connected."""
        lines = self.log.read_text().splitlines()
        return sum("New client connected" in line and "as listener" not in line for line in lines)


@dataclass(frozen=True)
class Heard:
    """A message as it arrived; was_kept: it had been retained before."""

    topic: str
    body: dict[str, object]
    was_kept: bool

    @property
    def kind(self) -> str:
        return self.topic.rpartition("/")[2]


class Listener:
    """Subscribes to everything on a broker, and keeps what it hears."""

    def __init__(self, broker: Broker, topic: str = "#") -> None:
        self.heard: list[Heard] = []
        self._topic = topic
        self._is_there = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"listener-{uuid.uuid4()}", protocol=MQTTv5)
        self._client.username_pw_set(READER, READER_PASSWORD)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._client.tls_set_context(context)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic, qos=1)
        self._client.on_subscribe = lambda *_: self._is_there.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._is_there.wait(PATIENCE_S)

    def _hear(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        body: dict[str, object] = json.loads(message.payload) if message.payload else {}
        self.heard.append(Heard(message.topic, body, message.retain))

    def events(self) -> list[Heard]:
        return [one for one in self.heard if "/events/" in one.topic]

    def seqs(self) -> list[int]:
        return [seq for one in self.events() if isinstance(seq := one.body["seq"], int)]

    def last(self, kind: str) -> Heard | None:
        return next((one for one in reversed(self.heard) if one.kind == kind), None)

    def is_online(self) -> object:
        last = self.last("online")
        return None if last is None else last.body["online"]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.reinitialise()  # what it does with its sockets otherwise is left to chance


@contextlib.contextmanager
def listening_to(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker)
    try:
        yield listener
    finally:
        listener.close()
