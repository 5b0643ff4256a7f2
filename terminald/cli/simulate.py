"""``terminald simulate``: hand over to a simulated part."""

import argparse
import importlib
from collections.abc import Callable

from terminald.cli.outcome import WRONG_USAGE


def simulate(args: argparse.Namespace) -> int:
    """Run one part until it is ended; its own arguments are what follows its name."""
    module = importlib.import_module(f"terminald.simulator.{args.part}")
    add_arguments: Callable[[argparse.ArgumentParser], None] = module.add_arguments
    run: Callable[[argparse.Namespace], int] = module.main
    parser = argparse.ArgumentParser(prog=f"terminald simulate {args.part}")
    add_arguments(parser)
    try:
        own = parser.parse_args(args.rest)
    except SystemExit as exc:  # argparse's way to end
        return exc.code if isinstance(exc.code, int) else WRONG_USAGE
    return run(own)
