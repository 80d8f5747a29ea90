"""The in-memory tests on the Pythons of the machine and the versions that we declare."""
