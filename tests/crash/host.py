"""A host that follows the events, repeats what was not answered, and remembers whatever it was told."""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import msgspec
from msgspec.structs import replace

from tests.adapters.sse_reader import Event, SseReader
from tests.crash.gateways import Gateway
from tests.crash.stage import PATIENCE_S, Gone, Stage

_TURN_S: Final = 0.02
#: Answers after which a host asks again.
_AGAIN: Final = frozenset({"journal_failed", "not_ready", "overloaded", "unhealthy"})
_UNPRINTED: Final = frozenset({"queued", "printing", "blocked"})
_CHUNK: Final = 65_536
AMOUNT: Final = 350


class Qr(msgspec.Struct):
    """What the customer is shown."""

    content: str


class Order(msgspec.Struct):
    """One order of a sale."""

    client_sn: str
    outcome: str


class Refund(msgspec.Struct):
    """Money that goes back."""

    id: str
    reference: str | None
    state: str


class Sale(msgspec.Struct):
    """What the host is told of a sale."""

    id: str
    reference: str
    state: str
    paid: int
    returned: int
    receipt: str
    attempts: list[Order]
    refunds: list[Refund]
    qr: Qr | None = None
    #: The last state of each sort of slip; told by events of their own.
    slips: dict[str, str] = {}

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way; an order that was never seen may still be watched."""
        return (
            self.state in ("completed", "canceled", "returned")
            and not _UNPRINTED & {*self.slips.values(), self.slips.get("receipt", self.receipt)}
            and all(one.outcome in ("paid", "declined", "reversed", "unsent", "watching") for one in self.attempts)
            and all(one.state in ("done", "refused", "closed") for one in self.refunds)
        )


class _PrintEvent(msgspec.Struct):
    sale: str
    slip: str
    state: str


class _RefundEvent(msgspec.Struct):
    sale: str
    refund: Refund


class Answer(msgspec.Struct):
    """An answer of the API, and its body."""

    status: int
    body: bytes

    @property
    def code(self) -> str:
        """Return why it was refused; empty where it was not."""
        return msgspec.json.decode(self.body, type=_Problem).code if self.status >= 400 else ""


class _Problem(msgspec.Struct):
    code: str = ""


@dataclass
class Told:
    """What the host was told by terminald, whatever became of it since."""

    events: list[Event] = field(default_factory=list)
    sales: list[Sale] = field(default_factory=list)
    #: The ids that a sale's refund reference was answered with, and sales whose goods did not come out.
    refunds: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    undelivered: dict[str, int | None] = field(default_factory=dict)
    #: Answers that the journal can not be written.
    refusals: int = 0


class Host:
    """A host program. It outlives the daemon, and goes on with the next one where it was."""

    def __init__(self, stage: Stage, gateway: Gateway) -> None:
        self.stage = stage
        self.gateway = gateway
        self.told = Told()
        #: What is done again and again while the host waits.
        self.meanwhile: Callable[[], None] = lambda: None
        self._reader = SseReader()
        self._latest: dict[str, Sale] = {}
        self._lock = threading.Lock()
        self._stream: threading.Thread | None = None
        self._is_open = threading.Event()
        #: What the daemon answered that knows less than the host was told.
        self._refused = b""

    # --- the events --------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Take up the events where they were; return when the stream is open.

        Raises:
            Gone: the daemon has died.
            AssertionError: it does not know what was told before.
        """
        self._is_open.clear()
        self._stream = threading.Thread(target=self._listen, args=(self.stage.places.api,), name="events")
        self._stream.start()
        self.stage.wait(self._is_open.is_set, "the event stream")
        assert not self._refused, f"the events can not be gone on with: {self._refused!r}"

    def leave(self) -> None:
        """Wait for the end of the stream: the daemon is dead."""
        if self._stream is not None:
            self._stream.join(PATIENCE_S)
            assert not self._stream.is_alive()

    def _listen(self, path: Path) -> None:
        """Read until the daemon is dead; a stream that ends before is opened again."""
        while self.stage.is_alive():
            with suppress(OSError, http.client.HTTPException):
                self._read_stream(path)
            time.sleep(_TURN_S)

    def _read_stream(self, path: Path) -> None:
        connection = http.client.HTTPConnection("terminald")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(path))
            headers = {"Last-Event-ID": self._reader.last_id} if self._reader.last_id else {}
            connection.request("GET", "/v1/events", headers=headers)
            answer = connection.getresponse()
            with answer:
                if answer.status == HTTPStatus.GONE:
                    self._refused = answer.read()
                    self._is_open.set()
                while answer.status == HTTPStatus.OK and (piece := answer.read1(_CHUNK)):
                    self._take(piece)
        finally:
            connection.close()

    def _take(self, piece: bytes) -> None:
        with self._lock:
            before = len(self._reader.events)
            self._reader.feed(piece)
            for event in self._reader.events[before:]:
                self.told.events.append(event)
                self._note_event(event)
        self._is_open.set()

    def _note_event(self, event: Event) -> None:
        """Bring what is known of a sale up to date: it is replaced, and not changed."""
        if event.topic == "sale":
            sale = msgspec.json.decode(event.data, type=Sale)
            before = self._latest.get(sale.reference)
            self._latest[sale.reference] = sale if before is None else replace(sale, slips=before.slips)
        elif event.topic == "print":
            told = msgspec.json.decode(event.data, type=_PrintEvent)
            sale = self._find(told.sale)
            self._latest[sale.reference] = replace(sale, slips={**sale.slips, told.slip: told.state})
        elif event.topic == "refund":
            about = msgspec.json.decode(event.data, type=_RefundEvent)
            sale = self._find(about.sale)
            others = [one for one in sale.refunds if one.id != about.refund.id]
            self._latest[sale.reference] = replace(sale, refunds=[*others, about.refund])

    def _find(self, sale_id: str) -> Sale:
        return next(one for one in self._latest.values() if one.id == sale_id)

    # --- calls -------------------------------------------------------------------------------------------------------

    def call(self, path: str, **body: object) -> Answer:
        """Call, and again until there is an answer that is about the call and not about the terminal.

        Raises:
            Gone: the daemon has died.
        """
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with suppress(httpx.TransportError):
                found = self.stage.api.post(f"/v1/sales{path}", json=body)
                answer = Answer(found.status_code, found.content)
                if answer.code not in _AGAIN:
                    return answer
                self.told.refusals += answer.code == "journal_failed"
            if not self.stage.is_alive():
                raise Gone
            self.meanwhile()
            time.sleep(_TURN_S)
        raise AssertionError(f"no answer to {path}\n{self.stage.log_tail()}")

    def _note(self, answer: Answer) -> Answer:
        if answer.status < 300:
            self.told.sales.append(msgspec.json.decode(answer.body, type=Sale))
        return answer

    def open(self, reference: str, *methods: str, delivery: str = "none") -> None:
        """Open a sale, or find the one that was opened before."""
        answer = self.call(
            "", reference=reference, amount=AMOUNT, subject="Cola", methods=list(methods), delivery=delivery
        )
        assert self._note(answer).status in (200, 201), answer.body

    def present(self, reference: str, code: str) -> Answer:
        """Pay with a code that the host scanned."""
        return self._note(self.call(f"/{reference}/payment-code", code=code))

    def cancel(self, reference: str) -> Answer:
        """Cancel a sale; refused where it was paid meanwhile."""
        return self._note(self.call(f"/{reference}/cancel"))

    def refund(self, reference: str, name: str, amount: int) -> None:
        """Give a part back, under a reference of ours."""
        answer = self.call(f"/{reference}/refunds", reference=name, amount=amount)
        assert answer.status == 202, answer.body
        found = msgspec.json.decode(answer.body, type=Refund)
        self.told.refunds.setdefault((reference, name), set()).add(found.id)

    def undeliver(self, reference: str) -> None:
        """Report that nothing came out."""
        answer = self._note(self.call(f"/{reference}/undelivered"))
        assert answer.status == 200, answer.body
        self.told.undelivered[reference] = None

    # --- waiting -----------------------------------------------------------------------------------------------------

    def latest(self, reference: str) -> Sale | None:
        """Return the last thing that was told of a sale by an event."""
        with self._lock:
            return self._latest.get(reference)

    def wait(self, reference: str, is_so: Callable[[Sale], bool], what: str) -> Sale:
        """Wait until what is told of a sale is so; nothing is asked meanwhile.

        Raises:
            Gone: the daemon has died.
        """

        def look() -> bool:
            self.meanwhile()
            sale = self.latest(reference)
            return sale is not None and is_so(sale)

        self.stage.wait(look, f"{reference}: {what}, last {self.latest(reference)}")
        sale = self.latest(reference)
        assert sale is not None
        return sale
