"""All I/O, one external thing per module, behind the protocols of :mod:`terminald.adapters.ports`."""
