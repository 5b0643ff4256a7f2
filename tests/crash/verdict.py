"""What the journal, the gateway's books and everything that the host was told have to do with each other."""

from pathlib import Path
from typing import Final

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.core.attempt_states import AttemptState
from terminald.simulator.gateway_books import Books
from tests.crash.host import Sale, Told
from tests.simulation.judgement import Promises, differences

#: An order that was never seen is looked for until the business day ends: its next look is on record.
_LOOKED_FOR: Final = tuple(f" is {state.value}" for state in (AttemptState.WATCHING, AttemptState.LAST_LOOK))
_MANY: Final = 1_000_000


def violations(file: Path, books: Books, told: Told) -> list[str]:
    """Return every difference in words. Nobody has the journal open."""
    promises = Promises(refunds=told.refunds, undelivered=told.undelivered)
    found = [one for one in differences(file, books, promises) if not one.endswith(_LOOKED_FOR)]
    found += _untrue_events(file, told)
    found += _untrue_answers(file, told.sales)
    return found


def _untrue_events(file: Path, told: Told) -> list[str]:
    """No event is told that is not on disk, none in another order or twice, and none is left out."""
    journal = SqliteJournal(file)
    on_disk = {str(one.seq): (one.topic, one.body.decode()) for one in journal.events_after(0, _MANY)}
    journal.close()
    found = [
        f"told: event {one.id} ({one.topic}) is not on disk"
        for one in told.events
        if on_disk.get(one.id) != (one.topic, one.data)
    ]
    numbers = [int(one.id) for one in told.events]
    if numbers != sorted(set(numbers)):
        found.append(f"told: events out of order: {numbers}")
    passed = [int(seq) for seq in on_disk if numbers and numbers[0] <= int(seq) <= numbers[-1]]
    found += [f"told: event {seq} was left out" for seq in passed if seq not in numbers]
    return found


def _untrue_answers(file: Path, answers: list[Sale]) -> list[str]:
    """Whatever a call was answered with became of a sale, and is or was on disk."""
    journal = SqliteJournal(file)
    views = {str(view.sale.id): view for view in journal.list_sales(SaleFilter(limit=200))}
    journal.close()
    found = []
    for one in answers:
        view = views.get(one.id)
        if view is None:
            found.append(f"answered: sale {one.reference} is not on disk")
        elif one.paid and view.sale.paid != one.paid:
            found.append(f"answered: {one.reference} was paid {one.paid}, and it is {view.sale.paid}")
        elif one.state == "canceled" and view.sale.state.shown != "canceled":
            found.append(f"answered: {one.reference} was canceled, and it is {view.sale.state.shown}")
        elif not {each.client_sn for each in one.attempts} <= {str(each.client_sn) for each in view.attempts}:
            found.append(f"answered: {one.reference} had orders that are not on disk")
    return found
