"""A reader of server-sent events by the letter of the standard (WHATWG HTML, 9.2.6), for any chunking."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    id: str
    topic: str
    data: str


@dataclass
class SseReader:
    """Feed it bytes; it keeps the events and the last id, as an EventSource does."""

    last_id: str = ""
    events: list[Event] = field(default_factory=list)
    comments: int = 0
    _rest: bytes = b""
    _id: str = ""
    _topic: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.decode())

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            self._dispatch()
        elif name == "id":
            self._id = value
        elif name == "event":
            self._topic = value
        elif name == "data":
            self._data.append(value)
        elif not name:
            self.comments += 1
        else:
            assert (name, value) == ("retry", "1000")

    def _dispatch(self) -> None:
        self.last_id = self._id
        if self._data:
            self.events.append(Event(self.last_id, self._topic, "\n".join(self._data)))
        self._topic = ""
        self._data = []
