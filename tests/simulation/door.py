"""The gateway's door: what passes it and what the host is told, judged at that moment by the gateway's books.

The door knows which order belongs to which sale by the subject alone, which is the sale's reference here: nothing that
terminald says about itself is believed.
"""

import asyncio
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from terminald.adapters.ports import Batch
from terminald.core.attempt_table import UNDO_REQUEST_NO, Attempt, AttemptState
from terminald.core.book import Book
from terminald.core.refund_table import RefundKind, RefundState
from terminald.simulator.gateway import GatewayWorld, Plan, Request, Response
from terminald.simulator.gateway_books import Order, business_day
from terminald.simulator.gateway_outcomes import OrderStatus
from terminald.simulator.gateway_protocol import peek
from tests.simulation.promises import Offers

_log = logging.getLogger(__name__)
_SAID = re.compile(r'"(?:result_code|error_code|order_status)": ?"(\w+)"')

SUBMITS = frozenset({"pay", "precreate"})
BACK = frozenset({"refund", "revoke"})
#: Nothing can be paid any more, and nothing is kept.
_DEAD = frozenset({OrderStatus.PAY_CANCELED, OrderStatus.CANCELED, OrderStatus.REFUNDED})
#: What is being undone, or is looked for after it was given up.
_UNDOING = frozenset(
    {
        AttemptState.ABANDONING,
        AttemptState.REVERSING,
        AttemptState.PROVING,
        AttemptState.SETTLING,
        AttemptState.REFUNDING,
        AttemptState.WATCHING,
        AttemptState.LAST_LOOK,
    }
)
_ABSENT = b"UPAY_ORDER_NOT_EXISTS"
#: The one submit is asked for in the commit that enters these.
_BEGUN = frozenset({AttemptState.SUBMITTING, AttemptState.OFFERING})
#: An answer is on disk within this time.
RECORDED_S = 1.0
#: Answers of the gateway that a soak must have seen.
_WORDS = (
    "CANCEL_ERROR", "CANCEL_IN_PROGRESS", "REFUND_ERROR", "REFUND_IN_PROGRESS", "UPAY_TCP_ORDER_NOT_REFUNDABLE",
    "ACCOUNT_BALANCE_NOT_ENOUGH", "UPAY_CANCEL_ORDER_NOOP", "UPAY_REFUND_ORDER_NOOP", "UPAY_CANCEL_INVALID_ORDER_STATE",
    "UPAY_ORDER_NOT_EXISTS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Wait:
    """Somebody who wants to act when a message about an order passes."""

    call: str
    is_answer: bool
    client_sn: str
    passed: asyncio.Event


class Door:
    """Sees every message. Collects what is wrong in words, and counts what happened."""

    def __init__(self, world: GatewayWorld, state_of: Callable[[str], AttemptState | None]) -> None:
        """State_of tells what terminald makes of an order; None when it does not run."""
        self.world = world
        self.found: list[str] = []
        self.seen: Counter[str] = Counter()
        self._state_of = state_of
        #: Whether terminald knows the time of day: it can not tell the gateway's day otherwise.
        self.knows_time: Callable[[], bool] = lambda: True
        self._sale_of: dict[str, str] = {}
        self._may_repeat: set[str] = set()
        self._under_way: Counter[str] = Counter()
        #: When the gateway first said, of what terminald was told, that it does not know an order.
        self._absent_at: dict[str, float] = {}
        self._arrived_at: dict[int, float] = {}
        self._given_up: set[str] = set()
        #: Orders that were undone from memory by a process that died, as the next one finds them on disk: open. With
        #: the moment until which it may show their QRs: shortly after the gateway has told it that they are over.
        self._looks_open: dict[str, float] = {}
        self._refunds: dict[tuple[str, str], int] = {}
        self._paid: set[str] = set()
        #: Of which orders terminald was told, under their own name and with their amount, that they are paid.
        self._said_paid: set[str] = set()
        self._waits: list[_Wait] = []
        #: What customers were shown, and what became of what they paid.
        self.offers = Offers(world)
        #: Requests that move money back and are not answered, by order.
        self._going_back: dict[str, str] = {}

    def forget(self) -> None:
        """Forget all orders, when everything is over that was begun."""
        for notes in (
            self._sale_of,
            self._under_way,
            self._absent_at,
            self._arrived_at,
            self._refunds,
            self._going_back,
            self._looks_open,
        ):
            notes.clear()
        for names in (self._may_repeat, self._given_up, self._paid, self._said_paid):
            names.clear()

    def restart(self, book: Book) -> None:
        """Take note of a new process, which knows what is on disk and nothing else."""
        self.offers.restart({one.client_sn for one in book.attempts.values() if _is_given_up(one)})
        offered = {one.client_sn for one in book.attempts.values() if one.state is AttemptState.OFFERED}
        self._looks_open = dict.fromkeys(self._given_up & offered, math.inf)

    # --- messages ----------------------------------------------------------------------------------------------------

    def leave(self, asked: Request, plan: Plan) -> None:
        """Terminald sends a request."""
        fields = peek(asked.body)
        client_sn = self._name(fields)
        _log.info("%s of %s leaves%s", asked.call, client_sn, f": {plan.fault.kind}" if plan.fault else "")
        if plan.fault is not None:
            self.seen[f"{plan.fault.kind}@{asked.call}"] += 1
        if asked.call in SUBMITS:
            self._judge_submit(asked.call, client_sn, fields["subject"])
        elif asked.call == "refund":
            self._judge_refund(client_sn, fields["refund_request_no"], int(fields["refund_amount"]))
        elif asked.call == "cancel":
            self._given_up.add(client_sn)
        if asked.call in BACK:
            self._judge_return(asked.call, client_sn)
        self._judge_offer(asked.call, client_sn, asked)
        self._wake(asked.call, client_sn, is_answer=False)

    def fail(self, asked: Request) -> None:
        """Terminald would send a request, and there is no link: it has decided all the same."""
        self._judge_offer(asked.call, self._name(peek(asked.body)), asked)

    def give_up(self, asked: Request) -> None:
        """Terminald does not wait for an answer any more: it has one, or none will come."""
        if asked.call in BACK:
            self._going_back.pop(self._name(peek(asked.body)), None)

    def _is_of_yesterday(self, client_sn: str) -> bool:
        order = self.world.books.find(client_sn=client_sn)
        return order is not None and business_day(order.created_s) != business_day(self.world.now_s())

    def _was_paid_before_today(self, client_sn: str) -> bool:
        """Whether the day was over when it was decided: what is decided leaves once it is on disk."""
        order = self.world.books.find(client_sn=client_sn)
        paid_s = order.transactions[0].finished_s if order else None
        return paid_s is not None and business_day(paid_s) != business_day(self.world.now_s() - RECORDED_S)

    def arrive(self, asked: Request, response: Response) -> None:
        """The gateway has carried a request out, or refused it."""
        text = response.body.decode()
        name = self._name(peek(asked.body))
        _log.info("%s of %s is carried out: %s", asked.call, name, " ".join(_SAID.findall(text)))
        for word in _WORDS:
            if f'"{word}"' in text:
                self.seen[f"{word}@{asked.call}"] += 1
        self._arrived_at[id(asked)] = self.world.now_s()
        client_sn = self._name(peek(asked.body))
        order = self.world.books.find(client_sn=client_sn)
        if order is not None and asked.call in SUBMITS and client_sn in self._absent_at:
            self.seen["arrived after it was proven absent"] += 1
        self._look(asked.call)

    def end(self, asked: Request) -> None:
        """A request has arrived, or never will."""
        if asked.call in SUBMITS:
            self._under_way[self._name(peek(asked.body))] -= 1

    def answer(self, asked: Request, answer: Response, *, is_true: bool) -> None:
        """Terminald gets an answer to read."""
        client_sn = self._name(peek(asked.body))
        if self._says_paid(client_sn, answer.body.decode(errors="replace")):
            self._said_paid.add(client_sn)
        if is_true:
            self.offers.note_answer(client_sn, asked, answer)
        if _ABSENT in answer.body:
            self._absent_at.setdefault(client_sn, self._arrived_at[id(asked)])
        if b"ILLEGAL_SIGN" in answer.body:
            self._may_repeat.add(client_sn)
        if client_sn in self._looks_open and any(f'"{one}"'.encode() in answer.body for one in _DEAD):
            until_s = self.world.now_s() + RECORDED_S
            self._looks_open[client_sn] = min(self._looks_open[client_sn], until_s)
        self._wake(asked.call, client_sn, is_answer=True)

    def _says_paid(self, client_sn: str, text: str) -> bool:
        order = self.world.books.find(client_sn=client_sn)
        if order is None or '"PAID"' not in text:
            return False
        named, amount = rf'"client_sn ?": ?"{client_sn}"', rf'"total_amount ?": ?"?{order.total_fen}\b'
        return re.search(named, text) is not None and re.search(amount, text) is not None

    def _name(self, fields: object) -> str:
        assert isinstance(fields, dict)
        order = self.world.books.find(sn=fields.get("sn", ""), client_sn=fields.get("client_sn", ""))
        return fields.get("client_sn", "") if order is None else order.client_sn

    # --- the customer at the moment of a message ---------------------------------------------------------------------

    async def passing(self, call: str, qr_content: str, *, is_answer: bool) -> None:
        """Return when the next such request about this QR order has left, or is about to be answered."""
        order = self.order_of_qr(qr_content)
        wait = _Wait(call, is_answer, order.client_sn if order else "", asyncio.Event())
        self._waits.append(wait)
        await wait.passed.wait()

    def _wake(self, call: str, client_sn: str, *, is_answer: bool) -> None:
        for wait in self._waits:
            if (wait.call, wait.client_sn, wait.is_answer) == (call, client_sn, is_answer):
                wait.passed.set()

    def pay(self, qr_content: str) -> bool:
        """The customer pays what they have scanned; False when the gateway does not take it any more."""
        order = self.order_of_qr(qr_content)
        is_given_up = order is not None and order.client_sn in self._given_up
        if not self.world.customer("pay", qr_code=qr_content):
            self.seen["a customer came too late for a QR"] += 1
            return False
        self.seen["a QR was paid while it was being undone" if is_given_up else "a QR was paid"] += 1
        self._look("customer")
        return True

    def order_of_qr(self, content: str) -> Order | None:
        """Return the order behind this QR; none where no QR was ever shown."""
        return next((order for order in self.world.books.orders.values() if content and order.qr_code == content), None)

    # --- judging -----------------------------------------------------------------------------------------------------

    def _judge_submit(self, call: str, client_sn: str, reference: str) -> None:
        if client_sn in self._sale_of and client_sn not in self._may_repeat:
            self.found.append(f"I2: {call} of {client_sn} leaves again")
        for other, sale in self._sale_of.items():
            if sale == reference and other != client_sn and self._may_be_paid(other):
                self.found.append(f"I1: {call} of {client_sn} leaves, and {other} of {sale} is not proven unpaid")
        self._sale_of[client_sn] = reference
        self._under_way[client_sn] += 1

    def _may_be_paid(self, client_sn: str) -> bool:
        """Whether an order can keep money, and was not proven absent before it arrived."""
        self.world.books.advance(self.world.now_s())
        order = self.world.books.find(client_sn=client_sn)
        absent_at = self._absent_at.get(client_sn, math.inf)
        if order is None:
            return self._under_way[client_sn] > 0 and absent_at == math.inf
        if absent_at < order.created_s:
            return False
        return order.net_fen > 0 or order.status not in _DEAD

    def _judge_offer(self, call: str, client_sn: str, asked: Request) -> None:
        if call == "cancel":
            self.found += self.offers.judge_cancel(client_sn)
        elif call == "refund" and peek(asked.body)["refund_request_no"] == UNDO_REQUEST_NO:
            self.found += self.offers.judge_undoing(client_sn)
        elif call == "query":
            self.offers.note_query(client_sn, asked)

    def _judge_return(self, call: str, client_sn: str) -> None:
        """One request about an order's money is under way at a time: its state tells of the latest alone.

        A revoke is of the day of the payment alone.
        """
        if call == "revoke" and self._was_paid_before_today(client_sn) and self.knows_time():
            self.found.append(f"I10: revoke of {client_sn} leaves on another day than that of its payment")
        if client_sn in self._going_back:
            self.found.append(f"I9: {call} of {client_sn} leaves beside a {self._going_back[client_sn]}")
        self._going_back[client_sn] = call
        if self._is_of_yesterday(client_sn):
            self.seen["midnight passed before money went back"] += 1

    def _judge_refund(self, client_sn: str, number: str, amount: int) -> None:
        self.world.books.advance(self.world.now_s())
        before = self._refunds.get((client_sn, number), amount)
        self._refunds[client_sn, number] = amount
        order = self.world.books.find(client_sn=client_sn)
        # What was to go back whole is the rest, where a part went back meanwhile.
        is_rest = order is not None and amount == order.net_fen < before
        if before != amount and not is_rest:
            self.found.append(f"I9: refund {number} of {client_sn} is asked for with {amount} after {before}")
        if order is None or number in order.refunds or order.status in _DEAD or number == UNDO_REQUEST_NO:
            return
        if amount > order.net_fen:
            self.found.append(f"I9: refund {number} of {client_sn} asks for {amount} of {order.net_fen}")

    def _look(self, cause: str) -> None:
        """I1: of the orders of one sale one is kept at most, and every other one that was paid is being undone."""
        paid: dict[str, list[str]] = {}
        for order in self.world.books.orders.values():
            if order.paid_fen and order.client_sn not in self._paid:
                self._paid.add(order.client_sn)
                if cause == "cancel":
                    self.seen["paid in the moment of a cancel"] += 1
            if order.net_fen > 0:
                paid.setdefault(order.fields["subject"], []).append(order.client_sn)
        for sale, names in paid.items():
            states = [self._state_of(name) for name in names]
            if None not in states and sum(state not in _UNDOING for state in states) > 1:
                words = [state.value for state in states if state]
                self.found.append(f"I1: two orders of {sale} are paid: {words}")

    def judge_committed(self, batch: Batch) -> None:
        """I1: one order of a sale is begun at a time. I5: a refund that is refused for now calls a person. I9: what is
        done was carried out by itself.
        """
        for begun in batch.attempts:
            if begun.state in _BEGUN:
                self._judge_begun(begun, batch)
        for one in batch.refunds:
            if one.state is RefundState.BLOCKED and one.attention is None:
                self.found.append(f"I5: {one.id} is blocked, and no person was called")
            order = self.world.books.find(client_sn=one.client_sn)
            is_done = one.state is RefundState.DONE and one.kind is RefundKind.REFUND and one.amount
            if is_done and order is not None and one.request_no not in order.refunds:
                self.found.append(f"I9: {one.id} of {one.amount} is done, and never was carried out")

    def _judge_begun(self, begun: Attempt, batch: Batch) -> None:
        """I1: by what terminald itself knows, every other order of the sale is unpaid when one is begun."""
        (sale,) = (one for one in batch.sales if one.id == begun.sale_id)
        states = {one.client_sn: one.state for one in batch.attempts}
        for other in sale.attempts:
            state = states.get(other) or self._state_of(other)
            if other != begun.client_sn and state is not None and not state.is_unpaid:
                self.found.append(f"I1: {begun.client_sn} is begun, and {other} is {state.value}")

    def judge_told(self, sale: dict[str, object], what: str, fast_s: float) -> None:
        """Judge what the host is told of a sale, at that moment, by a clock that is fast by so much."""
        self.world.books.advance(self.world.now_s())
        reference = sale["reference"]
        names = (reference, sale["subject"])
        orders = [order for order in self.world.books.orders.values() if order.fields["subject"] in names]
        paid, returned, state, qr = sale["paid"], sale["returned"], sale["state"], sale["qr"]
        assert isinstance(paid, int)
        assert isinstance(returned, int)
        if paid and max((order.paid_fen for order in orders), default=0) != paid:
            self.found.append(f"I4: {reference} is told paid {paid} ({what}), and nothing was taken")
        if paid and not any(order.client_sn in self._said_paid for order in orders):
            self.found.append(f"I4: {reference} is told paid {paid} ({what}), and the gateway never said so")
        if returned > sum(order.refunded_fen for order in orders if order.client_sn in _paying(sale)):
            self.found.append(f"I4: {reference} is told returned {returned} ({what}), and less has gone back")
        if state == "canceled" and any(self._may_be_paid(order.client_sn) for order in orders):
            self.found.append(f"I3: {reference} is told canceled ({what}), and an order of it can be paid")
        if isinstance(qr, dict):
            self._judge_shown(str(reference), str(state), str(qr["content"]), what)
            self.found += self.offers.note_shown(str(reference), str(qr["content"]), str(qr["expires_at"]), fast_s)
        self._judge_alarm(sale, what)

    def _judge_alarm(self, sale: dict[str, object], what: str) -> None:
        """What a person is called for is true of the sale that is shown with it."""
        alarm, goods, state = sale["attention"], sale["delivery"], sale["state"]
        assert isinstance(goods, dict)
        code = alarm["code"] if isinstance(alarm, dict) else ""
        is_out = goods["state"] == "delivered" and state in ("returning", "returned")
        is_awaited = goods["state"] == "overdue" and state in ("paid", "returning")
        if (code == "delivered_and_returned" and not is_out) or (code == "delivery_overdue" and not is_awaited):
            self.found.append(f"alarm: {code} ({what}), and it is {state}, {goods['state']}")

    def _judge_shown(self, reference: str, state: str, content: str, what: str) -> None:
        order = self.order_of_qr(content)
        if state != "awaiting_payment":
            self.found.append(f"QR: {reference} shows one while it is {state} ({what})")
        if order is None or self._is_known_given_up(order.client_sn):
            self.found.append(f"QR: {reference} shows one that was given up ({what})")

    def _is_known_given_up(self, client_sn: str) -> bool:
        return client_sn in self._given_up and self.world.now_s() >= self._looks_open.get(client_sn, 0.0)


def _is_given_up(attempt: Attempt) -> bool:
    """Whether it is being undone, or about to be, for a code that the process which held it took with it."""
    is_yielding = attempt.state is AttemptState.POLLING and attempt.is_yielding
    return is_yielding or attempt.state is AttemptState.REVERSING


def _paying(sale: dict[str, object]) -> set[str]:
    attempts = sale["attempts"]
    assert isinstance(attempts, list)
    return {one["client_sn"] for one in attempts if one["outcome"] == "paid"}


def sale_of(body: bytes) -> dict[str, object]:
    """Return a sale as the host reads it."""
    sale: dict[str, object] = json.loads(body)
    return sale
