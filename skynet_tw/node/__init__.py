"""Actors and what they live in: delivery within a node, calls, names, fates."""
