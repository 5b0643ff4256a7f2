"""A process that has imported the daemon and done nothing else, and forks one for each line that it reads.

``python -m tests.crash.nursery``: a line is the arguments of terminald as a JSON list, the answer the new process's id.
What it writes goes where this process's goes. Nine tenths of a start are imports, and there are thousands of starts.
"""

import ctypes
import importlib
import json
import os
import signal
import sys

from terminald.__main__ import main

#: What a daemon imports on its way, besides what its modules say.
_LATE = (
    "terminald.app",
    "terminald.cli.service",
    "anyio.lowlevel",
    "anyio.streams.memory",
    "anyio.streams.stapled",
    "encodings.gbk",
    "encodings.idna",
    "httpcore",
    "uvicorn.lifespan.off",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
)
_PR_SET_PDEATHSIG = 1


def serve() -> int:
    """Fork until there are no more lines; in a forked process be the daemon, and return its exit code."""
    for name in _LATE:
        importlib.import_module(name)
    child = 0
    # One at a time lives. The last one is buried only when the next one is asked for: its id is its own until then.
    while line := os.read(0, 4096):
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            # Whoever ends the harness leaves no daemon behind: this process reads no more lines then, and ends.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 0)
            os.dup2(2, 1)
            return main(json.loads(line))
        os.write(1, f"{child}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(serve())
