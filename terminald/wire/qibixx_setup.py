"""One round of setting a Qibixx adapter up: off, every setting, and on again if the terminal sells.

Lines come at any time, so each step waits for a line that it can go on with, whatever comes before it, until its own
limit. ``c,SET,OK`` does not say which setting was taken: after one that was not answered in time it all begins again,
because the answer to being switched off separates what is late from what is new.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from terminald.core.vend_events import VendEvent
from terminald.wire.qibixx import SWITCH_OFF, SWITCH_ON, Asked, AskedWrongly, Heard, Sign, Status, set_value

#: The adapter answers its own commands at once; this is for one that is busy with the bus, on a host that is busy too.
ANSWER_MS: Final = 2_000
#: So often a step is tried that the adapter does not answer. Being switched off is tried once less: firmware that is
#: off already may have nothing to say, and the settings show whether it listens.
TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value of the adapter's configuration, by the spellings of its key that firmware knows."""

    keys: tuple[str, ...]
    value: str
    #: Whether prices or the machine's answers would be wrong without it.
    is_needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something for the log."""

    level: Literal["info", "warning"]
    text: str


#: What to do: write bytes, tell an event, log a note; in this order.
Act = bytes | VendEvent | Note


class Step(Enum):
    """How far it is."""

    SWITCHING_OFF = "switching off"
    CONFIGURING = "configuring"
    SWITCHING_ON = "switching on"
    OFF = "off"
    ON = "on"
    FAILED = "failed"


class Round:
    """Set the adapter up once. Whether it is to be on at the end can be changed until then."""

    def __init__(self, settings: tuple[Setting, ...], *, left_out: set[int], is_wanted: bool) -> None:
        """Left_out has the places of settings that this adapter does without; more are added."""
        self.is_wanted = is_wanted
        self.step = Step.SWITCHING_OFF
        self.fault = ""
        self.deadline_ms = 0
        self._settings = settings
        self._left_out = left_out
        self._place = 0
        self._spelling = 0
        self._tries = 0
        self._beginnings = 0

    def begin(self, now_ms: int) -> list[Act]:
        """Switch off."""
        self._beginnings += 1
        self._tries = 1
        return self._command(Step.SWITCHING_OFF, SWITCH_OFF, now_ms)

    def hear(self, heard: Heard, now_ms: int) -> list[Act]:
        """Take what a line means."""
        match self.step, heard:
            case Step.SWITCHING_OFF, Sign.SWITCHED_OFF | Sign.IS_OFF:
                return self._configure(0, now_ms)
            case Step.CONFIGURING, Sign.SETTING_TAKEN:
                return self._configure(self._place + 1, now_ms)
            case Step.CONFIGURING, Sign.SETTING_REFUSED | Sign.NOT_UNDERSTOOD:
                return self._refused(now_ms)
            case Step.SWITCHING_ON, Status() | Asked() | AskedWrongly() | Sign.SWITCHED_ON | Sign.IS_ON:
                self.step = Step.ON
        return []

    def due(self, now_ms: int) -> list[Act]:
        """Go on without the answer that was waited for."""
        self._tries += 1
        if self.step is Step.CONFIGURING:
            return self._unanswered(now_ms)
        if self.step is Step.SWITCHING_OFF:
            if self._tries < TRIES:
                return self._command(Step.SWITCHING_OFF, SWITCH_OFF, now_ms)
            return self._configure(0, now_ms)
        if self._tries <= TRIES:
            return self._command(Step.SWITCHING_ON, SWITCH_ON, now_ms)
        return self._fail("the adapter does not answer when it is switched on")

    def _configure(self, place: int, now_ms: int) -> list[Act]:
        while place in self._left_out:
            place += 1
        self._place, self._spelling = place, 0
        if place < len(self._settings):
            return self._set(now_ms)
        if not self.is_wanted:
            self.step = Step.OFF
            return []
        self._tries = 1
        return self._command(Step.SWITCHING_ON, SWITCH_ON, now_ms)

    def _set(self, now_ms: int) -> list[Act]:
        setting = self._settings[self._place]
        return self._command(Step.CONFIGURING, set_value(setting.keys[self._spelling], setting.value), now_ms)

    def _refused(self, now_ms: int) -> list[Act]:
        setting = self._settings[self._place]
        self._spelling += 1
        if self._spelling < len(setting.keys):
            return self._set(now_ms)
        said = f"the adapter refuses {setting.keys[0]}={setting.value}"
        if setting.is_needed:
            return self._fail(
                f"{said}; compare [[vending]] with the adapter's manual, or bring its firmware up to date"
            )
        self._left_out.add(self._place)
        return [Note(level="warning", text=f"{said}; left out"), *self._configure(self._place + 1, now_ms)]

    def _unanswered(self, now_ms: int) -> list[Act]:
        setting = self._settings[self._place]
        said = f"the adapter does not answer {setting.keys[self._spelling]}={setting.value}"
        if not setting.is_needed:
            self._left_out.add(self._place)
            return [Note(level="warning", text=f"{said}; left out"), *self.begin(now_ms)]
        if self._beginnings < TRIES + len(self._left_out):
            return self.begin(now_ms)
        return self._fail(f"{said}; is this a Qibixx adapter, and no other program's?")

    def _command(self, step: Step, command: bytes, now_ms: int) -> list[Act]:
        self.step = step
        self.deadline_ms = now_ms + ANSWER_MS
        return [command]

    def _fail(self, fault: str) -> list[Act]:
        self.step = Step.FAILED
        self.fault = fault
        return []
