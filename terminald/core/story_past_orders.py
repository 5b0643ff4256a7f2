"""What has happened to an order at the gateway, in words: one sentence for each transition that says something new.

A transition is looked up by its cause, with the state before, the state after, or both where they make a difference.
``None``: another transition of the same moment tells it, or it is only the clock of a machine.
"""

from collections.abc import Mapping
from typing import Final

from terminald.core.story_text import Text

#: (cause, state before, state after); "*": whatever it is.
Key = tuple[str, str, str]
Past = Mapping[Key, Text | None]

ANY: Final = "*"


def on(cause: str, *, before: str = ANY, to: str = ANY) -> Key:
    """Return the key of a transition."""
    return cause, before, to


_UNDO: Final = Text(
    "{order}: it is not wanted any more; the gateway is asked to cancel it.", "{order}：已不需要，请求网关撤销。"
)
_TURNED_UP: Final = Text(
    "{order}: it has turned up at the gateway after all, and is undone.",
    "{order}：订单后来还是到达了网关，正在撤销。",
)
_STILL_PAID: Final = Text(
    "{order}: asked again, the gateway says that it is still paid; the cancel is repeated.",
    "{order}：再次查询，网关答复仍为已支付，再次撤销。",
)
_STILL_OPEN: Final = Text(
    "{order}: asked again, the gateway says that it is not undone yet; the cancel is repeated.",
    "{order}：再次查询，网关答复尚未撤销，再次撤销。",
)
_ASKED_REFUND: Final = Text("{order}: the gateway is asked to refund what is left.", "{order}：请求网关退还剩余款项。")
_NO_ANSWER: Final = Text("{order}: the gateway gave no usable answer.", "{order}：网关没有给出可用的应答。")
_UNBELIEVED: Final = Text(
    "{order}: the answer speaks of another terminal, order or amount; it is not believed.",
    "{order}：应答中的终端、订单或金额不符，不予采信。",
)
_VANISHED: Final = Text(
    "{order}: the gateway says that it does not know the order, which it had confirmed. That proves nothing: it is "
    "asked and cancelled again.",
    "{order}：网关称没有这笔订单，而此前已确认过。这不足为凭，将继续查询并撤销。",
)
_GONE_BACK: Final = Text(
    "{order}: the gateway says that it is undone; whatever was taken has gone back.",
    "{order}：网关答复已撤销，如有扣款已退回。",
)
_DROPPED: Final = Text("{order}: it was dropped, and never sent.", "{order}：已作废，从未发出。")
_RESTARTED: Final = Text(
    "{order}: terminald was started again, and asks how it stands.", "{order}：terminald 重新启动，查询其结果。"
)
_POWER: Final = Text(
    "{order}: the board was started again (was the power off?), and terminald asks how it stands.",
    "{order}：设备重新启动（可能断过电），terminald 查询其结果。",
)
_REPEATED: Final = Text(
    "{order}: terminald was started again, and asks the gateway to cancel it.",
    "{order}：terminald 重新启动，请求网关撤销。",
)

ATTEMPTS: Final[Past] = {
    on("AttemptOpened", to="held"): Text(
        "{order} was presented beside the QR code. It is held as order {name}, and nothing was sent.",
        "在收款码之外出示了{order}，暂存为订单 {name}，尚未发出。",
    ),
    on("AttemptOpened", to="offering"): Text(
        "{order}: the gateway was asked to make it, as order {name}.",
        "{order}：请求网关生成，订单 {name}。",
    ),
    on("AttemptOpened"): Text(
        "{order} was presented, and sent to the gateway as order {name}.",
        "出示了{order}，已作为订单 {name} 发送给网关。",
    ),
    on("WayCleared"): Text(
        "{order}: no money of the QR code is kept, so the code was sent to the gateway.",
        "{order}：已确认收款码没有留下款项，付款码已发送给网关。",
    ),
    on("HoldEnded"): Text(
        "{order} was held too long. It was dropped, and never sent.", "{order}：暂存时间过长，已作废，从未发出。"
    ),
    on("AbandonRequested", before="held"): _DROPPED,
    on("AbandonRequested", before="submitting"): Text(
        "{order}: it is not wanted any more, and is undone as soon as the gateway has answered.",
        "{order}：已不需要，网关一应答就撤销。",
    ),
    on("AbandonRequested", before="offering"): Text(
        "{order}: it is not wanted any more, and is undone as soon as the gateway has answered.",
        "{order}：已不需要，网关一应答就撤销。",
    ),
    on("AbandonRequested", to="reversing"): _UNDO,
    on("AbandonRequested"): None,
    on("OfferExpired", before="offered"): Text(
        "{order}: its time is over; the gateway is asked a last time whether it has been paid.",
        "{order}：时间已到，最后一次向网关查询是否已支付。",
    ),
    on("OfferExpired"): None,
    on("YieldRequested", before="offered"): Text(
        "{order}: a payment code was presented beside it; the gateway is asked whether it has been paid.",
        "{order}：顾客另外出示了付款码，先查询收款码是否已被支付。",
    ),
    on("YieldRequested", before="offering"): Text(
        "{order}: a payment code was presented before it could be shown; it is undone.",
        "{order}：尚未展示就出示了付款码，将撤销它。",
    ),
    on("YieldRequested"): None,
    on("PayConfirmed", to="paid"): Text("{order}: the gateway answered that it is paid.", "{order}：网关答复已支付。"),
    on("PayConfirmed"): Text(
        "{order}: the gateway answered that it is paid. As it is not wanted any more, it is undone.",
        "{order}：网关答复已支付；因已不需要，正在撤销。",
    ),
    on("PayDeclined"): Text("{order}: the gateway declined it; no money was taken.", "{order}：网关拒绝，未扣款。"),
    on("RequestRefused", to="declined"): Text(
        "{order}: the gateway refused the request of this terminal; no money was taken.",
        "{order}：网关拒绝了本终端的请求，未扣款。",
    ),
    on("RequestRefused", before="refunding"): Text(
        "{order}: the gateway refused the request for a refund.", "{order}：网关拒绝了退款请求。"
    ),
    on("RequestRefused"): Text(
        "{order}: the gateway refused the request to cancel it.", "{order}：网关拒绝了撤销请求。"
    ),
    on("RequestNotSent", to="unsent"): Text(
        "{order}: the gateway could not be reached; nothing left the terminal.",
        "{order}：无法连接网关，请求没有发出。",
    ),
    on("RequestNotSent", before="refunding"): Text(
        "{order}: the gateway could not be reached to refund it.", "{order}：无法连接网关，退款请求没有发出。"
    ),
    on("RequestNotSent"): Text(
        "{order}: the gateway could not be reached to cancel it.", "{order}：无法连接网关，撤销请求没有发出。"
    ),
    on("OutcomePending", before="abandoning"): Text(
        "{order}: the gateway has not decided it; it is undone.", "{order}：网关尚无结果，正在撤销。"
    ),
    on("OutcomePending"): Text(
        "{order}: the gateway has not decided it; the customer may have to confirm on the phone.",
        "{order}：网关尚无结果，顾客可能需要在手机上确认。",
    ),
    on("OutcomeUnknown", before="submitting"): Text(
        "{order}: no usable answer came, so it is not known whether the customer was charged. The gateway is asked.",
        "{order}：没有收到可用的应答，不确定是否已扣款，向网关查询。",
    ),
    on("OutcomeUnknown", before="offering"): Text(
        "{order}: no usable answer came, so its QR code is not known to anybody. It is undone.",
        "{order}：没有收到可用的应答，没有人见过这个收款码，正在撤销。",
    ),
    on("OutcomeUnknown", before="reversing"): Text(
        "{order}: the cancel had no usable answer.", "{order}：撤销没有得到可用的应答。"
    ),
    on("OutcomeUnknown", before="refunding"): Text(
        "{order}: the refund had no usable answer.", "{order}：退款没有得到可用的应答。"
    ),
    on("OutcomeUnknown"): _NO_ANSWER,
    on("AnswerMismatched"): _UNBELIEVED,
    on("QrOffered", to="offered"): Text(
        "{order}: the gateway has made it; it can be scanned and paid.", "{order}：网关已生成，可以扫码支付。"
    ),
    on("QrOffered"): Text(
        "{order}: the gateway has made it. As it is not wanted any more, it is undone.",
        "{order}：网关已生成；因已不需要，正在撤销。",
    ),
    on("OrderPaid", to="paid"): Text(
        "{order}: asked how it stands, the gateway answered that it is paid.", "{order}：经查询，网关答复已支付。"
    ),
    on("OrderPaid", before="proving"): _STILL_PAID,
    on("OrderPaid", to="refunding"): _ASKED_REFUND,
    on("OrderPaid"): _TURNED_UP,
    on("OrderPending", before="polling", to="polling"): Text(
        "{order}: asked how it stands, the gateway has not decided it.", "{order}：经查询，网关尚无结果。"
    ),
    on("OrderPending", before="offered"): Text(
        "{order}: asked how it stands, the gateway says that it is not paid yet.",
        "{order}：经查询，尚未支付。",
    ),
    on("OrderPending", before="polling"): Text(
        "{order}: the gateway does not say that it is paid; it is undone.",
        "{order}：网关没有答复已支付，正在撤销。",
    ),
    on("OrderPending", before="proving"): _STILL_OPEN,
    on("OrderPending", before="settling"): _STILL_OPEN,
    on("OrderPending"): _TURNED_UP,
    on("OrderErrored", before="polling", to="polling"): Text(
        "{order}: asked how it stands, the gateway reports an error of its own.",
        "{order}：经查询，网关报告其内部错误。",
    ),
    on("OrderErrored", before="offered"): Text(
        "{order}: asked how it stands, the gateway reports an error of its own.",
        "{order}：经查询，网关报告其内部错误。",
    ),
    on("OrderErrored", before="polling"): Text(
        "{order}: the gateway does not say that it is paid; it is undone.",
        "{order}：网关没有答复已支付，正在撤销。",
    ),
    on("OrderErrored", before="proving"): _STILL_OPEN,
    on("OrderErrored", to="refunding"): _ASKED_REFUND,
    on("OrderErrored"): _TURNED_UP,
    on("OrderClosed", to="declined"): Text(
        "{order}: asked how it stands, the gateway answered that it is closed and was not paid.",
        "{order}：经查询，网关答复已关闭，未付款。",
    ),
    on("OrderClosed"): _GONE_BACK,
    on("OrderReturned"): _GONE_BACK,
    on("OrderPartlyReturned"): Text(
        "{order}: a part of it was given back by somebody else; the rest is refunded.",
        "{order}：其中一部分已由他人退回，剩余部分正在退款。",
    ),
    on("OrderAbsent", to="watching"): Text(
        "{order}: the gateway does not know it. It counts as unpaid, and is looked for again later.",
        "{order}：网关没有这笔订单，按未付款处理，稍后会再次查找。",
    ),
    on("OrderAbsent", to="proving"): _VANISHED,
    on("OrderAbsent", before="proving", to="reversing"): _VANISHED,
    on("OrderAbsent", before="settling", to="settling"): _VANISHED,
    on("OrderAbsent", before="last_look"): Text(
        "{order}: looked for a last time, it has never arrived at the gateway.",
        "{order}：最后一次查找，订单从未到达网关。",
    ),
    on("OrderAbsent", to="reversing"): Text(
        "{order}: the gateway does not say that it is paid; it is undone.",
        "{order}：网关没有答复已支付，正在撤销。",
    ),
    on("OrderAbsent"): Text(
        "{order}: asked how it stands, the gateway does not know it.", "{order}：经查询，网关没有这笔订单。"
    ),
    on("QueryFailed", to="reversing"): Text(
        "{order}: the gateway does not say that it is paid; it is undone.",
        "{order}：网关没有答复已支付，正在撤销。",
    ),
    on("QueryFailed"): Text(
        "{order}: asked how it stands, the gateway gave no usable answer.", "{order}：查询没有得到可用的应答。"
    ),
    on("ReversalConfirmed"): _GONE_BACK,
    on("ReversalPending"): Text("{order}: the gateway has not finished to cancel it.", "{order}：网关尚未完成撤销。"),
    on("ReversalRefused"): Text(
        "{order}: the gateway does not cancel it any more; what was paid is refunded.",
        "{order}：网关已不能撤销，改为退款。",
    ),
    on("RefundConfirmed"): Text("{order}: the gateway has refunded it.", "{order}：网关已退款。"),
    on("RefundPending"): Text("{order}: the gateway has not finished to refund it.", "{order}：网关尚未完成退款。"),
    on("RefundRefused"): Text(
        "{order}: the gateway refused to refund it; it is tried again.", "{order}：网关拒绝退款，将再次尝试。"
    ),
    on("PollWindowClosed"): Text(
        "{order}: there was no payment in time; the gateway is asked to cancel it.",
        "{order}：没有按时付款，请求网关撤销。",
    ),
    on("Recovered", before="held"): _DROPPED,
    on("PowerReturned", before="held"): _DROPPED,
    on("Recovered", to="reversing"): _REPEATED,
    on("PowerReturned", to="reversing"): _REPEATED,
    on("Recovered"): _RESTARTED,
    on("PowerReturned"): _POWER,
    on("PollDue"): None,
    on("RetryDue"): None,
    on("LookDue"): None,
    on("LastLookDue"): None,
    on("AttentionDue"): None,
}
