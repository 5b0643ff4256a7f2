"""Answers of the gateway become events. What each code means is in the tables of ``upay_codes``.

How an answer is judged, for every request alike:

1. What is not the gateway's envelope is ambiguous, like no answer at all.
2. An answer that names another terminal, order or amount than was asked is a mismatch, whatever else it says (I4).
3. The first layer: a known refusal of the request is definite; anything else but success is ambiguous.
4. The second layer: result code and error code are looked up in the request's table.
5. The third layer is authoritative for the money: a verdict is believed only beside the states of the order that go
   with it, and "paid", or a QR to be paid, only when status, order number and amount are there and agree.

Facts are kept where they can be true beside the order's state: what is left of a payment, and which transaction was the
last one that was carried out, decide how much is given back.
"""

import re
from dataclasses import dataclass

from terminald.core.events import (
    Answer,
    AnswerMismatched,
    Fault,
    OrderClosed,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OutcomePending,
    PayConfirmed,
    QrOffered,
    RefundConfirmed,
    ReversalConfirmed,
)
from terminald.core.ids import ClientSn
from terminald.core.money import Fen
from terminald.wire.upay_codes import OFFER, QUERY, REFUND, REVERSE, REVOKE, SUBMIT, Call
from terminald.wire.upay_envelope import (
    COMMUNICATED,
    MAX_FACT,
    Envelope,
    Fields,
    clean,
    fault,
    is_refusal,
    parse_fen,
    read_envelope,
    unreadable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the request was about: every answer is checked against it (I4)."""

    terminal_sn: str
    client_sn: ClientSn
    amount: Fen


#: "≤128" (documents, qr_code). Providers put an address into it: ASCII, so that the longest one still fits on paper.
_QR_CONTENT = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")
#: "client_sn, -, refund_request_no" has at most 53 characters (documents, refund); compared whole, never mended.
_CLIENT_TSN = re.compile(r"[!-~]{1,64}")

#: What is believed only of an answer that names the order and its amount.
_CLAIMS = (PayConfirmed, OrderPaid, QrOffered)
#: Nothing needs to be explained, unless the gateway does so itself.
_QUIET = (
    PayConfirmed,
    OutcomePending,
    QrOffered,
    OrderPaid,
    OrderPending,
    OrderClosed,
    OrderReturned,
    OrderPartlyReturned,
    ReversalConfirmed,
    RefundConfirmed,
)


def decode_submit(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a pay request. Total: no bytes raise."""
    return _decode(SUBMIT, status, body, asked)


def decode_offer(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a pre-create. Total: no bytes raise.

    A QR is offered only when it can be shown: 1 to 128 printable characters of ASCII, of an order that waits for its
    customer.
    """
    return _decode(OFFER, status, body, asked)


def decode_query(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a query. Total: no bytes raise."""
    return _decode(QUERY, status, body, asked)


def decode_reverse(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a cancel. Total: no bytes raise."""
    return _decode(REVERSE, status, body, asked)


def decode_revoke(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a revoke. Total: no bytes raise."""
    return _decode(REVOKE, status, body, asked)


def decode_refund(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a refund. Total: no bytes raise."""
    return _decode(REFUND, status, body, asked)


def _decode(call: Call, status: int, body: bytes, asked: Asked) -> Answer:
    envelope = read_envelope(status, body)
    if envelope is None:
        return call.ambiguous(fault=unreadable(status))
    if differing := _find_mismatch(envelope.data, asked):
        return AnswerMismatched(
            fault=Fault(
                code="answer_mismatch", message=f"the answer's {differing} is not the one that was asked about"
            ),
            facts=_named(envelope.data, asked, differing),
        )
    if envelope.outer.result_code != COMMUNICATED:
        refused = call.refusals.get(envelope.outer.error_code) if is_refusal(envelope) else None
        return (refused or call.ambiguous)(fault=_explain(call, envelope))
    answer = _judge(call, envelope, asked)
    is_explained = bool(envelope.biz.error_code) or not issubclass(answer, _QUIET)
    told = _explain(call, envelope) if is_explained else None
    facts = _facts(envelope.data, asked)
    if issubclass(answer, QrOffered):
        return QrOffered(content=envelope.data["qr_code"], facts=facts, fault=told)
    return answer(facts=facts, fault=told)


def _find_mismatch(data: Fields, asked: Asked) -> str:
    """Return the name of the first field that differs from what was asked; a missing or empty one does not differ."""
    if data.get("terminal_sn", "") not in ("", asked.terminal_sn):
        return "terminal_sn"
    if data.get("client_sn", "") not in ("", asked.client_sn):
        return "client_sn"
    amount = data.get("total_amount", "")
    if amount and parse_fen(amount) != asked.amount:
        return "total_amount"
    return ""


def _judge(call: Call, envelope: Envelope, asked: Asked) -> type[Answer]:
    """Judge the second and the third layer."""
    biz, data = envelope.biz, envelope.data
    order = data.get("order_status", "")
    answer = call.find(biz.result_code, biz.error_code).of(order)
    if answer is OrderPending:
        answer = call.orders.get(order, OrderPending)
    if issubclass(answer, _CLAIMS):
        return _prove(call, answer, data)
    if answer is OrderPartlyReturned and _net_amount(data, asked) is None:
        return call.unproven
    return answer


def _prove(call: Call, answer: type[Answer], data: Fields) -> type[Answer]:
    """Believe a claim only of this order and amount (I4), and not of a payment that the gateway counts as failed.

    "FAIL_*: it counts as failed whatever the customer's phone shows" (documents, status of a transaction).
    """
    if data.get("status", "").startswith("FAIL_"):
        return call.failed
    # Present means equal here: what differs is a mismatch already.
    if not (data.get("client_sn") and data.get("total_amount")):
        return call.unproven
    if answer is QrOffered and _QR_CONTENT.fullmatch(data.get("qr_code", "")) is None:
        return call.unproven
    return answer


def _facts(data: Fields, asked: Asked) -> OrderFacts:
    return OrderFacts(
        sn=clean(data.get("sn", ""), MAX_FACT),
        trade_no=clean(data.get("trade_no", ""), MAX_FACT),
        payway=clean(data.get("payway", ""), MAX_FACT),
        finish_time=clean(data.get("finish_time", ""), MAX_FACT),
        net_amount=_net_amount(data, asked),
        client_tsn=_client_tsn(data),
    )


def _named(data: Fields, asked: Asked, differing: str) -> OrderFacts:
    """Return what is certain beside a wrong amount: that the gateway has an order of this name.

    That it does not know one, whenever it says so later, is no proof then.
    """
    is_ours = differing == "total_amount" and data.get("client_sn") == asked.client_sn
    return OrderFacts(sn=clean(data.get("sn", ""), MAX_FACT)) if is_ours else OrderFacts()


def _net_amount(data: Fields, asked: Asked) -> Fen | None:
    """Return total minus refunded where it can be true beside the order's state, else None."""
    net = parse_fen(data.get("net_amount", ""))
    if net is None or not _is_possible(net, data.get("order_status", ""), asked.amount):
        return None
    return Fen(net)


def _is_possible(net: int, order: str, total: Fen) -> bool:
    match order:
        case "REFUNDED" | "CANCELED":
            return net == 0
        case "PARTIAL_REFUNDED":
            return 0 < net < total
        case "REFUND_ERROR":
            # What an earlier refund has left; never nothing, because then there was none to fail.
            return 0 < net <= total
        case "PAY_CANCELED":
            # Printed both ways in the documents' examples: nothing was paid, and nothing was refunded.
            return net in (0, total)
    return net == total


def _client_tsn(data: Fields) -> str:
    """Return the name of the order's latest transaction when it was carried out, else nothing.

    ``status`` is that transaction's (documents, status): the name of a refund that is under way, or has failed, stands
    beside the state in which earlier ones have left the order.
    """
    said = data.get("client_tsn", "")
    return said if data.get("status") == "SUCCESS" and _CLIENT_TSN.fullmatch(said) else ""


def _explain(call: Call, envelope: Envelope) -> Fault:
    """Return the gateway's own words; where it has none, the codes of its layers."""
    layer = envelope.biz if envelope.outer.result_code == COMMUNICATED else envelope.outer
    result, order = layer.result_code, envelope.data.get("order_status", "")
    told = (result, order, envelope.data.get("status", ""))
    codes = (layer.error_code, call.words.get(result, ""), "" if result == "SUCCESS" else result, order, result)
    return fault(
        next((code for code in codes if code), "no_result_code"),
        layer.error_message or " ".join(clean(each, MAX_FACT) for each in told if each),
    )
