"""The simulated Upay gateway, as others import it.

A theory of operation: :class:`GatewayWorld` is the gateway without I/O, on any clock; :func:`serve` puts it behind a
socket; a simulation drives it directly. What goes wrong is either in the last two digits of a payment code
(:func:`outcomes_table`) or a :class:`Fault` that a test arms; both pass through one :class:`Plan` for each request.
"""

from terminald.simulator.gateway_command import add_arguments, main
from terminald.simulator.gateway_faults import Delivery, Fault, Plan
from terminald.simulator.gateway_outcomes import OUTCOMES, outcomes_table
from terminald.simulator.gateway_protocol import Request, Response, sign
from terminald.simulator.gateway_server import serve
from terminald.simulator.gateway_view import BooksView, LogView, OrderView, TerminalView, TransactionView
from terminald.simulator.gateway_world import GatewayWorld

__all__ = [
    "OUTCOMES",
    "BooksView",
    "Delivery",
    "Fault",
    "GatewayWorld",
    "LogView",
    "OrderView",
    "Plan",
    "Request",
    "Response",
    "TerminalView",
    "TransactionView",
    "add_arguments",
    "main",
    "outcomes_table",
    "serve",
    "sign",
]
