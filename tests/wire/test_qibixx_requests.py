"""Which request a line is about. Transcripts: lines in, events and answers out."""

from hypothesis import given
from hypothesis import strategies as st

from terminald.core.money import Fen
from terminald.core.vend_events import (
    AdapterLost,
    ApprovalRejected,
    MachineReset,
    RequestGone,
    VendCanceled,
    VendEvent,
    VendFailed,
    VendRequested,
    VendSucceeded,
)
from terminald.wire.qibixx import DENY, Scale, understand
from terminald.wire.qibixx_requests import REPEAT_MS, Reply, Requests

SCALE = Scale(decimal_places=2, scale_factor=1)
COLA = "c,STATUS,VEND,1.00,5"
TEA = "c,STATUS,VEND,2.00,6"
IDLE, ENABLED, DISABLED, INACTIVE = (f"c,STATUS,{word}" for word in ("IDLE", "ENABLED", "DISABLED", "INACTIVE"))
SUCCESS, CANCEL, FAILURE, RESET = "c,VEND,SUCCESS", "c,ERR,VEND 1", "c,ERR,VEND 3", "c,ERR,VEND 5"
REJECTED, MISREAD = 'c,ERR,"VEND -3"', 'c,ERR,"VEND -2"'
LINES = (COLA, TEA, "c,STATUS,VEND,-1", IDLE, ENABLED, DISABLED, INACTIVE, SUCCESS, CANCEL, FAILURE, RESET)


class Counter:
    """The machine's requests, with everything that was told and written."""

    def __init__(self) -> None:
        self.requests = Requests()
        self.now_ms = 0
        self.told: list[VendEvent] = []
        self.written: list[bytes] = []

    def hear(self, *lines: str) -> list[str]:
        """Take lines; return what is told as ``Name number``, and the denials."""
        replies = [self.requests.hear(understand(line, SCALE), self.now_ms) for line in lines]
        return [said for reply in replies for said in self._note(reply)]

    def is_asking(self) -> bool:
        return self.requests.is_asking

    def approved_ms(self) -> int | None:
        return self.requests.approved_ms

    def approve(self, request: int, price: str) -> str:
        refusal = self.requests.refusal(request, price)
        if not refusal:
            self.requests.approved(self.now_ms)
            self.written.append(b"%d" % request)
        return refusal

    def deny(self, request: int) -> list[str]:
        return self._note(self.requests.deny(request, self.now_ms))

    def lose(self) -> list[str]:
        return self._note(self.requests.lose())

    def _note(self, reply: Reply) -> list[str]:
        self.told += reply.events
        denials = [reply.command] if reply.command else []
        assert denials in ([], [DENY])
        self.written += denials
        return [*(f"{type(event).__name__} {event.request}" for event in reply.events), *("denied" for _ in denials)]


def approved() -> Counter:
    """Return a machine whose first request was approved."""
    counter = Counter()
    assert counter.hear(ENABLED, COLA) == ["VendRequested 1"]
    assert counter.approve(1, "1.00") == ""
    return counter


def asking() -> Counter:
    counter = Counter()
    assert counter.hear(ENABLED, COLA) == ["VendRequested 1"]
    return counter


def test_the_usual_sale() -> None:
    counter = approved()
    assert counter.hear("r,ACK", "r,ACK", SUCCESS, IDLE, ENABLED) == ["VendSucceeded 1"]
    assert counter.told == [
        VendRequested(request=1, price="1.00", amount=Fen(100), item="5"),
        VendSucceeded(request=1),
    ]
    assert counter.hear(COLA) == ["VendRequested 2"]


def test_a_repeated_request_is_new_only_after_another_status_or_an_end() -> None:
    assert asking().hear(COLA, "r,ACK", COLA, "garbage", COLA) == []
    assert asking().hear(ENABLED, COLA) == ["RequestGone 1", "VendRequested 2"]
    assert asking().hear(IDLE, COLA) == ["RequestGone 1", "VendRequested 2"]
    assert asking().hear(INACTIVE, COLA) == ["MachineReset 1", "VendRequested 2"]
    assert asking().hear(CANCEL, COLA) == ["VendCanceled 1", "VendRequested 2"]
    assert approved().hear(COLA) == []
    assert approved().hear(SUCCESS, COLA) == ["VendSucceeded 1", "VendRequested 2"]
    assert approved().hear(CANCEL, COLA) == ["VendCanceled 1", "VendRequested 2"]


def test_a_request_for_something_else_is_another_one() -> None:
    assert asking().hear(TEA) == ["RequestGone 1", "VendRequested 2"]
    assert approved().hear(TEA) == ["RequestGone 1", "VendRequested 2"]
    assert asking().hear("c,STATUS,VEND,1.00,7") == ["RequestGone 1", "VendRequested 2"]


def test_disabled_is_no_cancel() -> None:
    """The approval is tried once (MDB/ICP 4.2, reader disable)."""
    counter = asking()
    assert counter.hear(DISABLED, COLA) == []
    assert counter.approve(1, "1.00") == ""


def test_an_approval_is_for_the_last_request_and_its_own_price_only() -> None:
    counter = asking()
    assert counter.approve(0, "1.00") == counter.approve(2, "1.00") == "the machine does not ask for it any more"
    assert counter.approve(1, "1") == "the machine asks for another price"
    assert counter.approve(1, "1.00") == ""
    assert counter.approve(1, "1.00") == "it was approved before"
    for line in (ENABLED, IDLE, INACTIVE, CANCEL, FAILURE, RESET, TEA, "c,STATUS,VEND,-1"):
        counter = asking()
        counter.hear(line)
        assert counter.approve(1, "1.00") == "the machine does not ask for it any more"
    counter = Counter()
    counter.requests.approved(0)
    assert counter.approved_ms() is None


def test_a_denial_ends_the_request_and_is_not_followed_by_an_approval() -> None:
    counter = asking()
    assert counter.is_asking()
    assert counter.deny(1) == ["denied"]
    assert not counter.is_asking()
    assert counter.approve(1, "1.00") != ""
    assert counter.deny(1) == []
    assert counter.hear(IDLE, ENABLED) == []


def test_a_denial_of_what_is_over_or_approved_is_harmless() -> None:
    counter = asking()
    assert counter.deny(0) == counter.deny(2) == []
    counter.hear(ENABLED)
    assert counter.deny(1) == []
    assert approved().deny(1) == []


def test_a_canceled_request_is_still_owed_an_answer() -> None:
    counter = asking()
    assert counter.hear(CANCEL) == ["VendCanceled 1"]
    assert counter.deny(1) == ["denied"]
    assert counter.deny(1) == []


def test_a_denied_request_that_is_repeated_at_once_is_denied_again() -> None:
    counter = asking()
    counter.deny(1)
    counter.now_ms += REPEAT_MS - 1
    assert counter.hear(COLA, COLA) == ["denied", "denied"]


def test_what_is_asked_again_long_after_a_denial_is_new_even_without_a_status() -> None:
    counter = asking()
    counter.deny(1)
    counter.now_ms += REPEAT_MS
    assert counter.hear(COLA) == ["VendRequested 2"]


def test_a_price_that_can_not_be_read_is_denied_and_not_told() -> None:
    counter = Counter()
    assert counter.hear("c,STATUS,VEND,1.005,5") == ["denied"]
    assert counter.hear(ENABLED, COLA, "c,STATUS,VEND,NaN") == ["VendRequested 2", "RequestGone 2", "denied"]
    assert counter.approve(3, "NaN") != ""
    assert counter.deny(3) == []


def test_a_failure_is_told_with_and_without_an_approval() -> None:
    assert approved().hear(FAILURE, IDLE) == ["VendFailed 1"]
    assert asking().hear(FAILURE, IDLE) == ["VendFailed 1"]
    assert Counter().hear(FAILURE) == []


def test_other_results_without_an_approval_are_noise() -> None:
    for line in (SUCCESS, REJECTED, MISREAD):
        counter = asking()
        assert counter.hear(line) == []
        assert counter.approve(1, "1.00") == ""
        assert Counter().hear(line) == []


def test_a_rejected_approval_leaves_a_machine_that_asks_still_with_a_denial() -> None:
    for rejection in (REJECTED, MISREAD):
        assert approved().hear(rejection, rejection, IDLE) == ["ApprovalRejected 1", "denied"]
        assert approved().hear(DISABLED, rejection) == ["ApprovalRejected 1", "denied"]
        assert approved().hear(IDLE, rejection) == ["RequestGone 1", "ApprovalRejected 1"]


def test_the_result_of_an_approval_is_heard_after_any_doubt() -> None:
    for line, doubt in ((INACTIVE, "MachineReset"), (RESET, "MachineReset"), (CANCEL, "VendCanceled")):
        for result, told in ((SUCCESS, "VendSucceeded"), (FAILURE, "VendFailed")):
            assert approved().hear(line, line, result, result) == [f"{doubt} 1", f"{told} 1"]
        assert approved().hear(line, line, REJECTED, REJECTED)[:2] == [f"{doubt} 1", "ApprovalRejected 1"]
    assert approved().hear(IDLE, ENABLED, SUCCESS) == ["RequestGone 1", "VendSucceeded 1"]


def test_a_late_result_is_never_the_next_requests() -> None:
    counter = approved()
    assert counter.hear(ENABLED, TEA, SUCCESS, REJECTED) == ["RequestGone 1", "VendRequested 2"]
    assert counter.approve(1, "1.00") != ""
    assert counter.approve(2, "2.00") == ""


def test_a_lost_adapter_is_told_once_and_what_was_asked_is_forgotten() -> None:
    counter = asking()
    assert counter.lose() == ["AdapterLost 1", "denied"]
    assert counter.lose() == []
    assert counter.approve(1, "1.00") != ""
    assert counter.hear(SUCCESS) == []
    assert counter.hear(COLA) == ["VendRequested 2"]

    counter = approved()
    assert counter.approved_ms() == 0
    assert counter.lose() == ["AdapterLost 1"]
    assert counter.approved_ms() is None

    counter = approved()
    counter.hear(INACTIVE)
    assert counter.lose() == []


DOUBTS = {RequestGone, MachineReset, VendCanceled, AdapterLost}
RESULTS = {VendSucceeded, ApprovalRejected, VendFailed}
MOVES = st.lists(
    st.one_of(
        st.sampled_from((*LINES, REJECTED, MISREAD)),
        st.tuples(st.sampled_from(["approve", "deny"]), st.integers(0, 2)),
        st.just("lose"),
        st.just("wait"),
    ),
    max_size=40,
)


class Watch:
    """What was asked and answered, to be compared with the rules after each move."""

    def __init__(self) -> None:
        self.counter = Counter()
        self.prices: dict[int, str] = {}
        self.approved: set[int] = set()
        self.told: dict[int, list[type[VendEvent]]] = {}

    def move(self, move: str | tuple[str, int]) -> None:
        self.counter.told.clear()
        match move:
            case ("approve", int(back)):
                self._approve(self.counter.requests.count - back)
            case ("deny", int(back)):
                request = self.counter.requests.count - back
                assert not (self.counter.deny(request) and request in self.approved)
                assert self.counter.requests.refusal(request, self.prices.get(request, ""))
            case "lose":
                self.counter.lose()
            case "wait":
                self.counter.now_ms += REPEAT_MS
            case str():
                self.counter.hear(move)
        self._note()

    def _approve(self, request: int) -> None:
        if not self.counter.approve(request, self.prices.get(request, "")):
            assert request == self.counter.requests.count
            assert request not in self.approved
            self.approved.add(request)

    def _note(self) -> None:
        for event in self.counter.told:
            if isinstance(event, VendRequested):
                assert event.request == self.counter.requests.count not in self.prices
                self.prices[event.request] = event.price
            self.told.setdefault(event.request, []).append(type(event))


@given(MOVES)
def test_whatever_the_machine_does_each_request_is_answered_once(moves: list[str | tuple[str, int]]) -> None:
    """No request is approved twice, or approved and denied; a success or rejection is of an approved one only."""
    watch = Watch()
    for move in moves:
        watch.move(move)
    for request, (first, *later) in watch.told.items():
        assert first is VendRequested
        doubts = [each for each in later if each in DOUBTS]
        results = [each for each in later if each in RESULTS]
        assert len(doubts) + len(results) == len(later)
        assert len(doubts) <= 1
        assert len(results) <= 1
        if request not in watch.approved:
            assert len(later) <= 1
            assert not {VendSucceeded, ApprovalRejected} & set(later)
