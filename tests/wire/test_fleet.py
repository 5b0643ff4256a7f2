"""Topics and messages for a fleet's broker."""

import json
import re

import pytest

from terminald.core.ids import WallTime
from terminald.wire.fleet import About, FleetMessage, FleetVoice, topic_name
from terminald.wire.openapi import EVENTS

VOICE = FleetVoice(
    root="shop/terminald/lobby-1",
    about=About(name="lobby-1", label="Lobby", device_id="d1", terminal_sn="T1", version="1.2", log="0f"),
)
NOON = WallTime(1_735_732_800_000)
AT = "2025-01-01T12:00:00.000+00:00"


def shown(message: FleetMessage) -> tuple[str, dict[str, object], bool]:
    return message.topic.removeprefix(VOICE.root), json.loads(message.payload), message.is_retained


def test_an_event_is_the_local_one_with_its_number_and_time() -> None:
    message = VOICE.event(17, "sale", NOON, b'{"id":"01J","amount":350}')
    assert shown(message) == (
        "/events/sale",
        {"seq": 17, "log": "0f", "event": "sale", "at": AT, "data": {"id": "01J", "amount": 350}},
        False,
    )


def test_what_is_not_sent_leaves_its_number() -> None:
    assert shown(VOICE.omitted(17, "sale", NOON)) == (
        "/events/sale",
        {"seq": 17, "log": "0f", "event": "sale", "at": AT, "data": None, "omitted": "too_large"},
        False,
    )
    assert shown(VOICE.gap(3, 16)) == (
        "/events/gap",
        {"seq": 16, "log": "0f", "event": "gap", "data": {"from": 3, "to": 16}},
        False,
    )


def test_presence_and_status_are_retained() -> None:
    assert shown(VOICE.online(NOON)) == (
        "/online",
        {"online": True, "version": "1.2", "since": AT, "reason": None},
        True,
    )
    assert shown(VOICE.offline(NOON, "lost")) == (
        "/online",
        {"online": False, "version": "1.2", "since": AT, "reason": "lost"},
        True,
    )
    assert shown(VOICE.status(b'{"ready":true}')) == ("/status", {"ready": True}, True)


def test_discovery_names_the_terminal_and_its_topics() -> None:
    assert shown(VOICE.discovery()) == (
        "/discovery",
        {
            "scheme": 1,
            "name": "lobby-1",
            "label": "Lobby",
            "device_id": "d1",
            "terminal_sn": "T1",
            "version": "1.2",
            "log": "0f",
            "topics": {
                "online": "shop/terminald/lobby-1/online",
                "status": "shop/terminald/lobby-1/status",
                "events": "shop/terminald/lobby-1/events/+",
            },
            "events": [*EVENTS, "gap"],
            "takes_commands": False,
        },
        True,
    )


@pytest.mark.parametrize(("device_id", "name"), [("bench-1", "bench-1"), ("a/+#$b", "a----b"), ("x.Y_0", "x.Y_0")])
def test_a_device_id_is_one_level_of_a_topic(device_id: str, name: str) -> None:
    assert topic_name(device_id) == name
    assert re.fullmatch("[0-9A-Za-z._-]+", name)
