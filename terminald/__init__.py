"""Payment daemon for unattended terminals that speaks the Upay (Shouqianba) Web API."""

__version__ = "0.1.0"
