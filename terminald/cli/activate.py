"""``terminald activate``: give the terminal its identity, once, and end in a clear sentence whatever happens."""

import argparse
import sys
from contextlib import ExitStack
from typing import Final

import msgspec

from terminald.adapters.clock import wall_ms
from terminald.adapters.gateway_activation import ActivationNotSent
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import CLOCK_FAULT
from terminald.app import open_journal
from terminald.app_activation import activate_terminal, doubtful_activations
from terminald.app_board import moved_source, wrong_board
from terminald.cli.confirm import ask, confirm
from terminald.cli.outcome import DONE, WRONG_USAGE, CommandFailed, say_warning
from terminald.cli.words import local_time
from terminald.config import Config, load, read_activation_code, read_vendor_key
from terminald.core.events import Fault
from terminald.core.ids import Instant, Secret, WallTime
from terminald.core.terminal import ActivationIntent, Terminal
from terminald.logs import escape
from terminald.wire import api_status
from terminald.wire.api_views import rfc3339
from terminald.wire.upay import ActivationRefused, ActivationUnknown

_HOW_TO_GIVE_THE_CODE: Final = (
    "type it, pass it on standard input, or as the systemd credential activation_code (README: Activation)"
)


def activate(args: argparse.Namespace) -> int:
    """Activate; see the module."""
    config = load(args.config)
    vendor_key = read_vendor_key(config)
    with ExitStack() as stack:
        journal = open_journal(config, stack)
        for intent in doubtful_activations(journal):
            say_warning(_doubt(intent, config))
        present = journal.load_terminal()
        if present is not None:
            _check_replacing(present, journal, is_wanted=args.replace, is_confirmed=args.yes)
        code = _code(args.code)
        try:
            done = activate_terminal(config, journal, code=code, vendor_key=vendor_key)
        except ValueError as exc:
            raise CommandFailed(f"{exc}; nothing was sent", code=WRONG_USAGE) from None
    if not isinstance(done, Terminal):
        raise _failure(done, config)
    if args.json:
        shape = api_status.Terminal(
            sn=done.terminal_sn, device_id=done.device_id, activated_at=rfc3339(done.activated_at)
        )
        print(msgspec.json.encode(shape).decode())
    else:
        print(f"Activated: this is terminal {escape(done.terminal_sn)} (device id {escape(done.device_id)}).")
        print("Next: start the daemon (systemctl start terminald, or terminald run), then see terminald status.")
    return DONE


def _code(given: str | None) -> Secret:
    if given is not None:
        return Secret(given)
    return read_activation_code() or Secret(ask("Activation code: ", advice=_HOW_TO_GIVE_THE_CODE))


def _check_replacing(present: Terminal, journal: SqliteJournal, *, is_wanted: bool, is_confirmed: bool) -> None:
    """Let an identity be given up only by who was told what it means, and said so.

    Raises:
        CommandFailed, WrongBoard: it stays.
    """
    sn, difference = present.terminal_sn, moved_source(journal)
    if difference is not None and not is_wanted:
        raise wrong_board(present, difference)
    if difference is not None:
        say_warning(f"terminal {sn} is of another board, with another {difference}. What happens there is not changed")
    if not is_wanted:
        raise CommandFailed(
            f"this is terminal {sn} already, activated {local_time(rfc3339(present.activated_at))}; nothing was sent",
            advice="once is enough. Where the gateway accepts its key no more: terminald activate --replace",
        )
    book = journal.load_book(Instant(0))
    under_way = sum(not one.state.is_final for one in book.attempts.values())
    under_way += sum(not one.state.is_final for one in book.refunds.values())
    if under_way:
        say_warning(
            f"{under_way} order(s) or refund(s) of terminal {sn} are not proven to their end, and a new one may not be "
            "allowed to ask about them: let the old one finish them if it still can (terminald status). --yes does not "
            "suffice"
        )
    elif is_confirmed:
        return
    where = "for good" if difference is None else "on this board"
    print(f"Terminal {escape(sn)} is given up {where}, and a use of the code is spent.", file=sys.stderr)
    confirm(sn)


def _doubt(intent: ActivationIntent, config: Config) -> str:
    how = "was cut off before its answer was stored" if not intent.outcome else "had no clear answer"
    return (
        f"an activation with code {intent.code_masked} at {local_time(rfc3339(intent.at))} {how}: a use of that code "
        f"may be gone, and the merchant's console may show a terminal {config.terminal.name!r} that nobody uses"
    )


def _failure(done: ActivationRefused | ActivationUnknown | ActivationNotSent, config: Config) -> CommandFailed:
    fault = done.fault
    said = f"{fault.code} {fault.message}".strip()
    match done:
        case ActivationRefused():
            return CommandFailed(f"the gateway refused the activation: {said}", advice=_after_refusal(fault))
        case ActivationNotSent() if fault.code == CLOCK_FAULT:
            return CommandFailed(
                f"this machine's clock is wrong: nothing was sent, and no use of the code is gone: {fault.message}",
                advice=_after_nothing_was_sent(fault, config),
            )
        case ActivationNotSent():
            return CommandFailed(
                f"nothing was sent, and no use of the code is gone: {fault.message}",
                advice=_after_nothing_was_sent(fault, config),
            )
        case ActivationUnknown():
            return CommandFailed(
                f"the answer was lost, and a use of the code may be gone: {said}",
                advice=(
                    f"look in the merchant's console for a new terminal {config.terminal.name!r}. Then try again: "
                    "terminald activate, with the same code while it has uses left, else with a new one"
                ),
            )


def _after_nothing_was_sent(fault: Fault, config: Config) -> str:
    now = local_time(rfc3339(WallTime(wall_ms())))
    if fault.code == CLOCK_FAULT:
        return (
            f"the clock of this machine says {now}. Where that is wrong, set it (timedatectl; it sets itself where it "
            "reaches a time server), then try again with the same code; where it is right, the gateway's certificate "
            "is not"
        )
    return (
        f"check the network, the clock of this machine (it says {now}), and gateway.url ({config.gateway.url}); then "
        "try again with the same code"
    )


def _after_refusal(fault: Fault) -> str:
    if fault.code == "ILLEGAL_SIGN":
        return (
            "no use of the code is gone. The vendor's signature is wrong: check vendor.sn and the vendor key "
            "(vendor.key_file, or the credential vendor_key); then try again with the same code"
        )
    return (
        "no use of the code is gone. Check the code (mistyped, used up, expired?) and vendor.app_id; the gateway's "
        "operator gives new codes"
    )
