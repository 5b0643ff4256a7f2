"""What each call does: signature, fields, books, and the third layer of the answer."""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from terminald.simulator.gateway_books import Books, Order
from terminald.simulator.gateway_outcomes import NOT_A_CODE, OFFERED, OrderStatus, outcome_of
from terminald.simulator.gateway_protocol import (
    Biz,
    Declined,
    Refused,
    Request,
    biz_envelope,
    decode,
    flat_envelope,
    log_envelope,
)
from terminald.simulator.gateway_terminals import Terminal, Terminals
from terminald.simulator.gateway_view import milliseconds

#: Far more orders than a test makes, and few enough to fit into memory.
MAX_ORDERS = 100_000
#: An unpacked log; what unpacks to more is a mistake or an attack.
MAX_LOG_BYTES = 64 * 1024 * 1024
STORE_ID = "49"
#: Documents, payway: not named.
PAYWAY_UNKNOWN = "0"

#: Which payment code belongs to which provider (documents, payment codes).
_PROVIDERS = (
    (re.compile(r"1[0-5][0-9]{16}"), "3"),
    (re.compile(r"(2[5-9]|30)[0-9]{14,22}"), "2"),
    (re.compile(r"62[0-9]{17}"), "17"),
    (re.compile(r"91[0-9]{16}"), "6"),
)


def payway_of(payment_code: str) -> str | None:
    """Return the provider of a payment code, or None when it is not one."""
    return next((payway for pattern, payway in _PROVIDERS if pattern.fullmatch(payment_code)), None)


@dataclass(slots=True, kw_only=True)
class Calls:
    """The gateway's calls. Each takes the request and the wall-clock time, and returns the body of the answer.

    Raises:
        Refused, Declined: nothing was done.
    """

    books: Books
    terminals: Terminals
    qr_life_s: float

    def activate(self, request: Request, now_s: float) -> bytes:
        """Make a new terminal."""
        self.terminals.verify_vendor(request.authorization, request.body)
        terminal_sn, key = self.terminals.activate(_decode(request), now_s=now_s)
        return flat_envelope({"terminal_sn": terminal_sn, "terminal_key": key})

    def check_in(self, request: Request, now_s: float) -> bytes:
        """Hand out a new key."""
        terminal, fields = self._authenticate(request, now_s)
        key = self.terminals.check_in(terminal, fields["device_id"], now_s=now_s)
        return flat_envelope({"terminal_sn": terminal.terminal_sn, "terminal_key": key})

    def upload_log(self, request: Request, now_s: float) -> bytes:
        """Take a log that can be unpacked."""
        terminal = self.terminals.verify(request.authorization, request.body, now_s=now_s)
        gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            log = gzip.decompress(request.body, MAX_LOG_BYTES)
        except zlib.error:
            raise Refused("INVALID_PARAMS", "body is not gzip") from None
        if not gzip.eof:
            raise Refused("INVALID_PARAMS", "body is cut off, or too long")
        self.terminals.keep_log(terminal, request.body, log, now_s=now_s)
        return log_envelope()

    def pay(self, request: Request, now_s: float) -> bytes:
        """Charge a payment code, as its last two digits say."""
        _, fields = self._authenticate(request, now_s)
        self._admit(fields)
        code = fields["dynamic_id"]
        payway = fields.get("payway") or payway_of(code)
        outcome = outcome_of(code)
        if payway is None or self.books.is_spent(code):
            outcome = NOT_A_CODE
        order = self.books.open_scan(fields, payway or PAYWAY_UNKNOWN, outcome, now_s=now_s)
        return biz_envelope(
            Biz(result_code=outcome.opening.result_code, data=_data(order), error_code=outcome.error_code)
        )

    def precreate(self, request: Request, now_s: float) -> bytes:
        """Offer a QR order."""
        _, fields = self._authenticate(request, now_s)
        self._admit(fields)
        order = self.books.open_qr(fields, life_s=self.qr_life_s, now_s=now_s)
        return biz_envelope(Biz(result_code=OFFERED.result_code, data=_data(order)))

    def query(self, request: Request, now_s: float) -> bytes:
        """Tell how an order is, and change nothing."""
        _, fields = self._authenticate(request, now_s)
        return biz_envelope(Biz(result_code="SUCCESS", data=_data(self._find(fields))))

    def cancel(self, request: Request, now_s: float) -> bytes:
        """Undo a whole order; cancel and revoke follow the same rules."""
        _, fields = self._authenticate(request, now_s)
        order = self._find(fields)
        result_code = self.books.cancel(order, kind=request.call, now_s=now_s)
        return biz_envelope(Biz(result_code=result_code, data=_data(order)))

    def refund(self, request: Request, now_s: float) -> bytes:
        """Give a part of the money back."""
        _, fields = self._authenticate(request, now_s)
        order = self._find(fields)
        self.books.refund(
            order,
            request_no=fields["refund_request_no"],
            amount_fen=int(fields["refund_amount"]),
            operator=fields["operator"],
            now_s=now_s,
        )
        return biz_envelope(Biz(result_code="REFUND_SUCCESS", data=_data(order)))

    def _authenticate(self, request: Request, now_s: float) -> tuple[Terminal, Mapping[str, str]]:
        terminal = self.terminals.verify(request.authorization, request.body, now_s=now_s)
        fields = _decode(request)
        if fields["terminal_sn"] != terminal.terminal_sn:
            raise Refused("INVALID_TERMINAL")
        return terminal, fields

    def _admit(self, fields: Mapping[str, str]) -> None:
        self.books.count_duplicate(fields["client_sn"])
        if len(self.books.orders) >= MAX_ORDERS:
            raise Refused("UNKNOWN_SYSTEM_ERROR", "the books are full", result_code="500")

    def _find(self, fields: Mapping[str, str]) -> Order:
        order = self.books.find(sn=fields.get("sn", ""), client_sn=fields.get("client_sn", ""))
        if order is None:
            raise Declined("UPAY_ORDER_NOT_EXISTS")
        return order


def _decode(request: Request) -> Mapping[str, str]:
    if request.content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused("INVALID_PARAMS", "Content-Type: application/json")
    return decode(request.path, request.body)


def _data(order: Order) -> Mapping[str, str]:
    """Return the third layer: the order as the documents print it, everything a string."""
    latest = order.latest
    data = {
        "sn": order.sn,
        "client_sn": order.client_sn,
        "client_tsn": latest.client_tsn,
        "ctime": str(milliseconds(order.created_s)),
        "status": latest.status.value,
        "order_status": order.status.value,
        "payway": order.payway,
        "sub_payway": order.sub_payway,
        "total_amount": str(order.total_fen),
        "net_amount": "0" if order.status is OrderStatus.CANCELED else str(order.total_fen - order.refunded_fen),
        "subject": order.fields["subject"],
        "operator": latest.operator,
        "terminal_sn": order.terminal_sn,
        "store_id": STORE_ID,
    }
    if reflect := order.fields.get("reflect"):
        data["reflect"] = reflect
    if order.qr_code:
        data["qr_code"] = order.qr_code
    if latest.finished_s is not None:
        data["finish_time"] = str(milliseconds(latest.finished_s))
    if order.paid_fen:
        data |= {"trade_no": order.trade_no, "payer_uid": order.payer_uid, "payer_login": "134****3920"}
        data["channel_finish_time"] = str(milliseconds(latest.finished_s or order.created_s))
    return data


#: The call behind each path.
CALLS: Mapping[str, Callable[[Calls, Request, float], bytes]] = {
    "/terminal/activate": Calls.activate,
    "/terminal/checkin": Calls.check_in,
    "/terminal/uploadLog": Calls.upload_log,
    "/upay/v2/pay": Calls.pay,
    "/upay/v2/precreate": Calls.precreate,
    "/upay/v2/query": Calls.query,
    "/upay/v2/cancel": Calls.cancel,
    "/upay/v2/revoke": Calls.cancel,
    "/upay/v2/refund": Calls.refund,
}
