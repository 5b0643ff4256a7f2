"""Codecs between bytes and core values. No I/O."""
