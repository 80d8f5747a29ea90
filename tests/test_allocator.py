"""The C library's memory."""

from __future__ import annotations

import platform

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.allocator import keep_large_blocks


class AllocatorTests(SynchronousTestCase):
    """What is asked of the C library."""

    def test_glibc(self) -> None:
        """glibc takes both numbers, and any other library is left alone."""
        self.assertEqual(keep_large_blocks(), platform.libc_ver()[0] == "glibc")
