"""Answers as the documents print them, for tests to bend."""

import json
from collections.abc import Callable
from typing import Protocol

from terminald.core.events import Answer
from terminald.core.ids import ClientSn
from terminald.core.money import Fen
from terminald.wire import upay

ASKED = upay.Asked(terminal_sn="100114020002045", client_sn=ClientSn("18348290098298292838"), amount=Fen(350))

#: The third layer of an order that was paid.
ORDER: dict[str, object] = {
    "sn": "7892259488292938",
    "client_sn": ASKED.client_sn,
    "client_tsn": ASKED.client_sn,
    "terminal_sn": ASKED.terminal_sn,
    "trade_no": "2006101016201512090096528672",
    "status": "SUCCESS",
    "order_status": "PAID",
    "payway": "3",
    "sub_payway": "1",
    "total_amount": "350",
    "net_amount": "350",
    "finish_time": "1449646835244",
    "subject": "Cola",
    "operator ": "kiosk",
    "ctime": "2015-12-09 15:40:33",
}


class Decoder(Protocol):
    def __call__(self, status: int, body: bytes, *, asked: upay.Asked) -> Answer: ...


def order(**changes: object) -> dict[str, object]:
    """Return a third layer; None takes a field away."""
    return {name: value for name, value in {**ORDER, **changes}.items() if value is not None}


def answer(result: str = "", error: str = "", *, message: str = "出错了", data: object = None) -> bytes:
    """Return an answer with a second layer."""
    biz: dict[str, object] = {"result_code": result}
    if error:
        biz |= {"error_code": error, "error_message": message}
    if data is not None:
        biz["data"] = data
    return json.dumps({"result_code": "200", "biz_response": biz}).encode()


def refusal(code: str, result: str = "400", **more: object) -> bytes:
    """Return an answer of the first layer."""
    return json.dumps({"result_code": result, "error_code": code, "error_message": "错误", **more}).encode()


def reader(decode: Decoder) -> Callable[[bytes], Answer]:
    """Return a decoder that was asked about :data:`ASKED` and got HTTP's success."""
    return lambda body: decode(200, body, asked=ASKED)
