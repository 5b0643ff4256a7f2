"""``terminald metrics``: the daemon's metrics, printed, or put where a collector of text files looks."""

import argparse
import os
import tempfile
from pathlib import Path

from terminald.cli.client import LOOK_LIMIT_S, connect
from terminald.cli.outcome import DONE, CommandFailed
from terminald.wire.metrics import encode, up

#: What a collector that runs as another user may read.
FILE_MODE = 0o644
_DOWN = encode([up(is_up=False)])


def metrics(args: argparse.Namespace) -> int:
    """Print the metrics, or replace a file with them: a collector never sees half of it."""
    with connect(args) as daemon:
        try:
            body = daemon.get("/metrics", within_s=LOOK_LIMIT_S)
        except CommandFailed:
            if args.out is not None:
                # What was true once must not stay there as if it still were.
                _replace(args.out, _DOWN)
            raise
    if args.out is None:
        print(body.decode(), end="")
    else:
        _replace(args.out, body)
    return DONE


def _replace(file: Path, body: bytes) -> None:
    try:
        # Collectors take files whose names end in .prom: this one's does not.
        descriptor, made = tempfile.mkstemp(prefix=".terminald-", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(body)
                os.fchmod(out.fileno(), FILE_MODE)
            Path(made).replace(file)
        except OSError:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise CommandFailed(
            f"{file} can not be written: {exc.strerror}",
            advice="run the command as a user that may write its directory",
        ) from exc
