"""Whole nodes on a network in memory: what they promise, whatever the network does."""
