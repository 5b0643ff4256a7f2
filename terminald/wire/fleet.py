"""What a terminal tells the broker of a fleet: topics, and messages as JSON. Nothing is ever read from there."""

import re
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from terminald.core.ids import WallTime
from terminald.wire.api_views import rfc3339
from terminald.wire.openapi import EVENTS

#: The version of the topics and messages; a change that old readers do not understand gives it the next number.
SCHEME: Final = 1
#: The kind of event that stands for those that are not in the log any more.
GAP: Final = "gap"
#: Letters that mean something in a topic, or may not be in one, are replaced in a name that was not made for topics.
_UNFIT: Final = re.compile(r"[^0-9A-Za-z._-]")

Absence = Literal["stopped", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetMessage:
    """One message for the broker, always with QoS 1."""

    topic: str
    payload: bytes
    is_retained: bool = False


class _Gap(msgspec.Struct, frozen=True, rename={"first": "from", "last": "to"}):
    first: int
    last: int


class _Presence(msgspec.Struct, frozen=True, kw_only=True):
    online: bool
    version: str
    since: str
    reason: Absence | None = None


class _DiscoveryTopics(msgspec.Struct, frozen=True, kw_only=True):
    online: str
    status: str
    events: str


class _Discovery(msgspec.Struct, frozen=True, kw_only=True):
    scheme: int
    name: str
    label: str
    device_id: str
    terminal_sn: str | None
    version: str
    log: str
    topics: _DiscoveryTopics
    events: tuple[str, ...]
    takes_commands: bool = False


def topic_name(device_id: str) -> str:
    """Return a device id as one level of a topic."""
    return _UNFIT.sub("-", device_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is said of this terminal once for each connection. Label is its name for people."""

    name: str
    label: str
    device_id: str
    terminal_sn: str
    version: str
    #: The name of the event log: sequence numbers are unique within it.
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetVoice:
    """Writes the messages of one terminal. Root is what its topics begin with: the prefix and its name."""

    root: str
    about: About

    def discovery(self) -> FleetMessage:
        """Say what there is and where; retained."""
        about = self.about
        found = _Discovery(
            scheme=SCHEME,
            name=about.name,
            label=about.label,
            device_id=about.device_id,
            terminal_sn=about.terminal_sn or None,
            version=about.version,
            log=about.log,
            topics=_DiscoveryTopics(
                online=f"{self.root}/online", status=f"{self.root}/status", events=f"{self.root}/events/+"
            ),
            events=(*EVENTS, GAP),
        )
        return FleetMessage(topic=f"{self.root}/discovery", payload=msgspec.json.encode(found), is_retained=True)

    def online(self, since: WallTime) -> FleetMessage:
        """Say that the terminal is connected since then; retained."""
        return self._presence(_Presence(online=True, version=self.about.version, since=rfc3339(since)))

    def offline(self, since: WallTime, reason: Absence) -> FleetMessage:
        """Say that it is not any more; retained. As a last will, since is when the connection was made."""
        return self._presence(_Presence(online=False, version=self.about.version, since=rfc3339(since), reason=reason))

    def _presence(self, presence: _Presence) -> FleetMessage:
        return FleetMessage(topic=f"{self.root}/online", payload=msgspec.json.encode(presence), is_retained=True)

    def status(self, body: bytes) -> FleetMessage:
        """Pass on what ``GET /v1/status`` shows; retained."""
        return FleetMessage(topic=f"{self.root}/status", payload=body, is_retained=True)

    def event(self, seq: int, kind: str, wall: WallTime, body: bytes) -> FleetMessage:
        """Pass on one public event, whose body is the JSON that the local API shows."""
        return self._event(seq, kind, b',"at":"%b","data":%b}' % (rfc3339(wall).encode(), body))

    def omitted(self, seq: int, kind: str, wall: WallTime) -> FleetMessage:
        """Say that there was an event which the broker does not take, because it is too large for it."""
        return self._event(seq, kind, b',"at":"%b","data":null,"omitted":"too_large"}' % rfc3339(wall).encode())

    def gap(self, first: int, last: int) -> FleetMessage:
        """Say that what these sequence numbers stood for is not in the log any more. Both ends are included."""
        return self._event(last, GAP, b',"data":%b}' % msgspec.json.encode(_Gap(first, last)))

    def _event(self, seq: int, kind: str, rest: bytes) -> FleetMessage:
        head = b'{"seq":%d,"log":"%b","event":"%b"' % (seq, self.about.log.encode(), kind.encode())
        return FleetMessage(topic=f"{self.root}/events/{kind}", payload=head + rest)
