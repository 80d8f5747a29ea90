"""The in-memory tests on the Pythons of the machine, on the versions we declare."""
