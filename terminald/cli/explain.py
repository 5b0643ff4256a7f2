"""``terminald explain``: the story of one sale in plain sentences, and the evidence for the gateway's service."""

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

import msgspec

from terminald.cli.client import connect, decode
from terminald.cli.outcome import DONE, CommandFailed
from terminald.core.receipt import display_width, wrap
from terminald.logs import escape
from terminald.wire.api_story import Explanation, Plan, StoryLine

#: Below this a line of Chinese holds a few words only, and is left to the terminal.
_NARROWEST: Final = 40
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "certain": "What is certain",
        "open": "What is not known",
        "customer": "What the customer should see",
        "next": "What terminald does next",
        "person": "What to do",
        "story": "What has happened",
        "notes": "Please note",
        "nothing_next": "Nothing more happens by itself.",
        "then": "then",
        "times": " ({times} times, until {until})",
        "written": "Evidence for the gateway's customer service: {file}",
    },
    "zh": {
        "certain": "已确定",
        "open": "尚不确定",
        "customer": "顾客应看到",
        "next": "terminald 接下来",
        "person": "需要做的事",
        "story": "经过",
        "notes": "请注意",
        "nothing_next": "不会再有自动操作。",
        "then": "随后",
        "times": "（共 {times} 次，至 {until}）",
        "written": "提供给网关客服的证据文件：{file}",
    },
}


def explain(args: argparse.Namespace) -> int:
    """Explain one sale; write the evidence about it where that is asked for."""
    language = args.language or _own_language(os.environ)
    with connect(args) as daemon:
        path = daemon.sale_path(args.sale)
        body = daemon.get(f"{path}/explanation", {"language": language})
        if args.evidence:
            _write(daemon.get(f"{path}/evidence", {"language": language}), args.evidence, is_forced=args.force)
    if args.json:
        print(body.decode())
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print("\n".join(lines_of(decode(body, Explanation), columns)))
    if args.evidence:
        print(_WORDS[language]["written"].format(file=args.evidence), file=sys.stderr if args.json else sys.stdout)
    return DONE


def _own_language(environment: Mapping[str, str]) -> str:
    """Return the person's language: Chinese where the locale says so, else English."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "zh" if locale.startswith("zh") else "en"


# --- the sentences ---------------------------------------------------------------------------------------------------


def lines_of(told: Explanation, columns: int | None) -> Iterator[str]:
    """Yield the lines to print, broken where they are wider than so many columns."""
    words, zone = _WORDS[told.language], _zone(told.timezone)
    today = datetime.now(zone).strftime("%Y-%m-%d ")
    plans = [_plan(plan, words, zone, today) for plan in told.next] or [words["nothing_next"]]
    parts = (
        ("certain", told.certain),
        ("open", told.open),
        ("customer", told.customer),
        ("next", plans),
        ("person", told.person),
        ("notes", told.notes),
    )
    for name, lines in parts:
        if lines:
            yield words[name]
            for line in lines:
                yield from _broken("  - ", line, columns)
    yield words["story"]
    day = ""
    for happened in told.story:
        at = _local(happened.at, zone)
        if at[:10] != day:
            day = at[:10]
            yield f"  {day}"
        yield from _broken(f"  {at[11:]}  ", _story_line(happened, words, zone), columns)


def _plan(plan: Plan, words: Mapping[str, str], zone: timezone, today: str) -> str:
    return f"{words['then'] if plan.at is None else _local(plan.at, zone).removeprefix(today)}  {plan.what}"


def _story_line(line: StoryLine, words: Mapping[str, str], zone: timezone) -> str:
    if line.until is None:
        return line.text
    until = _local(line.until, zone)
    same_day = until[:10] == _local(line.at, zone)[:10]
    return f"{line.text}{words['times'].format(times=line.times, until=until[11:] if same_day else until)}"


def _broken(mark: str, text: str, columns: int | None) -> Iterator[str]:
    """Yield a line with a mark before it, and what does not fit below it."""
    indent, text = display_width(mark), escape(text)
    fits = columns is None or columns < _NARROWEST
    parts = (text,) if fits else wrap(text, (columns or 0) - indent)
    for number, part in enumerate(parts):
        yield (mark if number == 0 else " " * indent) + part


def _zone(offset: str) -> timezone:
    try:
        zone = datetime.strptime(offset, "%z").tzinfo
    except ValueError:
        zone = None
    if not isinstance(zone, timezone):
        raise CommandFailed(
            "the answer of the daemon is not understood",
            advice="is it the same version? terminald --version; --json shows what it says",
        )
    return zone


def _local(text: str, zone: timezone) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return escape(text)


# --- the evidence ----------------------------------------------------------------------------------------------------


def _write(body: bytes, file: Path, *, is_forced: bool) -> None:
    """Write the evidence where nothing is yet, readable for this user alone.

    Raises:
        CommandFailed: there is a file already, or it can not be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if is_forced else os.O_EXCL)
    try:
        with os.fdopen(os.open(file, flags, 0o600), "wb") as out:
            # A file that was there has its own mode; some file systems (on a USB stick) have none.
            with contextlib.suppress(PermissionError):
                os.fchmod(out.fileno(), 0o600)
            out.write(msgspec.json.format(body, indent=2) + b"\n")
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError as exc:
        raise CommandFailed(f"{file} is there already", advice="name another file, or add --force") from exc
    except OSError as exc:
        raise CommandFailed(f"{file} can not be written: {exc.strerror or exc}") from exc
