"""The in-memory tests on other Pythons and other versions of what we need."""
