"""Measurements of skynet_tw, beside real Skynet where it can do the same work.

``python -m benchmarks NAME --help`` tells each one's options; docs/performance.md has
the results.
"""
