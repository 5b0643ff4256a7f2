"""What the engine does for callers with the money and the goods of a paid sale."""

from terminald.core.book import SaleView, with_view
from terminald.core.events import Event
from terminald.core.ids import RefundId
from terminald.core.ledger import paid_order
from terminald.core.money import Fen, format_yuan
from terminald.core.refund import Asked, may_revoke
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.return_events import Delivered, PartUndelivered, Undelivered
from terminald.core.sale_table import DeliveryState, Sale, SaleState
from terminald.core.stimuli import AskRefund, CloseAttention, ToSale
from terminald.core.vend_table import VendState
from terminald.engine import Engine
from terminald.errors import ApiError, IllegalTransition

_VOID = frozenset({RefundState.REFUSED, RefundState.CLOSED})


class Returns:
    """Every method is called within the engine's loop, with the sale as it is known there."""

    def __init__(self, engine: Engine) -> None:
        """Engine owns the book."""
        self._engine = engine

    async def deliver(self, found: SaleView) -> None:
        """Take the report that the goods came out. Repeated, it changes nothing.

        Raises:
            IllegalTransition: none is expected of this sale.
        """
        if found.sale.delivery is not DeliveryState.DELIVERED:
            _expect_report(found, "Delivered")
            await self._tell(found, Delivered())

    async def undeliver(self, found: SaleView, amount: Fen | None) -> None:
        """Take the report that nothing came out, or goods of this worth did not. Repeated, it changes nothing.

        The amount is owed beside whatever the host gives back by itself: what is left decides, not what is free. While
        a return of the host's own is under way, another amount corrects what was reported before.

        Raises:
            IllegalTransition: none is expected of this sale.
            ApiError: refund_too_much.
        """
        if _is_known(found, amount):
            return
        _expect_report(found, "Undelivered")
        left = Fen(found.sale.paid - found.sale.returned)
        if amount is not None and amount > left:
            raise _too_much(left)
        event: Event = Undelivered()
        if amount is not None and amount < left:
            event = PartUndelivered(amount=amount)
        await self._tell(found, event)

    async def refund(self, found: SaleView, reference: str, amount: Fen | None) -> RefundId:
        """Give an amount back, or all that is left.

        Raises:
            ApiError: not_paid, nothing_left, refund_too_much, refund_conflict.
        """
        for known in found.refunds:
            if known.reference == reference:
                if amount not in (None, known.amount):
                    raise ApiError("refund_conflict", f"refund {known.id} has this reference and another amount")
                return known.id
        _expect_left(found)
        if amount is not None and amount > found.returnable:
            raise _too_much(found.returnable)
        asked = Asked(kind=RefundKind.REFUND, amount=amount or found.returnable, reference=reference)
        return await self._ask(found, asked)

    async def revoke(self, found: SaleView) -> RefundId:
        """Give the whole payment back, on the day on which it was made and before any refund. Repeated: the same one.

        Raises:
            ApiError: not_paid, nothing_left, revoke_impossible.
        """
        for known in found.refunds:
            if known.kind is RefundKind.REVOKE and known.state not in _VOID:
                return known.id
        _expect_left(found)
        if found.returnable != found.sale.paid:
            raise ApiError("revoke_impossible", "money of this sale has gone back already: refund the rest")
        if not may_revoke(paid_order(found), found.returnable, self._engine.world.clock.now(), self._engine.rules):
            raise ApiError("revoke_impossible", "the business day of this payment is over: refund it")
        return await self._ask(found, Asked(kind=RefundKind.REVOKE, amount=found.sale.paid))

    async def close_attention(self, found: SaleView, reason: str) -> None:
        """Note that a person has looked, and why it is settled.

        Raises:
            ApiError: no_attention.
        """
        if found.attention is None:
            raise ApiError("no_attention", f"nothing about sale {found.sale.id} waits for a person")
        self._engine.book = with_view(self._engine.book, found)
        await self._engine.apply(CloseAttention(sale_id=found.sale.id, reason=reason))

    async def _tell(self, found: SaleView, event: Event) -> None:
        self._engine.book = with_view(self._engine.book, found)
        await self._engine.apply(ToSale(sale_id=found.sale.id, event=event))

    async def _ask(self, found: SaleView, asked: Asked) -> RefundId:
        self._engine.book = with_view(self._engine.book, found)
        done = await self._engine.apply(AskRefund(sale_id=found.sale.id, asked=asked))
        return done.refunds[0].id


def _is_known(found: SaleView, amount: Fen | None) -> bool:
    """Whether this has been reported already, or all of the money goes back anyway."""
    sale = found.sale
    if sale.state is SaleState.RETURNED and sale.order.reports_delivery:
        return True
    if sale.delivery is not DeliveryState.UNDELIVERED:
        return False
    if sale.state is SaleState.RETURNING:
        return not sale.is_return_owed or _is_owed_beside(sale, amount)
    return any(_is_owed_by(one, amount) for one in found.refunds)


def _is_owed_beside(sale: Sale, amount: Fen | None) -> bool:
    """Whether this is what was reported last beside a return of the host's own: a report may correct the one before."""
    if amount is None or sale.part_owed is not None:
        return amount == sale.part_owed
    return amount >= sale.paid - sale.returned


def _is_owed_by(refund: Refund, amount: Fen | None) -> bool:
    """Whether a refund gives back what this report says, or all that was left of it."""
    if amount is None:
        return refund.is_owed and refund.kind is RefundKind.RETURN
    return refund.is_owed and (refund.amount == amount or refund.amount == refund.left < amount)


def _expect_report(found: SaleView, report: str) -> None:
    sale = found.sale
    if found.vend is not None and found.vend.state is not VendState.UNKNOWN:
        # The machine reports, as long as there is hope for its word.
        raise IllegalTransition(sale.state.shown, report)
    is_closed = sale.state is SaleState.COMPLETED and sale.delivery is DeliveryState.CLOSED
    is_after = sale.state is SaleState.RETURNED and report == "Delivered"
    if report == "Undelivered" and sale.delivery is DeliveryState.DELIVERED:
        raise IllegalTransition(sale.state.shown, report)
    is_awaited = sale.state in (SaleState.PAID, SaleState.RETURNING) or is_closed or is_after
    if not sale.order.reports_delivery or not is_awaited:
        raise IllegalTransition(sale.state.shown, report)


def _expect_left(found: SaleView) -> None:
    if not found.sale.paid:
        raise ApiError("not_paid", f"sale {found.sale.id} is {found.sale.state.shown}: there is nothing to give back")
    if not found.returnable:
        raise ApiError("nothing_left", "all of the payment has gone back, or is on its way back")


def _too_much(most: Fen) -> ApiError:
    return ApiError("refund_too_much", f"at most {format_yuan(most)} yuan ({most} fen) can go back", field="amount")
