"""When to do what: the moment of a step, back-off, the late looks after a reversal, the end of the business day."""

from dataclasses import dataclass

from terminald.core.ids import Duration, Instant, WallTime

SECOND = Duration(1_000)
MINUTE = Duration(60_000)
HOUR = Duration(3_600_000)
DAY = Duration(86_400_000)

#: How long a code is remembered after its use: codes live about a minute, and a phone held before a scanner in
#: continuous mode repeats its code every second ("dedupe … for ≥ 120 s", field facts of scanners).
CODE_LIFE = Duration(180_000)
#: The first wait of a repeated reversal; doubled each time.
RETRY_FIRST = Duration(2_000)
#: The longest wait between two tries, before jitter: a gateway that was away for hours is asked again about then.
RETRY_LONGEST = Duration(300_000)
#: A customer who scans a QR pays within seconds; later it is asked less often (documents, precreate: "every 2 s for the
#: first 30 s, then every 5 s").
OFFER_POLL_FIRST = Duration(2_000)
OFFER_POLL_FIRST_FOR = Duration(30_000)
OFFER_POLL = Duration(5_000)
#: A QR order that ended unpaid is followed by another so much later, doubled each time.
OFFER_AGAIN = Duration(1_000)
OFFER_AGAIN_LONGEST = Duration(30_000)
#: So many QR orders of one sale may end unpaid; a fourth would fare no better.
MOST_OFFERS = 3
#: Nobody scans, unlocks a phone and pays in less: no QR is offered for the rest of a window.
OFFER_SHORTEST = Duration(10_000)
#: While an earlier order of the sale is being undone no QR is offered; so much later it is looked again.
OFFER_PUT_OFF = Duration(5_000)
#: A scanned code lives about a minute: so long one is held while a QR order is being undone.
HOLD_LONGEST = Duration(30_000)
#: A refund that the gateway refuses for now (the merchant's balance) is tried again after this.
BLOCKED_RETRY = Duration(HOUR)
#: A request without a clear answer may be held up in the network for so long, and be carried out then: before that
#: nobody is told that a refund was refused.
LATE_REQUEST = Duration(120_000)
#: A job for a printer that reports a fault goes on when the printer says that it is over. In case that is missed, it is
#: looked at again after this: a few times in the life of a receipt.
BLOCKED_PRINTER_RETRY = Duration(30_000)
#: A reversal that is open for so long is shown to a person; it goes on all the same.
REVERSAL_ATTENTION_AFTER = Duration(300_000)
#: At the end of a QR, and after a restart, the gateway is asked for so long before an order is given up: this is what
#: one query takes where connecting and reading are as slow as they may be. A shorter poll window is taken instead.
ASKING_PATIENCE = Duration(30_000)
#: Trusted sources of the time of day may differ by so much without contradicting each other: servers are seconds apart,
#: an answer has been on its way for some more, and nothing that is decided by the time of day is a matter of a minute.
TIME_MARGIN = MINUTE
#: The last look is made so long before the business day ends, or up to twice as long, as not every terminal should look
#: at the same moment; a cancel is still possible then, without a refund.
DAY_END_MARGIN = Duration(600_000)
#: The last look where nobody knows the time of day: late enough for any request that was held up in the network.
LAST_LOOK_WITHOUT_CLOCK = Duration(6 * HOUR)
#: Each start, and each failure of the journal, leaves some time for the reports of goods, again and again: so long
#: after a report's own time a person is called for it. What is mended by the next day ends as it is configured.
REPORT_LATEST = DAY
#: 2020-01-01: a clock that says less was never set.
CLOCK_UNSET_BEFORE = WallTime(1_577_836_800_000)
#: The gateway's time of a payment is believed from so long before the order began by our clock, …
FINISH_EARLIEST = HOUR
#: … to so long after it: no order lives for hours.
FINISH_LATEST = Duration(12 * HOUR)

_DIGITS_OF_TIME = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The moment at which a step is taken. Deadlines use the instant only."""

    instant: Instant
    #: Best known wall time, for people.
    wall: WallTime
    #: Whether the wall time came from the gateway or a synchronised clock: only then does it decide about days.
    is_trusted: bool = False
    #: 0 ≤ jitter < 1, drawn anew for each step.
    jitter: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The latest trusted time of day on record. It can not be earlier now."""

    instant: Instant
    wall: WallTime

    def at(self, instant: Instant) -> WallTime:
        """Return the least time of day that it can be at an instant; time without power is left out."""
        return WallTime(self.wall + max(0, instant - self.instant))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The configured lengths of time and limits, in the words of the configuration."""

    payment_window: Duration
    poll_interval: Duration
    poll_window: Duration
    late_lookups: tuple[Duration, ...]
    job_lifetime: Duration
    #: Offset of the gateway's business day from UTC.
    day_offset: Duration
    #: How long a QR is offered.
    qr_window: Duration
    #: How long the host has to report delivery, where it does.
    delivery_window: Duration
    #: Whether the money goes back when the report is overdue; else a person is called.
    returns_overdue: bool
    #: When the key is renewed, in milliseconds since midnight of the business day, with this terminal's own jitter.
    checkin_at: Duration | None = None
    #: How often the journal was restored from a copy: refunds are numbered in another series each time.
    refund_series: int = 0
    #: Whether the journal is an old copy that nobody has compared: no money goes back for want of a report of goods.
    is_restored: bool = False


def later(instant: Instant, by: int) -> Instant:
    """Return the instant that many milliseconds later."""
    return Instant(instant + by)


def retry_delay(tries: int, jitter: float) -> Duration:
    """Return how long to wait after the given number of failed tries: 2, 4, 8 … 300 s, each spread by up to a half."""
    delay = min(RETRY_LONGEST, RETRY_FIRST << min(tries, 16))
    return Duration(int(delay * (1 + jitter / 2)))


def offer_poll(age: int) -> Duration:
    """Return how long after a look at a QR order of that age the next one is taken."""
    return OFFER_POLL_FIRST if age < OFFER_POLL_FIRST_FOR else OFFER_POLL


def offer_delay(offers: int, jitter: float) -> Duration:
    """Return how long to wait before another QR order, after so many: 1, 2, 4 … 30 s, each spread by up to a half."""
    delay = min(OFFER_AGAIN_LONGEST, OFFER_AGAIN << min(max(offers - 1, 0), 8))
    return Duration(int(delay * (1 + jitter / 2)))


def day_of(wall: WallTime, offset: Duration) -> int:
    """Return the number of the business day that contains the wall time."""
    return (wall + offset) // DAY


def day_end(wall: WallTime, offset: Duration) -> WallTime:
    """Return the end of the business day that contains the wall time."""
    return WallTime((wall + offset) // DAY * DAY + DAY - offset)


def finished_at(said: str, began: WallTime) -> WallTime | None:
    """Return when the gateway finished an order by its own word; None where that can not be true.

    Said is its ``finish_time``, milliseconds in digits; began is when the order began, by our clock.
    """
    if not (said.isascii() and said.isdigit() and len(said) <= _DIGITS_OF_TIME):
        return None
    is_near = began - FINISH_EARLIEST <= int(said) <= began + FINISH_LATEST
    was_set = began >= CLOCK_UNSET_BEFORE
    return WallTime(int(said)) if is_near or (not was_set and int(said) >= CLOCK_UNSET_BEFORE) else None


def late_looks(now: Now, rules: Rules) -> tuple[Instant, ...]:
    """Return when an order that was given up is looked up again; ascending, never empty.

    The configured looks, and one before the business day ends while a cancel is still possible. When the day is about
    to end the configured looks remain: what they find then is refunded instead.
    """
    if now.is_trusted:
        last = day_end(now.wall, rules.day_offset) - now.wall - int(DAY_END_MARGIN * (1 + now.jitter))
    else:
        last = LAST_LOOK_WITHOUT_CLOCK
    waits = {*rules.late_lookups, *([last] if last > 0 else [])} or {LAST_LOOK_WITHOUT_CLOCK}
    return tuple(later(now.instant, wait) for wait in sorted(waits))
