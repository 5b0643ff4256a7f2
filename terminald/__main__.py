"""The program: arguments, exit codes, and the only ``sys.exit``.

Exit codes: 0 done · 1 failed · 2 wrong usage · 3 not ready, or refused by the daemon · 78 the configuration is wrong,
or the state directory is from another board.
"""

import io
import os
import sys
from collections.abc import Sequence

from terminald.cli.arguments import dispatch, parse
from terminald.cli.outcome import CONFIG_WRONG, FAILED, CommandFailed, say_error, say_faults
from terminald.errors import ConfigError, TerminaldError, WrongBoard


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code. Any exception that leaves here is a bug."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal can not show is no reason to fail in the middle of a sale.
            stream.reconfigure(errors="backslashreplace")
    try:
        args = parse(argv)
        code = args if isinstance(args, int) else dispatch(args)
        sys.stdout.flush()
    except ConfigError as exc:
        say_faults(exc.faults)
        return CONFIG_WRONG
    except (CommandFailed, WrongBoard) as exc:
        say_error(str(exc), exc.advice)
        return exc.code if isinstance(exc, CommandFailed) else CONFIG_WRONG
    except TerminaldError as exc:
        say_error(str(exc))
        return FAILED
    except KeyboardInterrupt:
        say_error("interrupted")
        return FAILED
    except BrokenPipeError:
        # Whoever read the output has gone. What is still in the buffer must not fail at the end of the interpreter.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
