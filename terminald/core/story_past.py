"""What has happened to a sale, its refunds and its slips, in words; and which words a record of the journal has."""

from collections.abc import Mapping
from typing import Final

from terminald.core.stimuli import Record
from terminald.core.story_past_orders import ANY, ATTEMPTS, Past, on
from terminald.core.story_text import Text
from terminald.core.story_vends import VENDS

# --- the sale --------------------------------------------------------------------------------------------------------

_CANCELED: Final = Text("The sale was canceled.", "交易已取消。")
_ALL_BACK: Final = Text("All of the payment has gone back.", "款项已全部退回。")
_NOT_RETURNED: Final = Text(
    "The return has ended; the gateway has not given the money back.", "退回结束，网关没有退款。"
)
_BOARD_STARTED: Final = Text(
    "The board was started again (was the power off?), and the sale is not offered any more.",
    "设备重新启动（可能断过电），交易不再继续。",
)

SALES: Final[Past] = {
    on("SaleOpened"): Text(
        "The sale was opened: {amount} for “{subject}”, reference {reference}. To be paid by {methods}.",
        "交易开始：{amount}，商品“{subject}”，订单号 {reference}。付款方式：{methods}。",
    ),
    on("CodeScanned"): None,
    on("AttemptOffered"): None,
    on("OfferDue"): None,
    on("AttemptPaid"): Text("The sale is paid: {amount}.", "交易已付款：{amount}。"),
    on("AttemptUnpaid", before="processing"): Text(
        "The customer can present another payment code.", "顾客可以再出示一个付款码。"
    ),
    on("AttemptUnpaid", before="awaiting_payment", to="canceled"): Text(
        "There is no way left to pay. The sale was canceled.",
        "已没有可用的付款方式。交易已取消。",
    ),
    on("AttemptUnpaid", before="canceling", to="canceled"): _CANCELED,
    on("AttemptUnpaid", before="expiring"): Text(
        "Nobody has paid in time. The sale was canceled.",
        "没有按时付款。交易已取消。",
    ),
    on("AttemptUnpaid"): None,
    on("AttemptRefused"): Text(
        "As the gateway refuses this terminal, the sale was canceled.", "由于网关拒绝本终端，交易已取消。"
    ),
    on("AttemptReversing", before="expiring"): Text(
        "Nobody has paid in time, as far as is known. Whatever was taken goes back.",
        "没有按时付款。如已扣款会退回。",
    ),
    on("AttemptReversing", to="canceling"): Text(
        "The sale will not be paid any more. Whatever was taken goes back.",
        "交易不会再算作付款，如已扣款会退回。",
    ),
    on("AttemptReversing"): None,
    on("PresentationExpired", to="canceled"): Text(
        "Nobody has paid in time. The sale was canceled.",
        "没有按时付款。交易已取消。",
    ),
    on("PresentationExpired"): Text(
        "Nobody has paid in time: the QR code is undone, then the sale is canceled.",
        "没有按时付款：先撤销收款码，然后取消交易。",
    ),
    on("OfferRanOut"): Text("The time to pay is over.", "付款时间已到。"),
    on("OfferPutOff"): None,
    on("CancelRequested", before="awaiting_payment", to="canceled"): Text(
        "It was asked to cancel the sale, and it was canceled.", "收到取消请求，交易已取消。"
    ),
    on("CancelRequested", to="canceling"): Text(
        "It was asked to cancel the sale. Whatever was taken goes back.", "收到取消请求，如已扣款会退回。"
    ),
    on("CancelRequested"): None,
    on("ShutdownRequested"): Text(
        "terminald was being stopped: the sale is not offered any more.", "terminald 正在停止，交易不再继续。"
    ),
    on("DrainRequested"): Text("Sales are held back: it is not offered any more.", "已暂停新交易，交易不再继续。"),
    on("PowerReturned", before="awaiting_payment"): _BOARD_STARTED,
    on("PowerReturned", before="paid", to="returning"): Text(
        "The board was started again (was the power off?) before the goods were reported: the money goes back.",
        "在报告出货之前设备重新启动（可能断过电），款项将退回。",
    ),
    on("PowerReturned"): None,
    on("Recovered"): None,
    on("DeliveryWaived"): Text("The sale is complete.", "交易完成。"),
    on("Delivered", before="paid"): Text(
        "The host reported that the goods came out. The sale is complete.", "主机报告出货成功，交易完成。"
    ),
    on("Delivered", before="completed"): Text(
        "The host reported after all that the goods came out.", "主机事后报告出货成功。"
    ),
    on("DeliveredInTime"): Text(
        "The host reported after all that the goods came out. No money had gone back, and it stays.",
        "主机事后报告出货成功，此时款项尚未退回。交易完成，款项保留。",
    ),
    on("Delivered"): Text(
        "The host reported that the goods came out, after the return of their money had begun.",
        "主机报告出货成功，但款项已在退回。",
    ),
    on("Undelivered"): Text(
        "The host reported that nothing came out: the money goes back.", "主机报告没有出货，款项将退回。"
    ),
    on("PartUndelivered"): Text(
        "The host reported that a part of the goods did not come out: its price goes back.",
        "主机报告部分没有出货，相应款项将退回。",
    ),
    on("PartUndelivered", before="returning"): Text(
        "The host reported that a part of the goods did not come out, while the money was on its way back.",
        "款项退回途中，主机报告部分没有出货。",
    ),
    on("DeliveryClosed", to="completed"): Text(
        "The person who was called answers for the goods. The sale is complete.", "由人工对出货负责，交易完成。"
    ),
    on("DeliveryClosed"): None,
    on("DeliveryWindowClosed", to="returning"): Text(
        "Nobody has said in time that the goods came out: the money goes back.",
        "没有按时收到出货报告，款项将退回。",
    ),
    on("DeliveryWindowClosed"): Text("Nobody has said in time whether the goods came out.", "没有按时收到出货报告。"),
    on("DeliveryUnheard"): Text(
        "For a day it could not be told for certain whether the goods came out: a person decides.",
        "一天之内无法可靠地收到出货报告，由人工决定。",
    ),
    **{on(cause): None for cause in ("DeliveryOverdue", "DeliveryLapsed")},
    on("DeliveryLapsed", to="returning"): Text(
        "As nobody knows whether the goods came out, the money goes back.", "由于不清楚是否已出货，款项将退回。"
    ),
    **{on(cause): None for cause in ("ReturnBegun", "RefundBegun", "RefundDone", "RefundFailed", "RefundClosed")},
    on("RefundDone", to="returned"): _ALL_BACK,
    on("AllReturned"): _ALL_BACK,
    on("RefundFailed", before="returning"): _NOT_RETURNED,
    on("RefundClosed", before="returning"): _NOT_RETURNED,
}

# --- money that goes back --------------------------------------------------------------------------------------------

_BACK: Final = Text("{refund}: the gateway confirmed that the money has gone back.", "{refund}：网关确认已退回。")
_ASKED: Final = Text("{refund}: the gateway was asked to refund it.", "{refund}：已请求网关退款。")
_LOOKED: Final = Text(
    "{refund}: the gateway is asked whether it knows the order again.", "{refund}：再次查询网关是否已能找到该订单。"
)
_ASKED_TO_REVOKE: Final = Text("{refund}: the gateway was asked to revoke the payment.", "{refund}：已请求网关撤单。")
_NOT_BACK: Final = Text(
    "{refund}: asked how the order stands, the gateway says that the money has not gone back; it is tried again under "
    "the same number.",
    "{refund}：经查询尚未退回，以同一编号重试。",
)
_GIVEN_UP: Final = Text(
    "{refund}: the gateway refused it, and the money has not gone back.", "{refund}：网关拒绝，钱没有退回。"
)
_DOUBTED: Final = Text(
    "{refund}: the money has not gone back, but an earlier try may still arrive; the gateway is asked again later.",
    "{refund}：尚未退回，但先前的请求仍可能到达，稍后再查询。",
)
_OVERTAKEN: Final = Text(
    "{refund}: all of the payment has gone back by other means; this one was not carried out.",
    "{refund}：全部款项已通过其他途径退回，这一笔没有执行。",
)
_BY_OTHERS: Final = Text(
    "{refund}: all of the payment has gone back, but an earlier try may have been carried out; the gateway is asked "
    "again later.",
    "{refund}：全部款项已退回，但先前的请求可能已执行，稍后再查询。",
)
_WHICH: Final = Text(
    "{refund}: all of the payment has gone back; whether by this one, its repetition under the same number tells.",
    "{refund}：全部款项已退回；以同一编号重试，以确认是否由这一笔执行。",
)
_HELD_UP: Final = Text(
    "{refund}: the gateway refuses it for now; it is tried again later.", "{refund}：网关暂时拒绝，稍后再试。"
)
_STUCK: Final = Text(
    "{refund}: the gateway reports an error of its own about the order; it is taken up again.",
    "{refund}：网关报告该订单有内部错误，将再次处理。",
)
_RESTARTED: Final = Text(
    "{refund}: terminald was started again, and asks whether the money has gone back.",
    "{refund}：terminald 重新启动，查询是否已退回。",
)

REFUNDS: Final[Past] = {
    on("RefundOpened"): Text("{refund} was recorded{why}.", "已记录{refund}{why}。"),
    on("RevokeTurn"): _ASKED_TO_REVOKE,
    on("RefundTurn"): _ASKED,
    on("LookTurn"): _LOOKED,
    on("RevokeLookTurn"): _LOOKED,
    on("OrderAbsent", to="blocked"): Text(
        "{refund}: the gateway does not know the order; it is asked again later.",
        "{refund}：网关找不到该订单，稍后再查。",
    ),
    on("NothingLeft"): Text("{refund}: nothing was left to go back.", "{refund}：已无可退。"),
    on("TurnMissed"): Text(
        "{refund}: others come first, or its day is over; it ends, and nothing more is sent for it.",
        "{refund}：其他退款在先，或可撤单的日期已过；就此结束，不再发送请求。",
    ),
    on("ReturnCalledOff"): Text(
        "{refund}: the goods came out after all; it ends, and has moved no money.",
        "{refund}：货物实际已出；就此结束，没有动用款项。",
    ),
    on("ReversalConfirmed"): _BACK,
    on("RefundConfirmed"): _BACK,
    on("ReversalRefused", to="refunding"): Text(
        "{refund}: the gateway does not revoke the payment any more; it was asked to refund it.",
        "{refund}：网关已不能撤单，改为请求退款。",
    ),
    on("ReversalRefused"): Text(
        "{refund}: the gateway does not revoke the payment; it is asked how the order stands.",
        "{refund}：网关不予撤单，向其查询订单状态。",
    ),
    on("ReversalPending"): Text("{refund}: the gateway has not finished it.", "{refund}：网关尚未完成。"),
    on("RefundPending"): Text("{refund}: the gateway has not finished it.", "{refund}：网关尚未完成。"),
    on("RefundRefused"): Text(
        "{refund}: the gateway refused it; it is asked how the order stands.", "{refund}：网关拒绝，向其查询订单状态。"
    ),
    on("OutcomeUnknown"): Text(
        "{refund}: no usable answer came, so it is not known whether the money has gone back.",
        "{refund}：没有收到可用的应答，不确定钱是否已退回。",
    ),
    on("AnswerMismatched"): Text(
        "{refund}: the answer speaks of another terminal, order or amount; it is not believed.",
        "{refund}：应答中的终端、订单或金额不符，不予采信。",
    ),
    on("RequestNotSent"): Text(
        "{refund}: the gateway could not be reached; nothing was sent.", "{refund}：无法连接网关，请求没有发出。"
    ),
    on("RequestRefused"): Text(
        "{refund}: the gateway refused the request of this terminal.", "{refund}：网关拒绝了本终端的请求。"
    ),
    on("OrderAbsent"): Text(
        "{refund}: the gateway says that it does not know the order, which it had confirmed.",
        "{refund}：网关称没有这笔订单，而此前已确认过。",
    ),
    on("OrderClosed", to="done"): _BACK,
    on("OrderClosed", to="refused"): _OVERTAKEN,
    on("OrderClosed", to="refunding"): _WHICH,
    on("OrderClosed"): _BY_OTHERS,
    on("OrderReturned", to="done"): _BACK,
    on("OrderReturned", to="refused"): _OVERTAKEN,
    on("OrderReturned", to="refunding"): _WHICH,
    on("OrderReturned"): _BY_OTHERS,
    on("OrderPartlyReturned", to="done"): _BACK,
    on("OrderPartlyReturned", to="refused"): _GIVEN_UP,
    on("OrderPartlyReturned", to="blocked"): _HELD_UP,
    on("OrderPartlyReturned", before="checking", to="checking"): _DOUBTED,
    on("OrderPartlyReturned", before="proving", to="proving"): _DOUBTED,
    on("OrderPartlyReturned", before="checking"): Text(
        "{refund}: a part was given back by somebody else; the rest is refunded.",
        "{refund}：其中一部分已由他人退回，剩余部分正在退款。",
    ),
    on("OrderPartlyReturned"): _NOT_BACK,
    on("OrderPaid", before="checking", to="refunding"): Text(
        "{refund}: the day on which the payment could be revoked is over; the gateway was asked to refund it.",
        "{refund}：可撤单的日期已过，改为请求退款。",
    ),
    on("OrderPaid", to="refused"): _GIVEN_UP,
    on("OrderPaid", to="blocked"): _HELD_UP,
    on("OrderPaid", before="checking", to="checking"): _DOUBTED,
    on("OrderPaid", before="proving", to="proving"): _DOUBTED,
    on("OrderPaid"): _NOT_BACK,
    on("OrderErrored"): _STUCK,
    on("OrderPending"): Text(
        "{refund}: asked how the order stands, the gateway has not finished.", "{refund}：经查询，网关尚未完成。"
    ),
    on("QueryFailed"): Text(
        "{refund}: asked how the order stands, the gateway gave no usable answer.",
        "{refund}：查询没有得到可用的应答。",
    ),
    on("RetryDue", before="blocked"): Text("{refund}: it is tried again.", "{refund}：再次尝试。"),
    on("RetryDue"): None,
    on("AttentionDue"): None,
    on("ClosedByHand"): Text(
        "{refund}: a person closed it, as settled by other means.", "{refund}：已由人工关闭（以其他方式处理）。"
    ),
    on("Recovered", before="requested"): None,
    on("Recovered", before="blocked"): None,
    on("Recovered"): _RESTARTED,
    on("PowerReturned", before="requested"): None,
    on("PowerReturned", before="blocked"): None,
    on("PowerReturned"): _RESTARTED,
}

# --- slips -----------------------------------------------------------------------------------------------------------

_CUT_OFF: Final = Text(
    "{slip}: terminald was started again while it was printed; a part may be on paper.",
    "{slip}：打印期间 terminald 重新启动，可能只打印了一部分。",
)

PRINTS: Final[Past] = {
    on("JobEnqueued"): None,
    on("SendDue"): None,
    on("PrinterReady"): None,
    on("JobPrinted"): Text("{slip} was printed: the printer said so.", "{slip}：已打印，打印机已确认。"),
    on("JobBlocked"): Text(
        "{slip} waits: the printer can not print now (paper, cover, cutter, or off-line).",
        "{slip}：等待打印，打印机暂时无法打印（缺纸、机盖、切刀或脱机）。",
    ),
    on("JobInterrupted"): Text(
        "{slip}: the printer stopped in the middle (paper, cover, cutter, or off-line) and is to print the rest.",
        "{slip}：打印机中途停止（缺纸、机盖、切刀或脱机），恢复后将打印其余部分。",
    ),
    on("JobLost"): Text(
        "{slip}: the printer lost what it had not printed yet; a part may be on paper. It is printed again, as a copy.",
        "{slip}：打印机丢失了未打印的内容，可能只打印了一部分；将重新打印并注明补打。",
    ),
    on("JobLost", to="failed"): Text(
        "{slip}: the printer lost it again; a part may be on paper.", "{slip}：打印机再次丢失，可能只打印了一部分。"
    ),
    on("JobSent"): Text(
        "{slip} was sent to the printer, which did not say whether it printed it.",
        "{slip}：已发送到打印机，是否打印成功未经确认。",
    ),
    on("PrinterAbsent"): Text("{slip}: the printer could not be reached.", "{slip}：无法连接打印机。"),
    on("JobBroken"): Text(
        "{slip}: the printer failed; a part may be on paper.", "{slip}：打印机出错，可能只打印了一部分。"
    ),
    on("SlipOutdated"): Text("{slip} was not printed, because it came too late.", "{slip}：为时已晚，没有打印。"),
    on("LifetimeEnded", before="lost"): Text(
        "{slip} was not printed again in time, and given up; a part may be on paper.",
        "{slip}：未能按时重新打印，已放弃，可能只打印了一部分。",
    ),
    on("LifetimeEnded"): Text("{slip} was not printed in time, and given up.", "{slip}：未能按时打印，已放弃。"),
    on("Recovered", before="printing"): _CUT_OFF,
    on("Recovered", before="reprinting"): _CUT_OFF,
    on("Recovered"): None,
    on("PowerReturned", before="printing"): _CUT_OFF,
    on("PowerReturned", before="reprinting"): _CUT_OFF,
    on("PowerReturned"): None,
}

# --- what concerns a person ------------------------------------------------------------------------------------------

#: Why a person is called, in short.
ALARMS: Final[Mapping[str, Text]] = {
    "answer_mismatch": Text("an answer speaks of another terminal, order or amount", "应答中的终端、订单或金额不符"),
    "order_errored": Text("the gateway reports an error of its own about the order", "网关报告该订单有内部错误"),
    "refund_refused": Text("the gateway refuses to give the money back", "网关拒绝退款"),
    "refund_open": Text("giving money back takes unusually long", "退款用时过长"),
    "reversal_open": Text("undoing the order takes unusually long", "撤销用时过长"),
    "merchant_balance": Text("the merchant's balance is not enough to give the money back", "商户余额不足，无法退款"),
    "not_refundable": Text("the gateway does not give this payment back", "网关不支持退还这笔付款"),
    "order_lost": Text("the gateway does not know an order that it had confirmed", "网关找不到此前已确认的订单"),
    "delivery_overdue": Text("nobody has said whether the goods came out", "没有收到出货报告"),
    "delivered_and_returned": Text("the goods came out, and their money went back", "货物已出，款项却已退回"),
}
_ALARM: Final = Text("A person is called: {alarm}.", "提示人工关注：{alarm}。")
_CLOSED: Final = Text("A person closed it ({alarm}) with the reason: {reason}", "人工关闭（{alarm}），理由：{reason}")

#: Why a scan was not taken.
SCANS: Final[Mapping[str, Text]] = {
    "product_barcode": Text("the barcode of a product", "商品条码"),
    "web_address": Text("a web address, such as the QR code by which a merchant is paid", "网址（例如商户收款码）"),
    "too_long": Text("longer than any payment code", "比付款码长"),
    "too_short": Text("shorter than any payment code", "比付款码短"),
    "not_a_payment_code": Text("no payment code", "不是付款码"),
    "code_reused": Text("a code that had been presented before", "重复出示的付款码"),
    "earlier_order_open": Text(
        "a code that was presented while an earlier order of the sale was being undone",
        "本次交易的前一笔订单正在撤销时出示的付款码",
    ),
    "sale_open": Text("something that was scanned while the payment was under way", "付款进行中扫到的内容"),
    "still_there": Text("a code that was presented too soon after another one", "与前一次间隔太短的付款码"),
    "basket_empty": Text("a code that was presented without a product", "未选商品时出示的付款码"),
    "basket_full": Text("a product for which there was no room", "超出购物限额的商品"),
    "unknown_product": Text("the barcode of a product that is not sold here", "本机不出售的商品条码"),
    "not_ready": Text("a code that was presented while no payment was possible", "无法收款时出示的付款码"),
}
#: What a kiosk has done for a paid sale.
_ACTIONS: Final[Past] = {
    on("ActionBegun"): Text("The action of the kiosk was begun.", "自助终端的动作已开始。"),
    on("ActionDone"): Text("The action of the kiosk was done.", "自助终端的动作已完成。"),
    on("ActionFailed"): Text("The action of the kiosk has failed: {evidence}.", "自助终端的动作失败：{evidence}。"),
    on("ActionUnknown"): Text(
        "terminald was stopped in the middle of the kiosk's action, and does not do it again: {evidence}.",
        "自助终端的动作进行中程序中断，不会重做：{evidence}。",
    ),
}
_NOT_TAKEN: Final = Text("A scan was not taken: {scan}.", "扫到的内容未被采用：{scan}。")

_TABLES: Final[Mapping[str, Past]] = {
    "sale": SALES,
    "attempt": ATTEMPTS,
    "refund": REFUNDS,
    "print": PRINTS,
    "vend": VENDS,
    "attention": {on("AttentionClosed"): _CLOSED, on(ANY): _ALARM},
    "scan": {on("CodeRejected"): _NOT_TAKEN},
    "action": _ACTIONS,
}
#: What another release of terminald may have recorded.
_OTHER: Final = Text("{cause}: {before} → {after}.", "{cause}：{before} → {after}。")


def past_words(record: Record) -> Text | None:
    """Return the words of a record, those that fit it most closely; None where another record tells it."""
    table = _TABLES.get(record.kind, {})
    cause, before, after = record.cause, record.before, record.after
    for key in ((cause, before, after), (cause, before, ANY), (cause, ANY, after), (cause, ANY, ANY), on(ANY)):
        if key in table:
            return table[key]
    return _OTHER
