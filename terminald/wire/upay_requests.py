"""Requests to the gateway: paths, fields and limits as the Web API documents print them.

Every value is a string; amounts are digits in fen; optional fields are left out when they are empty. A body is written
once: the bytes returned here are the bytes that are signed and sent. Limits are enforced, never repaired: whoever asked
has validated before, so that a ValueError here is a bug. It names the field, and never its value (I7).
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from terminald.core.commands import Goods, RefundOrder, SubmitPayment
from terminald.core.ids import Secret
from terminald.core.money import MAX_AMOUNT

ACTIVATE_PATH = "/terminal/activate"
CHECKIN_PATH = "/terminal/checkin"
UPLOAD_LOG_PATH = "/terminal/uploadLog"
PAY_PATH = "/upay/v2/pay"
QUERY_PATH = "/upay/v2/query"
CANCEL_PATH = "/upay/v2/cancel"
REFUND_PATH = "/upay/v2/refund"

#: An order number that is never submitted: a query for it proves link and key, and finds nothing.
PROBE_CLIENT_SN = "terminald-probe"

#: The documents name no limit; a basket of more lines does not fit the customer's wallet either (I11).
MAX_GOODS = 100

_TERMINAL_SN = re.compile(r"[!-~]{1,32}")
_CLIENT_SN = re.compile(r"[0-9A-Za-z_-]{1,32}")
#: Has no UTF-8; looked for beforehand, because the error of an encoder carries the text that it could not encode (I7).
_SURROGATE = re.compile("[\ud800-\udfff]")

Body = Mapping[str, str | Sequence[Mapping[str, str]]]


def encode_pay(command: SubmitPayment, *, terminal_sn: str, device_id: str) -> bytes:
    """Write the body of ``/upay/v2/pay``. The provider is derived from the code where payway is empty.

    Raises:
        ValueError: a field is not within the limits of the documents.
    """
    text = command.text
    body: dict[str, str | Sequence[Mapping[str, str]]] = {
        **_order(terminal_sn, command.client_sn),
        "total_amount": _amount("total_amount", command.amount),
        "dynamic_id": _required("dynamic_id", command.code.reveal(), 32),
        "subject": _required("subject", text.subject, 64),
        "operator": _required("operator", text.operator, 32),
        **_optional("payway", text.payway, 2),
        **_optional("description", text.description, 256),
        **_optional("device_id", device_id, 32),
        **_optional("reflect", text.reflect, 64),
    }
    if text.goods:
        body["goods_details"] = _goods(text.goods)
    return _write(body)


def encode_query(client_sn: str, *, terminal_sn: str) -> bytes:
    """Write the body of ``/upay/v2/query``.

    Raises:
        ValueError: a field is not within the limits of the documents.
    """
    return _write(_order(terminal_sn, client_sn))


def encode_cancel(client_sn: str, *, terminal_sn: str) -> bytes:
    """Write the body of ``/upay/v2/cancel``.

    Raises:
        ValueError: a field is not within the limits of the documents.
    """
    return _write(_order(terminal_sn, client_sn))


def encode_refund(command: RefundOrder, *, terminal_sn: str) -> bytes:
    """Write the body of ``/upay/v2/refund``. The same number makes the same refund (I9).

    Raises:
        ValueError: a field is not within the limits of the documents.
    """
    return _write(
        {
            **_order(terminal_sn, command.client_sn),
            "refund_request_no": _required("refund_request_no", command.request_no, 20),
            "refund_amount": _amount("refund_amount", command.refund_amount),
            "operator": _required("operator", command.operator, 32),
        }
    )


def encode_activate(
    *,
    app_id: str,
    code: Secret,
    device_id: str,
    client_sn: str = "",
    name: str = "",
    os_info: str = "",
    sdk_version: str = "",
) -> bytes:
    """Write the body of ``/terminal/activate``, to be signed by the vendor.

    Raises:
        ValueError: a field is not within the limits of the documents.
    """
    return _write(
        {
            "app_id": _required("app_id", app_id, 64),
            "code": _required("code", code.reveal(), 64),
            "device_id": _required("device_id", device_id, 32),
            **_optional("client_sn", client_sn, 32),
            **_optional("name", name, 128),
            **_optional("os_info", os_info, 45),
            **_optional("sdk_version", sdk_version, 45),
        }
    )


def encode_checkin(*, terminal_sn: str, device_id: str, os_info: str = "", sdk_version: str = "") -> bytes:
    """Write the body of ``/terminal/checkin``. The device_id is the one of the activation, for life.

    Raises:
        ValueError: a field is not within the limits of the documents.
    """
    return _write(
        {
            **_terminal(terminal_sn),
            "device_id": _required("device_id", device_id, 32),
            **_optional("os_info", os_info, 45),
            **_optional("sdk_version", sdk_version, 45),
        }
    )


def _order(terminal_sn: str, client_sn: str) -> dict[str, str]:
    if _CLIENT_SN.fullmatch(client_sn) is None:
        raise ValueError("client_sn: 1 to 32 of letters, digits, - and _")
    return {**_terminal(terminal_sn), "client_sn": client_sn}


def _terminal(terminal_sn: str) -> dict[str, str]:
    if _TERMINAL_SN.fullmatch(terminal_sn) is None:
        raise ValueError("terminal_sn: one word of 1 to 32 characters")
    return {"terminal_sn": terminal_sn}


def _goods(goods: Sequence[Goods]) -> list[dict[str, str]]:
    if len(goods) > MAX_GOODS:
        raise ValueError(f"goods_details: at most {MAX_GOODS} lines")
    return [
        {
            "goods_id": _required("goods_id", each.id or str(number), 32),
            "goods_name": _required("goods_name", each.name, 32),
            "quantity": _amount("quantity", each.quantity),
            "price": _amount("price", each.price, least=0),
            "promotion_type": "1" if each.promotion else "0",
        }
        for number, each in enumerate(goods, start=1)
    ]


def _amount(field: str, number: int, *, least: int = 1) -> str:
    if not least <= number <= MAX_AMOUNT:
        raise ValueError(f"{field}: {least} to {MAX_AMOUNT}")
    return str(number)


def _optional(field: str, text: str, longest: int) -> dict[str, str]:
    return {field: _required(field, text, longest)} if text else {}


def _required(field: str, text: str, longest: int) -> str:
    if not 0 < len(text) <= longest:
        raise ValueError(f"{field}: 1 to {longest} characters")
    if _SURROGATE.search(text):
        raise ValueError(f"{field}: not text")
    return text


def _write(body: Body) -> bytes:
    """Serialise: compact JSON in UTF-8."""
    return msgspec.json.encode(body)
