"""A barcode scanner on a pseudo terminal, to be scanned with by tests and by people.

What others import of it: the scanner itself, what is held before it, and the engines that a host triggers.
"""

from terminald.simulator.scanner_command import HELP, add_arguments, converse, main
from terminald.simulator.scanner_device import PREFIXES, SUFFIXES, SimulatedScanner, at_wrong_speed
from terminald.simulator.scanner_engine import ENGINES, Engine, ScannerWindow

__all__ = [
    "ENGINES",
    "HELP",
    "PREFIXES",
    "SUFFIXES",
    "Engine",
    "ScannerWindow",
    "SimulatedScanner",
    "add_arguments",
    "at_wrong_speed",
    "converse",
    "main",
]
