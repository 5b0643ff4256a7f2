"""What all tests share."""

from hypothesis import HealthCheck, settings

# A machine that is busy with other things draws examples slowly; that says nothing about what is tested.
settings.register_profile("terminald", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("terminald")
