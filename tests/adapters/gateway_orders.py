"""Commands, credentials and answers for tests of the gateway."""

import asyncio
import hashlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

import httpx

from terminald.adapters.gateway_http import Credentials, GatewaySettings, HttpGateway
from terminald.core.commands import GatewayCommand, OrderText, QueryOrder, RefundOrder, ReverseOrder, SubmitPayment
from terminald.core.events import Answer
from terminald.core.ids import ClientSn, PaymentCode, Secret, WallTime
from terminald.core.money import Fen
from tests.adapters.raw_gateway import Act, RawGateway, raw_gateway

SN = "100114020002045"
KEY, LAST_KEY, CODE = "MARKED-KEY-69c2f871", "MARKED-LAST-82ba77a0", "130818341921441147"
CLIENT_SN = ClientSn("c-1")
PAY = SubmitPayment(
    client_sn=CLIENT_SN,
    token=1,
    amount=Fen(350),
    code=PaymentCode(CODE),
    text=OrderText(subject="Cola", operator="kiosk"),
)
QUERY = QueryOrder(client_sn=CLIENT_SN, token=2, amount=Fen(350))
REVERSE = ReverseOrder(client_sn=CLIENT_SN, token=3, amount=Fen(350))
REFUND = RefundOrder(
    client_sn=CLIENT_SN, token=4, amount=Fen(350), request_no="undo", refund_amount=Fen(350), operator="kiosk"
)
CREDENTIALS = Credentials(
    terminal_sn=SN, device_id="d1", current=Secret(KEY), previous=None, version=7, previous_version=None
)
BOTH_KEYS = Credentials(
    terminal_sn=SN, device_id="d1", current=Secret(KEY), previous=Secret(LAST_KEY), version=7, previous_version=6
)


def biz(result: str, state: str) -> bytes:
    """Return an answer about this order."""
    data = {"client_sn": CLIENT_SN, "terminal_sn": SN, "total_amount": "350", "order_status": state}
    return json.dumps({"result_code": "200", "biz_response": {"result_code": result, "data": data}}).encode()


PAID = biz("PAY_SUCCESS", "PAID")
ILLEGAL_SIGN = b'{"result_code":"400","error_code":"ILLEGAL_SIGN","error_message":"x"}'
ABSENT = b'{"result_code":"200","biz_response":{"result_code":"FAIL","error_code":"UPAY_ORDER_NOT_EXISTS"}}'


def gateway_at(
    url: str,
    *,
    credentials: Credentials | None = CREDENTIALS,
    on_time: Callable[[WallTime], None] = lambda _: None,
    is_clock_right: Callable[[], bool] = lambda: False,
    connect_s: float = 5.0,
    read_s: float = 5.0,
    ca_file: Path | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> HttpGateway:
    settings = GatewaySettings(url=url, connect_timeout_s=connect_s, read_timeout_s=read_s, ca_file=ca_file)
    return HttpGateway(
        settings, credentials=lambda: credentials, on_time=on_time, is_clock_right=is_clock_right, transport=transport
    )


async def perform(gateway: HttpGateway, *commands: GatewayCommand) -> list[Answer]:
    """Perform one after the other, and close."""
    try:
        return [await gateway.perform(command) for command in commands]
    finally:
        await gateway.aclose()


def ask(
    *acts: Act,
    commands: tuple[GatewayCommand, ...] = (PAY,),
    credentials: Credentials = CREDENTIALS,
    connect_s: float = 5.0,
    read_s: float = 5.0,
) -> tuple[list[Answer], RawGateway]:
    """Perform commands against a server that does these acts."""

    async def run() -> tuple[list[Answer], RawGateway]:
        async with raw_gateway(*acts) as server:
            gateway = gateway_at(server.url, credentials=credentials, connect_s=connect_s, read_s=read_s)
            return await perform(gateway, *commands), server

    return asyncio.run(run())


def types(answers: list[Answer]) -> list[type[Answer]]:
    """Return what kind of answers these are."""
    return [type(answer) for answer in answers]


def authorization(sn: str, body: bytes, key: str) -> str:
    """Return the header as the documents describe it."""
    return f"{sn} {hashlib.md5(body + key.encode(), usedforsecurity=False).hexdigest()}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
