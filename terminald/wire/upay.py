"""The gateway's Web API (Upay, Shouqianba) as pure functions: commands to bytes, answers to events.

The gateway's spellings live in these modules alone: requests in ``upay_requests``, what all answers have in common in
``upay_envelope``, what each code means in ``upay_replies``, a terminal's identity in ``upay_activation``, the answer to
a log in ``upay_log``. A request is encoded once; the very bytes are signed (``signing``) and sent. No sequence of bytes
raises in a decoder: what can not be understood is an event too.
"""

from terminald.wire.upay_activation import Activated, ActivationRefused, ActivationUnknown, decode_activation
from terminald.wire.upay_envelope import MAX_BODY, is_key_refused, is_terminal_refused, read_envelope
from terminald.wire.upay_log import LogAnswer, LogFate, decode_upload
from terminald.wire.upay_replies import Asked, decode_query, decode_refund, decode_reverse, decode_submit
from terminald.wire.upay_requests import (
    ACTIVATE_PATH,
    CANCEL_PATH,
    CHECKIN_PATH,
    PAY_PATH,
    PROBE_CLIENT_SN,
    QUERY_PATH,
    REFUND_PATH,
    UPLOAD_LOG_PATH,
    encode_activate,
    encode_cancel,
    encode_checkin,
    encode_pay,
    encode_query,
    encode_refund,
)

__all__ = [
    "ACTIVATE_PATH",
    "CANCEL_PATH",
    "CHECKIN_PATH",
    "MAX_BODY",
    "PAY_PATH",
    "PROBE_CLIENT_SN",
    "QUERY_PATH",
    "REFUND_PATH",
    "UPLOAD_LOG_PATH",
    "Activated",
    "ActivationRefused",
    "ActivationUnknown",
    "Asked",
    "LogAnswer",
    "LogFate",
    "decode_activation",
    "decode_query",
    "decode_refund",
    "decode_reverse",
    "decode_submit",
    "decode_upload",
    "encode_activate",
    "encode_cancel",
    "encode_checkin",
    "encode_pay",
    "encode_query",
    "encode_refund",
    "is_key_refused",
    "is_terminal_refused",
    "read_envelope",
]
