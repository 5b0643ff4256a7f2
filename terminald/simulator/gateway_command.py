"""``terminald simulate gateway``: the arguments and the program."""

import argparse
import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from terminald.simulator.gateway_control import decode_faults
from terminald.simulator.gateway_faults import Fault
from terminald.simulator.gateway_outcomes import outcomes_table
from terminald.simulator.gateway_server import serve
from terminald.simulator.gateway_world import GatewayWorld

HOST = "127.0.0.1"
DEFAULT_PORT = 8787
DEFAULT_VENDOR_SN = "91800000"
DEFAULT_APP_ID = "2026030200000001"
#: Published here, and therefore not a secret. A key from a file is never shown.
DEFAULT_VENDOR_KEY = "simulated-vendor-key"
DEFAULT_CODES = {"SIMULATED": 1000}

_EPILOG = f"""{outcomes_table()}

40 and 41 close the connection without a byte; a scripted lose_answer or lose_request keeps it silent for up to 60 s.

control, under http://{HOST}:PORT/_sim/:
  GET  books       where the money is
  GET  logs        the last logs that terminals uploaded
  GET  outcomes    the table above
  POST faults      [{{"kind": "lose_answer", "path": "pay", "count": 1, "skip": 0}}, …]; --script takes the same list
  POST advance     {{"seconds": 60}}: moves the gateway's clock forward
  POST customer    {{"client_sn" or "qr_code": "…", "action": "pay" or "refuse"}}

Books and terminals live in memory: after a restart a terminal has to be activated again."""


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:  # noqa: PLR2004 - the range of TCP ports
        raise argparse.ArgumentTypeError("a port is between 0 and 65535")
    return port


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= 1_000_000:  # noqa: PLR2004 - beyond that every duration is nothing
        raise argparse.ArgumentTypeError("speed is greater than 0 and at most 1000000")
    return speed


def _activation_code(text: str) -> tuple[str, int]:
    code, separator, uses = text.rpartition("=")
    if not (separator and code and uses.isascii() and uses.isdigit()):
        raise argparse.ArgumentTypeError("write CODE=USES, for example DEMO=5")
    return code, int(uses)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; ``--help`` also prints the table of outcomes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--script", type=Path, metavar="FILE", help="JSON list of faults")
    parser.add_argument("--seed", type=int, help="of serial numbers and keys (default: another one each time)")
    parser.add_argument("--speed", type=_speed, default=1.0, help="divides every duration (default: %(default)s)")
    parser.add_argument(
        "--code",
        type=_activation_code,
        action="append",
        metavar="CODE=USES",
        help="an activation code and how often it works; may be repeated (default: SIMULATED=1000)",
    )
    parser.add_argument("--vendor-sn", default=DEFAULT_VENDOR_SN, help="(default: %(default)s)")
    parser.add_argument("--app-id", default=DEFAULT_APP_ID, help="(default: %(default)s)")
    parser.add_argument(
        "--vendor-key-file", type=Path, metavar="FILE", help=f"(default: the published key {DEFAULT_VENDOR_KEY})"
    )


def main(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT.

    Returns:
        0, or 1 when a file can not be used or the port is taken; the reason is on stderr.
    """
    codes: Mapping[str, int] = dict(args.code) if args.code else DEFAULT_CODES
    key_file: Path | None = args.vendor_key_file
    script: Path | None = args.script
    try:
        vendor_key = DEFAULT_VENDOR_KEY if key_file is None else _read_key(key_file)
        faults = [] if script is None else _read_script(script)
    except (OSError, ValueError) as exc:
        print(f"gateway simulator: {exc}", file=sys.stderr)
        return 1
    started_s = time.monotonic()
    world = GatewayWorld(
        clock=lambda: time.monotonic() - started_s,
        epoch_s=time.time(),
        seed=secrets.randbits(32) if args.seed is None else args.seed,
        speed=args.speed,
        vendor_sn=args.vendor_sn,
        vendor_key=vendor_key,
        app_id=args.app_id,
        activation_codes=codes,
    )
    world.faults.add(*faults)
    try:
        asyncio.run(_run(world, args.port, key_file))
    except OSError as exc:
        print(f"gateway simulator: can not listen on port {args.port}: {exc}; try --port 0", file=sys.stderr)
        return 1
    return 0


def _read_key(path: Path) -> str:
    key = path.read_text(encoding="utf-8").strip()
    if not key:
        raise ValueError(f"{path} is empty")
    return key


def _read_script(path: Path) -> list[Fault]:
    try:
        return decode_faults(path.read_bytes())
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc


async def _run(world: GatewayWorld, port: int, key_file: Path | None) -> None:
    loop = asyncio.get_running_loop()

    def ready(bound: int) -> None:
        _say(_introduction(world, bound, key_file))

    serving = asyncio.ensure_future(serve(world, HOST, port, ready=ready, log=_say))
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


def _say(line: str) -> None:
    print(line, flush=True)


def _introduction(world: GatewayWorld, port: int, key_file: Path | None) -> str:
    """Return what a person needs to point a terminal here."""
    url = f"http://{HOST}:{port}"
    key = f"{DEFAULT_VENDOR_KEY} (published: not a secret)" if key_file is None else f"in {key_file}"
    codes = ", ".join(f"{code} ({uses} uses)" for code, uses in world.activation_codes.items())
    return "\n".join(
        [
            f"gateway simulator listening on {url}",
            f"vendor sn: {world.vendor_sn}   app id: {world.app_id}   vendor key: {key}",
            f"activation codes: {codes}",
            f'point a terminal here: [gateway] url = "{url}", [vendor] sn, app_id, key_file',
            "then: terminald activate CODE",
            f"books: {url}/_sim/books   what payment codes do: {url}/_sim/outcomes",
        ]
    )
