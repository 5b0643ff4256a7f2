"""Simulated gateway, scanner and printer: independent programs that share no code with the daemon."""
