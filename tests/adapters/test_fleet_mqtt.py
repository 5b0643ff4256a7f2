"""The connection to a broker, against a real Mosquitto: TLS, refusals, silence, wills."""

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters import fleet_mqtt
from terminald.adapters.fleet_broker import BrokerSettings, make_broker
from terminald.adapters.ports_fleet import FleetSession
from terminald.core.ids import Secret, WallTime
from terminald.errors import FleetError, FleetRefused
from terminald.wire.fleet import About, FleetMessage, FleetVoice
from tests.adapters.broker import PASSWORD, USERNAME, Broker, listening_to, make_certificates, wait

DATA = Path(__file__).parent.parent / "data" / "tls"
VOICE = FleetVoice(
    root="terminald/t1",
    about=About(name="t1", label="lobby", device_id="t1", terminal_sn="T1", version="0", log="l1"),
)
SINCE = WallTime(0)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory)
    return directory


@pytest.fixture
def broker(tmp_path: Path, certificates: Path) -> Iterator[Broker]:
    made = Broker(tmp_path, certificates)
    made.start()
    yield made
    made.stop()


def settings_for(broker: Broker) -> BrokerSettings:
    return BrokerSettings(
        host="127.0.0.1",
        port=broker.port,
        has_tls=True,
        client_id="terminald-t1",
        username=USERNAME,
        password=Secret(PASSWORD),
        ca_file=broker.certificates / "ca.pem",
        keep_alive_s=5,
    )


def event(seq: int, size: int = 10) -> FleetMessage:
    return VOICE.event(seq, "sale", SINCE, b'{"x":"%b"}' % (b"x" * size))


def in_session(settings: BrokerSettings, *, then: Callable[[FleetSession], object] | None = None) -> None:
    """Connect, do something, and end the connection in words."""

    async def live() -> None:
        async with make_broker(settings).session(VOICE.offline(SINCE, "lost")) as session:
            done = then(session) if then else None
            if asyncio.iscoroutine(done):
                await done

    asyncio.run(live())


def failure_of(settings: BrokerSettings) -> FleetError:
    with pytest.raises(FleetError) as caught:
        in_session(settings)
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_messages_arrive_in_their_order_and_retained_ones_stay(broker: Broker) -> None:
    async def deliver(session: FleetSession) -> None:
        await session.deliver([VOICE.discovery(), VOICE.online(SINCE)])
        await session.deliver([event(seq) for seq in range(1, 101)])

    with listening_to(broker) as listener:
        in_session(settings_for(broker), then=deliver)
        wait(lambda: len(listener.seqs()) == 100, "all of them")
        assert listener.seqs() == list(range(1, 101))
    with listening_to(broker) as later:
        wait(lambda: len(later.heard) == 2, "what is retained")
        assert {one.kind for one in later.heard if one.was_kept} == {"discovery", "online"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ca_file": "other-ca.pem"}, "certificate"),
        ({"host": "localhost.localdomain.invalid"}, "unreachable"),
        ({"port": 1}, "unreachable"),
        ({"password": Secret("wrong-password")}, "refused"),
    ],
    ids=["a stranger's certificate", "no such host", "nobody listens", "wrong password"],
)
def test_a_failure_to_connect_has_a_name(change: dict[str, object], code: str, broker: Broker) -> None:
    settings = settings_for(broker)
    if "ca_file" in change:
        change = {"ca_file": broker.certificates / str(change["ca_file"])}
    changed = replace(settings, **change)  # type: ignore[arg-type]  # a table's row
    assert failure_of(changed).code == code


def test_the_name_in_the_certificate_is_compared(tmp_path: Path, certificates: Path) -> None:
    """One that the authority signed for another host is no broker of ours."""
    broker = Broker(tmp_path, certificates)
    broker.start()
    try:
        settings = replace(settings_for(broker), host="127.0.0.2")
        listener = socket.create_server(("127.0.0.2", 0))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")

        def serve() -> None:
            connection, _ = listener.accept()
            with pytest.raises(OSError), context.wrap_socket(connection, server_side=True):  # noqa: PT011 - whichever
                pass

        serving = threading.Thread(target=serve)
        serving.start()
        found = failure_of(replace(settings, port=listener.getsockname()[1]))
        serving.join()
        listener.close()
        assert (found.code, "not valid for '127.0.0.2'" in found.detail) == ("certificate", True)
    finally:
        broker.stop()


@pytest.mark.parametrize("name", ["future.pem", "expired.pem"])
def test_a_certificate_of_another_time_points_at_the_clock(name: str, tmp_path: Path) -> None:
    """As every certificate does to a board whose clock shows 2020."""
    broker = Broker(tmp_path, DATA, certificate=name)
    broker.start()
    try:
        found = failure_of(replace(settings_for(broker), ca_file=DATA / "ca.pem"))
        assert found.code == "clock"
        assert "is its time right" in found.detail
    finally:
        broker.stop()


def test_a_client_can_prove_itself_by_a_certificate(tmp_path: Path, certificates: Path) -> None:
    broker = Broker(tmp_path, certificates, acl="user client\ntopic write terminald/+/#\n")
    trust = f"cafile {certificates / 'ca.pem'}\nrequire_certificate true\nuse_identity_as_username true\n"
    broker.start(listener=trust)
    try:
        plain = replace(settings_for(broker), username="", password=None)
        assert failure_of(plain).code in ("tls", "unavailable")
        own = replace(plain, certificate_file=certificates / "client.pem", key_file=certificates / "client.key")
        in_session(own, then=lambda session: session.deliver([event(1)]))
    finally:
        broker.stop()


def test_an_encrypted_key_asks_nobody_for_its_password(broker: Broker, tmp_path: Path) -> None:
    key = tmp_path / "encrypted.key"
    plain = broker.certificates / "client.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(plain), "-out", str(key), "-passout", "pass:open-sesame"]
    subprocess.run(command, check=True, capture_output=True)
    settings = replace(settings_for(broker), certificate_file=broker.certificates / "client.pem", key_file=key)
    found = failure_of(settings)
    assert (found.code, "are encrypted" in found.detail) == ("file", True)


def test_a_refused_message_is_not_taken_for_a_delivered_one(tmp_path: Path, certificates: Path) -> None:
    """The acknowledgement of a broker that drops a message by its rules looks like any other but for its reason."""
    broker = Broker(tmp_path, certificates, acl=f"user {USERNAME}\ntopic write terminald/+/online\n")
    broker.start()

    async def deliver(session: FleetSession) -> None:
        await session.deliver([VOICE.online(SINCE)])
        with pytest.raises(FleetRefused, match="Not authorized") as caught:
            await session.deliver([VOICE.online(SINCE), event(1), event(2)])
        assert (caught.value.index, caught.value.reason) == (1, 0x87)
        await session.deliver([VOICE.online(SINCE)])

    try:
        in_session(settings_for(broker), then=deliver)
    finally:
        broker.stop()


def test_a_message_at_which_the_protocol_breaks_is_told_from_a_broken_link(tmp_path: Path, certificates: Path) -> None:
    """This broker refuses a large message with a reason code that an acknowledgement can not have."""
    broker = Broker(tmp_path, certificates, settings="message_size_limit 2000\n")
    broker.start()

    async def deliver(session: FleetSession) -> None:
        delivery = asyncio.create_task(session.deliver([event(1), event(2, size=3000)]))
        try:
            await session.wait_lost()
        finally:
            delivery.cancel()

    try:
        with pytest.raises(FleetError) as caught:
            in_session(settings_for(broker), then=deliver)
        assert caught.value.code == "protocol"
    finally:
        broker.stop()


def test_what_the_broker_allows_is_kept_to(tmp_path: Path, certificates: Path) -> None:
    """Receive Maximum 3, and packets of 3000 bytes: more at once, or a larger one, would end the connection."""
    broker = Broker(tmp_path, certificates, settings="max_inflight_messages 3\nmax_packet_size 3000\n")
    broker.start()

    async def deliver(session: FleetSession) -> None:
        assert 2000 < session.max_payload < 3000
        await session.deliver([event(seq) for seq in range(1, 41)])

    try:
        with listening_to(broker) as listener:
            in_session(settings_for(broker), then=deliver)
            wait(lambda: len(listener.seqs()) == 40, "all of them")
    finally:
        broker.stop()


def test_a_broker_that_takes_hardly_anything_is_none_for_us(tmp_path: Path, certificates: Path) -> None:
    broker = Broker(tmp_path, certificates, settings="max_packet_size 1000\n")
    broker.start()
    try:
        assert failure_of(settings_for(broker)).code == "unfit"
    finally:
        broker.stop()


def test_a_broker_that_answers_nothing_any_more_is_left(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_mqtt, "ANSWER_S", 0.5)

    async def deliver(session: FleetSession) -> None:
        await session.deliver([event(1)])
        broker.stall()
        await session.deliver([event(2)])

    with pytest.raises(FleetError) as caught:
        in_session(settings_for(broker), then=deliver)
    assert caught.value.code == "silent"
    broker.go_on()


def test_a_lost_connection_is_noticed_while_nothing_is_sent(broker: Broker) -> None:
    async def wait_lost(session: FleetSession) -> None:
        broker.stop()
        await session.wait_lost()

    with pytest.raises(FleetError) as caught:
        in_session(settings_for(broker), then=wait_lost)
    assert caught.value.code == "lost"


def test_a_half_open_link_is_noticed_while_nothing_is_sent(broker: Broker) -> None:
    """A router that was switched off says nothing to either end; the keep-alive of 5 s finds it out."""

    async def live() -> float:
        hole = asyncio.Event()

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                if not hole.is_set():
                    writer.write(data)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream, downstream = await asyncio.open_connection("127.0.0.1", broker.port)
            await asyncio.gather(pump(reader, downstream), pump(upstream, writer), return_exceptions=True)
            downstream.close()
            writer.close()

        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        settings = replace(settings_for(broker), port=server.sockets[0].getsockname()[1])
        began = loop.time()

        async def fall_into_it() -> None:
            async with make_broker(settings).session(VOICE.offline(SINCE, "lost")) as session:
                await session.deliver([event(1)])
                hole.set()
                await session.wait_lost()

        with pytest.raises(FleetError):
            await fall_into_it()
        took_s = loop.time() - began
        broker.stop()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.1)
        return took_s

    assert asyncio.run(live()) < 15


def test_a_second_client_of_the_same_name_takes_the_place_of_the_first(broker: Broker) -> None:
    async def wait_lost(session: FleetSession) -> None:
        async with make_broker(settings_for(broker)).session(VOICE.offline(SINCE, "lost")):
            await session.wait_lost()

    with pytest.raises(FleetError) as caught:
        in_session(settings_for(broker), then=wait_lost)
    # Brokers before 2.1 do not always get to say why.
    assert caught.value.code in ("taken_over", "lost")


def test_the_will_comes_after_a_delay_and_not_when_the_terminal_is_back_before(broker: Broker) -> None:
    """A link that flaps does not flap in the operator's list; a terminal without power is missed."""

    async def break_off(session: FleetSession) -> None:
        await session.deliver([VOICE.online(SINCE)])
        raise ConnectionError

    async def stay(session: FleetSession) -> None:
        await session.deliver([VOICE.online(SINCE)])
        await asyncio.sleep(3)

    with listening_to(broker) as listener:
        with pytest.raises(ConnectionError):
            in_session(settings_for(broker), then=break_off)
        in_session(settings_for(broker), then=stay)
        assert [one.body["online"] for one in listener.heard] == [True, True]
        with pytest.raises(ConnectionError):
            in_session(settings_for(broker), then=break_off)
        wait(lambda: listener.is_online() is False, "the will")
        last = listener.last("online")
        assert last is not None
        assert last.body["reason"] == "lost"
