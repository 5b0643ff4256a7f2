"""Is the gateway there, and does it accept our key? Asked before a customer has to find out."""

import asyncio
import logging
from collections.abc import Callable

from terminald.adapters.ports import CLOCK_FAULT, HELD_BACK, Clock, Gateway, LinkReport, LinkState
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    Fault,
    OutcomeUnknown,
    QueryFailed,
    RequestNotSent,
    RequestRefused,
)
from terminald.core.ids import WallTime
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: An idle link is proven this often, so that an unplugged cable is known before the next customer comes.
IDLE_S = 300.0
#: A link that is not proven is tried again after 2 s, then 4, 8 … at the longest after this.
RETRY_FIRST_S = 2.0
RETRY_LONGEST_S = 60.0

_NOT_ASKED = Fault(code="not_asked", message="not asked yet")


class LinkMonitor:
    """Keeps what the last exchanges said about the link."""

    def __init__(
        self, gateway: Gateway, clock: Clock, *, jitter: Callable[[], float], on_change: Callable[[], None]
    ) -> None:
        """On_change is called when what the properties say changes, the key is refused, or a probe is accepted."""
        self._gateway = gateway
        self._clock = clock
        self._jitter = jitter
        self._on_change = on_change
        self._report = LinkReport(state=LinkState.DOWN, fault=_NOT_ASKED)
        self._wanted = asyncio.Event()
        self.last_answer_at: WallTime | None = None

    @property
    def is_reachable(self) -> bool:
        """Whether the last exchange had an answer."""
        return self._report.state is not LinkState.DOWN

    @property
    def is_proven(self) -> bool:
        """Whether the last exchange was accepted."""
        return self._report.state is LinkState.PROVEN

    @property
    def is_key_refused(self) -> bool:
        """Whether the gateway refuses every key that we hold."""
        return self._report.state is LinkState.KEY_REFUSED

    @property
    def is_terminal_refused(self) -> bool:
        """Whether the gateway refuses this terminal, whatever its key."""
        return self._report.state is LinkState.TERMINAL_REFUSED

    @property
    def is_clock_in_the_way(self) -> bool:
        """Whether the last exchange failed because this machine's clock is wrong."""
        fault = self._report.fault
        return not self.is_reachable and fault is not None and fault.code == CLOCK_FAULT

    def prove(self) -> None:
        """Ask now: a sale has opened, and the connection should be warm when its code comes; or the clock was set."""
        self._wanted.set()

    def note(self, answer: Answer) -> None:
        """Learn from an exchange that was made anyway."""
        if answer.fault is not None and answer.fault.code == HELD_BACK:
            return  # nobody was asked
        if isinstance(answer, RequestNotSent):
            self._take(LinkReport(state=LinkState.DOWN, fault=answer.fault))
            self._wanted.set()
        elif isinstance(answer, OutcomeUnknown | QueryFailed | RequestRefused | AnswerMismatched):
            self._wanted.set()
        else:
            self._take(LinkReport(state=LinkState.PROVEN))

    async def run(self) -> None:
        """Probe for ever."""
        tries = 0
        while True:
            self._wanted.clear()
            self._take(await self._gateway.probe(), is_probe=True)
            is_good = self._report.state is LinkState.PROVEN
            tries = 0 if is_good else tries + 1
            wait = IDLE_S if is_good else min(RETRY_LONGEST_S, RETRY_FIRST_S * 2 ** min(tries - 1, 8))
            try:
                async with asyncio.timeout(wait * (1 + self._jitter() / 4)):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    def _take(self, report: LinkReport, *, is_probe: bool = False) -> None:
        if report.state is not LinkState.DOWN:
            self.last_answer_at = self._clock.now().wall
        before, self._report = self._report, report
        if _kind(report) != _kind(before):
            level = logging.INFO if report.state is LinkState.PROVEN else logging.WARNING
            fault = report.fault
            log_event(
                log,
                LogId.LINK_CHANGED,
                level=level,
                from_state=before.state.value,
                to_state=report.state.value,
                code=fault.code if fault else None,
                detail=fault.message if fault else None,
            )
            self._on_change()
        elif self.is_key_refused or (is_probe and self.is_proven):
            self._on_change()


def _kind(report: LinkReport) -> tuple[LinkState, str]:
    """Return what is told when it changes. A network that comes back may show that the clock is wrong."""
    code = report.fault.code if report.fault else ""
    return report.state, code if code in (_NOT_ASKED.code, CLOCK_FAULT) else ""
