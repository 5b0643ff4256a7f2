"""``terminald demo``: a payment terminal from end to end, told to a newcomer, with its books checked at the end."""

import argparse
import asyncio
import secrets
import shutil
import signal
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx

from terminald.cli import demo_books, demo_vending
from terminald.cli.demo_money import Till
from terminald.cli.demo_processes import CALL_LIMIT_S, Gateway, Service, process, run_once
from terminald.cli.outcome import DONE, FAILED, CommandFailed
from terminald.cli.words import error_words, money, state_words, table
from terminald.simulator.printer import SimulatedPrinter
from terminald.simulator.printer_paper import font_note
from terminald.simulator.scanner import SimulatedScanner
from terminald.simulator.vmc import SimulatedVmc
from terminald.wire import api_shapes as shapes

#: Of the gateway's durations: a customer who takes 6 s for a password takes 2 s here, which is time enough to kill a
#: process before the payment is done, and for it to be back while the order is still being watched.
SPEED = 3
_ACTIVATION_CODE = "DEMO0001"
_VENDOR_SN, _APP_ID = "91800129", "2020111100003254"

#: As config/demo.toml, with paths of its own and a port that was free.
_CONFIG = """\
[terminal]
name = "demo"
device_id = "demo-1"
[gateway]
url = "{url}"
connect_timeout = "2s"
read_timeout = "5s"
[vendor]
sn = "{vendor_sn}"
app_id = "{app_id}"
key_file = "{root}/vendor_key"
[state]
directory = "{root}/state"
[api]
socket = "{root}/api.sock"
[sale]
payment_window = "30s"
poll_interval = "200ms"
poll_window = "10s"
late_lookups = ["500ms", "1s"]
[[scanner]]
name = "demo"
device = "{root}/scanner"
[printer]
driver = "serial"
device = "{root}/printer"
[receipt]
header = ["terminald demo"]
footer = ["Thank you"]
language = "en"
print = "all"
[readiness]
require = ["gateway", "scanner", "printer"]
min_free_disk_mb = 1
"""


def demo(args: argparse.Namespace) -> int:
    """Run the demo; 0 when the gateway's books and terminald's sales agree."""
    kept: Path | None = args.keep
    try:
        if kept is not None:
            kept.mkdir(parents=True)
        root = kept.resolve() if kept else Path(tempfile.mkdtemp(prefix="terminald-demo-"))
        out: Path = args.out or (root / "receipts" if kept else Path(tempfile.mkdtemp(prefix="terminald-receipts-")))
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CommandFailed(f"{exc.filename} can not be made: {exc.strerror}", advice="name another one") from exc
    is_clean = False
    try:
        agreed = is_clean = asyncio.run(_until_signalled(_Demo(root, out.resolve(), is_vending=args.vending)))
    except (httpx.HTTPError, TimeoutError) as exc:
        raise CommandFailed(
            f"the demo came to a stop ({type(exc).__name__})", advice=f"see the logs in {root}"
        ) from exc
    except asyncio.CancelledError:
        is_clean = True
        raise CommandFailed("ended by a signal; every process of the demo was stopped") from None
    finally:
        if is_clean and kept is None:
            shutil.rmtree(root, ignore_errors=True)
        if args.out is None:
            with suppress(OSError):
                out.rmdir()  # nothing was printed
    return DONE if agreed else FAILED


async def _until_signalled(story: "_Demo") -> bool:
    """Tell the story. A signal ends it in order; another one hurries the order, and leaves nothing running."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await story.tell()


class _Demo:
    """The story. Steps are numbered as they are told."""

    def __init__(self, root: Path, out: Path, *, is_vending: bool) -> None:
        self._is_vending = is_vending
        self._root = root
        self._out = out
        self._config = root / "terminald.toml"
        self._step = 0
        self._started_at = time.monotonic()
        self._stack = AsyncExitStack()
        self._service = Service(self._config, root / "api.sock", root)
        self._receipts = 0
        self._scanner: SimulatedScanner
        self._printer: SimulatedPrinter
        self._gateway: Gateway

    async def tell(self) -> bool:
        """Tell everything; True when the books agree in the end."""
        if self._is_vending:
            print("terminald demo: a vending machine from end to end.")
            print("terminald is real; gateway, scanner, machine and customers are simulated. No money moves.")
        else:
            print("terminald demo: a payment terminal from end to end.")
            print("terminald is real; gateway, scanner, printer and customers are simulated. No money moves.")
        if note := font_note():
            print(f"(note: {note})")
        async with self._stack:
            self._stack.push_async_callback(self._service.aclose)
            await self._begin_world()
            await self._activate()
            if self._is_vending:
                return await self._vending_day()
            await self._first_day()
            await self._second_day()
            return await self._compare()

    def _title(self, text: str) -> None:
        self._step += 1
        print(f"\n{self._step}. {text}", flush=True)

    def _say(self, text: str) -> None:
        print(f"   {text}", flush=True)

    # --- the steps ---------------------------------------------------------------------------------------------------

    async def _begin_world(self) -> None:
        self._title("A payment gateway starts (simulated)")
        key = self._root / "vendor_key"
        key.touch(mode=0o600)
        key.write_text(f"{secrets.token_hex(16)}\n")
        arguments = ("simulate", "gateway", "--port", "0", "--speed", str(SPEED), "--code", f"{_ACTIVATION_CODE}=1")
        vendor = ("--vendor-sn", _VENDOR_SN, "--app-id", _APP_ID, "--vendor-key-file", str(key))
        log = self._root / "gateway.log"
        running = await self._stack.enter_async_context(process(*arguments, *vendor, log=log, stdout=PIPE))
        self._gateway = await Gateway.begin(running, log)
        listening = asyncio.create_task(self._gateway.listen())
        self._stack.callback(listening.cancel)
        text = _CONFIG.format(url=self._gateway.url, vendor_sn=_VENDOR_SN, app_id=_APP_ID, root=self._root)
        more = demo_vending.CONFIG.format(root=self._root) if self._is_vending else ""
        self._config.write_text(text + more)
        self._say(f"It listens on {self._gateway.url}, and keeps its own books of who paid what.")

    async def _activate(self) -> None:
        self._title("The terminal is activated, once in its life")
        self._say("$ terminald activate        (the code is asked for, not shown)")
        code, said = await run_once("--config", str(self._config), "activate", stdin=f"{_ACTIVATION_CODE}\n")
        if code != DONE:
            raise CommandFailed(f"the activation failed: {said}", advice=f"see the logs in {self._root}")
        self._say(next(line for line in said.splitlines() if "Activated" in line).removeprefix("Activation code: "))
        self._say("From now on it signs every request with a key of its own; the code is used up.")

    async def _vending_day(self) -> bool:
        self._title("terminald starts, in a vending machine: a scanner, a printer, and an adapter on the MDB bus")
        self._scanner = self._stack.enter_context(SimulatedScanner(link=self._root / "scanner"))
        printer = SimulatedPrinter(out=self._out, link=self._root / "printer")
        self._printer = await self._stack.enter_async_context(printer)
        machine = SimulatedVmc(link=self._root / "vmc", model=demo_vending.MODEL)
        vmc = await self._stack.enter_async_context(machine)
        await self._start()
        service, scanner = self._service, self._scanner
        day = demo_vending.VendingDay(service, scanner, vmc, config=self._config, title=self._title, say=self._say)
        await day.tell()
        self._title("What the machine has in its own books")
        is_right = day.judge()
        return await self._compare() and is_right

    async def _first_day(self) -> None:
        self._title("terminald starts, with a scanner and a receipt printer on serial lines")
        self._scanner = self._stack.enter_context(SimulatedScanner(link=self._root / "scanner"))
        printer = SimulatedPrinter(out=self._out, link=self._root / "printer")
        self._printer = await self._stack.enter_async_context(printer)
        daemon = await self._start()

        self._title("A sale that goes well")
        sale = await self._open("demo-1", "Cola 330ml", 350)
        await self._finish(sale, _wechat_code("00"))

        self._title("A payment code is declined; the customer tries another one, in the same sale")
        sale = await self._open("demo-2", "Sandwich", 1280)
        await self._decline(sale, _wechat_code("20"))
        await self._finish(sale, _alipay_code("01"))

        self._title("The customer is charged, and the gateway's answer is lost on the line")
        self._say("The hard case: the money is gone from the phone, and the terminal has heard nothing.")
        sale = await self._open("demo-3", "Ticket", 500)
        seen = len(self._gateway.lines)
        sale = await self._finish(sale, _alipay_code("40"))
        self._say("terminald did not guess, and did not charge again: it asked. What the gateway saw:")
        asked = f"query {sale.attempts[-1].client_sn} "
        await self._gateway.wait_line(lambda line: asked in line, since=seen)
        for line in self._gateway.lines[seen:]:
            if sale.attempts[-1].client_sn in line:
                self._say(f"   {line}")

        await self._lose_power(daemon)

    async def _lose_power(self, daemon: Process) -> None:
        self._title("The power fails in the middle of a payment")
        sale = await self._open("demo-4", "Umbrella", 2990)
        seen = len(self._gateway.lines)
        code = _wechat_code("10")
        await self._scan(sale, code, lambda news: news.state is shapes.ShownState.PROCESSING)
        await self._gateway.wait_line(lambda line: "PAY_IN_PROGRESS" in line, since=seen)
        daemon.kill()
        await daemon.wait()
        self._say(f"The customer is typing a password; kill -9 {daemon.pid}: terminald is gone, without a last word.")
        await self._start()
        self._say("What it sends is on disk before it is sent: it finds the open payment, and asks how it stands.")
        await self._end(sale)

    async def _second_day(self) -> None:
        till = Till(self._service, self._gateway, self._scanner, self._printer, self._say)
        self._title("A QR for the customer's phone, on paper and for a screen")
        await till.sell_by_qr()
        self._title("Both ways at once: a QR is shown, and the customer presents a code")
        await till.sell_both_ways()
        self._title("A part of the money goes back")
        await till.refund_a_part(self._config)
        self._title("The goods do not come out: the money comes back by itself")
        await till.return_undelivered()
        self._title("What happened? The sale whose answer was lost, in plain words")
        await till.explain(self._config, "demo-3")

    async def _compare(self) -> bool:
        self._title("Closing time: terminald's sales beside the gateway's books")
        compared = demo_books.compare(await self._service.sales(), await self._gateway.books())
        for line in table(demo_books.rows(compared), right=(2, 3, 4, 5)).splitlines():
            self._say(line)
        print(f"\n{demo_books.verdict(compared)}")
        print(f"Receipts: {self._out}   ({time.monotonic() - self._started_at:.1f} s)")
        return compared.is_right

    # --- what the steps are made of ----------------------------------------------------------------------------------

    async def _start(self) -> Process:
        started_at = time.monotonic()
        daemon = await self._stack.enter_async_context(self._service.running())
        status = await self._service.wait_ready()
        devices = ", ".join(f"{one.kind} {one.state}" for one in status.devices)
        elapsed_s = time.monotonic() - started_at
        self._say(f"Process {daemon.pid} is ready after {elapsed_s:.1f} s: gateway reachable, {devices}.")
        return daemon

    async def _open(self, reference: str, subject: str, amount: int) -> shapes.Sale:
        sale = await self._service.open_sale(shapes.SaleRequest(reference=reference, amount=amount, subject=subject))
        self._say(f"The host application asks for {money(amount)} ({subject}): {state_words(sale)}.")
        return sale

    async def _scan(self, sale: shapes.Sale, code: str, is_reached: Callable[[shapes.Sale], bool]) -> shapes.Sale:
        """Hold a code before the scanner, and follow the sale until it is where it should be."""
        self._say(f"The customer shows code {code[:4]}…{code[-4:]}, and the scanner reads it.")
        self._scanner.scan(code)
        return await self._service.follow(sale.id, is_reached)

    async def _decline(self, sale: shapes.Sale, code: str) -> None:
        def is_reached(news: shapes.Sale) -> bool:
            return news.state is shapes.ShownState.AWAITING_PAYMENT and len(news.attempts) > len(sale.attempts)

        after = await self._scan(sale, code, is_reached)
        error = after.attempts[-1].error
        self._say(f"Declined: {error_words(error) if error else 'no reason was given'}. The sale stays open.")

    async def _finish(self, sale: shapes.Sale, code: str) -> shapes.Sale:
        after = await self._scan(sale, code, lambda news: news.state.is_final)
        return await self._take_receipt(after)

    async def _end(self, sale: shapes.Sale) -> None:
        await self._take_receipt(await self._service.follow(sale.id, lambda news: news.state.is_final))

    async def _take_receipt(self, sale: shapes.Sale) -> shapes.Sale:
        words = state_words(sale)
        self._say(f"{words[:1].upper()}{words[1:]}.")
        if sale.state is shapes.ShownState.COMPLETED:
            self._receipts += 1
            async with asyncio.timeout(CALL_LIMIT_S):
                printed = await self._printer.wait_receipt(self._receipts)
            self._say(f"Receipt printed: {printed.png}")
        return sale


def _wechat_code(outcome: str) -> str:
    """Return a payment code that was never used; its last two digits tell the simulated gateway what to do."""
    return f"13{secrets.randbelow(10**14):014}{outcome}"


def _alipay_code(outcome: str) -> str:
    return f"28{secrets.randbelow(10**14):014}{outcome}"
