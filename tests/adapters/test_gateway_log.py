"""A log upload: the very bytes are signed, with a key that the gateway takes, and sent once."""

import asyncio
import gzip

import pytest

from terminald.adapters.gateway_http import Credentials, HttpGateway
from terminald.core.ids import Secret
from terminald.wire.upay import LogAnswer, LogFate
from tests.adapters.gateway_orders import (
    BOTH_KEYS,
    CREDENTIALS,
    ILLEGAL_SIGN,
    KEY,
    LAST_KEY,
    SN,
    authorization,
    free_port,
    gateway_at,
)
from tests.adapters.raw_gateway import Act, RawGateway, raw_gateway, resets, says

PACKED = gzip.compress(b'{"kind":"sale"}\n', mtime=0)
OK = b'{"result_code":"200","error_code":"SUCCESS","error_message":"ok"}'


async def _upload(gateway: HttpGateway) -> LogAnswer:
    try:
        return await gateway.upload_log(PACKED)
    finally:
        await gateway.aclose()


def upload(*acts: Act, credentials: Credentials | None = CREDENTIALS) -> tuple[LogAnswer, RawGateway]:
    async def run() -> tuple[LogAnswer, RawGateway]:
        async with raw_gateway(*acts) as server:
            return await _upload(gateway_at(server.url, credentials=credentials)), server

    return asyncio.run(run())


def test_the_compressed_bytes_are_the_body_and_are_what_is_signed() -> None:
    answer, server = upload(says(OK))
    assert answer == LogAnswer(fate=LogFate.TAKEN)
    (seen,) = server.seen
    assert seen.target == "POST /terminal/uploadLog HTTP/1.1"
    assert seen.body == PACKED
    assert seen.headers["authorization"] == authorization(SN, PACKED, KEY)
    assert "content-encoding" not in seen.headers


def test_a_refused_signature_is_made_once_more_with_the_other_key_over_the_same_bytes() -> None:
    answer, server = upload(says(ILLEGAL_SIGN), says(OK), credentials=BOTH_KEYS)
    assert answer.fate is LogFate.TAKEN
    assert [(one.body, one.headers["authorization"]) for one in server.seen] == [
        (PACKED, authorization(SN, PACKED, key)) for key in (KEY, LAST_KEY)
    ]


@pytest.mark.parametrize(
    ("acts", "fate", "code"),
    [
        ([says(ILLEGAL_SIGN), says(ILLEGAL_SIGN)], LogFate.UNCERTAIN, "ILLEGAL_SIGN"),
        ([says(b"", status="413 Content Too Large")], LogFate.REFUSED, "http_413"),
        ([says(b"", status="503 Service Unavailable")], LogFate.UNCERTAIN, "http_503"),
        ([resets()], LogFate.UNCERTAIN, "gateway_no_answer"),
    ],
)
def test_whatever_else_is_answered_is_said_and_not_repeated(acts: list[Act], fate: LogFate, code: str) -> None:
    sent = len(acts)
    answer, server = upload(*acts, credentials=BOTH_KEYS)
    assert (answer.fate, answer.fault and answer.fault.code) == (fate, code)
    assert len(server.seen) == sent


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (None, "not_activated"),
        (
            Credentials(
                terminal_sn="two words",
                device_id="d",
                current=Secret(KEY),
                previous=None,
                version=1,
                previous_version=None,
            ),
            "invalid_request",
        ),
    ],
)
def test_nothing_is_sent_without_an_identity(credentials: Credentials | None, code: str) -> None:
    answer, server = upload(says(OK), credentials=credentials)
    assert (answer.fate, answer.fault and answer.fault.code) == (LogFate.UNCERTAIN, code)
    assert server.seen == []


def test_without_a_connection_the_log_is_not_taken() -> None:
    answer = asyncio.run(_upload(gateway_at(f"http://127.0.0.1:{free_port()}")))
    assert (answer.fate, answer.fault and answer.fault.code) == (LogFate.UNCERTAIN, "gateway_unreachable")
