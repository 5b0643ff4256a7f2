"""The payment gateway: commands become requests, answers become events.

What can go wrong with a request, and what is certain then, is told by ``gateway_line``; what an answer means by
``terminald.wire.upay``. Here stands the one repeat that there is: where the gateway refused the signature it provably
did nothing, and the same bytes are sent once more with the other valid key (I2).
"""

import asyncio
import datetime as dt
import email.utils
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import httpx

from terminald.adapters.gateway_line import GatewaySettings, Line, Reply, Signature
from terminald.adapters.gateway_meter import MeteredLine
from terminald.adapters.ports import CLOCK_FAULT, LinkReport, LinkState
from terminald.core.commands import (
    GatewayCommand,
    OfferOrder,
    QueryOrder,
    RefundOrder,
    ReverseOrder,
    RevokeOrder,
    SubmitPayment,
)
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
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    Fault,
    OutcomeUnknown,
    QueryFailed,
    RequestNotSent,
    RequestRefused,
)
from terminald.core.ids import ClientSn, Secret, WallTime
from terminald.core.money import Fen
from terminald.errors import GatewayCertificateTime, GatewayNotSent, GatewayOutcomeUnknown
from terminald.logs import log_event, protect
from terminald.logs_ids import LogId
from terminald.wire import upay

__all__ = ["Credentials", "GatewaySettings", "HttpGateway"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who the terminal is. Of its keys only the current and the previous one can be valid.

    The versions are their numbers, by which the log names them.
    """

    terminal_sn: str
    device_id: str
    current: Secret
    previous: Secret | None
    version: int
    previous_version: int | None

    def only_current(self) -> "Credentials":
        """Return the same terminal with its current key alone."""
        return replace(self, previous=None, previous_version=None)

    def only_previous(self) -> "Credentials | None":
        """Return the same terminal with its previous key alone; None without one."""
        if self.previous is None:
            return None
        version = self.previous_version or 0
        return replace(self, current=self.previous, version=version, previous=None, previous_version=None)


@dataclass(slots=True)
class _Signing:
    """The credentials of one request, all the way, and the number of the key that signed last."""

    credentials: Credentials | None
    key_version: int | None = None

    def __post_init__(self) -> None:
        if self.credentials is not None:
            self.key_version = self.credentials.version


class _Decoder(Protocol):
    def __call__(self, status: int, body: bytes, *, asked: upay.Asked) -> Answer: ...


class HttpGateway:
    """The gateway of one terminal. Requests may overlap; each is signed with the keys that are held when it starts."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        credentials: Callable[[], Credentials | None],
        on_time: Callable[[WallTime], None],
        is_clock_right: Callable[[], bool] = lambda: False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """On_time is told the gateway's clock, to the second, with each answer that is the gateway's own.

        Is_clock_right tells whether the clock that certificates are judged by is known to be right.

        Raises:
            ValueError: the address may not be used, or the CA file can not be read.
        """
        self._line = MeteredLine(Line(settings, transport))
        #: What was measured of the requests.
        self.figures = self._line.figures
        self._credentials = credentials
        self._on_time = on_time
        self._is_clock_right = is_clock_right

    async def perform(self, command: GatewayCommand) -> Answer:
        """Send one request once, and return what its answer means.

        Raises nothing for anything that the network or the gateway does. Cancelled, the outcome is unknown.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        signing = _Signing(self._credentials())
        answer = await self._ask(command, signing)
        log_event(
            _log,
            LogId.GATEWAY_REQUEST,
            command=type(command).__name__,
            client_sn=command.client_sn,
            event=type(answer).__name__,
            key_version=signing.key_version,
            elapsed_ms=round((loop.time() - started) * 1000),
        )
        return answer

    async def _ask(self, command: GatewayCommand, signing: _Signing) -> Answer:
        is_query = isinstance(command, QueryOrder)
        not_sent, unknown = (QueryFailed, QueryFailed) if is_query else (RequestNotSent, OutcomeUnknown)
        credentials = signing.credentials
        if credentials is None:
            return not_sent(fault=_NOT_ACTIVATED)
        try:
            path, body, decode = _request_of(command, credentials)
        except ValueError as exc:
            # Repeating it would not help, and it says nothing of the link.
            return QueryFailed(fault=_invalid(exc)) if is_query else RequestRefused(fault=_invalid(exc))
        try:
            reply = await self._exchange(path, body, credentials, signing)
        except GatewayNotSent as exc:
            return not_sent(fault=self._unsent(exc))
        except GatewayOutcomeUnknown as exc:
            return unknown(fault=unanswered(exc))
        asked = upay.Asked(terminal_sn=credentials.terminal_sn, client_sn=command.client_sn, amount=command.amount)
        return decode(reply.status, reply.body, asked=asked)

    async def probe(self) -> LinkReport:
        """Query an order that never was: it warms the connection, and proves the link and the key."""
        credentials = self._credentials()
        if credentials is None:
            return LinkReport(state=LinkState.DOWN, fault=_NOT_ACTIVATED)
        return await self.probe_with(credentials)

    async def probe_with(self, credentials: Credentials) -> LinkReport:
        """Do the same for these credentials, with their keys and no others."""
        signing = _Signing(credentials)
        report = await self._probe(credentials, signing)
        log_event(
            _log,
            LogId.GATEWAY_REQUEST,
            level=logging.DEBUG,
            command="Probe",
            event=report.state.value,
            key_version=signing.key_version,
        )
        return report

    async def _probe(self, credentials: Credentials, signing: _Signing) -> LinkReport:
        query = QueryOrder(client_sn=ClientSn(upay.PROBE_CLIENT_SN), token=0, amount=Fen(0))
        try:
            path, body, _ = _request_of(query, credentials)
        except ValueError as exc:
            return LinkReport(state=LinkState.DOWN, fault=_invalid(exc))
        try:
            reply = await self._exchange(path, body, credentials, signing)
        except GatewayNotSent as exc:
            return LinkReport(state=LinkState.DOWN, fault=self._unsent(exc))
        except GatewayOutcomeUnknown as exc:
            return LinkReport(state=LinkState.DOWN, fault=unanswered(exc))
        return _report(
            reply, upay.Asked(terminal_sn=credentials.terminal_sn, client_sn=query.client_sn, amount=query.amount)
        )

    async def prove(self) -> CustodyAnswer:
        """Query an order that never was, signed with the current key; where that is refused, with the previous one."""
        credentials = self._credentials()
        if credentials is None:
            return KeyUnanswered(fault=_NOT_ACTIVATED)
        asked = credentials.only_current()
        accepted: CustodyAnswer = KeyAccepted()
        report = await self.probe_with(asked)
        if report.state is LinkState.KEY_REFUSED and (last := credentials.only_previous()) is not None:
            asked, accepted = last, PreviousKeyAccepted()
            report = await self.probe_with(asked)
        match report.state:
            case LinkState.KEY_REFUSED:
                answer: CustodyAnswer = KeyRefused(fault=report.fault)
            case LinkState.PROVEN:
                answer = accepted
            case _:
                answer = KeyUnanswered(fault=report.fault)
        _log_of_key("ProveKey", answer, asked.version)
        return answer

    async def check_in(self) -> CustodyAnswer:
        """Send one check-in once, signed with the current key, and return what its answer means.

        Never repeated, and never signed with another key: what is not understood may have made a new key (documents,
        check-in). A new key is masked in the log from here on.
        """
        credentials = self._credentials()
        if credentials is None:
            return CheckinNotSent(fault=_NOT_ACTIVATED)
        answer = await self._check_in(credentials)
        if isinstance(answer, KeyRenewed):
            protect(answer.key)
        _log_of_key("CheckIn", answer, credentials.version)
        return answer

    async def _check_in(self, credentials: Credentials) -> CustodyAnswer:
        sn = credentials.terminal_sn
        try:
            body = upay.encode_checkin(terminal_sn=sn, device_id=credentials.device_id)
            reply = await self._line.exchange(upay.CHECKIN_PATH, body, Signature(sn, credentials.current))
        except ValueError as exc:
            return CheckinNotSent(fault=_invalid(exc))
        except GatewayNotSent as exc:
            return CheckinNotSent(fault=self._unsent(exc))
        except GatewayOutcomeUnknown as exc:
            return CheckinUnanswered(fault=unanswered(exc))
        return _renewal(reply, sn)

    async def upload_log(self, packed: bytes) -> upay.LogAnswer:
        """Send one log once: the very bytes of the gzip file are the body, and are what is signed (documents)."""
        signing = _Signing(self._credentials())
        answer = await self._upload_log(packed, signing)
        event, version = answer.fate.value, signing.key_version
        log_event(_log, LogId.GATEWAY_REQUEST, command="UploadLog", event=event, key_version=version)
        return answer

    async def _upload_log(self, packed: bytes, signing: _Signing) -> upay.LogAnswer:
        credentials = signing.credentials
        if credentials is None:
            return upay.LogAnswer(fate=upay.LogFate.UNCERTAIN, fault=_NOT_ACTIVATED)
        try:
            reply = await self._exchange(upay.UPLOAD_LOG_PATH, packed, credentials, signing)
        except ValueError as exc:
            return upay.LogAnswer(fate=upay.LogFate.UNCERTAIN, fault=_invalid(exc))
        except GatewayNotSent as exc:
            return upay.LogAnswer(fate=upay.LogFate.UNCERTAIN, fault=self._unsent(exc))
        except GatewayOutcomeUnknown as exc:
            return upay.LogAnswer(fate=upay.LogFate.UNCERTAIN, fault=unanswered(exc))
        return upay.decode_upload(reply.status, reply.body)

    async def _exchange(self, path: str, body: bytes, credentials: Credentials, signing: _Signing) -> Reply:
        """Send with the current key; where its signature is refused, the same bytes once with the previous key."""
        sn, previous = credentials.terminal_sn, credentials.previous
        reply = await self._line.exchange(path, body, Signature(sn, credentials.current))
        if previous is not None and upay.is_key_refused(reply.status, reply.body):
            log_event(_log, LogId.SIGNATURE_REFUSED, path=path, key_version=signing.key_version)
            signing.key_version = credentials.previous_version
            reply = await self._line.exchange(path, body, Signature(sn, previous))
        if upay.read_envelope(reply.status, reply.body) is not None and (at := parse_date(reply.date)) is not None:
            self._on_time(at)
        return reply

    def _unsent(self, exc: GatewayNotSent) -> Fault:
        return unreachable(exc, is_clock_right=self._is_clock_right)

    async def aclose(self) -> None:
        """Close every connection. Harmless when repeated."""
        await self._line.aclose()


_NOT_ACTIVATED = Fault(code="not_activated", message="this terminal has no identity at the gateway yet")
_MISMATCHED = Fault(code="answer_mismatch", message="the answer speaks of another terminal")


def _log_of_key(command: str, answer: CustodyAnswer, version: int) -> None:
    name = type(answer).__name__
    log_event(_log, LogId.GATEWAY_REQUEST, command=command, event=name, key_version=version)


def _invalid(exc: ValueError) -> Fault:
    return Fault(code="invalid_request", message=str(exc))


def unreachable(exc: GatewayNotSent, *, is_clock_right: Callable[[], bool]) -> Fault:
    """Tell a fault of this machine's clock from one of the network or the gateway."""
    if not isinstance(exc, GatewayCertificateTime):
        return Fault(code="gateway_unreachable", message=str(exc))
    if is_clock_right():
        return Fault(code="gateway_unreachable", message=f"the clock is right, but the gateway's {exc}")
    shown = dt.datetime.now(tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Fault(code=CLOCK_FAULT, message=f"by this machine's clock ({shown}) the gateway's {exc}: check the clock")


def unanswered(exc: GatewayOutcomeUnknown) -> Fault:
    """Say that the request may have run."""
    return Fault(code="gateway_no_answer", message=str(exc))


def _request_of(command: GatewayCommand, credentials: Credentials) -> tuple[str, bytes, _Decoder]:
    """Return path, body and decoder.

    Raises:
        ValueError: a field is not within the limits of the documents.
    """
    sn = credentials.terminal_sn
    match command:
        case SubmitPayment():
            body = upay.encode_pay(command, terminal_sn=sn, device_id=credentials.device_id)
            return upay.PAY_PATH, body, upay.decode_submit
        case OfferOrder():
            body = upay.encode_precreate(command, terminal_sn=sn, device_id=credentials.device_id)
            return upay.PRECREATE_PATH, body, upay.decode_offer
        case QueryOrder():
            return upay.QUERY_PATH, upay.encode_query(command.client_sn, terminal_sn=sn), upay.decode_query
        case ReverseOrder():
            return upay.CANCEL_PATH, upay.encode_cancel(command.client_sn, terminal_sn=sn), upay.decode_reverse
        case RevokeOrder():
            return upay.REVOKE_PATH, upay.encode_revoke(command.client_sn, terminal_sn=sn), upay.decode_revoke
        case RefundOrder():
            return upay.REFUND_PATH, upay.encode_refund(command, terminal_sn=sn), upay.decode_refund
        case _:
            raise TypeError(f"{type(command).__name__} is no request to the gateway")


def _renewal(reply: Reply, terminal_sn: str) -> CustodyAnswer:
    """Read the answer to a check-in. A key for another terminal is none for ours, and ours may have changed."""
    match upay.decode_activation(reply.status, reply.body):
        case upay.Activated(terminal_sn=said, terminal_key=key) if said == terminal_sn:
            return KeyRenewed(key=key)
        case upay.ActivationRefused(fault=fault):
            return CheckinRefused(fault=fault)
        case upay.ActivationUnknown(fault=fault):
            return CheckinUnanswered(fault=fault)
        case _:
            return CheckinUnanswered(fault=_MISMATCHED)


def _report(reply: Reply, asked: upay.Asked) -> LinkReport:
    answer = upay.decode_query(reply.status, reply.body, asked=asked)
    if not isinstance(answer, QueryFailed | AnswerMismatched):
        return LinkReport(state=LinkState.PROVEN)
    if upay.is_key_refused(reply.status, reply.body):
        return LinkReport(state=LinkState.KEY_REFUSED, fault=answer.fault)
    if upay.is_terminal_refused(reply.status, reply.body):
        return LinkReport(state=LinkState.TERMINAL_REFUSED, fault=answer.fault)
    return LinkReport(state=LinkState.DOWN, fault=answer.fault)


def parse_date(text: str) -> WallTime | None:
    """Read an HTTP date in GMT; None when it is none."""
    try:
        at = email.utils.parsedate_to_datetime(text)
        return WallTime(int(at.timestamp() * 1000)) if at.tzinfo is not None else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
