"""A terminal that speaks to a :class:`GatewayWorld` on a virtual clock, and performs its plans as a network would."""

import json
from dataclasses import dataclass, field

import msgspec

from terminald.simulator.gateway import Delivery, GatewayWorld, OrderView, Request, Response, sign

VENDOR_SN = "91800001"
VENDOR_KEY = "vendor-key-of-the-tests"
APP_ID = "app-1"
CODE = "DEMO"
DEVICE_ID = "device-1"
WECHAT = "1308123412341234"


@dataclass(slots=True)
class Clock:
    """Seconds on a virtual time line."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class Biz(msgspec.Struct):
    """The second layer."""

    result_code: str = ""
    error_code: str = ""
    terminal_sn: str = ""
    terminal_key: str = ""
    data: dict[str, str] = {}


class Answer(msgspec.Struct):
    """The first layer, decoded."""

    result_code: str
    error_code: str = ""
    error_message: str = ""
    biz_response: Biz = msgspec.field(default_factory=Biz)

    @property
    def result(self) -> str:
        """Return the outcome of the action, or what refused it."""
        return self.biz_response.error_code or self.error_code or self.biz_response.result_code

    @property
    def data(self) -> dict[str, str]:
        """Return the third layer."""
        return self.biz_response.data

    @property
    def order_status(self) -> str:
        """Return the state of the order."""
        return self.data.get("order_status", "")


def decode(response: Response) -> Answer:
    return msgspec.json.decode(response.body, type=Answer)


def path_of(call: str) -> str:
    prefix = "/terminal/" if call in {"activate", "checkin", "uploadLog"} else "/upay/v2/"
    return prefix + call


def signed(call: str, fields: dict[str, str], sn: str, key: str) -> Request:
    body = json.dumps(fields).encode()
    return Request(path=path_of(call), body=body, authorization=f"{sn} {sign(body, key)}")


def make_world(clock: Clock, *, seed: int = 1, speed: float = 1.0, uses: int = 9) -> GatewayWorld:
    return GatewayWorld(
        clock=clock,
        seed=seed,
        speed=speed,
        vendor_sn=VENDOR_SN,
        vendor_key=VENDOR_KEY,
        app_id=APP_ID,
        activation_codes={CODE: uses},
    )


def activation(*, code: str = CODE, device_id: str = DEVICE_ID, app_id: str = APP_ID) -> Request:
    fields = {"app_id": app_id, "code": code, "device_id": device_id, "name": "lobby"}
    return signed("activate", fields, VENDOR_SN, VENDOR_KEY)


@dataclass(slots=True)
class Terminal:
    """One activated terminal."""

    world: GatewayWorld
    clock: Clock
    sn: str = field(init=False)
    key: str = field(init=False)

    def __post_init__(self) -> None:
        biz = decode(self.world.receive(activation())).biz_response
        self.sn, self.key = biz.terminal_sn, biz.terminal_key

    def request(self, call: str, **fields: str) -> Request:
        return signed(call, {"terminal_sn": self.sn, **fields}, self.sn, self.key)

    def carry(self, request: Request) -> Response | None:
        """Perform the plan of one request; None when no answer came."""
        plan = self.world.plan(request)
        response = None
        if plan.arrives:
            self.clock.now += plan.arrival_delay_s
            response = self.world.receive(request)
        self.clock.now += plan.answer_delay_s + plan.trickle_s
        return self.world.answer(plan, response) if plan.delivery is Delivery.SEND else None

    def send(self, call: str, **fields: str) -> Answer:
        """Send a request whose answer is sure to come."""
        response = self.carry(self.request(call, **fields))
        assert response is not None
        return decode(response)

    def pay_request(self, digits: str, client_sn: str = "order-1", amount: int = 350, prefix: str = WECHAT) -> Request:
        return self.request(
            "pay",
            client_sn=client_sn,
            total_amount=str(amount),
            dynamic_id=prefix + digits,
            subject="Cola",
            operator="kiosk",
            reflect="r-1",
        )

    def pay(self, digits: str, client_sn: str = "order-1", amount: int = 350) -> Answer:
        response = self.carry(self.pay_request(digits, client_sn, amount))
        assert response is not None
        return decode(response)

    def precreate(self, client_sn: str = "order-1", amount: int = 350) -> Answer:
        return self.send(
            "precreate", client_sn=client_sn, total_amount=str(amount), payway="3", subject="Cola", operator="kiosk"
        )

    def refund_request(self, request_no: str, amount: int, client_sn: str = "order-1") -> Request:
        return self.request(
            "refund", client_sn=client_sn, refund_request_no=request_no, refund_amount=str(amount), operator="kiosk"
        )

    def refund(self, request_no: str, amount: int, client_sn: str = "order-1") -> Answer:
        response = self.carry(self.refund_request(request_no, amount, client_sn))
        assert response is not None
        return decode(response)

    def query(self, client_sn: str = "order-1") -> Answer:
        return self.send("query", client_sn=client_sn)

    def cancel(self, client_sn: str = "order-1") -> Answer:
        return self.send("cancel", client_sn=client_sn)

    def revoke(self, client_sn: str = "order-1") -> Answer:
        return self.send("revoke", client_sn=client_sn)

    def entry(self, client_sn: str = "order-1") -> OrderView:
        """Return what the books say about an order."""
        (order,) = (order for order in self.world.view().orders if order.client_sn == client_sn)
        return order


def new_terminal(*, seed: int = 1, speed: float = 1.0) -> Terminal:
    clock = Clock()
    return Terminal(make_world(clock, seed=seed, speed=speed), clock)
