"""Write what the present release puts into a journal as SQL, to be kept as test data when the schema changes.

``python -m tests.adapters.journal_dump > tests/data/journal-v4.sql``
"""

import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from terminald.adapters.journal_schema import VERSION
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch
from terminald.core.commands import Goods
from terminald.core.custody import begin, step
from terminald.core.events import (
    AnswerMismatched,
    Fault,
    JobSent,
    OrderFacts,
    PayConfirmed,
    PayDeclined,
    Recovered,
    RefundConfirmed,
)
from terminald.core.ids import Instant, SaleId, Secret, WallTime
from terminald.core.money import Fen
from terminald.core.refund import Asked
from terminald.core.refund_table import RefundKind
from terminald.core.stimuli import AskRefund, OpenVend, ToRefund, ToVend
from terminald.core.terminal import Terminal
from terminald.core.vend_events import ApprovalDue, ApprovalSent, ResultOverdue
from tests.adapters.journal_samples import Shop
from tests.core.machine_builders import NOON, ORDER, RULES
from tests.core.vend_world import asked, vend_order

TERMINAL = Terminal(
    terminal_sn="T1",
    device_id="board-1",
    current_key=Secret("key-2"),
    previous_key=Secret("key-1"),
    activated_at=WallTime(1_714_536_000_000),
    rotated_at=WallTime(1_714_536_600_000),
)


def fill(journal: SqliteJournal) -> None:
    """Activate, sell once with a declined code, a receipt and a refund; leave a vend and a sale that need a person."""
    wall = TERMINAL.activated_at
    journal.fix_device_id("board-1")
    offset = journal.open_boot("boot-1", NOON.instant - 1_000).offset
    journal.close_activation(journal.record_activation_intent("…", wall), "refused: E1", None)
    journal.close_activation(journal.record_activation_intent("1234…7890", wall), "activated", TERMINAL)
    shop = Shop(journal.commit, replace(NOON, instant=Instant(NOON.instant + offset)))
    goods = (Goods(id="1", name="可乐", quantity=1, price=Fen(350)),)
    sale_id = shop.open_sale(replace(ORDER, text=replace(ORDER.text, goods=goods)))
    shop.answer(shop.scan(sale_id), PayDeclined(fault=Fault(code="E", message="余额不足")))
    facts = OrderFacts(sn="7894259244067344", trade_no="2024", payway="3", net_amount=Fen(350))
    shop.answer(shop.scan(sale_id), PayConfirmed(facts=facts))
    shop.wake()
    shop.finish_print(JobSent(evidence="every byte was taken"))
    shop.apply(AskRefund(sale_id=sale_id, asked=Asked(kind=RefundKind.REFUND, amount=Fen(100), reference="back")))
    (refund,) = shop.committed.refunds.values()
    shop.apply(ToRefund(refund_id=refund.id, event=RefundConfirmed(), token=refund.token))
    vend = SaleId("01J-vend")
    shop.apply(OpenVend(sale_id=vend, order=vend_order(), asked=asked()))
    shop.answer(shop.scan(vend), PayConfirmed())
    for event in (ApprovalDue(), ApprovalSent(request=1), ResultOverdue()):
        shop.apply(ToVend(sale_id=vend, event=event))
    shop.answer(shop.scan(shop.open_sale()), AnswerMismatched())
    custody = begin(TERMINAL, now=NOON, rules=RULES)
    journal.commit(Batch(now=shop.now, custody=step(custody, Recovered(), now=NOON, rules=RULES)[0]))


def dump(file: Path) -> str:
    """Return the whole file as SQL; the salt is one that a test knows."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE settings SET value = ? WHERE name = 'salt'", (bytes(range(32)).hex(),))
        connection.commit()
        return "\n".join((*connection.iterdump(), f"PRAGMA user_version={VERSION};", ""))


def main() -> None:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "journal.db"
        with closing(SqliteJournal(file)) as journal:
            journal.salt()
            fill(journal)
        sys.stdout.write(dump(file))


if __name__ == "__main__":
    main()
