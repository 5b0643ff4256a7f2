"""What a QR promises, judged by the gateway's books: a payment that is made before the end that was shown counts.

Whoever ends a sale early (the host, a shutdown, a power cut) ends the promise with it; a code that is presented beside
the QR does from that moment on. But what turns out to be paid is kept, also then, where nothing may undo it any more.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field

from terminald.simulator.gateway import GatewayWorld, Request, Response

#: The end that is shown is computed anew each time, from clocks that are read in whole milliseconds.
_ROUNDING_S = 0.004


@dataclass(slots=True)
class _Promise:
    reference: str
    until_s: float
    codes_at: list[float] = field(default_factory=list)
    is_ended: bool = False
    #: Whether the power failed since it was shown: its end is late by as long as it was off, which nobody knows.
    is_late: bool = False
    #: Whether somebody has ended the sale, or terminald was started again after it had cancelled the order.
    is_withdrawn: bool = False
    #: When each cancel left, or would have, and how many were truly answered with a refusal.
    cancels_at: list[float] = field(default_factory=list)
    refusals: int = 0
    #: Questions about it, each with the time at which it left, and the last one that was truly answered with PAID.
    asked: list[tuple[float, Request]] = field(default_factory=list)
    told_paid: Request | None = None


class Offers:
    """Every QR that was ever shown."""

    def __init__(self, world: GatewayWorld) -> None:
        self._world = world
        self._shown: dict[str, _Promise] = {}

    # --- what happens ------------------------------------------------------------------------------------------------

    def note_shown(self, reference: str, content: str, expires_at: str, fast_s: float) -> list[str]:
        """The host is told until when a QR can be paid, by a clock that is fast; return what is wrong."""
        until_s = dt.datetime.fromisoformat(expires_at).timestamp() - fast_s
        client_sn = next(one.client_sn for one in self._world.books.orders.values() if one.qr_code == content)
        known = self._shown.setdefault(client_sn, _Promise(reference, until_s))
        is_later = known.is_late and until_s > known.until_s
        if abs(known.until_s - until_s) > _ROUNDING_S and not is_later:
            return [f"QR: {reference} shows its end at {until_s:.3f} after {known.until_s:.3f}"]
        return []

    def end_at(self, content: str) -> float:
        """Return when the QR with this content ends, on the gateway's clock."""
        order = next(one for one in self._world.books.orders.values() if one.qr_code == content)
        return self._shown[order.client_sn].until_s

    def end(self, reference: str) -> None:
        """Somebody ends this sale."""
        for one in self._of(reference):
            one.is_ended = one.is_withdrawn = True

    def end_all(self) -> None:
        """Whoever stands before the terminal is sent away."""
        for one in self._shown.values():
            one.is_ended = one.is_withdrawn = True

    def fail_power(self) -> None:
        """The board was off, nobody knows for how long."""
        self.end_all()
        for one in self._shown.values():
            one.is_late = True

    def restart(self, undone: Collection[str]) -> None:
        """Nobody knows any more what became of the cancels that left; what is given up on disk stays so."""
        for client_sn, one in self._shown.items():
            one.is_withdrawn = one.is_withdrawn or bool(one.cancels_at) or client_sn in undone

    def yield_to_code(self, reference: str | None) -> None:
        """A code is presented, for this sale or for whichever is open: a payment from now on comes too late."""
        for one in self._shown.values() if reference is None else self._of(reference):
            one.codes_at.append(self._world.now_s())

    def note_query(self, client_sn: str, asked: Request) -> None:
        """A question leaves, or would if there were a link."""
        if promise := self._shown.get(client_sn):
            promise.asked.append((self._world.now_s(), asked))

    def note_answer(self, client_sn: str, asked: Request, answer: Response) -> None:
        """A question, or a cancel, is truly answered."""
        promise = self._shown.get(client_sn)
        if promise and asked.call == "query" and b'"PAID"' in answer.body:
            promise.told_paid = asked
        if promise and asked.call == "cancel" and b"UPAY_CANCEL_INVALID_ORDER_STATE" in answer.body:
            promise.refusals += 1

    def _of(self, reference: str) -> list[_Promise]:
        return [one for one in self._shown.values() if one.reference == reference]

    # --- judging -----------------------------------------------------------------------------------------------------

    def judge_cancel(self, client_sn: str) -> list[str]:
        """A cancel leaves, or would if there were a link; return what is wrong.

        What was paid in time is cancelled only where every question since then was without a true answer. With the
        first cancel the order is given up for good.
        """
        promise, order = self._shown.get(client_sn), self._world.books.find(client_sn=client_sn)
        if promise is not None:
            promise.cancels_at.append(self._world.now_s())
        if promise is None or order is None or promise.is_ended:
            return []
        promise.is_ended = True
        if not order.net_fen:
            return []
        paid_s = order.transactions[0].finished_s
        if paid_s is None or paid_s >= promise.until_s or any(at <= paid_s for at in promise.codes_at):
            return []
        asked = [request for at, request in promise.asked if at >= paid_s]
        if not asked:
            return [f"QR: {client_sn} was paid {promise.until_s - paid_s:.3f} s before its end, and nobody asked"]
        if promise.told_paid is asked[-1]:
            return [f"QR: {client_sn} was paid {promise.until_s - paid_s:.3f} s before its end, and known to be"]
        return []

    def judge_undoing(self, client_sn: str) -> list[str]:
        """A refund leaves that undoes a QR order, or would if there were a link; return what is wrong.

        What was cancelled before its end, and was not withdrawn, yields to a code. It turned out to be paid, and its
        only cancel was refused: it pays the sale.
        """
        promise = self._shown.get(client_sn)
        if promise is None or promise.is_withdrawn or promise.told_paid is None:
            return []
        is_refused = len(promise.cancels_at) == promise.refusals == 1
        is_paid = promise.told_paid is promise.asked[-1][1] and promise.asked[-1][0] >= promise.cancels_at[-1]
        if is_refused and is_paid and self._world.now_s() < promise.until_s:
            return [f"QR: {client_sn} was paid beside a cancel that was refused, and its money goes back"]
        return []
