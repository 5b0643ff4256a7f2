"""A terminal against a gateway with books: every commit is judged by what became of the money."""

from dataclasses import dataclass

from terminald.core.attempt_table import AttemptState
from terminald.core.commands import GatewayCommand, OfferOrder, RefundOrder, SubmitPayment
from terminald.core.events import Answer
from terminald.core.ids import ClientSn, Instant
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.sale_table import SaleState
from terminald.core.schedule import Rules
from terminald.core.stimuli import Advance
from tests.core.gateway_model import Gateway, Order, Pick
from tests.core.machine_builders import RULES
from tests.core.terminal_world import Terminal


@dataclass(frozen=True, slots=True, eq=False)
class Late:
    """A request that is held up on its way, until then at the longest."""

    command: GatewayCommand
    until: Instant


class World(Terminal):
    """One terminal and its gateway."""

    def __init__(self, rules: Rules = RULES) -> None:
        """Begin at noon with nothing."""
        super().__init__(rules)
        self.gateway = Gateway()
        #: Requests that nobody waits for any more, and that may arrive late.
        self.delayed: list[Late] = []

    def let_arrive(self, late: Late, pick: Pick) -> None:
        """Carry a delayed request out, unless no network would have held it for so long."""
        command, state = late.command, self.attempts[late.command.client_sn].state
        if isinstance(command, SubmitPayment | OfferOrder):
            is_lost = state.is_final or state is AttemptState.LAST_LOOK
        else:
            is_lost = self.now.instant >= late.until
        if not is_lost:
            self.gateway.carry_out(command, pick, self.now)

    # --- what is checked at a commit ---------------------------------------------------------------------------------

    def note(self, done: Advance) -> None:
        """Keep what was committed; whoever is told to have paid has paid."""
        told = [sale for sale in done.sales if sale.paid and not (sale.id in self.sales and self.sales[sale.id].paid)]
        super().note(done)
        for sale in told:
            (paid,) = (one for one in done.attempts if one.sale_id == sale.id and one.state is AttemptState.PAID)
            order = self.gateway.orders[paid.client_sn]
            assert (order.state, order.kept + order.elsewhere) == ("paid", sale.paid), "I4"

    def check_request(self, command: GatewayCommand, done: Advance) -> None:
        """I1, I9: by the gateway's own books as well."""
        super().check_request(command, done)
        if isinstance(command, RefundOrder):
            self.check_refund(command)
        if isinstance(command, SubmitPayment | OfferOrder):
            for client_sn in self.sales[self.attempts[command.client_sn].sale_id].attempts:
                order = self.gateway.orders.get(client_sn)
                is_over = order is None or (order.kept == 0 and order.state != "open")
                assert is_over or (client_sn in self.watched and not self.is_confirmed(client_sn)), "I1"

    def is_confirmed(self, client_sn: ClientSn) -> bool:
        """Whether the terminal has heard of the gateway that it has this order."""
        attempt = self.attempts[client_sn]
        return bool(attempt.facts.sn or attempt.qr_content)

    def check_refund(self, command: RefundOrder) -> None:
        """I9: never more than what is left is asked for, by all that the terminal itself can know."""
        order = self.gateway.orders[command.client_sn]
        assert 0 < command.refund_amount <= order.amount
        mine = [one for one in self.refunds.values() if one.client_sn == command.client_sn]
        done = sum(
            order.refunds.get(one.request_no, 0)
            for one in mine
            if one.state is RefundState.DONE and one.request_no != command.request_no
        )
        assert done + command.refund_amount <= order.amount
        assert not any(one.state is RefundState.DONE and one.kind is not RefundKind.REFUND for one in mine), (
            "all is back"
        )

    # --- the end -----------------------------------------------------------------------------------------------------

    def settle_with(self, pick: Pick) -> None:
        """Let what is delayed arrive, and the gateway help; then everything ends, and the books are right."""
        for order in self.gateway.orders.values():
            order.has_error, order.is_hidden, order.policy = False, False, ""
        for late in self.delayed:
            self.let_arrive(late, pick)
        self.delayed = []
        self.settle()

    def help_with(self, command: GatewayCommand) -> Answer:
        """Carry it out."""
        return self.gateway.carry_out(command, lambda _: 0, self.now)

    def check_end(self) -> None:
        """I1, I3, I4, I9: what the host was told is what the gateway's books say."""
        super().check_end()
        for sale in self.sales.values():
            for client_sn in sale.attempts:
                order = self.gateway.orders.get(client_sn)
                if order is None:
                    continue
                assert 0 <= order.returned <= order.paid <= order.amount, "I9"
                is_kept = self.attempts[client_sn].state is AttemptState.PAID and sale.state is SaleState.COMPLETED
                told = sale.paid - sale.returned - order.elsewhere if is_kept else 0
                assert order.kept == told or sale.id in self.closed_by_hand, (sale, order)
        for refund in self.refunds.values():
            if refund.client_sn in self.gateway.orders:
                self.check_told(refund, self.gateway.orders[refund.client_sn])

    def check_told(self, refund: Refund, order: Order) -> None:
        """I9: what is told of a refund is what this refund has moved; a revoke has no number in the books."""
        moved = order.refunds.get(refund.request_no, 0)
        if refund.state is RefundState.REFUSED:
            assert not moved, (refund, order)
        if refund.state is RefundState.DONE and refund.kind is RefundKind.REFUND:
            # Of the last part the order's state is the proof: it can not tell who else gave it back.
            assert moved == refund.amount or (not order.kept and order.elsewhere), (refund, order)
