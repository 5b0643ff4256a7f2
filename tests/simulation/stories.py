"""What goes wrong together: each a short story about one message, beside what is scattered at random."""

import random

from terminald.simulator.gateway import Fault
from terminald.simulator.gateway_faults import CONDUCT, FaultPath
from tests.simulation.kinds import FAULT_KINDS

THERE: tuple[FaultPath, ...] = ("pay", "precreate", "precreate", "query", "cancel", "cancel")
BACK: tuple[FaultPath, ...] = ("refund", "refund", "revoke", "query", "cancel")
_GIVING_BACK = frozenset({"refund", "revoke", "cancel"})
#: Refusals that pass, or that leave another way.
_REFUSALS = (
    "ACCOUNT_BALANCE_NOT_ENOUGH", "SELLER_BALANCE_NOT_ENOUGH", "UPAY_TCP_ORDER_NOT_REFUNDABLE",
    "UPAY_CANCEL_INVALID_ORDER_STATE", "UPAY_REFUND_INVALID_ORDER_STATE",
)  # fmt: skip
_PAID_BACK: tuple[FaultPath, ...] = ("refund", "revoke")
_SHORT, _PROMOTION = "ACCOUNT_BALANCE_NOT_ENOUGH", "UPAY_TCP_ORDER_NOT_REFUNDABLE"


def story_there(rng: random.Random) -> tuple[Fault, ...]:
    """Return what goes wrong while a sale is to be paid."""
    late_s = rng.choice((16.0, 20.0, 65.0))
    paid = Fault(kind="qr_paid", path="precreate", seconds=rng.choice((0.0, 1.0, 20.0, 60.0)))
    stories: tuple[tuple[Fault, ...], ...] = (
        (Fault(kind="delay_request", path="precreate", seconds=late_s), paid),
        (Fault(kind="delay_request", path="pay", seconds=late_s),),
        (
            Fault(kind="delay_request", path="precreate", seconds=late_s),
            Fault(kind="close_request", path="cancel", count=rng.choice((1, 4)), skip=1),
        ),
        (Fault(kind="lose_answer", path="precreate"), paid),
        (Fault(kind="close_answer", path="precreate"), paid),
        (Fault(kind="paid_first", path="cancel"),),
        (Fault(kind="paid_meanwhile", path="cancel"),),
        (Fault(kind="paid_meanwhile", path="cancel"), Fault(kind="lose_answer", path="cancel")),
        (Fault(kind="paid_first", path="cancel"), Fault(kind="lose_answer", path="refund", count=2)),
        (Fault(kind="in_progress", path="cancel", seconds=late_s),),
        (Fault(kind="cancel_error", path="cancel", count=3),),
        (Fault(kind="close_answer", path="cancel", count=3),),
        (Fault(kind="delay_request", path="cancel", seconds=late_s),),
        (Fault(kind="qr_life", path="precreate", seconds=rng.choice((5.0, 30.0))),),
    )
    return rng.choice(stories)


def story_back(rng: random.Random) -> tuple[Fault, ...]:
    """Return what goes wrong while money goes back."""
    late_s = rng.choice((16.0, 20.0, 65.0))
    stories: tuple[tuple[Fault, ...], ...] = (
        *((Fault(kind="lose_answer", path=path),) for path in ("refund", "revoke")),
        *((Fault(kind="close_answer", path=path, count=2),) for path in ("refund", "revoke")),
        *((Fault(kind="close_request", path=path, count=2),) for path in ("refund", "revoke")),
        *((Fault(kind="delay_request", path=path, seconds=late_s),) for path in ("refund", "revoke")),
        *((Fault(kind="in_progress", path=path, seconds=late_s),) for path in ("refund", "revoke")),
        (Fault(kind="refund_error", path="refund", count=rng.choice((1, 3))),),
        (Fault(kind="cancel_error", path="revoke", count=rng.choice((1, 3, 6))),),
        (_refusal("refund", _SHORT), _refusal("revoke", _SHORT)),
        (_refusal("revoke", _PROMOTION),),
        (_refusal("refund", _PROMOTION), _refusal("revoke", _PROMOTION)),
        (_refusal("refund", _SHORT), Fault(kind="lose_answer", path="refund")),
        *((Fault(kind="delay_request", path=path, seconds=late_s), _refusal(path, _PROMOTION)) for path in _PAID_BACK),
    )
    return rng.choice(stories)


def _refusal(path: FaultPath, code: str) -> Fault:
    return Fault(kind="declined", path=path, error_code=code)


def scattered(rng: random.Random, calls: tuple[FaultPath, ...]) -> list[Fault]:
    """Return some faults of any kind, on the road and in the gateway, each at one of these messages."""
    on_the_road = [
        Fault(
            kind=rng.choice((*FAULT_KINDS, "no_qr_code")),
            path=rng.choice((*calls, "*")),
            count=rng.choice((1, 1, 2, 5)),
            skip=rng.choice((0, 0, 1, 3)),
            seconds=rng.choice((1.0, 10.0, 20.0, 65.0)),
            arrives=rng.random() < 0.5,
        )
        for _ in range(rng.choice((0, 0, 1, 2, 3)))
    ]
    return [*on_the_road, *_conduct(rng, calls)]


def _conduct(rng: random.Random, calls: tuple[FaultPath, ...]) -> list[Fault]:
    found = []
    for _ in range(rng.choice((0, 0, 1, 2))):
        kind, path = rng.choice([(kind, call) for kind, where in CONDUCT.items() for call in calls if call in where])
        is_refusal = kind == "declined"
        if not is_refusal or path in _GIVING_BACK:
            found.append(
                Fault(
                    kind=kind,
                    path=path,
                    count=rng.choice((1, 1, 3)),
                    seconds=rng.choice((1.0, 12.0, 60.0)),
                    error_code=rng.choice(_REFUSALS) if is_refusal else "",
                )
            )
    return found


def standing(rng: random.Random) -> tuple[Fault, ...]:
    """Return refusals that do not pass until somebody sees to it."""
    code = rng.choice((_SHORT, _PROMOTION))
    return (
        Fault(kind="declined", path="refund", count=None, error_code=code),
        Fault(kind="declined", path="revoke", count=None, error_code=code),
    )
