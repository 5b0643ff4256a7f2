"""The library of the fleet is optional: without it, or with half of it, nothing is told, and nothing else happens."""

import sys

import pytest

from terminald.adapters.fleet_broker import BrokerSettings, make_broker
from terminald.errors import FleetError

SETTINGS = BrokerSettings(host="127.0.0.1", port=1883, has_tls=False, client_id="terminald-x")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing of the library was imported yet."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("aiomqtt", "paho") or name == "terminald.adapters.fleet_mqtt":
            monkeypatch.delitem(sys.modules, name)
    return monkeypatch


@pytest.mark.parametrize("missing", ["aiomqtt", "paho"])
def test_a_library_that_is_not_there_or_not_whole_is_named(fresh: pytest.MonkeyPatch, missing: str) -> None:
    fresh.setitem(sys.modules, missing, None)
    with pytest.raises(FleetError, match="pip install 'aiomqtt") as caught:
        make_broker(SETTINGS)
    assert caught.value.code == "package_missing"
