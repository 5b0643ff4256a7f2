"""Any history of customers, hosts, answers, waits and restarts keeps the invariants of money.

Whatever is answered, by a gateway that contradicts itself as well: nothing that can happen is illegal (that would end
the daemon), nothing open is forgotten (I5), nothing is submitted twice or beside what is not proven unpaid (I1, I2),
and the host is told what the attempts and refunds prove (I3, I4). The test's terminal checks that at every commit.
"""

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from terminald.core import events
from terminald.core.commands import QueryOrder
from terminald.core.events import Fault, OrderFacts
from terminald.core.money import Fen
from terminald.core.stimuli import ToAttempt
from tests.core.gateway_model import BALANCE, FORBIDDEN, Pick
from tests.core.host_moves import HOST_MOVES, TerminalMove, kill, may_tell, open_sale, scan
from tests.core.machine_builders import AMOUNT, COMPLETIONS, make_answer
from tests.core.terminal_world import Terminal

picks = st.integers(0, 10**6)
facts = st.builds(
    OrderFacts,
    net_amount=st.none() | st.sampled_from([AMOUNT, Fen(250), Fen(100), Fen(1)]),
    client_tsn=st.sampled_from(["", "t-1-r1"]),
    finish_time=st.sampled_from(["", "1714536000000", "soon"]),
)
faults = st.none() | st.sampled_from([BALANCE, FORBIDDEN]).map(lambda code: Fault(code=code, message=""))


def digits(number: int) -> Pick:
    """Pick by the digits of a number: a smaller number is a simpler history."""
    left = number

    def pick(of: int) -> int:
        nonlocal left
        left, picked = divmod(left, of)
        return picked

    return pick


class Histories(RuleBasedStateMachine):
    """The engine's part is played: one stimulus at a time, performed after its commit."""

    def __init__(self) -> None:
        super().__init__()
        self.terminal = Terminal()

    @precondition(lambda self: self.terminal.in_flight)
    @rule(which=picks, kind=picks, says=facts, fault=faults)
    def the_gateway_answers(self, which: int, kind: int, says: OrderFacts, fault: Fault | None) -> None:
        flight = self.terminal.in_flight.pop(which % len(self.terminal.in_flight))
        kinds = COMPLETIONS[type(flight.command)]
        self.terminal.complete(flight.command, make_answer(kinds[kind % len(kinds)], says, fault))

    @precondition(lambda self: self.terminal.in_flight)
    @rule(which=picks)
    def the_gateway_helps(self, which: int) -> None:
        """Without it hardly any history comes to a payment and its return."""
        flight = self.terminal.in_flight.pop(which % len(self.terminal.in_flight))
        kinds = COMPLETIONS[type(flight.command)]
        self.terminal.complete(flight.command, make_answer(kinds[0]))

    @rule(number=picks)
    def something_is_sold(self, number: int) -> None:
        """The same, from the opening to the payment."""
        open_sale(self.terminal, digits(number))
        scan(self.terminal, digits(number))
        for flight in list(self.terminal.in_flight):
            self.terminal.in_flight.remove(flight)
            self.terminal.complete(flight.command, make_answer(COMPLETIONS[type(flight.command)][0]))

    @precondition(lambda self: self.terminal.committed.attempts)
    @rule(which=picks, kind=st.sampled_from(COMPLETIONS[QueryOrder]), says=facts)
    def a_person_asks_the_gateway(self, which: int, kind: type[events.Answer], says: OrderFacts) -> None:
        """The answer is used where the desk uses it, under the token that the attempt has already."""
        attempts = list(self.terminal.committed.attempts.values())
        attempt, answer = attempts[which % len(attempts)], make_answer(kind, says)
        if may_tell(attempt, answer):
            self.terminal.take_up(attempt.sale_id)
            self.terminal.apply(ToAttempt(client_sn=attempt.client_sn, event=answer))

    def teardown(self) -> None:
        """I5: with a gateway that helps, everything ends, and the book is empty when the codes are dead."""
        self.terminal.settle()


def taking(move: TerminalMove) -> Callable[[Histories, int], None]:
    """Return the rule that makes this move."""

    def take(self: Histories, number: int) -> None:
        move(self.terminal, digits(number))

    take.__name__ = move.__name__
    return take


for each in dict.fromkeys((*HOST_MOVES, kill)):
    setattr(Histories, each.__name__, rule(number=picks)(taking(each)))

TestHistories = Histories.TestCase
TestHistories.settings = settings(deadline=None, max_examples=300, stateful_step_count=60)
