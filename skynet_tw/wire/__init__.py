"""Bytes to records and back; no state but a buffer, and no Twisted."""
