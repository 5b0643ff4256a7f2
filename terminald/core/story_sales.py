"""What a sale and its goods mean at this moment, in words: one row for each state of the sale and of the delivery."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from terminald.core.events import UNRECORDED, Event, LifetimeEnded, OfferDue, PresentationExpired, SendDue
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.spool import JobState
from terminald.core.story_text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleWords:
    """What is known, what is not, what the customer sees at the terminal, and what a person is to do.

    Filled in: ``{amount}``, ``{paid}``, ``{returned}``, ``{reason}``, ``{ends}``.
    """

    known: Text | None = None
    unknown: Text | None = None
    customer: Text | None = None
    person: Text | None = None


_S = SaleState
_D = DeliveryState

_HAND_NOTHING: Final = Text(
    "Hand nothing over: the sale is not known to be paid, whatever the phone shows.",
    "不要交货：无论手机上显示什么，本次交易都还没有确认收款。",
)
_UNPAID: Final = Text("Hand nothing over: the sale is not paid.", "不要交货：本次交易没有付款。")

SALES: Final[Mapping[SaleState, SaleWords]] = {
    _S.AWAITING_PAYMENT: SaleWords(
        known=Text(
            "The sale of {amount} is open and not paid. It waits for the customer until {ends}.",
            "这笔 {amount}的交易等待付款，尚未付款，最晚等到 {ends}。",
        ),
        customer=Text("The terminal asks the customer to pay {amount}.", "终端请顾客支付 {amount}。"),
        person=_UNPAID,
    ),
    _S.SWITCHING: SaleWords(
        known=Text(
            "The sale of {amount} is not known to be paid. A payment code was presented beside the QR code; only one "
            "of the two is charged.",
            "这笔 {amount}的交易尚未确认付款。顾客在收款码之外又出示了付款码，两者只会扣一次款。",
        ),
        customer=Text("The terminal asks for a moment of patience.", "终端请顾客稍候。"),
        person=_HAND_NOTHING,
    ),
    _S.EXPIRING: SaleWords(
        known=Text(
            "The sale of {amount} is not known to be paid, and its time is over. The gateway is asked whether the QR "
            "code was paid in time.",
            "这笔 {amount}的交易已到时间，尚未确认付款。正在向网关查询收款码是否已按时支付。",
        ),
        customer=Text("The terminal asks for a moment of patience.", "终端请顾客稍候。"),
        person=_HAND_NOTHING,
    ),
    _S.PROCESSING: SaleWords(
        known=Text(
            "The sale of {amount} is not known to be paid: its order is with the gateway.",
            "这笔 {amount}的交易尚未确认付款：订单正在网关处理。",
        ),
        customer=Text("The terminal asks the customer to confirm on the phone.", "终端请顾客在手机上确认。"),
        person=_HAND_NOTHING,
    ),
    _S.PAID: SaleWords(known=Text("The sale is paid: {paid}{returned}.", "交易已付款：{paid}{returned}。")),
    _S.COMPLETED: SaleWords(known=Text("The sale is paid: {paid}{returned}.", "交易已付款：{paid}{returned}。")),
    _S.CANCELING: SaleWords(
        known=Text(
            "The sale of {amount} is being canceled{reason}. Whatever was taken goes back by itself.",
            "这笔 {amount}的交易正在取消{reason}。如已扣款，会自动退回。",
        ),
        customer=Text("The terminal says that it was not paid.", "终端显示未付款。"),
        person=Text(
            "Hand nothing over. A new sale can be begun; the customer pays that one anew.",
            "不要交货。可以开始新的交易，由顾客重新付款。",
        ),
    ),
    _S.CANCELED: SaleWords(
        known=Text(
            "The sale of {amount} was canceled{reason}.",
            "这笔 {amount}的交易已取消{reason}。",
        ),
        person=_UNPAID,
    ),
    _S.RETURNING: SaleWords(
        known=Text(
            "The sale was paid: {paid}. All that is left of it is on its way back{returned}.",
            "交易曾付款：{paid}，剩余款项正在全部退回{returned}。",
        ),
        person=Text(
            "Hand nothing over any more: the money goes back.",
            "不要再交货：款项正在退回。",
        ),
    ),
    _S.RETURNED: SaleWords(
        known=Text("The sale was paid: {paid}. All of it has gone back.", "交易曾付款：{paid}，已全部退回。"),
    ),
}

_OUT: Final = Text("The host has reported that the goods came out.", "主机已报告出货成功。")
_NOT_OUT: Final = Text(
    "The host has reported that the goods, or a part of them, did not come out.",
    "主机已报告没有出货，或部分没有出货。",
)
_NOT_SAID: Final = Text(
    "It is not known whether the goods came out: nobody has said so.",
    "是否出货尚不清楚：没有收到报告。",
)
_LATE: Final = Text(
    "It is not known whether the goods came out: nobody has said so in time.",
    "是否出货尚不清楚：没有按时收到报告。",
)

_ANSWERED_FOR: Final = Text(
    "Nobody has reported in time whether the goods came out; a person was called, and has closed the matter.",
    "没有按时收到出货报告；已由人工关注并关闭。",
)

_DELIVERIES: Final[Mapping[DeliveryState, SaleWords]] = {
    _D.NONE: SaleWords(),
    _D.PENDING: SaleWords(unknown=_NOT_SAID),
    _D.OVERDUE: SaleWords(unknown=_LATE),
    _D.CLOSED: SaleWords(known=_ANSWERED_FOR),
    _D.DELIVERED: SaleWords(known=_OUT),
    _D.UNDELIVERED: SaleWords(known=_NOT_OUT),
}
_AFTER_ALL: Final = Text(
    "The goods came out all the same: the host has reported it after the return of the money had begun.",
    "货物实际已出：主机在开始退款之后才报告出货。",
)
#: Where a state of the sale gives a state of the goods another meaning.
_TOGETHER: Final[Mapping[tuple[SaleState, DeliveryState], SaleWords]] = {
    (_S.PAID, _D.PENDING): SaleWords(
        unknown=Text(
            "It is not known yet whether the goods came out: the host is to report it.",
            "尚不清楚是否已出货：等待主机报告。",
        ),
        customer=Text("The terminal says that it is paid.", "终端显示已付款。"),
    ),
    (_S.COMPLETED, _D.CLOSED): SaleWords(
        known=_ANSWERED_FOR,
        person=Text(
            "Nothing has to be done. If the goods have not come out after all, report it: then the money goes back.",
            "无需人工处理。如事后发现没有出货，请报告，款项随即退回。",
        ),
    ),
    (_S.RETURNING, _D.DELIVERED): SaleWords(known=_AFTER_ALL),
    (_S.RETURNED, _D.DELIVERED): SaleWords(known=_AFTER_ALL),
}

#: By both states.
DELIVERIES: Final[Mapping[tuple[SaleState, DeliveryState], SaleWords]] = {
    (state, delivery): _TOGETHER.get((state, delivery), words)
    for state in SaleState
    for delivery, words in _DELIVERIES.items()
}

#: Of a canceled sale, once all of its orders are closed.
NOTHING_KEPT: Final = Text("No money of it is kept.", "没有留下任何款项。")
#: How much of a payment has gone back, where some has.
RETURNED: Final = Text("; {returned} of it has gone back", "，其中 {returned}已退回")

#: Why a sale is not paid, and what stands for a reason that has no words.
OTHER_REASON: Final = Text(" ({reason})", "（{reason}）")
REASONS: Final[Mapping[str, Text]] = {
    "declined": Text(" because the payment was declined", "，原因：付款被拒绝"),
    "expired": Text(" because it was not paid in time", "，原因：没有按时付款"),
    "host": Text(" on request", "，原因：应要求取消"),
    "machine": Text(" because the vending machine does not ask for it any more", "，原因：售货机不再请求这笔付款"),
    "gateway_unreachable": Text(" because the payment gateway could not be reached", "，原因：无法连接支付网关"),
    "terminal_refused": Text(" because the gateway refused this terminal", "，原因：网关拒绝了本终端"),
    "shutdown": Text(" because terminald was being stopped", "，原因：terminald 正在停止"),
    "drained": Text(" because sales were held back (terminald drain)", "，原因：已暂停新交易（terminald drain）"),
    "power_lost": Text(" because the power failed", "，原因：断电"),
    UNRECORDED: Text(" because the disk failed", "，原因：磁盘故障"),
}

#: The times that a sale or a print job waits for, by event: what happens then.
SALE_WAKEUPS: Final[Mapping[type[Event], Text]] = {
    PresentationExpired: Text(
        "stops to wait for the customer, and closes the sale unpaid", "不再等待顾客，交易按未付款结束"
    ),
    OfferDue: Text("offers another QR code", "再生成一个收款码"),
    SendDue: Text("sends the slip to the printer", "把单据发送到打印机"),
    LifetimeEnded: Text("gives the slip up if it is not printed", "若仍未打印则放弃该单据"),
}

#: What happens when the host has not reported the goods in time, by whether the money then goes back.
DELIVERY_ENDS: Final[Mapping[bool, Text]] = {
    False: Text(
        "calls for a person, if nobody has said by then whether the goods came out",
        "若届时仍没有出货报告，则提示人工关注",
    ),
    True: Text(
        "gives the money back, if nobody has said by then that the goods came out",
        "若届时仍没有出货报告，则自动退款",
    ),
}

#: What is known about the latest receipt.
RECEIPTS: Final[Mapping[JobState, Text]] = {
    JobState.QUEUED: Text("The receipt waits for the printer.", "小票等待打印。"),
    JobState.BLOCKED: Text(
        "The receipt waits: the printer can not print now (paper, cover, cutter, or off-line).",
        "小票等待打印：打印机暂时无法打印（缺纸、机盖、切刀或脱机）。",
    ),
    JobState.PRINTING: Text("The receipt is being sent to the printer.", "小票正在打印。"),
    JobState.LOST: Text(
        "The printer lost the receipt, a part may be on paper; it will be printed again, marked as a copy.",
        "打印机丢失了小票，可能只打印了一部分；将重新打印并注明补打。",
    ),
    JobState.REPRINTING: Text(
        "The printer had lost the receipt; it is being sent again, marked as a copy.",
        "打印机曾丢失小票，正在重新打印并注明补打。",
    ),
    JobState.PRINTED: Text("The receipt is printed: the printer said so.", "小票已打印，打印机已确认。"),
    JobState.UNVERIFIED: Text(
        "The receipt was sent to the printer, which did not say whether it printed it.",
        "小票已发送到打印机，是否打印成功未经确认。",
    ),
    JobState.EXPIRED: Text("The receipt was not printed in time, and given up.", "小票未能按时打印，已放弃。"),
    JobState.FAILED: Text("The printer failed while it printed the receipt.", "打印小票时打印机出错。"),
}

#: The same, where the printer stopped in the middle of it.
RECEIPT_HELD: Final = Text(
    "The printer stopped in the middle of the receipt (paper, cover, cutter, or off-line), and is to print the rest.",
    "打印小票时打印机中途停止（缺纸、机盖、切刀或脱机），恢复后将打印其余部分。",
)
