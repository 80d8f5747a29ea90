"""Tests of the node layer: actors, calls, names, what leaves and what comes in."""
