"""Proofs and check-ins: what answers mean, what is sent, and with which key it is signed (I6)."""

import asyncio
import json
import logging

import pytest

from terminald.adapters.gateway_http import Credentials, HttpGateway
from terminald.adapters.ports import LinkState
from terminald.core.custody_events import (
    CheckinNotSent,
    CheckinRefused,
    CheckinUnanswered,
    CustodyAnswer,
    KeyAccepted,
    KeyRefused,
    KeyRenewed,
    KeyUnanswered,
    PreviousKeyAccepted,
)
from terminald.core.ids import Secret
from terminald.logs import redact
from tests.adapters.gateway_orders import (
    ABSENT,
    BOTH_KEYS,
    CREDENTIALS,
    ILLEGAL_SIGN,
    KEY,
    LAST_KEY,
    PAID,
    PAY,
    SN,
    authorization,
    free_port,
    gateway_at,
    perform,
)
from tests.adapters.raw_gateway import Act, RawGateway, raw_gateway, resets, says

NEW_KEY = "MARKED-NEW-5c01b2aa"
GONE = b'{"result_code":"400","error_code":"TERMINAL_NOT_EXISTS","error_message":"x"}'


def renewed(sn: str = SN, key: str = NEW_KEY) -> bytes:
    biz = {"result_code": "SUCCESS", "terminal_sn": sn, "terminal_key": key}
    return json.dumps({"result_code": "200", "biz_response": biz}).encode()


async def _ask(gateway: HttpGateway, what: str) -> CustodyAnswer:
    try:
        return await (gateway.prove() if what == "prove" else gateway.check_in())
    finally:
        await gateway.aclose()


def ask(what: str, *acts: Act, credentials: Credentials | None = CREDENTIALS) -> tuple[CustodyAnswer, RawGateway]:
    async def run() -> tuple[CustodyAnswer, RawGateway]:
        async with raw_gateway(*acts) as server:
            return await _ask(gateway_at(server.url, credentials=credentials), what), server

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ([says(renewed())], KeyRenewed(key=Secret(NEW_KEY))),
        ([says(renewed(sn="another"))], CheckinUnanswered),
        ([says(renewed(key=""))], CheckinUnanswered),
        ([says(ILLEGAL_SIGN)], CheckinRefused),
        ([says(b"<html>")], CheckinUnanswered),
        ([says(b"", status="502 Bad Gateway")], CheckinUnanswered),
        ([resets()], CheckinUnanswered),
    ],
)
def test_what_the_answer_to_a_check_in_means(acts: list[Act], expected: CustodyAnswer | type[CustodyAnswer]) -> None:
    """One request, whatever is answered: never again, and never with the other key."""
    answer, server = ask("check in", *acts, credentials=BOTH_KEYS)
    assert answer == expected if isinstance(expected, CustodyAnswer) else type(answer) is expected
    (seen,) = server.seen
    assert seen.target == "POST /terminal/checkin HTTP/1.1"
    assert json.loads(seen.body) == {"terminal_sn": SN, "device_id": "d1"}
    assert seen.headers["authorization"] == authorization(SN, seen.body, KEY)


def test_a_new_key_is_masked_in_the_log_from_the_first() -> None:
    """I7."""
    ask("check in", says(renewed()))
    assert NEW_KEY not in redact(f"got {NEW_KEY}")


@pytest.mark.parametrize(
    ("acts", "keys", "expected"),
    [
        ([says(ABSENT)], [KEY], KeyAccepted),
        ([says(ILLEGAL_SIGN), says(ABSENT)], [KEY, LAST_KEY], PreviousKeyAccepted),
        ([says(ILLEGAL_SIGN), says(ILLEGAL_SIGN)], [KEY, LAST_KEY], KeyRefused),
        ([says(ILLEGAL_SIGN), resets()], [KEY, LAST_KEY], KeyUnanswered),
        ([says(GONE)], [KEY], KeyUnanswered),
        ([resets()], [KEY], KeyUnanswered),
    ],
)
def test_a_proof_tells_which_key_is_accepted(acts: list[Act], keys: list[str], expected: type[CustodyAnswer]) -> None:
    answer, server = ask("prove", *acts, credentials=BOTH_KEYS)
    assert type(answer) is expected
    assert [one.headers["authorization"] for one in server.seen] == [
        authorization(SN, one.body, key) for one, key in zip(server.seen, keys, strict=True)
    ]


def test_with_one_key_alone_its_refusal_is_final() -> None:
    answer, server = ask("prove", says(ILLEGAL_SIGN))
    assert type(answer) is KeyRefused
    assert len(server.seen) == 1


@pytest.mark.parametrize(("what", "expected"), [("prove", KeyUnanswered), ("check in", CheckinNotSent)])
def test_without_a_connection_or_an_identity_nothing_is_sent(what: str, expected: type[CustodyAnswer]) -> None:
    answer, server = ask(what, credentials=None)
    assert (type(answer), server.seen) == (expected, [])
    gateway = gateway_at(f"http://127.0.0.1:{free_port()}")
    assert type(asyncio.run(_ask(gateway, what))) is expected


# --- which key, in the log -------------------------------------------------------------------------------------------


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("terminald.")]


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int | None]]:
    """Return what each line says was asked, and the number of the key that it names."""
    found = [record.__dict__["fields"] for record in ours(caplog)]
    return [(fields.get("command", "refused"), fields.get("key_version")) for fields in found]


@pytest.mark.parametrize(
    ("what", "acts", "expected"),
    [
        ("prove", [says(ABSENT)], [("Probe", 7), ("ProveKey", 7)]),
        ("prove", [says(ILLEGAL_SIGN), says(ABSENT)], [("Probe", 7), ("Probe", 6), ("ProveKey", 6)]),
        ("check in", [says(renewed())], [("CheckIn", 7)]),
        ("probe", [says(ILLEGAL_SIGN), says(ABSENT)], [("refused", 7), ("Probe", 6)]),
        ("pay", [says(PAID)], [("SubmitPayment", 7)]),
        ("pay", [says(ILLEGAL_SIGN), says(PAID)], [("refused", 7), ("SubmitPayment", 6)]),
        ("pay", [says(ILLEGAL_SIGN), resets()], [("refused", 7), ("SubmitPayment", 6)]),
        ("pay", [resets()], [("SubmitPayment", 7)]),
    ],
)
def test_every_line_names_the_key_that_signed_last(
    what: str, acts: list[Act], expected: list[tuple[str, int]], caplog: pytest.LogCaptureFixture
) -> None:
    """I7: its number, never itself."""
    caplog.set_level(logging.DEBUG, "terminald")

    async def run() -> None:
        async with raw_gateway(*acts) as server:
            gateway = gateway_at(server.url, credentials=BOTH_KEYS)
            if what == "pay":
                await perform(gateway, PAY)
            elif what == "probe":
                await gateway.probe()
                await gateway.aclose()
            else:
                await _ask(gateway, what)

    asyncio.run(run())
    assert logged(caplog) == expected
    lines = repr([record.__dict__ for record in ours(caplog)])
    assert not any(key in lines for key in (KEY, LAST_KEY, NEW_KEY))


def test_without_an_identity_no_key_is_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "terminald")
    asyncio.run(perform(gateway_at(f"http://127.0.0.1:{free_port()}", credentials=None), PAY))
    assert logged(caplog) == [("SubmitPayment", None)]


@pytest.mark.parametrize("is_previous", [False, True])
def test_one_key_can_be_asked_about_alone(*, is_previous: bool) -> None:
    """A refusal is told as it is, and the other key is not tried."""

    async def run() -> None:
        async with raw_gateway(says(ILLEGAL_SIGN)) as server:
            gateway = gateway_at(server.url, credentials=None)
            one = BOTH_KEYS.only_previous() if is_previous else BOTH_KEYS.only_current()
            assert one is not None
            report = await gateway.probe_with(one)
            await gateway.aclose()
            assert report.state is LinkState.KEY_REFUSED
            (seen,) = server.seen
            assert seen.headers["authorization"] == authorization(SN, seen.body, LAST_KEY if is_previous else KEY)

    asyncio.run(run())
    assert CREDENTIALS.only_previous() is None
