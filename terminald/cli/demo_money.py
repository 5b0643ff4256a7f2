"""The second half of the demo: QR codes, and money that goes back."""

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

from terminald.cli.demo_processes import CALL_LIMIT_S, Gateway, Service, run_once
from terminald.cli.outcome import DONE, CommandFailed
from terminald.cli.words import money, state_words
from terminald.simulator.printer import SimulatedPrinter
from terminald.simulator.scanner import SimulatedScanner
from terminald.wire import api_shapes as shapes

#: Lines of an explanation are indented by as much as everything else that the demo says.
Say = Callable[[str], None]


class Till:
    """What a customer, a host application and a technician do, one sale at a time."""

    def __init__(
        self, service: Service, gateway: Gateway, scanner: SimulatedScanner, printer: SimulatedPrinter, say: Say
    ) -> None:
        """All of them run; say tells one line."""
        self._service = service
        self._gateway = gateway
        self._scanner = scanner
        self._printer = printer
        self._say = say
        self._slips = len(printer.receipts)

    async def sell_by_qr(self) -> None:
        """Sell to a customer who scans the QR that is shown and printed."""
        sale = await self._offer("demo-5", "Locker, one day", 800, ("qr",))
        await self._gateway.customer("pay", qr_code=_content(sale))
        self._say("The customer scans it with the phone, and pays.")
        await self._follow(sale, lambda news: news.state.is_final)
        await self._slip("Receipt")

    async def sell_both_ways(self) -> None:
        """Offer both ways at once, to a customer who shows a code beside the QR."""
        sale = await self._offer("demo-6", "Photo prints", 1500, ("scan", "qr"))
        seen = len(self._gateway.lines)
        code = f"13{secrets.randbelow(10**14):014}00"
        self._say(f"The customer shows code {code[:4]}…{code[-4:]} instead. Both could be charged now:")
        self._scanner.scan(code)
        after = await self._follow(sale, lambda news: news.state.is_final)
        paid = f"pay {after.attempts[-1].client_sn} "
        await self._gateway.wait_line(lambda line: paid in line, since=seen)
        orders = {one.client_sn: one.kind for one in after.attempts}
        for line in self._gateway.lines[seen:]:
            if (kind := next((kind for name, kind in orders.items() if name in line), None)) is not None:
                self._say(f"   {line}   ({'the QR' if kind == 'qr' else 'the code'})")
        self._say("The code was held until the gateway had closed the QR order unpaid. One charge, whatever happens.")
        await self._slip("Receipt")

    async def refund_a_part(self, config: Path) -> None:
        """Give a part of an earlier sale back, twice under one reference: at the command line, and by the host."""
        self._say("$ terminald refund demo-2 3.00 --reference no-cheese")
        code, said = await run_once("--config", str(config), "refund", "demo-2", "3.00", "--reference", "no-cheese")
        if code != DONE:
            raise CommandFailed(f"the refund failed: {said}", advice=f"see {self._service.log}")
        for line in said.rstrip().splitlines():
            self._say(line)
        refund = await self._service.refund("demo-2", shapes.RefundRequest(reference="no-cheese", amount=300))
        self._say(f"The host application asks for the same again: it is the same refund, {refund.state.value}.")
        await self._slip("Slip")

    async def return_undelivered(self) -> None:
        """Sell what does not come out."""
        wanted = shapes.SaleRequest(reference="demo-7", amount=600, subject="Crisps, slot 14", delivery="confirm")
        sale = await self._service.open_sale(wanted)
        self._say(f"The host asks for {money(sale.amount)}, and will report whether the goods come out.")
        self._scanner.scan(f"28{secrets.randbelow(10**14):014}01")
        sale = await self._follow(sale, lambda news: news.state is shapes.ShownState.PAID)
        await self._slip("Receipt")
        self._say("The spiral turns, and nothing falls: the host reports it as undelivered. Nobody is called.")
        await self._service.report(sale.id, "undelivered")
        await self._follow(sale, lambda news: news.state.is_final)
        await self._slip("Slip")

    async def explain(self, config: Path, reference: str) -> None:
        """Have one sale explained, as to a customer on the telephone."""
        self._say(f"$ terminald explain {reference}")
        code, said = await run_once("--config", str(config), "explain", reference, "--language", "en")
        if code != DONE:
            raise CommandFailed(f"terminald explain failed: {said}", advice=f"see {self._service.log}")
        for line in said.rstrip().splitlines():
            self._say(f"   {line}".rstrip())

    # --- what these are made of --------------------------------------------------------------------------------------

    async def _offer(self, reference: str, subject: str, amount: int, methods: tuple[str, ...]) -> shapes.Sale:
        ways = tuple(method for method in ("scan", "qr") if method in methods)
        wanted = shapes.SaleRequest(reference=reference, amount=amount, subject=subject, methods=ways)
        opened = await self._service.open_sale(wanted)
        sale = await self._service.follow(opened.id, lambda news: news.qr is not None)
        self._say(f"The host asks for {money(amount)} ({subject}). For its screen: {_content(sale)}")
        await self._slip("QR")
        return sale

    async def _follow(self, sale: shapes.Sale, is_reached: Callable[[shapes.Sale], bool]) -> shapes.Sale:
        after = await self._service.follow(sale.id, is_reached)
        words = state_words(after)
        self._say(f"{words[:1].upper()}{words[1:]}.")
        return after

    async def _slip(self, name: str) -> None:
        self._slips += 1
        async with asyncio.timeout(CALL_LIMIT_S):
            printed = await self._printer.wait_receipt(self._slips)
        self._say(f"{name} printed: {printed.png}")


def _content(sale: shapes.Sale) -> str:
    return sale.qr.content if sale.qr is not None else ""
