"""What a kiosk has done for a sale has its words in the story."""

import pytest

from terminald.core.stimuli import Record
from terminald.core.story_past import past_words
from tests.core.machine_builders import SALE_ID

OTHER = past_words(Record(kind="?", subject="", sale_id=SALE_ID, cause="", before="", after=""))


@pytest.mark.parametrize("cause", ["ActionBegun", "ActionDone", "ActionFailed", "ActionUnknown"])
def test_each_turn_of_an_action_is_told_and_what_went_wrong_with_it(cause: str) -> None:
    words = past_words(Record(kind="action", subject=SALE_ID, sale_id=SALE_ID, cause=cause, before="", after="why"))
    assert words not in (None, OTHER)
    assert ("{evidence}" in str(words)) == (cause in ("ActionFailed", "ActionUnknown"))
