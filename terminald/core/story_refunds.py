"""What money that goes back means at this moment, in words: one row for each kind and state.

Filled in: ``{refund}``, ``{amount}``, ``{said}``, ``{until}``.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from terminald.core.events import AttentionDue, Event, RetryDue
from terminald.core.refund_answers import (
    ALREADY_RETURNED,
    DAY_OVER,
    GOODS_OUT,
    LESS_LEFT,
    LOST,
    REPLACED,
    is_doubted,
    may_have_moved,
)
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.schedule import Now
from terminald.core.story_text import Present, Text

_S = RefundState
_K = RefundKind

#: How each kind is named.
REFUND_NAMES: Final[Mapping[RefundKind, Text]] = {
    _K.REFUND: Text("Refund {number} of {amount}", "退款 {number}（{amount}）"),
    _K.REVOKE: Text("Revoke {number} of {amount}", "撤单 {number}（{amount}）"),
    _K.RETURN: Text("Return {number} of {amount}", "全部退回 {number}（{amount}）"),
}

_NOT_YET: Final = Text("The phone may not show the return of {amount} yet.", "手机上可能还看不到退回的 {amount}。")
_BACK: Final = Text(
    "The phone shows a return of {amount}. With a bank card that may take the bank some days.",
    "手机上显示已退回 {amount}。银行卡退款可能需要银行几天时间。",
)
#: Named, because another refund of the same amount may have gone back.
_STAYS: Final = Text("{refund}: the phone shows nothing of it.", "{refund}：手机上没有这一笔的记录。")
_REFUND_INSTEAD: Final = Text("{refund}: if the money is to go back, refund it.", "{refund}：如需退还，请办理退款。")

_ALL: Final[Mapping[RefundState, Present]] = {
    _S.QUEUED: Present(
        known=Text(
            "{refund} is recorded and was not sent yet: another request about this money comes first.",
            "{refund}：已记录，尚未发出；要等同一笔钱的另一个请求先完成。",
        ),
        phone=_NOT_YET,
        awaited=Text("begins when the request before it has ended", "前一个请求完成后开始"),
    ),
    _S.REVOKING: Present(
        unknown=Text(
            "{refund}: the gateway was asked to revoke the payment and has not answered yet. It is not known whether "
            "the money has gone back.",
            "{refund}：已请求网关撤单，尚无应答，不确定钱是否已退回。",
        ),
        phone=_NOT_YET,
        awaited=Text("waits for the gateway's answer to the revoke", "等待网关对撤单的应答"),
    ),
    _S.CHECKING: Present(
        unknown=Text(
            "{refund}: the revoke had no clear answer{said}. It is not known yet whether the money has gone back; it "
            "can not go back twice.",
            "{refund}：撤单没有得到明确结果{said}，尚不确定钱是否已退回；不会重复退款。",
        ),
        phone=_NOT_YET,
        awaited=Text("asks the gateway whether the money has gone back", "向网关查询钱是否已退回"),
    ),
    _S.REFUNDING: Present(
        unknown=Text(
            "{refund}: the gateway was asked to give the money back and has not answered yet.",
            "{refund}：已请求网关退款，尚无应答。",
        ),
        phone=_NOT_YET,
        awaited=Text("waits for the gateway's answer to the refund", "等待网关对退款的应答"),
    ),
    _S.PROVING: Present(
        unknown=Text(
            "{refund}: its request had no clear answer{said}. It is not known yet whether the money has gone back; it "
            "can not go back twice.",
            "{refund}：请求没有得到明确结果{said}，尚不确定钱是否已退回；不会重复退款。",
        ),
        phone=_NOT_YET,
        awaited=Text("asks the gateway whether the money has gone back", "向网关查询钱是否已退回"),
    ),
    _S.BLOCKED: Present(
        known=Text(
            "{refund}: the gateway refuses it for now{said}. The money has not gone back yet; it is owed.",
            "{refund}：网关暂时拒绝{said}。钱尚未退回，仍应退还。",
        ),
        phone=_STAYS,
    ),
    _S.DONE: Present(
        known=Text("{refund}: the money has gone back, proven.", "{refund}：已确认退回。"),
        phone=_BACK,
    ),
    _S.REFUSED: Present(
        known=Text(
            "{refund}: the gateway refused it{said}. This money has not gone back, and is not tried again.",
            "{refund}：网关拒绝{said}。这笔钱没有退回，也不再重试。",
        ),
        phone=_STAYS,
        person=Text(
            "{refund}: it was not carried out. If the money is to go back, refund it in the merchant's console, or by "
            "other means.",
            "{refund}：没有执行。如需退还，请在商户后台退款，或以其他方式退还。",
        ),
    ),
    _S.CLOSED: Present(
        known=Text(
            "{refund}: a person has closed it, as settled by other means. terminald does not try it any more.",
            "{refund}：已由人工关闭（以其他方式处理），terminald 不再重试。",
        ),
        unknown=Text(
            "{refund}: whether this money has gone back only the person who closed it can say.",
            "{refund}：这笔钱是否已退还，只有关闭它的人知道。",
        ),
        phone=Text("The phone may or may not show a return of {amount}.", "手机上不一定有退回 {amount}的记录。"),
    ),
}
_NOTHING: Final = Present(
    known=Text(
        "{refund}: nothing was left to go back; all of it had gone back already.",
        "{refund}：已无可退，此前已全部退回。",
    ),
    phone=Text("The phone shows the returns from before.", "手机上显示此前的退回记录。"),
)
#: Held up where the gateway does not know the order any more.
GONE: Final = Present(
    known=Text(
        "{refund}: the gateway does not know the order any more{said}. It is asked again about every hour.",
        "{refund}：网关找不到该订单{said}，约每小时再次查询。",
    ),
    unknown=Text(
        "{refund}: an earlier request of it may have been carried out before. It can not go back twice.",
        "{refund}：此前的请求可能已执行，不会重复退款。",
    ),
    phone=_NOT_YET,
)
#: Held up where the gateway's own error was its last word, and the day of the payment is over.
LAPSED: Final = Present(
    known=Text(
        "{refund}: the gateway reports an error of its own about the order{said}, and its day is over: it is not "
        "revoked again. The gateway is asked about every hour.",
        "{refund}：网关报告该订单有内部错误{said}，且已过当日，不再重复撤单，约每小时查询一次。",
    ),
    unknown=Text(
        "{refund}: the gateway itself does not say whether it was carried out. It can not go back twice.",
        "{refund}：网关未说明是否已执行，不会重复退款。",
    ),
    phone=_NOT_YET,
)
#: While a refusal is not believed: an earlier request without an answer may still be carried out.
DOUBTED: Final = Present(
    known=Text(
        "{refund}: the gateway refused it{said}.",
        "{refund}：网关拒绝{said}。",
    ),
    unknown=Text(
        "{refund}: an earlier request of it had no clear answer, and may still arrive at the gateway. The refusal "
        "counts from {until} on, if the money has not gone back by then; it can not go back twice.",
        "{refund}：先前的一次请求没有明确结果，仍可能到达网关。若到 {until} 仍未退回，才以拒绝为准；不会重复退款。",
    ),
    phone=_NOT_YET,
    awaited=Text("asks the gateway whether the money has gone back", "向网关查询钱是否已退回"),
    person=Text(
        "{refund}: wait until {until}; it is not settled before whether it is refused.",
        "{refund}：请等到 {until}，此前尚不能确定是否被拒绝。",
    ),
)
#: What was never sent, or is replaced by another one, by why.
UNSENT: Final[Mapping[str, Present]] = {
    ALREADY_RETURNED: Present(
        known=Text(
            "{refund}: it was not carried out. All of the payment has gone back already, by another refund.",
            "{refund}：没有执行。全部款项已由另一笔退款退回。",
        ),
        phone=Text("The phone shows the returns of the others, not this one.", "手机上显示其他退款记录，没有这一笔。"),
    ),
    LESS_LEFT: Present(
        known=Text(
            "{refund}: it was not carried out. Another refund came first, and less than this amount is left.",
            "{refund}：没有执行。另一笔退款在先，剩余金额已不足。",
        ),
        phone=_STAYS,
        person=Text(
            "{refund}: if more is to go back, refund what is left.",
            "{refund}：如仍需退还，请按剩余金额退款。",
        ),
    ),
    DAY_OVER: Present(
        known=Text(
            "{refund}: the gateway's day of the payment is over, so that it is not revoked any more. The money has not "
            "gone back.",
            "{refund}：付款当日（网关时间）已过，不能再撤单。钱没有退回。",
        ),
        phone=_STAYS,
        person=_REFUND_INSTEAD,
    ),
    REPLACED: Present(
        known=Text(
            "{refund}: it had no clear answer when its day was over. What is owed goes back by a refund in its place, "
            "which the gateway does not carry out where this one had moved the money.",
            "{refund}：当日结束时仍无明确结果。应退的款改由退款退回；若此撤单已执行，网关不会重复退款。",
        ),
        phone=Text("The phone shows one return of the money, not two.", "手机上只会有一笔退回记录。"),
    ),
    GOODS_OUT: Present(
        known=Text(
            "{refund}: it was not carried out, because the goods came out after all. The payment is kept.",
            "{refund}：货物实际已出，因此没有执行，付款保留。",
        ),
        phone=_STAYS,
    ),
}

#: By kind and state. What goes back is named by kind; what is happening to it is the same for all of them.
REFUNDS: Final[Mapping[tuple[RefundKind, RefundState], Present]] = {
    **{(kind, state): words for kind in RefundKind for state, words in _ALL.items()},
    (_K.REVOKE, _S.REFUSED): replace(_ALL[_S.REFUSED], person=_REFUND_INSTEAD),
}

#: The times that a refund waits for, by event: what happens then.
REFUND_WAKEUPS: Final[Mapping[type[Event], Text]] = {
    RetryDue: Text("{refund}: asks the gateway again, or tries it again", "{refund}：再次查询或重试"),
    AttentionDue: Text(
        "{refund}: calls for a person, and goes on by itself", "{refund}：提示人工关注，同时继续自动处理"
    ),
}


def refund_words(refund: Refund, now: Now) -> Present:
    """Return the words of a refund; what found nothing, was never sent, or is refused in doubt has its own."""
    if refund.state is RefundState.DONE and not refund.amount:
        return _NOTHING
    if refund.state is RefundState.REFUSED and refund.fault is not None and refund.fault.code in UNSENT:
        return UNSENT[refund.fault.code]
    if not refund.state.is_final and may_have_moved(refund):
        return GONE if refund.refusal == LOST else LAPSED
    is_asked = refund.state in (RefundState.CHECKING, RefundState.PROVING)
    return DOUBTED if is_asked and refund.refusal and is_doubted(refund, now) else REFUNDS[refund.kind, refund.state]
