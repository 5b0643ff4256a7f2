"""The manual pages and the shell completion of the Debian package, made from what they describe.

The commands come from the parser, the settings from the annotated configuration file: no page says anything else than
``--help`` and ``terminald check``.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import terminald
from terminald.cli.arguments import build_parser

ANNOTATED: Final = Path("config", "terminald.toml")

_FILES: Final = (
    ("/etc/terminald/terminald.toml", "The configuration, see terminald.toml(5)."),
    ("/opt/terminald/config/", "The annotated configuration of this version, and examples."),
    ("/var/lib/terminald/", "The journal with all sales and the terminal's key. A removal and a purge leave it."),
    ("/etc/terminald/purge-journal", "Where this file is, a purge of the package removes the journal as well."),
    ("/run/terminald/api.sock", "The local API."),
    ("/opt/terminald/README.md", "How to install, set up and operate a terminal; the API; what to do in trouble."),
)


def command_page() -> str:
    """Return terminald(1)."""
    parser = build_parser()
    groups = re.split(r"^(?=[a-z])(.*):$", (parser.description or "").partition("\n\n")[2], flags=re.MULTILINE)
    intro = (parser.description or "").partition("\n\n")[0]
    lines = [_title("terminald", 1, "payment daemon for terminals without an attendant")]
    lines += [".SH SYNOPSIS", r".B terminald", _text("[--config FILE] COMMAND …")]
    lines += [".SH DESCRIPTION", _text(intro)]
    commands = _commands(parser)
    for heading, table in zip(groups[1::2], groups[2::2], strict=True):
        lines.append(f'.SH "{_text(heading.upper())}"')
        for name in re.findall(r"^  (\w+)", table, re.MULTILINE):
            lines += _command(commands[name])
    lines += [".SH OPTIONS", *_options(parser._actions)]  # noqa: SLF001 - argparse shows them in no other way
    lines += [".SH EXIT STATUS", _text((parser.epilog or "").removeprefix("exit codes: "))]
    lines += [".SH ENVIRONMENT", ".TP", ".B TERMINALD_CONFIG", "The configuration, unless an option names one."]
    lines.append(".SH FILES")
    for path, what in _FILES:
        lines += [".TP", rf".I {_text(path)}", _text(what)]
    lines += [".SH SEE ALSO", r".BR terminald.toml (5),", r".BR systemctl (1),", r".BR journalctl (1)"]
    return "\n".join(lines) + "\n"


def config_page(annotated: Path = ANNOTATED) -> str:
    """Return terminald.toml(5) from the annotated file; each line of it is in the page."""
    intro, *paragraphs = _paragraphs(annotated.read_text())
    lines = [_title("terminald.toml", 5, "the configuration of terminald")]
    lines += [".SH DESCRIPTION", *map(_text, intro), ".SH SETTINGS"]
    for paragraph in paragraphs:
        said: list[str] = []
        for line in paragraph:
            bare = line.removeprefix("#")
            if line.startswith("# "):
                said.append(_text(line[2:]))
            elif bare.startswith("["):
                lines += [f'.SS "{_text(bare)}"', *said]
                said = []
            else:
                lines += [".TP", rf".B {_text(bare)}", *said]
                said = []
    lines += [".SH FILES", ".I /etc/terminald/terminald.toml", ".SH SEE ALSO", r".BR terminald (1)"]
    return "\n".join(lines) + "\n"


def completion() -> str:
    """Return the completion of the command line for bash."""
    parser = build_parser()
    commands = _commands(parser)
    every = " ".join(commands)
    files, words, options = [], [], []
    for name, command in commands.items():
        own = [action for action in command._actions if action.option_strings]  # noqa: SLF001 - as above
        options.append(f"{name}) words='{' '.join(action.option_strings[-1] for action in own)}' ;;")
        for action in command._actions:  # noqa: SLF001 - as above
            choices = " ".join(action.choices or ())
            for option in action.option_strings:
                if choices:
                    words.append(f"{name}:{option}) words='{choices}' ;;")
                elif action.type is Path and option != "--config":
                    files.append(f"{name}:{option}")
            if choices and not action.option_strings:
                words.append(f"{name}:{name}) words='{choices}' ;;")
    return _BASH.format(
        every=every,
        alternatives=every.replace(" ", "|"),
        files="|".join(["*:--config", *files]),
        words="\n        ".join(words),
        options="\n            ".join(options),
    )


_BASH: Final = """\
# Completion of the command line of terminald, for bash.
_terminald() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command='' words='' word before=''
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ $before != --config ]]; then
            case $word in
                {alternatives}) command=$word; break ;;
            esac
        fi
        before=$word
    done
    case $command:$prev in
        {files})
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        {words}
    esac
    if [[ -z $words ]]; then
        case $command in
            '') words='{every} --config --help --version' ;;
            {options}
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -F _terminald terminald
"""


def _title(name: str, section: int, what: str) -> str:
    return f'.TH {name} {section} "" "terminald {terminald.__version__}"\n.SH NAME\n{_text(name)} \\- {_text(what)}'


def _text(text: str) -> str:
    """Return a text of which nothing is a command to the formatter."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped.replace('"', "\\(dq"), flags=re.MULTILINE)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    # argparse offers no other way to what it would print.
    (found,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001 - see above
    return dict(found.choices)


def _command(command: argparse.ArgumentParser) -> Iterator[str]:
    name = command.prog.rpartition(" ")[2]
    positional = [each for each in command._actions if not each.option_strings]  # noqa: SLF001 - as above
    yield ".TP"
    yield " ".join(
        [rf".B {name}", *(f"[{shown}]" if each.nargs == "?" else shown for each, shown in _named(positional))]
    )
    yield _text(command.description or "")
    yield ".RS"
    options = [each for each in command._actions if "--config" not in each.option_strings]  # noqa: SLF001 - as above
    yield from _options(options)
    yield ".RE"


def _named(actions: Sequence[argparse.Action]) -> Iterator[tuple[argparse.Action, str]]:
    for each in actions:
        choices = "|".join(each.choices or ())
        yield each, _text(str(each.metavar or choices or each.dest.upper()))


def _options(actions: Sequence[argparse.Action]) -> Iterator[str]:
    for action, shown in _named(actions):
        if action.help == argparse.SUPPRESS or "--help" in action.option_strings:
            continue
        yield ".TP"
        takes_value = action.nargs != 0
        for option in action.option_strings:
            yield rf".B {_text(option)} {shown}" if takes_value else rf".B {_text(option)}"
        if not action.option_strings:
            yield f".I {shown}"
        yield _text((action.help or "one of these") % {**vars(action), "default": action.default})


def _paragraphs(text: str) -> Iterator[list[str]]:
    """Yield the lines between empty ones; of the first its words only."""
    blocks = [list(lines) for is_empty, lines in groupby(text.splitlines(), lambda line: not line) if not is_empty]
    first, *others = blocks
    yield [line.lstrip("# ") for line in first]
    yield from others
