"""What strangers say."""

from __future__ import annotations

#: What somebody may say who speaks another protocol, at any port.
NOISE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("16030102000100"),
    "zeros": bytes(100),
    "ones": b"\xff" * 100_000,
}
