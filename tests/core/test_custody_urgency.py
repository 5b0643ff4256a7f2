"""When the key goes before a sale, and what is kept of a fault."""

from terminald.core.custody import URGENT_AFTER, is_urgent
from terminald.core.custody_events import KeyAccepted, KeyUnanswered
from terminald.core.events import Fault
from terminald.core.schedule import SECOND
from tests.core.test_custody import Keeper


def test_an_old_key_goes_before_a_sale_and_a_fresh_one_does_not() -> None:
    keeper = Keeper().tell(KeyAccepted())
    rotated = keeper.custody.rotation.rotated
    assert not is_urgent(keeper.custody, keeper.wait(rotated + URGENT_AFTER - SECOND - keeper.now.instant).now)
    assert is_urgent(keeper.custody, keeper.wait(SECOND).now)


def test_a_fault_that_quotes_the_only_key_is_kept_without_it() -> None:
    """I7: there is no previous key before the first renewal."""
    keeper = Keeper().tell(KeyUnanswered(fault=Fault(code="E-k1", message="no k1 here")))
    fault = keeper.custody.rotation.fault
    assert fault is not None
    assert "k1" not in f"{fault.code} {fault.message}"
