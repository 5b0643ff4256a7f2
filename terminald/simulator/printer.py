"""A simulated receipt printer on a pseudo terminal, which draws what it prints and fails as real ones do.

What others import of it; :mod:`terminald.simulator.printer_device` tells how it works.
"""

from terminald.simulator.printer_buffer import BUFFER_BYTES, BUSY_FREE, PTY_BYTES, READY_FREE, Flow
from terminald.simulator.printer_command import add_arguments, main
from terminald.simulator.printer_device import Model, Printed, SimulatedPrinter
from terminald.simulator.printer_status import ANSWERS, Condition, Manner, Question

__all__ = [
    "ANSWERS",
    "BUFFER_BYTES",
    "BUSY_FREE",
    "PTY_BYTES",
    "READY_FREE",
    "Condition",
    "Flow",
    "Manner",
    "Model",
    "Printed",
    "Question",
    "SimulatedPrinter",
    "add_arguments",
    "main",
]
