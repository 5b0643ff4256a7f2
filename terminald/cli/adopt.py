"""``terminald adopt``: a board takes over from the one that it replaces."""

import argparse
import sys
from contextlib import ExitStack

from terminald.app import open_journal
from terminald.app_board import adopt_board, moved_source
from terminald.cli.confirm import confirm
from terminald.cli.outcome import DONE
from terminald.config import load
from terminald.logs import escape


def adopt(args: argparse.Namespace) -> int:
    """Let the identity of a replaced board live on this one, where a person says that the other is out of service."""
    config = load(args.config)
    with ExitStack() as stack:
        journal = open_journal(config, stack)
        present, difference = journal.load_terminal(), moved_source(journal)
        if present is None:
            print("Nothing to take over: this terminal is not activated yet (terminald activate).")
            return DONE
        sn = escape(present.terminal_sn)
        if difference is None:
            print(f"Nothing to take over: as far as can be told, terminal {sn} is on its own board.")
            return DONE
        print(
            f"Terminal {sn} was used on a board with another {difference} until now. This board takes it over.\n"
            "That one must be out of service for good, with no copy of its card left in use: two boards with one\n"
            "terminal lock each other out.",
            file=sys.stderr,
        )
        if not args.yes:
            confirm(present.terminal_sn)
        adopt_board(journal)
    print(f"Taken over: this board is terminal {sn} from now on (device id {escape(present.device_id)}, as before).")
    print("Next: start the daemon (systemctl start terminald, or terminald run), then see terminald status.")
    return DONE
