"""``terminald drain``, ``resume`` and ``health``: an update, a technician, an updater that wants to know."""

import argparse
import sys
import time
from datetime import datetime, timezone

from terminald import config_rules as rules
from terminald.cli.client import LOOK_LIMIT_S, Daemon, client_settings, connect, decode
from terminald.cli.confirm import ask
from terminald.cli.outcome import DONE, REFUSED, WRONG_USAGE, CommandFailed, say_error
from terminald.wire import api_status

#: How often it is asked what is still under way.
_LOOK_S = 0.5
#: How often a daemon that does not serve yet is asked again.
_AGAIN_S = 1.0


#: What a person types to confirm.
_WORD = "resume"
#: What it is that is confirmed.
_CONFIRMED = (
    "Of the payments after it, this terminal knows only what could still be read in the damaged file. What it does not",
    "know it has neither completed nor given back. Who confirms it says that for each day since",
    "  - terminald report --day DAY --verify was run, and its differences are settled;",
    "  - the merchant's console was searched for payments that are not listed here, and what nobody was served for",
    "    was given back there.",
)


def drain(args: argparse.Namespace) -> int:
    """Have no more sales begun, and wait for what is under way; 3 when that takes longer than it may."""
    patience_s = None if args.timeout is None else _seconds(args.timeout)
    with connect(args) as daemon:
        request = api_status.DrainRequest(until="restart" if args.until_restart else "resume")
        body = daemon.post("/v1/drain", request)
        try:
            body = _wait(daemon, body, 0.0 if args.no_wait else patience_s)
        except KeyboardInterrupt:
            say_error("interrupted; no more sales are begun all the same", "terminald resume begins them again")
            return REFUSED
    waits = decode(body, api_status.Status).in_flight
    if args.json:
        print(body.decode())
    elif waits and not args.no_wait:
        say_error(f"not done within {args.timeout}: {_words(decode(body, api_status.Status))}", "ask again: it goes on")
    else:
        how_long = "until the next start" if args.until_restart else 'until "terminald resume"'
        more = f"; {_words(decode(body, api_status.Status))}" if waits else ", and nothing is under way"
        print(f"No more sales are begun, {how_long}{more}.")
    return REFUSED if waits and not args.no_wait else DONE


def resume(args: argparse.Namespace) -> int:
    """Have sales begun again; after a restore by whoever says that the days since the copy were compared."""
    with connect(args) as daemon:
        restored = decode(daemon.get("/v1/status"), api_status.Status).restored
        if restored is not None:
            _confirm_compared(restored, daemon.settings.timezone, is_confirmed=args.yes)
        request = api_status.ResumeRequest(code=None if restored is None else "journal_restored")
        body = daemon.post("/v1/resume", request)
    shown = decode(body, api_status.Status)
    if args.json:
        print(body.decode())
    else:
        done = "Not drained any more" if restored is None else "Confirmed"
        done += "; still drained, run it again" if restored is not None and shown.draining else ""
        print("Sales are begun again." if shown.ready else f"{done}; not ready: {', '.join(shown.reasons)}")
    return DONE


def _confirm_compared(restored: api_status.Restored, zone: timezone, *, is_confirmed: bool) -> None:
    """Say what is confirmed, and have it confirmed: by the option, or by a word that is typed at a terminal.

    Raises:
        CommandFailed: it is not confirmed; nothing was sent.
    """
    copied = None if restored.copied_at is None else datetime.fromisoformat(restored.copied_at).astimezone(zone)
    when = "" if copied is None else f" of {copied:%F %H:%M} {zone}"
    what = f"journal was restored from the copy{when}"
    if not is_confirmed and not sys.stdin.isatty():
        raise CommandFailed(
            f"the {what}, payments after it may not be known here, and a person has to confirm that the days since "
            "were compared; nothing was changed",
            advice="compare them (terminald report --day DAY --verify, the merchant's console); then run terminald "
            "resume at a terminal, or with --yes",
            code=WRONG_USAGE,
        )
    print("\n".join((f"The {what}.", *_CONFIRMED)), file=sys.stderr)
    if not is_confirmed and ask(f'To confirm it, and to begin sales again, type "{_WORD}": ') != _WORD:
        raise CommandFailed("not confirmed; nothing was changed, and no sale is begun")


def health(args: argparse.Namespace) -> int:
    """Tell whether this version serves; 3 when it does not, within the time that it may take."""
    settings = client_settings(args.config)
    ends = time.monotonic() + (LOOK_LIMIT_S if args.wait is None else _seconds(args.wait))
    is_patient = args.wait is not None
    body = None
    while body is None:
        try:
            with Daemon(settings) as daemon:
                body = daemon.get("/v1/health", within_s=max(_AGAIN_S, ends - time.monotonic()))
        except CommandFailed as exc:
            if not is_patient or time.monotonic() >= ends:
                # Whatever it is, the updater wants one answer.
                raise CommandFailed(str(exc), advice=exc.advice, code=REFUSED) from exc
            time.sleep(min(_AGAIN_S, max(0.0, ends - time.monotonic())))
    shown = decode(body, api_status.Health)
    print(body.decode() if args.json else f"terminald {shown.version} serves")
    return DONE


def _wait(daemon: Daemon, body: bytes, patience_s: float | None) -> bytes:
    """Return the status when nothing is under way, or at the end of the patience."""
    ends = None if patience_s is None else time.monotonic() + patience_s
    told = ""
    while (shown := decode(body, api_status.Status)).in_flight and (ends is None or time.monotonic() < ends):
        if sys.stderr.isatty() and (words := _words(shown)) != told:
            told = words
            print(f"… {words}", file=sys.stderr, flush=True)
        time.sleep(_LOOK_S)
        body = daemon.get("/v1/status")
    return body


def _words(shown: api_status.Status) -> str:
    """Say what a drain waits for."""
    if shown.sale is not None:
        return f"sale {shown.sale} is with a customer"
    if shown.print_queue:
        return f"receipts are being printed: {shown.print_queue}"
    if shown.unresolved:
        return f"orders and refunds are being settled: {shown.unresolved}"
    return "goods are being handed out, or the key is being renewed"


def _seconds(text: str) -> float:
    try:
        return rules.duration("0s", "24h")(text) / 1000
    except rules.NotAllowed as exc:
        raise CommandFailed(str(exc), code=WRONG_USAGE) from exc
