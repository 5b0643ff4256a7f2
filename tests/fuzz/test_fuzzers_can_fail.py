"""Decoders with one mistake each: the search that `make test` makes finds every one of them."""

import json
import re
import tomllib
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from terminald.config import Config
from terminald.core.events import Answer, Fault, PayConfirmed, RequestRefused
from terminald.core.ids import PaymentCode
from terminald.core.sale_table import SaleOrder
from terminald.errors import ApiError, ConfigError
from terminald.wire import api, upay
from terminald.wire.barcode import Framer
from terminald.wire.keyboard import EVENT_SIZE, KeyFramer
from terminald.wire.printer_status import Reply, ReplyReader
from terminald.wire.qibixx import Lines
from tests.fuzz.callers import BODIES, check_body
from tests.fuzz.corpus import failure, place, smallest
from tests.fuzz.files import check_config
from tests.fuzz.gateway import check_answer
from tests.fuzz.search import search
from tests.fuzz.streams import check_adapter_lines, check_key_events, check_printer, check_scanner
from tests.fuzz.target import Check
from tests.fuzz.targets import TARGETS
from tests.wire.api_samples import DEFAULTS


class StripsLeadingZeros(Framer):
    """A code of somebody else: what is padding to a number is part of a code."""

    def feed(self, data: bytes, now_ms: int) -> list[str]:
        return [f"{frame[0]}{frame[1:]}".removeprefix("13") or frame for frame in super().feed(data, now_ms)]


class ForgetsBetweenReads(Framer):
    """What has no end yet is dropped when a read ends with a digit that the next one goes on with."""

    def feed(self, data: bytes, now_ms: int) -> list[str]:
        if len(data) == 7:
            self.reset()
        return super().feed(data, now_ms)


class DropsHalfAnEvent(KeyFramer):
    """Reads whole events only, and loses what a read has cut."""

    def feed(self, data: bytes, now_ms: int) -> list[str]:
        return super().feed(data[: len(data) - len(data) % EVENT_SIZE], now_ms)


class ForgetsTheReply(ReplyReader):
    """Begins each read between two replies."""

    def feed(self, data: bytes) -> tuple[Reply, ...]:
        self.reset()
        return super().feed(data)


class EndlessLines(Lines):
    """Keeps lines of any length."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = b""

    def feed(self, data: bytes) -> list[str]:
        *ended, self._kept = (self._kept + data).split(b"\n")
        return [line.decode("ascii", "ignore").strip() for line in ended if line.strip().isascii() and line.strip()]


def believes_any_amount(status: int, body: bytes, *, asked: upay.Asked) -> Answer:
    """Takes an order that was paid for the one that was asked about."""
    envelope = upay.read_envelope(status, body)
    if envelope is not None and envelope.data.get("order_status") == "PAID":
        return PayConfirmed()
    return upay.decode_submit(status, body, asked=asked)


def takes_the_last_of_two_names(status: int, body: bytes, *, asked: upay.Asked) -> Answer:
    """Reads an ambiguous answer as the reader likes that most programs use."""
    try:
        body = json.dumps(json.loads(body)).encode()
    except (ValueError, RecursionError):
        body = b""
    return upay.decode_submit(status, body, asked=asked)


def shows_the_code(status: int, body: bytes, *, asked: upay.Asked) -> Answer:
    """Repeats what the gateway says of a code."""
    envelope = upay.read_envelope(status, body)
    if envelope is not None and envelope.biz.error_code == "INVALID_BARCODE":
        return RequestRefused(
            fault=Fault(code="x", message="".join(filter(str.isprintable, envelope.biz.error_message))[:200])
        )
    return upay.decode_submit(status, body, asked=asked)


def quotes_the_value(body: bytes) -> PaymentCode:
    """Tells the host what was wrong by repeating it."""
    try:
        return api.decode_code_request(body)
    except ApiError as exc:
        raise ApiError(exc.code, f"{exc.detail} {body.decode('utf-8', 'replace')}") from exc


def raises_its_own(body: bytes) -> SaleOrder:
    """Lets an exception of the library out."""
    try:
        return api.decode_sale_request(body, DEFAULTS)
    except ApiError:
        msgspec.json.decode(body)
        raise


def shows_the_secret(data: bytes, load: Callable[[bytes], Config]) -> Config:
    """Quotes the value of every key that is wrong."""
    try:
        return load(data)
    except ConfigError as exc:
        try:
            raw = tomllib.loads(data.decode())
        except ValueError:
            raise exc from None
        raise ConfigError([f"{fault} {raw}" for fault in exc.faults]) from exc


def _config() -> Check:
    from tests.fuzz.files import _load  # noqa: PLC0415 - the one that is spoilt

    return partial(check_config, load=partial(shows_the_secret, load=_load))


MISTAKES: dict[str, tuple[str, Check]] = {
    "strips": ("scanner", partial(check_scanner, make=StripsLeadingZeros)),
    "forgets": ("scanner", partial(check_scanner, make=ForgetsBetweenReads)),
    "half an event": ("keyboard_events", partial(check_key_events, make=DropsHalfAnEvent)),
    "reply": ("printer", partial(check_printer, make=ForgetsTheReply)),
    "endless": ("adapter_lines", partial(check_adapter_lines, make=EndlessLines)),
    "any amount": ("gateway_answer", partial(check_answer, decoders={believes_any_amount: None})),
    "last of two": ("gateway_answer", partial(check_answer, decoders={takes_the_last_of_two_names: None})),
    "shows the code": ("gateway_answer", partial(check_answer, decoders={shows_the_code: None})),
    "quotes": ("api_body", partial(check_body, decoders=(*BODIES, quotes_the_value))),
    "raises": ("api_body", partial(check_body, decoders=(raises_its_own,))),
    "secret": ("config", _config()),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found_in_the_time_of_make_test(mistake: str) -> None:
    name, check = MISTAKES[mistake]
    # Without the corpus: what it holds today may be what finds them.
    found = search(TARGETS[name], check, TARGETS[name].samples, examples=TARGETS[name].examples)
    assert found is not None
    assert failure(check, found) is not None
    with TARGETS[name].opened() as sound:
        assert failure(sound, found) is None


def test_what_is_found_is_made_small_and_named_by_its_place() -> None:
    def check(data: bytes) -> None:
        assert not re.search(rb"a.*b", data)

    assert smallest(check, b"xxaxxxxbxx") == b"ab"
    assert smallest(check, b"nothing") == b"nothing"
    found = failure(check, b"ab")
    assert found is not None
    assert place(found) == "AssertionError-test_fuzzers_can_fail-check"
