"""One line of the log for each transition: who, from which state to which, by what, and how long it had lasted."""

import logging
from collections.abc import Iterable
from typing import Final

from terminald.adapters.ports import Entry
from terminald.core.events import Fault
from terminald.core.ids import Instant
from terminald.core.stimuli import Record
from terminald.logs import Fields, log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: Subjects whose last change is remembered: more than are ever open at once. Of one that was forgotten no time is said.
MAX_SUBJECTS: Final = 1000

_IDS: Final = {
    "sale": LogId.SALE_CHANGED,
    "attempt": LogId.ATTEMPT_CHANGED,
    "refund": LogId.REFUND_CHANGED,
    "vend": LogId.VEND_CHANGED,
    "print": LogId.PRINT_CHANGED,
    "key": LogId.KEY_CHANGED,
}


class TransitionLog:
    """Tells what was committed. Never what it was about: no amount, reference, text or code."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], Instant] = {}

    def take(self, entries: Iterable[Entry], at: Instant) -> None:
        """Log what one commit has put on record."""
        for entry in entries:
            self.tell(entry.record, at)

    def tell(self, record: Record, at: Instant, *, key_version: int | None = None, fault: Fault | None = None) -> None:
        """Log one record; what is no transition has a line of its own. Fault is what an answer complained of."""
        fields = _who(record)
        if fault is not None:
            fields |= {"code": fault.code, "detail": fault.message}
        if record.kind == "attention":
            is_closed = record.cause == "AttentionClosed"
            fields["code"] = record.before if is_closed else record.after
            log_event(_log, LogId.ATTENTION_CLOSED if is_closed else LogId.ATTENTION_RAISED, **fields)
        elif log_id := _IDS.get(record.kind):
            fields |= {"from_state": record.before, "to_state": record.after, "event": record.cause}
            fields |= {"key_version": key_version, "elapsed_ms": self._elapsed(record, at)}
            log_event(_log, log_id, **fields)

    def _elapsed(self, record: Record, at: Instant) -> int | None:
        """Return how long the state before had lasted, in ms; None where that is not known."""
        # The key is one, whatever its number.
        who = (record.kind, "" if record.kind == "key" else record.subject)
        since = self._since.get(who)
        if record.before != record.after:
            self._since.pop(who, None)
            self._since[who] = at
            if len(self._since) > MAX_SUBJECTS:
                self._since.pop(next(iter(self._since)))
        return None if since is None else at - since


def _who(record: Record) -> Fields:
    fields = Fields(sale=record.sale_id) if record.sale_id else Fields()
    match record.kind:
        case "attempt":
            fields["client_sn"] = record.subject
        case "refund":
            fields["refund"] = record.subject
        case "print":
            fields["job"] = record.subject
    return fields
