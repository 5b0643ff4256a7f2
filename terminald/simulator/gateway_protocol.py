"""The gateway's end of the Web API: requests, the signature, the fields of each call, and the envelope of an answer.

Rules of the documents that are enforced here:

1. ``Authorization: <sn> <sign>`` with exactly one blank; the sign is MD5 over the very bytes of the body and the key.
2. Every value is a string, amounts are digits in fen; only ``extended`` and ``goods_details`` have a structure.
3. An answer has three layers: ``result_code``, ``biz_response.result_code``, ``biz_response.data.order_status``. A
   layer that refused has ``error_code`` and ``error_message``, and nothing below it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: What the gateway says with each code of its own layer, and with each business code.
MESSAGES: Mapping[str, str] = {
    "INVALID_PARAMS": "参数错误",
    "INVALID_TERMINAL": "终端错误",
    "TERMINAL_NOT_EXISTS": "不存在这个终端",
    "ILLEGAL_SIGN": "签名错误",
    "UNKNOWN_SYSTEM_ERROR": "系统错误",
    "INVALID_BARCODE": "条码错误",
    "INSUFFICIENT_FUND": "账户金额不足",
    "EXPIRED_BARCODE": "过期的支付条码",
    "BUYER_OVER_DAILY_LIMIT": "付款人当日付款金额超过上限",
    "BUYER_OVER_TRANSACTION_LIMIT": "付款人单笔付款金额超过上限",
    "SELLER_OVER_DAILY_LIMIT": "收款账户当日收款金额超过上限",
    "SELLER_BALANCE_NOT_ENOUGH": "卖家余额不足",
    "TRADE_FAILED": "交易失败",
    "TRADE_TIMEOUT": "交易超时自动撤单",
    "UNEXPECTED_PROVIDER_ERROR": "不认识的支付通道",
    "ACCOUNT_BALANCE_NOT_ENOUGH": "商户余额不足",
    "CLIENT_SN_CONFLICT": "client_sn在系统中已存在",
    "UPAY_ORDER_NOT_EXISTS": "订单不存在",
    "REFUNDABLE_AMOUNT_NOT_ENOUGH": "订单可退金额不足",
    "UPAY_CANCEL_ORDER_NOOP": "无效操作,订单已经是撤单状态了",
    "UPAY_CANCEL_INVALID_ORDER_STATE": "当前订单状态不可撤销",
    "UPAY_REFUND_ORDER_NOOP": "无效操作,本次退款已经完成了",
    "UPAY_REFUND_INVALID_ORDER_STATE": "当前订单状态不可退款",
    "UPAY_TCP_ORDER_NOT_REFUNDABLE": "订单参与了活动并且无法撤销",
    "UPAY_TERMINAL_STATUS_ABNORMAL": "终端未激活",
    "UPAY_STORE_OVER_DAILY_LIMIT": "商户日收款额超过上限",
}

_AUTHORIZATION = re.compile(r"([^\s]{1,64}) ([0-9a-f]{32})")
_AMOUNT = re.compile(r"[1-9][0-9]{0,9}")
_CLIENT_SN = re.compile(r"[A-Za-z0-9_-]{1,32}")
_PAYWAYS = re.compile(r"1|2|3|4|5|6|7|8|15|16|17|18")
_SUB_PAYWAYS = re.compile(r"1|2|3|4")
_EXTENDED_FIELDS_MAX = 24
_EXTENDED_KEY_MAX = 64
_EXTENDED_VALUE_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request as it came from the wire. Authorization is the header's value, empty when it was missing."""

    path: str
    body: bytes = field(default=b"", repr=False)
    authorization: str = field(default="", repr=False)
    method: str = "POST"
    content_type: str = "application/json"

    @property
    def call(self) -> str:
        """Return the last part of the path: ``pay``, ``query``, ``checkin``."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP answer. Headers do not contain the length and the connection's fate: those are the transport's."""

    status: int = 200
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Refused(Exception):
    """The gateway refuses the request itself: the first layer of the envelope."""

    def __init__(self, code: str, detail: str = "", *, result_code: str = "400") -> None:
        """Detail is added to the gateway's own message."""
        super().__init__(f"{code} {detail}")
        self.code = code
        self.detail = detail
        self.result_code = result_code


class Declined(Exception):
    """The gateway understood, and does nothing: the second layer of the envelope."""

    def __init__(self, code: str, *, result_code: str = "FAIL") -> None:
        """Code is a business error code."""
        super().__init__(code)
        self.code = code
        self.result_code = result_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Biz:
    """The second layer of an answer that the gateway did act upon, with the third in ``data``."""

    result_code: str
    data: Mapping[str, str]
    error_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What a request's field must look like. Lengths are in characters."""

    name: str
    length: int
    required: bool = True
    pattern: re.Pattern[str] | None = None


def sign(body: bytes, key: str) -> str:
    """Return the signature over the exact bytes: MD5 of body and key, 32 lower-case hex digits."""
    return hashlib.md5(body + key.encode(), usedforsecurity=False).hexdigest()


def parse_authorization(value: str) -> tuple[str, str]:
    """Return the serial number and the signature.

    Raises:
        Refused: it is not two words with exactly one blank between them.
    """
    match = _AUTHORIZATION.fullmatch(value)
    if match is None:
        raise Refused("ILLEGAL_SIGN")
    return match[1], match[2]


def _optional(name: str, length: int, pattern: re.Pattern[str] | None = None) -> Field:
    return Field(name=name, length=length, required=False, pattern=pattern)


_ORDER = (_optional("sn", 32), _optional("client_sn", 32))
_SALE = (
    Field(name="terminal_sn", length=32),
    Field(name="client_sn", length=32, pattern=_CLIENT_SN),
    Field(name="total_amount", length=10, pattern=_AMOUNT),
    Field(name="subject", length=64),
    Field(name="operator", length=32),
    _optional("sub_payway", 2, _SUB_PAYWAYS),
    _optional("description", 256),
    _optional("longitude", 16),
    _optional("latitude", 16),
    _optional("device_id", 32),
    _optional("reflect", 64),
    _optional("notify_url", 128),
)
_DEVICE = (_optional("os_info", 45), _optional("sdk_version", 45))
_TERMINAL = Field(name="terminal_sn", length=32)

#: The fields of each call. Unknown fields are ignored, as the gateway does.
SCHEMAS: Mapping[str, tuple[Field, ...]] = {
    "/terminal/activate": (
        Field(name="app_id", length=64),
        Field(name="code", length=64),
        Field(name="device_id", length=128),
        _optional("client_sn", 50),
        _optional("name", 128),
        *_DEVICE,
    ),
    "/terminal/checkin": (_TERMINAL, Field(name="device_id", length=128), *_DEVICE),
    "/upay/v2/pay": (*_SALE, Field(name="dynamic_id", length=32), _optional("payway", 2, _PAYWAYS)),
    "/upay/v2/precreate": (*_SALE, Field(name="payway", length=2, pattern=_PAYWAYS), _optional("payer_uid", 64)),
    "/upay/v2/query": (_TERMINAL, *_ORDER),
    "/upay/v2/cancel": (_TERMINAL, *_ORDER),
    "/upay/v2/revoke": (_TERMINAL, *_ORDER),
    "/upay/v2/refund": (
        _TERMINAL,
        *_ORDER,
        Field(name="refund_request_no", length=20),
        Field(name="refund_amount", length=10, pattern=_AMOUNT),
        Field(name="operator", length=64),
    ),
}


def peek(body: bytes) -> Mapping[str, str]:
    """Return the body's fields that are strings, or nothing when it is not a JSON object. Checks nothing."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {name: value for name, value in document.items() if isinstance(value, str)}


def decode(path: str, body: bytes) -> Mapping[str, str]:
    """Return the body's fields after every rule of this call was checked.

    Raises:
        Refused: INVALID_PARAMS, naming the field.
    """
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("INVALID_PARAMS", "body is not JSON") from None
    if not isinstance(document, dict):
        raise Refused("INVALID_PARAMS", "body is not an object")
    fields: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, str):
            fields[name] = value
        elif name == "extended":
            _check_extended(value)
        elif name == "goods_details":
            _check_goods(value)
        elif value is not None:
            raise Refused("INVALID_PARAMS", f"{name}: every value is a string")
    for rule in SCHEMAS[path]:
        _check_field(rule, fields.get(rule.name, ""))
    _check_combinations(path, fields)
    return fields


def _check_field(rule: Field, value: str) -> None:
    if not value:
        if rule.required:
            raise Refused("INVALID_PARAMS", f"{rule.name}不能为空")
        return
    if len(value) > rule.length:
        raise Refused("INVALID_PARAMS", f"{rule.name}长度不超过{rule.length}")
    if rule.pattern is not None and rule.pattern.fullmatch(value) is None:
        raise Refused("INVALID_PARAMS", f"{rule.name}格式错误")


def _check_combinations(path: str, fields: Mapping[str, str]) -> None:
    if bool(fields.get("longitude")) != bool(fields.get("latitude")):
        raise Refused("INVALID_PARAMS", "longitude和latitude必须成对出现")
    if path == "/upay/v2/precreate":
        if fields["payway"] == "6":
            raise Refused("INVALID_PARAMS", "payway: QQ has no pre-create")
        if fields.get("sub_payway") in {"3", "4"} and not fields.get("payer_uid"):
            raise Refused("INVALID_PARAMS", "payer_uid不能为空")
    if _ORDER[0] in SCHEMAS[path] and not (fields.get("sn") or fields.get("client_sn")):
        raise Refused("INVALID_PARAMS", "sn与client_sn不能同时为空")


def _check_extended(value: object) -> None:
    if not isinstance(value, dict) or len(value) > _EXTENDED_FIELDS_MAX:
        raise Refused("INVALID_PARAMS", "extended")
    for key, text in value.items():
        if not isinstance(text, str) or len(key) > _EXTENDED_KEY_MAX or len(text) > _EXTENDED_VALUE_MAX:
            raise Refused("INVALID_PARAMS", "extended")


def _check_goods(value: object) -> None:
    goods = value if isinstance(value, list) else [value]
    for item in goods:
        if not isinstance(item, dict):
            raise Refused("INVALID_PARAMS", "goods_details")
        for name in ("goods_id", "goods_name"):
            text = item.get(name)
            if not isinstance(text, str) or not 0 < len(text) <= 32:  # noqa: PLR2004 - documents, goods_details: String(32)
                raise Refused("INVALID_PARAMS", f"goods_details.{name}")


def refused_envelope(refused: Refused) -> bytes:
    """Return the answer to a request that was refused in the first layer."""
    message = MESSAGES[refused.code] + (f": {refused.detail}" if refused.detail else "")
    return _json({"result_code": refused.result_code, "error_code": refused.code, "error_message": message})


def declined_envelope(declined: Declined) -> bytes:
    """Return the answer to a request that was understood and not carried out."""
    error = {"result_code": declined.result_code, "error_code": declined.code, "error_message": MESSAGES[declined.code]}
    return _json({"result_code": "200", "biz_response": error})


def biz_envelope(biz: Biz) -> bytes:
    """Return the answer with all three layers."""
    response: dict[str, str | Mapping[str, str]] = {"result_code": biz.result_code}
    if biz.error_code:
        response |= {"error_code": biz.error_code, "error_message": MESSAGES[biz.error_code]}
    return _json({"result_code": "200", "biz_response": {**response, "data": biz.data}})


def flat_envelope(fields: Mapping[str, str]) -> bytes:
    """Return the answer to activation and check-in: the fields stand directly under ``biz_response``."""
    return _json({"result_code": "200", "biz_response": fields})


def log_envelope() -> bytes:
    """Return the answer to a log upload. The documents print an ``error_code`` of SUCCESS."""
    return _json({"result_code": "200", "error_code": "SUCCESS", "error_message": "ok"})


def _json(document: Mapping[str, str | Mapping[str, str | Mapping[str, str]]]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()
