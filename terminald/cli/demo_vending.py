"""The demo of a vending machine: it asks, a customer pays, and what comes out decides where the money ends."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Final

import msgspec

from terminald.cli.demo_processes import CALL_LIMIT_S, Service, run_once
from terminald.cli.outcome import DONE, CommandFailed
from terminald.cli.words import money, state_words, vend_words
from terminald.core.vend_table import FINAL, VendState
from terminald.simulator.scanner import SimulatedScanner
from terminald.simulator.vmc import MachineModel, SimulatedVmc
from terminald.wire import api_shapes as shapes

#: The machine of the demo. It takes its time to dispense, so that a plug can be pulled meanwhile.
MODEL: Final = MachineModel(dispensing_s=1.0)
#: What is added to the demo's configuration.
CONFIG: Final = """\
[[vending]]
name = "snacks"
device = "{root}/vmc"
"""
#: Paid at once; in progress for ever: the last two digits of a code tell the simulated gateway what to do.
_PAID, _PENDING = "00", "12"


class VendingDay:
    """What happens at the machine. Lives for one demo."""

    def __init__(
        self,
        service: Service,
        scanner: SimulatedScanner,
        vmc: SimulatedVmc,
        *,
        config: Path,
        title: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        """Everything runs; title begins a step."""
        self._service = service
        self._scanner = scanner
        self._vmc = vmc
        self._config = config
        self._title = title
        self._say = say

    async def tell(self) -> None:
        """Tell every step."""
        await self._ready()
        self._title("A customer selects, and pays")
        sale = await self._buy("3.50", 5)
        self._tell_end(await self._follow(sale, FINAL))

        self._title("The goods are stuck: the machine says so, and the money comes back by itself")
        self._vmc.dispense("fail", 1)
        sale = await self._buy("6.00", 14)
        self._tell_end(await self._follow(sale, FINAL))
        self._vmc.dispense("ok", 1)

        self._title("The customer presses the coin return in the middle of the payment")
        await self._ready()
        sale = await self._select("4.50", 7)
        self._scan(_PENDING)
        await self._follow(sale, {VendState.PAYING})
        self._vmc.cancel()
        self._tell_end(await self._follow(sale, {VendState.DENIED}))

        await self._pull_the_plug()

    def judge(self) -> bool:
        """Show the machine's own books; False when something came out unpaid, or was approved twice."""
        for vend in self._vmc.books.vends:
            self._say(f"{vend}.")
        found = self._vmc.books.judge()
        for line in found:
            self._say(f"WRONG: {line}")
        return not found

    async def _pull_the_plug(self) -> None:
        self._title("The adapter's plug is pulled while the goods come out")
        sale = await self._buy("2.80", 3)
        await self._follow(sale, {VendState.APPROVED})
        self._vmc.unplug()
        sale = await self._follow(sale, {VendState.UNKNOWN})
        self._tell_end(sale)
        self._say(
            "Whether they came out nobody can know from here. The money is kept, as the rules of MDB say, and a person"
        )
        self._say("is called. Somebody looks into the machine: it is empty.")
        self._say(f"$ terminald delivered {sale.id}")
        code, said = await run_once("--config", str(self._config), "delivered", sale.id)
        if code != DONE:
            raise CommandFailed(f"the report was not taken: {said}")
        self._say(said.strip())
        self._vmc.replug()
        await self._ready()
        self._say("The plug is back, and the machine sells again, without a restart of anything.")

    # --- what the steps are made of ----------------------------------------------------------------------------------

    async def _ready(self) -> None:
        async with asyncio.timeout(2 * CALL_LIMIT_S):
            await self._vmc.until_status("ENABLED")

    async def _buy(self, price: str, item: int) -> shapes.Sale:
        await self._ready()
        sale = await self._select(price, item)
        self._scan(_PAID)
        return sale

    async def _select(self, price: str, item: int) -> shapes.Sale:
        self._say(f"The customer selects item {item} for {price}; the machine asks for the payment over the MDB bus.")
        known = {one.id for one in await self._service.sales()}
        if self._vmc.select(price, item) is None:
            raise CommandFailed("the machine takes cash only")
        sale = await self._opened(known)
        self._say(f"terminald opens a sale of {money(sale.amount)}: {state_words(sale)}.")
        return sale

    async def _opened(self, known: set[str]) -> shapes.Sale:
        async with asyncio.timeout(CALL_LIMIT_S), aclosing(self._service.events()) as events:
            async for event in events:
                if event.topic == "sale":
                    sale = msgspec.json.decode(event.data, type=shapes.Sale)
                    if sale.vend is not None and sale.id not in known:
                        return sale
        raise CommandFailed("terminald ended its events")

    def _scan(self, outcome: str) -> None:
        code = f"13{secrets.randbelow(10**14):014}{outcome}"
        self._say(f"The customer shows code {code[:4]}…{code[-4:]}, and the scanner reads it.")
        self._scanner.scan(code)

    async def _follow(self, sale: shapes.Sale, states: frozenset[VendState] | set[VendState]) -> shapes.Sale:
        return await self._service.follow(sale.id, lambda news: news.vend is not None and news.vend.state in states)

    def _tell_end(self, sale: shapes.Sale) -> None:
        if sale.vend is not None:
            self._say(f"Machine: {vend_words(sale.vend)}.")
        words = state_words(sale)
        self._say(f"Money: {words}.")
