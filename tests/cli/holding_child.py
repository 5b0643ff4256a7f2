"""A process that has a state directory and a serial line, as a daemon does; run by tests. Ends with its input."""

import sys
from pathlib import Path

from terminald.adapters.serial_opening import open_line
from terminald.adapters.state_directory import lock

if __name__ == "__main__":
    directory, device = sys.argv[1:]
    with lock(Path(directory)):
        line = open_line(device, 9600)
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.read()
        line.close()
