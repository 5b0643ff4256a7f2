"""What may go wrong between a terminal and the gateway, or in the gateway itself, and when.

A :class:`Fault` is data. For each request, :meth:`FaultList.take` picks at most one of those that happen on the way,
and :class:`Plan` says what that means to whoever carries the bytes: a socket, or a simulation on a virtual clock.
Neither decides anything by itself:

1. ``plan = world.plan(request)``: once per request, when its last byte was read.
2. If ``plan.arrives``: wait ``plan.arrival_delay_s``, then ``response = world.receive(request)``, even when the client
   has given up; else ``response = None``.
3. Wait ``plan.answer_delay_s``, then do as ``plan.delivery`` says. Only ``SEND`` sends
   ``world.answer(plan, response)``, spread evenly over ``plan.trickle_s``.

Those of :data:`CONDUCT` are what the gateway, its providers or a customer do: ``world.receive`` takes at most one of
them, and a request may meet one of each sort. They need an order, or a request that is in order.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Literal

import msgspec

from terminald.simulator.gateway_protocol import MESSAGES, Refused, Response, refused_envelope

FaultKind = Literal[
    "lose_request",
    "close_request",
    "lose_answer",
    "close_answer",
    "reset",
    "delay_request",
    "slow",
    "trickle",
    "http_status",
    "html",
    "garbage",
    "empty",
    "huge",
    "redirect",
    "wrong_amount",
    "wrong_client_sn",
    "wrong_terminal_sn",
    "no_qr_code",
    "flawed_fields",
    "system_error",
    "illegal_sign",
    "declined",
    "refund_error",
    "cancel_error",
    "in_progress",
    "paid_meanwhile",
    "paid_first",
    "qr_paid",
    "qr_life",
]
#: What each kind does, for people.
KINDS: Mapping[FaultKind, str] = {
    "lose_request": "never arrives; the connection hangs",
    "close_request": "never arrives; the connection is closed without an answer",
    "lose_answer": "carried out; the connection hangs",
    "close_answer": "carried out; the connection is closed without an answer",
    "reset": "carried out; the connection is reset",
    "delay_request": "arrives `seconds` later",
    "slow": "carried out at once, answered `seconds` later",
    "trickle": "carried out, answered in single bytes over `seconds`",
    "http_status": "answered with `status` and a page of HTML",
    "html": "answered 200 with a page of HTML",
    "garbage": "answered 200 with bytes that are not text",
    "empty": "answered 200 with nothing",
    "huge": "the true answer, followed by 5 MB of blanks",
    "redirect": "answered 302",
    "wrong_amount": "the answer names another total_amount",
    "wrong_client_sn": "the answer names another client_sn",
    "wrong_terminal_sn": "the answer names another terminal_sn",
    "no_qr_code": "the answer has no qr_code",
    "flawed_fields": "the documents' misprints: blanks after names, ctime as a date; unknown and missing fields",
    "system_error": "carried out, answered with result_code 500, UNKNOWN_SYSTEM_ERROR",
    "illegal_sign": "answered with result_code 400, ILLEGAL_SIGN; nothing was done",
    "declined": "the gateway refuses with `error_code`; nothing was done",
    "refund_error": "a refund ends in REFUND_ERROR; nothing was moved, and it may be repeated",
    "cancel_error": "a cancel or revoke ends in CANCEL_ERROR; nothing was moved, and it may be repeated",
    "in_progress": "a cancel, revoke or refund is accepted, and done `seconds` later",
    "paid_meanwhile": "the customer pays in the moment of the cancel or revoke, and gets it back",
    "paid_first": "the customer pays in the moment before the cancel or revoke, which is refused: needs a refund",
    "qr_paid": "the customer pays the QR `seconds` after the precreate",
    "qr_life": "the QR order of this precreate closes after `seconds`",
}
FaultPath = Literal["*", "activate", "checkin", "uploadLog", "pay", "precreate", "query", "cancel", "revoke", "refund"]

_REVERSALS = frozenset({"cancel", "revoke"})
#: What the gateway itself does, and with which calls.
CONDUCT: Mapping[FaultKind, frozenset[str]] = {
    "declined": frozenset({"pay", "precreate", "query", "cancel", "revoke", "refund"}),
    "refund_error": frozenset({"refund"}),
    "cancel_error": _REVERSALS,
    "in_progress": _REVERSALS | {"refund"},
    "paid_meanwhile": _REVERSALS,
    "paid_first": _REVERSALS,
    "qr_paid": frozenset({"precreate"}),
    "qr_life": frozenset({"precreate"}),
}

#: Five megabytes: far beyond any answer of the gateway, small enough to send within a test.
HUGE_BODY_BYTES = 5_000_000
#: Neither UTF-8 nor JSON.
_GARBAGE = bytes(range(255, 127, -1)) * 4
_PAGE = {"Content-Type": "text/html; charset=utf-8"}
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_HTML = b"<!DOCTYPE html>\n<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong with some requests.

    Args:
        kind: what goes wrong.
        path: which calls it is about.
        client_sn: only requests about this order; empty means any.
        count: how often it happens; None means for ever.
        skip: how many requests that fit are left alone first.
        seconds: of the kinds that take time; divided by the simulator's speed.
        status: of ``http_status``.
        error_code: of ``declined``: a business error code.
        arrives: False keeps the request from the books, for the kinds that replace the whole answer.
    """

    kind: FaultKind
    path: FaultPath = "*"
    client_sn: str = ""
    count: int | None = 1
    skip: int = 0
    seconds: float = 0.0
    status: int = 502
    error_code: str = ""
    arrives: bool = True

    def __post_init__(self) -> None:
        """Check the ranges; msgspec reports the same text for a script.

        Raises:
            ValueError: a number is out of range.
        """
        if self.skip < 0 or (self.count is not None and self.count < 1):
            raise ValueError("skip is not negative, count is at least 1 or null")
        if not 0 <= self.seconds <= 86_400:  # noqa: PLR2004 - a day is longer than any test
            raise ValueError("seconds is between 0 and 86400")
        if not 400 <= self.status <= 599:  # noqa: PLR2004 - the range of HTTP's error codes
            raise ValueError("status is between 400 and 599")
        calls = CONDUCT.get(self.kind)
        if calls is not None and self.path != "*" and self.path not in calls:
            raise ValueError(f"path of {self.kind} is * or one of: {', '.join(sorted(calls))}")
        if (self.kind == "declined") != bool(self.error_code):
            raise ValueError("error_code belongs to declined, which needs one")
        if self.error_code and self.error_code not in MESSAGES:
            raise ValueError(f"error_code is one of: {', '.join(sorted(MESSAGES))}")

    def strikes(self, call: str, client_sn: str) -> bool:
        """Tell whether a request of this kind about this order is meant."""
        calls = CONDUCT.get(self.kind)
        return self.path in ("*", call) and self.client_sn in ("", client_sn) and (calls is None or call in calls)


class Delivery(Enum):
    """What becomes of the answer."""

    SEND = "send"
    HANG = "hang"  # silence until the client gives up
    CLOSE = "close"  # an orderly end without a byte
    RESET = "reset"  # a TCP reset


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the transport does with one request. Times are in seconds of the transport's own clock."""

    fault: Fault | None = None
    arrives: bool = True
    arrival_delay_s: float = 0.0
    delivery: Delivery = Delivery.SEND
    answer_delay_s: float = 0.0
    trickle_s: float = 0.0


_DELIVERIES = {
    "lose_request": Delivery.HANG,
    "close_request": Delivery.CLOSE,
    "lose_answer": Delivery.HANG,
    "close_answer": Delivery.CLOSE,
    "reset": Delivery.RESET,
}
_NEVER_ARRIVE = frozenset({"lose_request", "close_request", "illegal_sign"})


def plan_for(fault: Fault | None, *, speed: float) -> Plan:
    """Return what a fault means to the transport; durations are divided by speed."""
    if fault is None:
        return Plan()
    seconds = fault.seconds / speed
    return Plan(
        fault=fault,
        arrives=fault.arrives and fault.kind not in _NEVER_ARRIVE,
        arrival_delay_s=seconds if fault.kind == "delay_request" else 0.0,
        delivery=_DELIVERIES.get(fault.kind, Delivery.SEND),
        answer_delay_s=seconds if fault.kind == "slow" else 0.0,
        trickle_s=seconds if fault.kind == "trickle" else 0.0,
    )


@dataclass(slots=True)
class _Armed:
    fault: Fault
    skip_left: int
    left: int | None


class FaultList:
    """The faults that still have to happen, in the order in which they were added."""

    def __init__(self) -> None:
        """Start without any."""
        self._armed: list[_Armed] = []

    def __len__(self) -> int:
        return len(self._armed)

    def add(self, *faults: Fault) -> None:
        """Arm faults, after those that are there already."""
        self._armed.extend(_Armed(fault, fault.skip, fault.count) for fault in faults)

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    def disarm(self, kind: FaultKind | None = None, client_sn: str = "") -> int:
        """Disarm the faults of this kind and order, and return how many there were; None and empty mean any."""
        kept = [
            armed
            for armed in self._armed
            if kind not in (None, armed.fault.kind) or client_sn not in ("", armed.fault.client_sn)
        ]
        count = len(self._armed) - len(kept)
        self._armed = kept
        return count

    def take(self, call: str, client_sn: str, *, is_conduct: bool = False) -> Fault | None:
        """Return the fault on the way that strikes this request, or the one of :data:`CONDUCT`, and count it.

        The first that fits and has nothing to skip strikes; those before it count one skipped request.
        """
        for armed in self._armed:
            fault = armed.fault
            if (fault.kind in CONDUCT) is not is_conduct or not fault.strikes(call, client_sn):
                continue
            if armed.skip_left > 0:
                armed.skip_left -= 1
                continue
            if armed.left is not None:
                armed.left -= 1
                if armed.left == 0:
                    self._armed.remove(armed)
            return fault
        return None


def distort(fault: Fault, response: Response) -> Response:
    """Return what the client reads instead of the true answer."""
    replacements: dict[str, tuple[int, Mapping[str, str], bytes]] = {
        "http_status": (fault.status, _PAGE, _HTML),
        "html": (200, _PAGE, _HTML),
        "redirect": (302, {**_PAGE, "Location": "/login"}, b""),
        "garbage": (200, {}, _GARBAGE),
        "empty": (200, {}, b""),
        "illegal_sign": (200, _JSON, refused_envelope(Refused("ILLEGAL_SIGN"))),
        "system_error": (200, _JSON, refused_envelope(Refused("UNKNOWN_SYSTEM_ERROR", result_code="500"))),
    }
    if fault.kind in replacements:
        status, headers, body = replacements[fault.kind]
        return Response(status=status, headers={**response.headers, **headers}, body=body)
    if fault.kind == "huge":
        padded = response.body.ljust(HUGE_BODY_BYTES)
        return Response(status=response.status, headers=response.headers, body=padded)
    edit = _EDITS.get(fault.kind)
    if edit is None or response.status != HTTPStatus.OK:
        return response
    return Response(status=response.status, headers=response.headers, body=_edit_data(response.body, edit))


def _edit_data(body: bytes, edit: Callable[[dict[str, str]], None]) -> bytes:
    """Change ``biz_response.data``; an answer without it stays as it is."""
    envelope: object = json.loads(body)
    biz = envelope.get("biz_response") if isinstance(envelope, dict) else None
    data = biz.get("data") if isinstance(biz, dict) else None
    if not isinstance(data, dict):
        return body
    edit(data)
    return json.dumps(envelope, ensure_ascii=False).encode()


def _raise_amount(data: dict[str, str]) -> None:
    data["total_amount"] = str(int(data["total_amount"]) + 1)


def _change_client_sn(data: dict[str, str]) -> None:
    data["client_sn"] = f"X{data['client_sn']}"[:32]


def _change_terminal_sn(data: dict[str, str]) -> None:
    data["terminal_sn"] = f"9{data['terminal_sn']}"[:32]


def _drop_qr_code(data: dict[str, str]) -> None:
    data.pop("qr_code", None)


def _misprint(data: dict[str, str]) -> None:
    for name in ("operator", "subject", "total_amount"):
        data[f"{name} "] = data.pop(name)
    data["ctime"] = "2015-12-09 15:33:55"
    data["provider_mch_info"] = "unannounced"
    data.pop("store_id")


_EDITS: dict[str, Callable[[dict[str, str]], None]] = {
    "wrong_amount": _raise_amount,
    "wrong_client_sn": _change_client_sn,
    "wrong_terminal_sn": _change_terminal_sn,
    "no_qr_code": _drop_qr_code,
    "flawed_fields": _misprint,
}


def kinds_table() -> str:
    """Return the kinds of faults for people, one line each."""
    width = max(map(len, KINDS))
    lines = [f"  {kind:{width}}  {text}{_about(kind)}" for kind, text in KINDS.items()]
    return "\n".join(["kinds of faults:", *lines])


def _about(kind: FaultKind) -> str:
    calls = CONDUCT.get(kind)
    return "" if calls is None else f" [{', '.join(sorted(calls))}]"
