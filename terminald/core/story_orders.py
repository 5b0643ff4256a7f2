"""What an order at the gateway means at this moment, in words: one row for each kind and state.

Filled in: ``{order}``, ``{amount}``, ``{wallet}``, ``{transaction}``, ``{said}``, ``{ends}``, ``{at}``.
"""

from collections.abc import Mapping
from typing import Final

from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.events import (
    AttentionDue,
    Event,
    HoldEnded,
    LastLookDue,
    LookDue,
    OfferExpired,
    PollDue,
    PollWindowClosed,
    RetryDue,
)
from terminald.core.story_text import Present, Text

_S = AttemptState
_Words = Mapping[AttemptState, Present]

_MAY_COME_BACK: Final = Text(
    "If the phone shows a charge of {amount}, it is being returned: the customer need not do anything.",
    "如果手机上显示已扣款 {amount}，这笔钱会原路退回，顾客无需操作。",
)
_NO_CHARGE: Final = Text(
    "{order}: the phone shows no charge, or a payment that failed.",
    "{order}：手机上没有扣款，或显示支付失败。",
)
_PHONE_PAID: Final = Text(
    "The phone shows a payment of {amount}{wallet}.",
    "手机上显示已支付 {amount}{wallet}。",
)
_NOT_SEEN: Final = Text(
    "{order}: the phone should show no charge. Should one appear later, it goes back by itself.",
    "{order}：手机上不应有扣款。万一之后出现扣款，会自动原路退回。",
)

#: The order is being undone: the same words for both kinds.
_UNDOING: Final[_Words] = {
    _S.ABANDONING: Present(
        known=Text("{order} is not wanted any more.", "{order}：本次付款已不再需要。"),
        unknown=Text(
            "{order} was sent, and there is no answer yet: it is not known whether money was taken. If it was, it "
            "goes back.",
            "{order}：请求已发出，尚无应答，不确定是否扣款；如已扣款，会退回。",
        ),
        phone=_MAY_COME_BACK,
        awaited=Text(
            "waits for the gateway's answer, then undoes the order",
            "等待网关应答，随后撤销该订单",
        ),
    ),
    _S.REVERSING: Present(
        known=Text("{order} will not be taken as paid: it is being undone.", "{order}：不会算作已付款，正在撤销。"),
        unknown=Text(
            "{order}: the gateway was asked to cancel it and has not answered yet. It is not known whether money was "
            "taken; if it was, it goes back.",
            "{order}：已请求网关撤销，尚无应答。不确定是否扣过款；如已扣款，会退回。",
        ),
        phone=_MAY_COME_BACK,
        awaited=Text("waits for the gateway's answer to the cancel", "等待网关对撤销的应答"),
    ),
    _S.PROVING: Present(
        known=Text("{order} will not be taken as paid: it is being undone.", "{order}：不会算作已付款，正在撤销。"),
        unknown=Text(
            "{order}: the cancel had no clear answer. It is not known yet whether money was taken, and whether it has "
            "gone back.",
            "{order}：撤销没有得到明确结果，尚不确定是否扣过款、是否已退回。",
        ),
        phone=_MAY_COME_BACK,
        awaited=Text(
            "asks the gateway how the order stands, and cancels again until it is proven",
            "向网关查询该订单，并重复撤销，直到确认为止",
        ),
    ),
    _S.SETTLING: Present(
        known=Text("{order} will not be taken as paid: its money goes back.", "{order}：不会算作已付款，款项会退回。"),
        unknown=Text(
            "{order}: the gateway does not cancel it any more, or its refund had no clear answer. It is not known yet "
            "whether the money has gone back.",
            "{order}：网关已不能撤销，或退款没有得到明确结果，尚不确定钱是否已退回。",
        ),
        phone=_MAY_COME_BACK,
        awaited=Text(
            "asks the gateway how the order stands, and refunds until it is proven",
            "向网关查询该订单，并继续退款，直到确认为止",
        ),
    ),
    _S.REFUNDING: Present(
        known=Text("{order} will not be taken as paid: its money goes back.", "{order}：不会算作已付款，款项会退回。"),
        unknown=Text(
            "{order}: the gateway was asked to refund it and has not answered yet.",
            "{order}：已请求网关退款，尚无应答。",
        ),
        phone=_MAY_COME_BACK,
        awaited=Text("waits for the gateway's answer to the refund", "等待网关对退款的应答"),
    ),
    _S.WATCHING: Present(
        known=Text(
            "{order}: the gateway does not know this order. It counts as unpaid.",
            "{order}：网关没有这笔订单，按未付款处理。",
        ),
        unknown=Text(
            "{order}: a request that was held up in the network may still arrive there; then it is undone.",
            "{order}：滞留在网络中的请求仍有可能到达网关；一旦到达就撤销。",
        ),
        phone=_NOT_SEEN,
        awaited=Text(
            "waits for the gateway's answer, then looks for the order again until the last look",
            "等待网关应答，之后再次查找该订单，直到最后一次",
        ),
    ),
    _S.LAST_LOOK: Present(
        known=Text(
            "{order}: the gateway does not know this order. It counts as unpaid.",
            "{order}：网关没有这笔订单，按未付款处理。",
        ),
        unknown=Text(
            "{order}: it is being looked for a last time.",
            "{order}：正在最后一次查找。",
        ),
        phone=_NOT_SEEN,
        awaited=Text("waits for the gateway's answer, then closes the order", "等待网关应答，随后结束该订单"),
    ),
    _S.PAID: Present(
        known=Text(
            "{order}: the gateway has confirmed the payment of {amount}{wallet}{transaction}, at {at}.",
            "{order}：网关已于 {at} 确认收款 {amount}{wallet}{transaction}。",
        ),
        phone=_PHONE_PAID,
    ),
    _S.DECLINED: Present(
        known=Text("{order} took no money: the gateway closed it unpaid{said}.", "{order}：未扣款，网关已关闭{said}。"),
        phone=_NO_CHARGE,
    ),
    _S.REVERSED: Present(
        known=Text(
            "{order}: no money of it is kept. It was undone at the gateway, or never arrived there.",
            "{order}：没有留下任何款项，订单已在网关撤销，或从未到达网关。",
        ),
        phone=Text(
            "{order}: if the phone showed a charge, it shows its return as well. With a bank card that may take the "
            "bank some days.",
            "{order}：如果手机上曾显示扣款，也会显示退回。银行卡退款可能需要银行几天时间。",
        ),
    ),
    _S.UNSENT: Present(
        known=Text(
            "{order} took no money: its payment was never sent{said}.",
            "{order}：未扣款，付款请求从未发出{said}。",
        ),
        phone=Text("{order}: the phone shows no charge.", "{order}：手机上没有扣款。"),
    ),
}

_SCAN: Final[_Words] = {
    **_UNDOING,
    _S.HELD: Present(
        known=Text(
            "{order} is held, and nothing was sent about it: the QR code must be proven unpaid first, so that the "
            "customer is not charged twice.",
            "{order}：暂存，尚未发出；须先确认收款码未被支付，以免重复扣款。",
        ),
        phone=Text("{order}: the phone shows no charge for it yet.", "{order}：手机上还没有扣款。"),
    ),
    _S.SUBMITTING: Present(
        unknown=Text(
            "{order} was sent to the gateway, and there is no answer yet: it is not known whether the customer was "
            "charged.",
            "{order}：已发送给网关，尚无应答，不确定顾客是否已被扣款。",
        ),
        phone=Text(
            "The phone may ask for a confirmation, or show a charge of {amount} already.",
            "手机可能要求确认，也可能已显示扣款 {amount}。",
        ),
        awaited=Text("waits for the gateway's answer", "等待网关应答"),
    ),
    _S.POLLING: Present(
        unknown=Text(
            "{order}: it is not known yet whether the customer was charged{said}.",
            "{order}：尚不确定顾客是否已被扣款{said}。",
        ),
        phone=Text(
            "The phone may ask for a confirmation or a password: the customer should give it now. It may also show a "
            "charge of {amount} already.",
            "手机可能要求确认或输入密码，请顾客现在完成；也可能已显示扣款 {amount}。",
        ),
        awaited=Text(
            "waits for the gateway's answer, and asks again until it is decided",
            "等待网关应答，并继续查询直到有结果",
        ),
    ),
}

_QR: Final[_Words] = {
    **_UNDOING,
    _S.OFFERING: Present(
        known=Text(
            "{order}: nobody has been shown it yet, so nobody has paid it.",
            "{order}：尚未展示给任何人，因此没有人付过款。",
        ),
        phone=Text("{order}: there is nothing to scan yet.", "{order}：还没有可扫的码。"),
        awaited=Text("waits for the gateway to make the QR code", "等待网关生成收款码"),
    ),
    _S.OFFERED: Present(
        unknown=Text(
            "{order} can be paid until {ends}. As far as is known nobody has paid it.",
            "{order}：在 {ends} 之前可以支付，目前没有收到付款。",
        ),
        phone=Text(
            "{order}: when the customer scans it, the phone asks to pay {amount}.",
            "{order}：顾客扫码后，手机会要求支付 {amount}。",
        ),
        awaited=Text(
            "waits for the gateway's answer, and asks again until it is paid",
            "等待网关应答，并继续查询直到支付",
        ),
    ),
    _S.POLLING: Present(
        known=Text(
            "{order} is not shown any more: its time is over, or a payment code was presented beside it.",
            "{order}：已不再展示：时间已到，或顾客另外出示了付款码。",
        ),
        unknown=Text(
            "{order}: the gateway is asked whether it was paid before; if not, it is undone.",
            "{order}：正在向网关查询此前是否已支付；若未支付则撤销。",
        ),
        phone=Text(
            "{order}: the customer should not scan it any more. If it was paid already, that payment counts.",
            "{order}：请不要再扫。如果已经支付，则以该付款为准。",
        ),
        awaited=Text(
            "waits for the gateway's answer, then undoes it or takes it as paid", "等待网关应答，然后撤销或确认已付款"
        ),
    ),
}

#: A QR that is undone for a presented code, and that pays the sale where the gateway does not cancel it any more.
YIELDING: Final = Present(
    known=Text(
        "{order} is being undone, because a payment code was presented beside it.",
        "{order}：因顾客另外出示了付款码，正在撤销。",
    ),
    unknown=Text(
        "{order}: it may have been paid at the last moment. If it was, its money goes back, or that payment counts and "
        "the payment code is never sent.",
        "{order}：可能在最后一刻已被支付。如已支付，会退回，或以该付款为准而不再发送付款码。",
    ),
    phone=Text(
        "{order}: if the phone shows a charge of {amount}, it counts or is being returned: the customer need not do "
        "anything.",
        "{order}：如果手机上显示已扣款 {amount}，该款项或作为付款，或原路退回，顾客无需操作。",
    ),
    awaited=Text(
        "asks the gateway how the order stands, until it is proven",
        "向网关查询该订单，直到确认为止",
    ),
)
_YIELDED: Final = frozenset({_S.REVERSING, _S.PROVING, _S.SETTLING})

#: By kind. A state that one kind never enters has the other kind's words: a journal may hold what nobody foresaw.
ORDERS: Final[Mapping[str, _Words]] = {"scan": {**_QR, **_SCAN}, "qr": {**_SCAN, **_QR}}


def order_words(order: Attempt) -> Present:
    """Return the words for an order as it stands."""
    is_yielding = order.is_yielding and order.state in _YIELDED
    return YIELDING if is_yielding else ORDERS[order.kind][order.state]


#: The times that an order waits for, by event: what happens then.
WAKEUPS: Final[Mapping[type[Event], Text]] = {
    PollDue: Text("{order}: asks the gateway again", "{order}：再次向网关查询"),
    OfferExpired: Text(
        "{order}: asks the gateway a last time whether it was paid, and undoes it if it was not",
        "{order}：最后一次查询是否已支付，若未支付则撤销",
    ),
    PollWindowClosed: Text("{order}: gives it up, and undoes it at the gateway", "{order}：放弃等待，并在网关撤销"),
    HoldEnded: Text(
        "{order}: drops it if it is still held; the customer then presents a fresh one",
        "{order}：若仍在暂存则作废，请顾客重新出示付款码",
    ),
    RetryDue: Text(
        "{order}: asks the gateway again how it stands, until it is proven",
        "{order}：再次向网关查询，直到确认为止",
    ),
    LookDue: Text("{order}: looks for it at the gateway once more", "{order}：再次在网关查找"),
    LastLookDue: Text("{order}: looks for it at the gateway a last time", "{order}：最后一次在网关查找"),
    AttentionDue: Text("{order}: calls for a person, and goes on by itself", "{order}：提示人工关注，同时继续自动处理"),
}
