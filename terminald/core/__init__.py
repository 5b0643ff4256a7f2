"""What terminald decides about money: pure values and tables. No I/O, no clock, no randomness."""
