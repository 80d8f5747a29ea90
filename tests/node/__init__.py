"""Tests of the node layer: actors, calls, names, the border, the ledger."""
