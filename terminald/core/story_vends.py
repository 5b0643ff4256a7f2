"""A vending machine's request in words: how it stands, what has happened, and what comes next."""

from collections.abc import Mapping
from typing import Final

from terminald.core.book import SaleView
from terminald.core.events import Event
from terminald.core.sale_table import DeliveryState
from terminald.core.story_past_orders import Past, on
from terminald.core.story_sales import DELIVERIES, SaleWords
from terminald.core.story_text import Text
from terminald.core.vend_events import AnswerDue, ApprovalDue, ResultOverdue
from terminald.core.vend_table import VendState

_V = VendState

_WAITS: Final = SaleWords(
    known=Text(
        "The vending machine “{machine}” has asked for it, and waits; it has not been told to dispense.",
        "售货机“{machine}”请求了这笔付款并在等待，尚未通知它出货。",
    )
)
_DENIED: Final = SaleWords(
    known=Text(
        "The vending machine “{machine}” was told that nothing is paid; it dispenses nothing for it.",
        "已通知售货机“{machine}”没有付款，它不会出货。",
    )
)
_NOT_OUT: Final = SaleWords(
    known=Text(
        "The vending machine “{machine}” was not told to dispense, or has said that it could not.",
        "没有通知售货机“{machine}”出货，或它已报告无法出货。",
    )
)

#: How a vend stands. Filled in as in a sale's words, and ``{machine}``.
VEND_STATES: Final[Mapping[VendState, SaleWords]] = {
    _V.REQUESTED: _WAITS,
    _V.PAYING: _WAITS,
    _V.PAID: _WAITS,
    _V.APPROVING: SaleWords(
        known=Text("The vending machine “{machine}” is being told to dispense.", "正在通知售货机“{machine}”出货。"),
    ),
    _V.APPROVED: SaleWords(
        known=Text("The vending machine “{machine}” was told to dispense.", "已通知售货机“{machine}”出货。"),
        unknown=Text(
            "It is not known yet whether the goods came out: the machine is to say so.",
            "尚不清楚是否已出货：等待售货机报告。",
        ),
    ),
    _V.DONE: SaleWords(
        known=Text("The vending machine “{machine}” says that the goods came out.", "售货机“{machine}”报告已出货。"),
    ),
    _V.CANCELING: _DENIED,
    _V.DENIED: _DENIED,
    _V.RETURNING: _NOT_OUT,
    _V.RETURNED: SaleWords(
        known=Text(
            "The vending machine “{machine}” has not said that the goods came out before the money went back.",
            "款项退回之前，售货机“{machine}”没有报告出货。",
        )
    ),
    _V.UNKNOWN: SaleWords(
        known=Text("The vending machine “{machine}” was told to dispense.", "已通知售货机“{machine}”出货。"),
        unknown=Text(
            "It is not known whether the goods came out: the machine was silent, was started anew, or could not be "
            "heard.",
            "是否出货尚不清楚：售货机没有报告、重新启动，或通信中断。",
        ),
    ),
    _V.CLOSED: _NOT_OUT,
}

_SAID: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.UNDELIVERED, DeliveryState.CLOSED})


def goods_words(view: SaleView) -> SaleWords:
    """Return the words about the goods: the machine's, where there is one, unless somebody has said otherwise."""
    sale, vend = view.sale, view.vend
    by_sale = DELIVERIES[sale.state, sale.delivery]
    if vend is None or (vend.state is _V.UNKNOWN and sale.delivery in _SAID):
        return by_sale
    is_after_all = vend.state in (_V.RETURNING, _V.RETURNED) and sale.delivery is DeliveryState.DELIVERED
    return by_sale if is_after_all else VEND_STATES[vend.state]


#: What a vend waits for, by event, and whether the money goes back where nobody knows what came out.
VEND_WAKEUPS: Final[Mapping[tuple[type[Event], bool], Text]] = {
    **dict.fromkeys(
        ((AnswerDue, False), (AnswerDue, True)),
        Text(
            "tells the vending machine that nothing is paid, and undoes whatever was taken",
            "通知售货机没有付款，并撤销可能的扣款",
        ),
    ),
    **dict.fromkeys(
        ((ApprovalDue, False), (ApprovalDue, True)),
        Text("tells the vending machine to dispense", "通知售货机出货"),
    ),
    (ResultOverdue, False): Text(
        "calls for a person, if the vending machine has not said by then what came out",
        "若届时售货机仍没有报告，则提示人工关注",
    ),
    (ResultOverdue, True): Text(
        "gives the money back, if the vending machine has not said by then that the goods came out",
        "若届时售货机仍没有报告出货，则自动退款",
    ),
}

# --- what has happened -----------------------------------------------------------------------------------------------

_GONE: Final = Text(
    "The vending machine does not ask for it any more; it is not told to dispense.",
    "售货机不再请求这笔付款，不会通知它出货。",
)
_SILENT: Final = Text(
    "The vending machine had been told to dispense, and nobody knows whether it has.",
    "已通知售货机出货，但不清楚是否已出货。",
)
_FAILED: Final = Text("The vending machine says that it has not dispensed.", "售货机报告没有出货。")
_OUT: Final = Text("The vending machine says that it has dispensed.", "售货机报告已出货。")
_CANCELED: Final = Text(
    "The vending machine takes the request back: the coin return was pressed, or cash was inserted.",
    "售货机撤回请求：按下了退币，或投入了现金。",
)
_RESET: Final = Text("The vending machine was started anew.", "售货机重新启动。")
_REST: Final = Text("The vending machine is at rest, or asks for something else.", "售货机已空闲，或请求其他商品。")
_LOST: Final = Text("The adapter of the vending machine went away.", "售货机适配器断开。")
_RESTARTED: Final = Text(
    "terminald was started again; what the vending machine does now about the request is not known.",
    "terminald 重新启动，售货机对该请求的处理不得而知。",
)
_NOT_HEEDED: Final = Text("The adapter did not pass the approval on.", "适配器没有转发出货通知。")
_NOT_SENT: Final = Text(
    "The approval was not sent: the machine did not ask any more.", "出货通知未发出：售货机已不再请求。"
)

VENDS: Final[Past] = {
    on("VendRequested"): Text("The vending machine “{machine}” asks for the payment.", "售货机“{machine}”请求付款。"),
    on("SalePaying"): None,
    on("SaleWaiting"): None,
    on("SalePaid"): None,
    on("SaleCanceling"): Text("The vending machine was told that nothing is paid.", "已通知售货机没有付款。"),
    on("SaleCanceled", before="canceling"): None,
    on("SaleCanceled"): Text("The vending machine was told that nothing is paid.", "已通知售货机没有付款。"),
    on("SaleReturning"): _GONE,
    on("SaleReturned"): None,
    on("SaleCompleted"): None,
    on("AnswerDue"): Text(
        "The time of the vending machine was over: it was told that nothing is paid.",
        "售货机的等待时间已到：已通知它没有付款。",
    ),
    on("ApprovalDue", to="approving"): Text("The vending machine is told to dispense.", "通知售货机出货。"),
    on("ApprovalDue"): Text(
        "The payment came too late for the vending machine; it was told that nothing is paid.",
        "付款过晚：已通知售货机没有付款。",
    ),
    on("ApprovalSent", to="unknown"): _SILENT,
    on("ApprovalSent"): None,
    on("ApprovalNotSent"): _NOT_SENT,
    on("ApprovalRejected"): _NOT_HEEDED,
    on("VendCanceled"): _CANCELED,
    on("VendSucceeded"): _OUT,
    on("VendFailed"): _FAILED,
    on("MachineReset"): _RESET,
    on("RequestGone"): _REST,
    on("AdapterLost"): _LOST,
    on("ResultOverdue"): _SILENT,
    on("Recovered", before="canceling"): None,
    on("Recovered", before="returning"): None,
    on("Recovered"): _RESTARTED,
    on("PowerReturned", before="canceling"): None,
    on("PowerReturned", before="returning"): None,
    on("PowerReturned"): _RESTARTED,
}
