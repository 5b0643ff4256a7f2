"""Simulated gateway, scanner, printer and vending machine: independent programs that share no code with the daemon."""
