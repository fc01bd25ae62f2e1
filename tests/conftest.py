"""For all tests: a busy machine is no failure."""

from hypothesis import settings

# By default an example that takes more than 200 ms fails, and so does any stall of the machine.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
