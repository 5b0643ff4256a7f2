"""Server-sent events, decoded from whatever pieces they arrive in."""

from collections.abc import Iterator
from dataclasses import dataclass

#: A sale with every attempt is under 64 KiB; a longer line is not of terminald.
MAX_LINE = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One event. Without a topic it only tells the position in the log, or that the stream is alive."""

    id: int
    topic: str = ""
    data: bytes = b""


class EventDecoder:
    """Feed it bytes; it gives events. Lines are split at line feeds only: JSON may contain other separators."""

    def __init__(self, position: int = 0) -> None:
        """Position is what events without an id of their own are given."""
        self._position = position
        self._rest = b""
        self._topic = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[StreamEvent]:
        """Yield what is complete.

        Raises:
            ValueError: a line without an end, or a position that is none.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise ValueError("a line of the event stream does not end")
        for line in lines:
            if (event := self._line(line.removesuffix(b"\r"))) is not None:
                yield event

    def _line(self, line: bytes) -> StreamEvent | None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"id":
                self._position = int(value)
            case b"event":
                self._topic = value.decode()
            case b"data":
                self._data.append(value)
            case b"" if not line or line.startswith(b":"):
                event = StreamEvent(id=self._position, topic=self._topic, data=b"\n".join(self._data))
                self._topic, self._data = "", []
                return event
        return None
