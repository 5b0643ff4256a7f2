"""What is read from files: the configuration, secrets, a host's list; and the daemon's events as text."""

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from terminald.cli.event_stream import EventDecoder, StreamEvent
from terminald.cli.host_list import read_host_list
from terminald.cli.outcome import CommandFailed
from terminald.config import Config
from terminald.config_advice import warnings
from terminald.config_decode import MAX_FAULTS, decode
from terminald.config_rules import NotAllowed
from terminald.config_secrets import read_secret
from terminald.config_text import parse
from terminald.config_token import MIN_TOKEN, read_api_token
from terminald.core.ids import Secret
from terminald.core.money import MAX_AMOUNT
from terminald.errors import ConfigError
from tests.fuzz.target import Check, Target, always, same_however_cut, scratch

_ROOT: Final = Path(__file__).parent.parent.parent
#: One fault is one line for a person.
_LONGEST_FAULT: Final = 700


# --- the configuration -----------------------------------------------------------------------------------------------


def _load(data: bytes) -> Config:
    raw, places = parse(data, file="t.toml")
    return decode(Config, raw, places)


def _inline_secrets(data: bytes) -> list[str]:
    """Return what stands where the name of a file with a secret belongs, and is none."""
    try:
        raw = tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))
    except (ValueError, RecursionError):
        return []
    found = []
    for table, key in (("vendor", "key_file"), ("api", "token_file")):
        section = raw.get(table)
        value = section.get(key) if isinstance(section, dict) else None
        if isinstance(value, str) and len(value) >= 12 and not value.startswith("/"):
            found.append(value)
    return found


def check_config(data: bytes, load: Callable[[bytes], Config] = _load) -> None:
    """Load a configuration: it is one, or each fault is a line that names its place."""
    try:
        config = load(data)
    except ConfigError as exc:
        faults = exc.faults
    else:
        assert load(data) == config
        faults = []
        # The last word on what is allowed and doubtful; a pattern of the file is not run on any text.
        for doubt in warnings(config):
            assert doubt.isprintable()
    lines = data.count(b"\n") + 1
    assert len(faults) <= MAX_FAULTS + 1
    for fault in faults:
        told = re.fullmatch(r"t\.toml:(\d+): .+: .+", fault)
        assert told is not None, fault
        assert 1 <= int(told[1]) <= lines
        assert len(fault) <= _LONGEST_FAULT, "I11"
        assert "\x1b" not in fault
        assert not any(secret in fault for secret in _inline_secrets(data)), "I7: a secret is shown"


def _config_samples() -> tuple[bytes, ...]:
    whole = [path.read_bytes() for path in sorted((_ROOT / "config").glob("*.toml"))]
    plain = [b"\n".join(line for line in data.splitlines() if line and line[:1] != b"#") for data in whole]
    return (
        *plain,
        b'[[scanner]]\nname = "front"\ndevice = "/dev/ttyACM0"\n',
        b'[vendor]\nkey_file = "vendor-key-0f9a3c"\n',
    )


_TOKEN_FILE: Final = '[api]\nlisten = "127.0.0.1:8765"\ntoken_file = "{file}"\n'

# --- secrets ---------------------------------------------------------------------------------------------------------


@contextmanager
def _secrets() -> Iterator[Check]:
    with scratch() as directory:
        file = directory / "secret"
        file.touch(mode=0o600)
        readers: tuple[Callable[[], Secret | None], ...] = (
            partial(read_secret, file, "a key"),
            partial(read_api_token, _load(_TOKEN_FILE.format(file=file).encode())),
        )

        def check(data: bytes) -> None:
            file.write_bytes(data)
            for read in readers:
                try:
                    found = read()
                except (NotAllowed, ConfigError) as exc:
                    text = data.decode("latin-1").strip()
                    assert len(text) < MIN_TOKEN // 2 or text not in str(exc), "I7: a secret is shown"
                    continue
                assert found is not None
                assert found.reveal().encode() == data.removesuffix(b"\n").removesuffix(b"\r")
                assert re.fullmatch("[!-~]+", found.reveal())

        yield check


# --- a host's list ---------------------------------------------------------------------------------------------------


@contextmanager
def _host_list() -> Iterator[Check]:
    with scratch() as directory:
        file = directory / "list.csv"

        def check(data: bytes) -> None:
            file.write_bytes(data)
            try:
                found = read_host_list(file)
            except CommandFailed as exc:
                assert len(str(exc)) <= _LONGEST_FAULT, "I11"
                return
            assert len({line.reference for line in found.lines}) == len(found.lines)
            for line in found.lines:
                assert line.reference.strip() == line.reference != ""
                assert 0 <= line.paid <= MAX_AMOUNT
                assert (line.returned is None) != found.has_returns
                assert line.returned is None or 0 <= line.returned <= MAX_AMOUNT

        yield check


# --- the daemon's events, as the command line reads them -------------------------------------------------------------


def check_events(data: bytes) -> None:
    """Read server-sent events."""

    def told(pieces: list[bytes]) -> tuple[list[StreamEvent], bool]:
        decoder, events = EventDecoder(), list[StreamEvent]()
        try:
            for piece in pieces:
                events += decoder.feed(piece)
        except ValueError:
            return events, False
        return events, True

    same_however_cut(data, told)


# --- the table -------------------------------------------------------------------------------------------------------

_CONFIG_WORDS: Final = (
    *(b"\x00", b"\x1b[31m", b"[", b"[[", b"]]", b"=", b'"""', b"'", b"\\", b"#", b"\n", b'"', b"\xff", b"\xef\xbb\xbf"),
    *(b"nan", b"1e999", b"9" * 5000, b'"9999999h"', b'"\\u0000"', b'"\\ud800"', b"a.b.c.d.e.f=1\n", b"[" * 2000),
    *(b'payment_code = "(a+)+$"\n', b'payment_code = "a{9999999999}"\n', b'payment_code = "[[a]"\n', b"1979-05-27"),
    *(b'key_file = "not-a-path-but-the-key"\n', b'url = "http://[::1"\n', b'ca_file = "/\\u0001"\n', b'"a.b"'),
)
_LISTS: Final = (
    b"reference,paid\norder-1,350\norder-2,\n",
    b'\xef\xbb\xbfReference,Paid,Returned\r\n"a,b",3.50,0.5\r\n',
)
_CELLS: Final = (b'"', b",", b"\r", b"\0", b"9" * 11, b"1.005", b"\xff", "１".encode(), b'""', b"x" * 2000)
_STREAMS: Final = (
    b'retry: 1000\nid: 7\n\nid: 8\nevent: sale\ndata: {"n":1}\n\n:\n\n',
    b"id: 1\r\nevent: key\r\ndata: a\r\ndata: b\r\n\r\n",
)
_STREAM_WORDS: Final = (
    b"id: ",
    b"event: ",
    b"data: ",
    b"\n\n",
    b":\n",
    b"\r",
    b"\xff",
    b"9" * 5000,
    b"-1",
    b"1_0",
    b"\0",
)
_SECRET_FILES: Final = (b"0123456789abcdef0123456789abcdef\n", b"k" * 64, b"a" * 43 + b"\r\n", b"a" * 300)
_SECRET_WORDS: Final = (b"\n", b"\r", b"\0", b" ", b"=", b"\xff", b"a" * 1024)

FILES: Final = (
    Target(
        name="config",
        opened=always(check_config),
        samples=_config_samples(),
        words=_CONFIG_WORDS,
        longest=16_384,
        examples=120,
    ),
    Target(name="secrets", opened=_secrets, samples=_SECRET_FILES, words=_SECRET_WORDS),
    Target(name="host_list", opened=_host_list, samples=_LISTS, words=(b"reference,paid\n", *_CELLS)),
    Target(
        name="event_stream",
        opened=always(check_events),
        samples=_STREAMS,
        words=_STREAM_WORDS,
        longest=512,
        examples=80,
    ),
)
