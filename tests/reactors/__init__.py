"""The reactor matrix: the same suite on every reactor of the platform."""
