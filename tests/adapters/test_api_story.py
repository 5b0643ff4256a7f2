"""The explanation and the evidence over the API's own socket."""

from pathlib import Path

import pytest

from tests.adapters.api_desk import STATUS, FakeDesk, serving
from tests.core.story_samples import paid

pytestmark = pytest.mark.asyncio if False else []
