"""What a person can do about a code of attention, in Chinese: the same advice as the table of problems gives."""

from collections.abc import Mapping
from typing import Final

#: Of sales only: what concerns the terminal's key is told in English, to whoever looks after the terminal.
ADVICE_ZH: Final[Mapping[str, str]] = {
    "answer_mismatch": (
        "网关的应答涉及另一终端、订单或金额。不要凭它交货；请用交易单号（sn）在商户后台核对。terminald 会继续查询。"
    ),
    "order_errored": (
        "网关报告该订单或其退款有内部错误，顾客手机上可能显示扣款。未确认付款前不要交货，并用交易单号（sn）联系网关客服。"
        "terminald 会继续查询，该退的款会退回。"
        "如有撤单因此受阻，请先人工关闭本提示（即放弃该撤单），再退款，不会重复退回。"
    ),
    "refund_refused": (
        "网关拒绝退款。请用交易单号（sn）在商户后台查找（余额是否足够？）并在后台退款，或者等待：terminald 会再次尝试。"
        "以其他方式处理后请登记：terminald attention SALE --code refund_refused --reason TEXT。"
    ),
    "refund_open": ("退款用时过长。请检查终端网络；terminald 会以同一编号自动继续，不会重复退款。"),
    "merchant_balance": (
        "商户在网关的余额不足，无法退款。请充值；terminald 每小时重试一次，退回后本提示自动结束。请告诉顾客款项会退回。"
        "人工关闭本提示即放弃这笔退款：仅在已用其他方式退还顾客后才关闭。"
    ),
    "not_refundable": (
        "这笔付款参加了优惠活动，网关不支持退款。请以其他方式退还，或用交易单号（sn）咨询网关客服；"
        "处理后请登记：terminald attention SALE --code not_refundable --reason TEXT。"
    ),
    "order_lost": (
        "网关找不到它此前确认过的订单。请用交易单号（sn）咨询网关客服。terminald 会继续查询，该退的款会退回。"
        "如有退款因此受阻，人工关闭本提示即放弃该退款：仅在已用其他方式退还顾客后才关闭。"
    ),
    "delivery_overdue": (
        "交易已付款，但没有收到出货报告。请查看机器，然后报告：terminald delivered SALE（已出货），"
        "或 terminald undelivered SALE（未出货，自动退款）；也可由您对出货负责并结束交易："
        "terminald attention SALE --code delivery_overdue --reason TEXT。"
    ),
    "delivered_and_returned": (
        "开始退款之后才报告出货。请查明报告为何这么晚（sale.delivery_window，或售货机的 result_window，可能太短），"
        "然后登记：terminald attention SALE --code delivered_and_returned --reason TEXT。"
    ),
    "reversal_open": ("撤销用时过长。请检查终端网络；terminald 会自动继续。请告诉顾客：如已扣款，会退回。"),
}

_FALLBACK: Final = "详见 terminald status 和日志。"


def advice_zh(code: str) -> str:
    """Return what to do about a code of attention; never empty."""
    return ADVICE_ZH.get(code, _FALLBACK)
