"""Every decoder of bytes from outside, by name."""

from collections.abc import Mapping
from typing import Final

from tests.fuzz.callers import REQUESTS
from tests.fuzz.files import FILES
from tests.fuzz.gateway import GATEWAY
from tests.fuzz.journals import JOURNALS
from tests.fuzz.streams import STREAMS
from tests.fuzz.target import Target

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target for target in (*GATEWAY, *STREAMS, *REQUESTS, *FILES, *JOURNALS)
}
