"""A connection to an MQTT 5 broker, by aiomqtt. Imported only where that package is there.

The library is used for what it does well: the socket in the event loop, and the protocol. Five things it leaves out are
done here. It takes any acknowledgement for a success; a broker that refuses a message says so in the reason code (OASIS
MQTT 5.0, 3.4.2.1). It does not keep to the broker's Receive Maximum (3.3.4). It leaves the socket open when the broker
does not answer. It waits for the answer to a message on a connection that is lost. And it gathers in memory whatever a
broker sends, unasked, up to 256 MiB in one message and 65,535 messages at once.

Nothing is subscribed to: what a broker sends is not looked at.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, DisconnectFlags, error_string
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from terminald.adapters.fleet_broker import BrokerSettings, unconnected
from terminald.adapters.ports_fleet import FleetSession
from terminald.errors import FleetError, FleetRefused
from terminald.wire.fleet import FleetMessage

#: Messages that may wait for their acknowledgement: enough for 100 a second at 200 ms, and some 100 KiB at most.
WINDOW: Final = 20
#: How long the broker may take to accept a connection, and to acknowledge what was sent at once.
ANSWER_S: Final = 20.0
#: How long the end of a connection may take: the daemon waits for it when it stops.
GOODBYE_S: Final = 2.0
#: Besides its payload a message has its topic, of up to 350 bytes, and a few of its own.
_ENVELOPE: Final = 400
#: A broker that takes less in one packet takes no status.
LEAST_PACKET: Final = 2_000
_NO_LIMIT: Final = 2**28
_QOS: Final = 1
#: The session outlives the will's delay by so much: its end would have the will published at once (3.1.2.5).
_SESSION_MARGIN_S: Final = 60
#: The longest packet that is taken. A broker has acknowledgements for us, with a sentence each at most.
MOST_PACKET: Final = 64 * 1024
#: Bytes that are taken a second, and four times as many at once (I11): five times what acknowledges the most events
#: that can be configured. Each takes time of the loop that serves the customers.
MOST_SAID: Final = 32 * 1024
_SAID_AT_ONCE: Final = 4 * MOST_SAID
_FAILURE: Final = 0x80
_TAKEN_OVER: Final = 0x8E
_REFUSALS: Final = frozenset({0x86, 0x87, 0x8A, 0x8C})  # credentials, rights, banned, method
#: Malformed packet, Protocol error, Packet too large, Payload format invalid: something that was said is to blame.
_MISUNDERSTOOD: Final = frozenset({0x81, 0x82, 0x95, 0x99})


class MqttBroker:
    """Implements :class:`terminald.adapters.ports_fleet.FleetBroker`."""

    def __init__(self, settings: BrokerSettings, context: SSLContext | None) -> None:
        """Context is for TLS; None: without."""
        self._settings = settings
        self._context = context

    @asynccontextmanager
    async def session(self, will: FleetMessage | None) -> AsyncIterator[FleetSession]:
        """Connect, and leave a will; see the port."""
        client = self._make(will)
        try:
            await client.open()
            yield client
            await client.say_goodbye()
        finally:
            client.drop()

    def _make(self, will: FleetMessage | None) -> "_Client":
        settings = self._settings
        delay_s = max(1, settings.keep_alive_s // 2)
        # Paho's properties have no types.
        connect, last = (Properties(kind) for kind in (PacketTypes.CONNECT, PacketTypes.WILLMESSAGE))  # type: ignore[no-untyped-call]
        connect.SessionExpiryInterval = delay_s + _SESSION_MARGIN_S
        # For brokers that keep to it; the others are left, see _Client.
        connect.MaximumPacketSize, connect.ReceiveMaximum = MOST_PACKET, WINDOW
        last.WillDelayInterval = delay_s
        return _Client(
            settings.host,
            settings.port,
            protocol=aiomqtt.ProtocolVersion.V5,
            identifier=settings.client_id,
            username=settings.username or None,
            password=settings.password.reveal() if settings.password else None,
            tls_context=self._context,
            keepalive=settings.keep_alive_s,
            # A session that is taken up again takes its will back; one that is begun anew has it published.
            clean_start=False,
            properties=connect,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, _QOS, retain=True, properties=last),
            timeout=ANSWER_S,
            max_inflight_messages=WINDOW,
            max_queued_incoming_messages=1,
        )


class _Client(aiomqtt.Client):
    """Implements :class:`terminald.adapters.ports_fleet.FleetSession`. Lives for one connection."""

    #: How many bytes of payload the broker takes.
    max_payload = _NO_LIMIT
    _is_fit = True

    async def open(self) -> None:
        """Connect.

        Raises:
            FleetError: there is no connection.
        """
        self._answers: dict[int, asyncio.Future[ReasonCode]] = {}
        self._free = asyncio.Semaphore(WINDOW)
        self._left, self._looked, self._says_too_much = float(_SAID_AT_ONCE), self._loop.time(), False
        self._receive = self._client._sock_recv  # noqa: SLF001 - the one place through which all of it comes
        self._client._sock_recv = self._take  # type: ignore[method-assign]  # noqa: SLF001 - aiomqtt makes its client itself
        try:
            await self.__aenter__()
        except MqttConnectError as exc:
            raise _refused(exc) from exc
        except aiomqtt.MqttCodeError as exc:
            if self._says_too_much:
                raise _talkative() from exc
            what = "the broker ended the connection unasked: does it want another certificate of this terminal?"
            raise FleetError("unavailable", what) from exc
        except aiomqtt.MqttError as exc:
            raise unconnected(exc) from exc
        except ValueError as exc:  # a host name that can not be one
            raise FleetError("unreachable", "its host name can not be looked up") from exc
        if self._says_too_much:  # the library has forgotten by now that the connection is lost
            raise _talkative()
        if not self._is_fit:
            raise FleetError(
                "unfit", f"the broker takes no QoS 1, no retained messages, or less than {LEAST_PACKET} bytes"
            )

    async def deliver(self, messages: Sequence[FleetMessage]) -> None:
        """Send messages, and return when each is acknowledged; see the port."""
        answers: list[asyncio.Future[ReasonCode]] = []
        try:
            async with asyncio.timeout(ANSWER_S):
                for message in messages:
                    await self._free.acquire()
                    answers.append(self._send(message))
                if answers:
                    await asyncio.wait(answers)
        except TimeoutError as exc:
            raise FleetError("silent", f"the broker acknowledged nothing for {ANSWER_S:g} s") from exc
        finally:
            for answer in answers:
                answer.cancel()
        for index, answer in enumerate(answers):
            reason = answer.result()
            if reason.value >= _FAILURE:
                raise FleetRefused(index, reason.value, f"{reason} ({reason.value}): {messages[index].topic}")

    def _send(self, message: FleetMessage) -> asyncio.Future[ReasonCode]:
        info = self._client.publish(message.topic, message.payload, _QOS, message.is_retained)
        if info.rc:
            raise FleetError("lost", error_string(info.rc))
        answer: asyncio.Future[ReasonCode] = self._loop.create_future()
        answer.add_done_callback(lambda _: self._free.release())
        self._answers[info.mid] = answer
        return answer

    async def wait_lost(self) -> None:
        """Wait until the connection is lost, and raise FleetError."""
        await asyncio.wait({self._disconnected})
        raise _talkative() if self._says_too_much else _lost(self._disconnected.exception())

    async def say_goodbye(self) -> None:
        """End the connection in words, so that the broker drops the will; give up soon."""
        if not self._disconnected.done() and not self._client.disconnect():
            await asyncio.wait({self._disconnected}, timeout=GOODBYE_S)

    def drop(self) -> None:
        """Let go of the socket, whatever state it is in; harmless when repeated."""
        self._client.reinitialise()
        for future in (self._connected, self._disconnected):
            if future.done() and not future.cancelled():
                future.exception()  # heard, so that nobody is told that it was not

    # --- what the library calls --------------------------------------------------------------------------------------

    def _take(self, bufsize: int) -> bytes:
        """Take up to so many bytes of the packet that has begun; leave a broker that says too much.

        Raises:
            OSError: the connection is lost; so the library takes it.
        """
        now = self._loop.time()
        self._left = min(_SAID_AT_ONCE, self._left + (now - self._looked) * MOST_SAID)
        self._looked = now
        # What comes with QoS 2 is kept until the broker lets go of it.
        kept = len(self._client._in_messages)  # noqa: SLF001 - paho tells of them nowhere else
        if bufsize > MOST_PACKET or self._left <= 0 or kept > WINDOW:
            self._says_too_much = True
            raise ConnectionAbortedError("the broker says too much")
        data = self._receive(bufsize)
        self._left -= len(data)
        return data

    def _on_connect(
        self,
        client: PahoClient,
        userdata: object,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if properties is not None:
            window: int = getattr(properties, "ReceiveMaximum", WINDOW)
            largest: int = getattr(properties, "MaximumPacketSize", _NO_LIMIT)
            qos: int = getattr(properties, "MaximumQoS", _QOS)
            can_retain: int = getattr(properties, "RetainAvailable", 1)
            self._free = asyncio.Semaphore(max(1, min(window, WINDOW)))
            self.max_payload = largest - _ENVELOPE
            self._is_fit = qos >= _QOS and bool(can_retain) and largest >= LEAST_PACKET
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: object,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            # The library would go on waiting for an answer to its first packet.
            self._connected.set_exception(aiomqtt.MqttCodeError(reason_code, "ended before it began"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: PahoClient, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        answer = self._answers.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)


def _refused(exc: MqttConnectError) -> FleetError:
    """Return why the broker did not accept a connection that was made."""
    if isinstance(exc.rc, ReasonCode):
        code = "refused" if exc.rc.value in _REFUSALS else "unavailable"
        return FleetError(code, f"the broker says: {exc.rc} ({exc.rc.value})")
    return FleetError("unavailable", str(exc))


def _talkative() -> FleetError:
    return FleetError("unfit", "the broker sends far more than acknowledgements, and nothing was subscribed to")


def _lost(exc: BaseException | None) -> FleetError:
    """Return why a connection has ended."""
    if isinstance(exc, aiomqtt.MqttCodeError) and isinstance(exc.rc, ReasonCode):
        if exc.rc.value == _TAKEN_OVER:
            return FleetError("taken_over", "another client with this client id has connected: is a name used twice?")
        code = "protocol" if exc.rc.value in _MISUNDERSTOOD else "lost"
        return FleetError(code, f"the connection has ended: {exc.rc} ({exc.rc.value})")
    return FleetError("lost", f"the connection has ended: {exc or 'by the broker'}")
