"""The whole gateway without I/O: requests in, answers out, on whatever clock it is given.

:meth:`GatewayWorld.plan` decides what goes wrong, :meth:`GatewayWorld.receive` changes the books, and
:meth:`GatewayWorld.answer` makes the bytes that the client reads. The socket server and a simulation on a virtual clock
use the same three; see :mod:`terminald.simulator.gateway_faults`.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Literal

import msgspec

from terminald.simulator.gateway_books import Books
from terminald.simulator.gateway_calls import CALLS, MAX_ORDERS, Calls
from terminald.simulator.gateway_faults import FaultList, Plan, distort, plan_for
from terminald.simulator.gateway_outcomes import Effect, outcome_of
from terminald.simulator.gateway_protocol import (
    Declined,
    Refused,
    Request,
    Response,
    declined_envelope,
    peek,
    refused_envelope,
)
from terminald.simulator.gateway_terminals import Terminals
from terminald.simulator.gateway_view import BooksView, LogView, view, view_log

#: Ten in the morning at the gateway (UTC+8): far from both ends of the business day.
DEFAULT_EPOCH_S = datetime(2026, 3, 2, 2, 0, tzinfo=UTC).timestamp()
#: Documents, pre-create: an order lives 90–240 s; the longest is the hardest on a terminal.
QR_LIFE_S = 240.0
_PAY = "/upay/v2/pay"


@dataclass(slots=True, kw_only=True, eq=False)
class GatewayWorld:
    """One simulated gateway.

    Args:
        clock: seconds on some time line, real or virtual, that does not run backwards.
        vendor_sn, vendor_key, app_id: what activation must present.
        activation_codes: code → number of terminals it may still activate.
        seed: of all serial numbers and keys.
        speed: divides every duration of customers, cancellations, QR codes and faults; not the life of keys.
        epoch_s: the wall-clock time, in seconds since 1970 UTC, at which the clock shows zero.
        qr_life_s: how long a pre-created order waits for its customer, at speed 1.
    """

    clock: Callable[[], float]
    vendor_sn: str
    vendor_key: str = field(repr=False)
    app_id: str
    activation_codes: Mapping[str, int]
    seed: int = 0
    speed: float = 1.0
    epoch_s: float = DEFAULT_EPOCH_S
    qr_life_s: float = QR_LIFE_S
    faults: FaultList = field(init=False, default_factory=FaultList)
    books: Books = field(init=False)
    terminals: Terminals = field(init=False)
    _calls: Calls = field(init=False, repr=False)
    _advanced_s: float = field(init=False, default=0.0)
    _planned: set[str] = field(init=False, repr=False, default_factory=set)

    def __post_init__(self) -> None:
        """Open empty books."""
        if not self.speed > 0:
            raise ValueError("speed is greater than 0")
        numbers = random.Random(self.seed)
        self.books = Books(random=numbers, speed=self.speed)
        self.terminals = Terminals(
            vendor_sn=self.vendor_sn,
            vendor_key=self.vendor_key,
            app_id=self.app_id,
            uses_left=dict(self.activation_codes),
            random=numbers,
        )
        self._calls = Calls(books=self.books, terminals=self.terminals, qr_life_s=self.qr_life_s)

    def now_s(self) -> float:
        """Return the gateway's wall-clock time in seconds since 1970 UTC."""
        return self.epoch_s + self.clock() + self._advanced_s

    def advance(self, seconds: float) -> None:
        """Let the gateway's clock jump forward; everything that was due happens at its own time."""
        if not seconds >= 0:
            raise ValueError("seconds is not negative")
        self._advanced_s += seconds
        self.books.advance(self.now_s())

    def plan(self, request: Request) -> Plan:
        """Decide what happens to this request. To be called once for each."""
        if request.path not in CALLS:
            return Plan()
        fields = peek(request.body)
        order = self.books.find(sn=fields.get("sn", ""), client_sn=fields.get("client_sn", ""))
        client_sn = fields.get("client_sn", "") if order is None else order.client_sn
        if request.path == _PAY:
            self._arm_outcome(client_sn, fields.get("dynamic_id", ""))
        return plan_for(self.faults.take(request.call, client_sn), speed=self.speed)

    def receive(self, request: Request) -> Response:
        """Carry a request out, and return the true answer."""
        now_s = self.now_s()
        self.books.advance(now_s)
        call = CALLS.get(request.path)
        if call is None or request.method != "POST":
            page = b"<html><body><h1>Not Found</h1></body></html>\n"
            return Response(status=404, headers=self._headers("text/html; charset=utf-8"), body=page)
        try:
            body = call(self._calls, request, now_s)
        except Refused as refused:
            body = refused_envelope(refused)
        except Declined as declined:
            body = declined_envelope(declined)
        return Response(headers=self._headers("application/json; charset=utf-8"), body=body)

    def answer(self, plan: Plan, response: Response | None) -> Response:
        """Return what the client gets to read; response is None when the request never arrived."""
        if response is None:
            response = Response(status=504, headers=self._headers("text/html; charset=utf-8"), body=b"")
        return response if plan.fault is None else distort(plan.fault, response)

    def customer(self, action: Literal["pay", "refuse"], *, client_sn: str = "", qr_code: str = "") -> bool:
        """Let the customer of an open order act; False when no such order waits for one."""
        now_s = self.now_s()
        self.books.advance(now_s)
        order = self.books.find(client_sn=client_sn)
        if qr_code:
            order = next((order for order in self.books.orders.values() if order.qr_code == qr_code), None)
        effect = Effect.PAY if action == "pay" else Effect.CLOSE
        return order is not None and self.books.customer(order, effect, now_s=now_s)

    def view(self) -> BooksView:
        """Return the books as of now."""
        self.books.advance(self.now_s())
        return view(self.books, self.terminals)

    def logs(self) -> tuple[LogView, ...]:
        """Return the last logs that were uploaded, the oldest first."""
        return tuple(view_log(log) for log in self.terminals.logs)

    def accepts_key(self, terminal_sn: str, key: str) -> bool:
        """Tell whether a request signed with this key would now be accepted."""
        return self.terminals.accepts(terminal_sn, key, now_s=self.now_s())

    def _arm_outcome(self, client_sn: str, payment_code: str) -> None:
        """Arm the faults of a payment code, for this order alone, when it is submitted for the first time."""
        if client_sn and client_sn not in self._planned and len(self._planned) < MAX_ORDERS:
            self._planned.add(client_sn)
            outcome = outcome_of(payment_code)
            self.faults.add(*(msgspec.structs.replace(fault, client_sn=client_sn) for fault in outcome.faults))

    def _headers(self, content_type: str) -> Mapping[str, str]:
        return {"Date": formatdate(self.now_s(), usegmt=True), "Content-Type": content_type}
