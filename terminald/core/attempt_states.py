"""What an attempt is: its states, and its snapshot."""

from dataclasses import dataclass
from enum import Enum

from terminald.core.events import Fault, OrderFacts
from terminald.core.ids import ClientSn, Instant, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.tables import Attention


class AttemptState(Enum):
    """Each with the money that may have moved, and what the customer sees."""

    HELD = "held"  # none: nothing was sent; waits until another order is undone. "One moment"
    SUBMITTING = "submitting"  # unknown: the pay request may have left. "One moment"
    ABANDONING = "abandoning"  # unknown: as above, and nobody wants it any more. "Not paid"
    OFFERING = "offering"  # unknown: the pre-create may have left. "One moment"
    OFFERED = "offered"  # unknown: the customer may scan at any time. The QR
    POLLING = "polling"  # unknown: the gateway has it, or nobody knows; a QR: was it paid? "Confirm on your phone"
    REVERSING = "reversing"  # unknown: a cancel may have run. "If you were charged it comes back"
    PROVING = "proving"  # unknown: a cancel had no clear answer, or a refund was refused; a query decides. As above
    SETTLING = "settling"  # unknown: cancel refused, or a refund had no clear answer; a query decides. As above
    REFUNDING = "refunding"  # taken, and on its way back. As above
    WATCHING = "watching"  # none that the gateway knows of; could still arrive. As when closed
    LAST_LOOK = "last_look"  # the same, before it is closed for good. As when closed
    PAID = "paid"  # taken, proven
    DECLINED = "declined"  # none, proven
    REVERSED = "reversed"  # none kept, proven; or never seen and looked up for long enough
    UNSENT = "unsent"  # none: nothing left the device

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in FINAL

    @property
    def is_unpaid(self) -> bool:
        """Whether no payment is known and none is under way: the next attempt may be submitted (I1)."""
        return self in UNPAID


FINAL = frozenset({AttemptState.PAID, AttemptState.DECLINED, AttemptState.REVERSED, AttemptState.UNSENT})
UNPAID = frozenset((FINAL - {AttemptState.PAID}) | {AttemptState.WATCHING, AttemptState.LAST_LOOK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A snapshot. Complete: what happens next follows from it and the next event alone."""

    client_sn: ClientSn
    sale_id: SaleId
    kind: str  # "scan" | "qr"
    amount: Fen
    operator: str
    code_masked: str
    code_digest: str
    state: AttemptState
    token: int
    facts: OrderFacts
    fault: Fault | None
    started: Instant
    started_at: WallTime
    ended_at: WallTime | None
    #: When the gateway should have become final.
    window_ends: Instant
    #: When to ask again; None while a completion is awaited.
    retry: Instant | None
    #: Waits since the undoing or the last look began: what the back-off grows with.
    tries: int
    #: Whether the last request had no usable answer.
    is_unanswered: bool
    undoing_since: Instant | None
    looks: tuple[Instant, ...]
    attention: Attention | None
    #: What the customer scans; empty but in a QR order that was offered.
    qr_content: str = ""
    #: The codes of what a person has closed: they are not raised again.
    attention_closed: tuple[str, ...] = ()
    #: Whether it is a QR that is undone for a presented code alone, and its payment would still stand: no cancel of it
    #: may be on its way. A restart ends that.
    is_yielding: bool = False
