"""A vending machine behind a Qibixx adapter on a pseudo terminal, to be bought from by tests and by people.

A theory of operation: the adapter (``vmc_adapter`` for its text commands, ``vmc_reader`` for its side of the machine's
bus) is made anew at each power-up; the machine (``vmc_machine``) writes what really happens into the books
(``vmc_books``). :class:`VmcWorld` is both on any clock, :class:`SimulatedVmc` the same on a pseudo terminal. Written
from the MDB standard and the published message tables; what these leave open is an option (:class:`Firmware`).
"""

from terminald.simulator.vmc_books import Approval, Books, End, Misdeed, Vend, Violation
from terminald.simulator.vmc_command import add_arguments, main
from terminald.simulator.vmc_device import SimulatedVmc
from terminald.simulator.vmc_firmware import Firmware, Reader
from terminald.simulator.vmc_line import ENDS, Clock, Manner, Timer
from terminald.simulator.vmc_machine import UNDEFINED_ITEM, Machine, MachineModel, Outcome, Phase
from terminald.simulator.vmc_script import help_text, obey
from terminald.simulator.vmc_world import Line, VmcWorld

__all__ = [
    "ENDS",
    "UNDEFINED_ITEM",
    "Approval",
    "Books",
    "Clock",
    "End",
    "Firmware",
    "Line",
    "Machine",
    "MachineModel",
    "Manner",
    "Misdeed",
    "Outcome",
    "Phase",
    "Reader",
    "SimulatedVmc",
    "Timer",
    "Vend",
    "Violation",
    "VmcWorld",
    "add_arguments",
    "help_text",
    "main",
    "obey",
]
