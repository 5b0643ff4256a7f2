"""The other side of a conversation with an adapter, for transcripts: what is written, told and logged as text."""

from terminald.core.money import Fen
from terminald.core.vend_events import VendEvent
from terminald.wire.qibixx import Scale
from terminald.wire.qibixx_setup import Act, Note, Setting
from terminald.wire.qibixx_talk import Talk, Terms

WINDOW_MS = 180_000
SETTINGS = (
    Setting(keys=("currency",), value="0x1156", is_needed=True),
    Setting(keys=("addr", "address"), value="0x60", is_needed=True),
    Setting(keys=("timeout", "time"), value="120"),
    Setting(keys=("funds",), value="1"),
)
CONFIGURED = ["C,SETCONF,currency=0x1156", "C,SETCONF,addr=0x60", "C,SETCONF,timeout=120", "C,SETCONF,funds=1"]


class Partner:
    """An adapter's side of a talk; time passes only in :meth:`wait`."""

    def __init__(self, *, credit: Fen | None = None, settings: tuple[Setting, ...] = SETTINGS) -> None:
        scale = Scale(decimal_places=2, scale_factor=1)
        self.talk = Talk(Terms(scale=scale, settings=settings, credit=credit, result_window_ms=WINDOW_MS))
        self.now_ms = 1_000_000
        self.notes: list[str] = []

    def open(self, *, is_open: bool = True) -> list[str]:
        assert self.take(self.talk.set_open(is_open=is_open, now_ms=self.now_ms)) == []
        return self.take(self.talk.open(self.now_ms))

    def set_up(self, *, is_open: bool = True) -> None:
        """Open, and answer until it is set up; the machine does not want payments yet."""
        assert self.open(is_open=is_open) == ["C,0"]
        self.say("c,0", *["c,SET,OK"] * len(SETTINGS))
        if is_open:
            self.say("c,STATUS,INACTIVE", "c,1", "c,STATUS,INACTIVE", "r,ACK", "c,STATUS,DISABLED")
        assert self.is_set_up()

    def say(self, *lines: str) -> list[str]:
        """Tell lines; return what follows."""
        return [text for line in lines for text in self.take(self.talk.hear(line, self.now_ms))]

    def wait(self, for_ms: int) -> list[str]:
        """Let time pass; return what follows."""
        until_ms, said = self.now_ms + for_ms, list[str]()
        while (due_ms := self.talk.deadline()) is not None and due_ms <= until_ms:
            self.now_ms = max(self.now_ms, due_ms)
            said += self.take(self.talk.due(self.now_ms))
            if self.has_failed():
                break
            following_ms = self.talk.deadline()
            assert following_ms is None or following_ms > self.now_ms, "it would spin"
        self.now_ms = until_ms
        return said

    def set_open(self, *, is_open: bool) -> list[str]:
        return self.take(self.talk.set_open(is_open=is_open, now_ms=self.now_ms))

    def is_set_up(self) -> bool:
        return self.talk.is_set_up

    def has_failed(self) -> bool:
        return bool(self.talk.fault)

    def approve(self, request: int, price: str) -> str:
        refusal = self.talk.refusal(request, price)
        if not refusal:
            self.talk.approved(self.now_ms)
        return refusal

    def take(self, acts: list[Act]) -> list[str]:
        said = []
        for act in acts:
            match act:
                case bytes():
                    assert act.endswith(b"\n")
                    said.append(act.decode("ascii")[:-1])
                case VendEvent():
                    said.append(f"{type(act).__name__} {act.request}")
                case Note():
                    self.notes.append(act.text)
        return said
