"""What a person is asked, on the terminal or by a line of standard input."""

import sys

from terminald.cli.outcome import WRONG_USAGE, CommandFailed

#: What is typed to confirm: the end of the number that it is about.
CONFIRMED_DIGITS = 4


def ask(prompt: str, *, advice: str = "") -> str:
    """Ask the person, or read a line of standard input; the answer is not in the list of processes.

    Raises:
        CommandFailed: there was no answer; advice says how else to give it.
    """
    print(prompt, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        print(file=sys.stderr)
        raise CommandFailed("no answer was given; nothing was sent", advice=advice, code=WRONG_USAGE)
    return answer.strip()


def confirm(terminal_sn: str) -> None:
    """Have the end of the terminal's number typed.

    Raises:
        CommandFailed: something else was typed.
    """
    typed = ask(f"To confirm, type the last {CONFIRMED_DIGITS} digits of its number: ")
    if typed != terminal_sn[-CONFIRMED_DIGITS:]:
        raise CommandFailed("not confirmed; nothing was sent, and the terminal is as it was")
