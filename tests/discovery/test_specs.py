"""Directories by the texts of options."""

from __future__ import annotations

import re
import sys
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skynet_tw.discovery.dns import DNSDirectory
from skynet_tw.discovery.etcd import EtcdDirectory
from skynet_tw.discovery.file import FileDirectory
from skynet_tw.discovery.specs import directory
from skynet_tw.interfaces import INodeDirectory


class SpecTests(SynchronousTestCase):
    """What a text names."""

    def test_kinds(self) -> None:
        """Each kind has its directory, which does nothing before it starts."""
        for text, kind in (
            ("file:/etc/skynet/nodes.toml", FileDirectory),
            ("file:nodes:1.lua", FileDirectory),
            ("dns:_skynet._tcp.example.org", DNSDirectory),
            ("dns:nodes.example.org:2528", DNSDirectory),
            ("etcd:http://127.0.0.1:2379", EtcdDirectory),
            ("etcd:https://a:2379, https://b.example.org/etcd/", EtcdDirectory),
            ("etcd:http://[::1]:2379", EtcdDirectory),
        ):
            reactor = MemoryReactorClock()
            found = directory(text, reactor)
            self.assertIsInstance(found, kind, text)
            verifyObject(INodeDirectory, found)
            self.assertEqual(reactor.getDelayedCalls(), [], text)
            self.assertEqual(reactor.tcpClients, [], text)

    def test_wrong(self) -> None:
        """What names none is told in a line, with what there is."""
        forms = "etcd:URL, dns:NAME, dns:NAME:PORT, file:PATH"
        url = "is no URL http://HOST:PORT or https://..."
        for text, reason in (
            ("", f"'' is not one of: {forms}"),
            ("zookeeper:z", f"'zookeeper:z' is not one of: {forms}"),
            ("file:", f"'file:' is not one of: {forms}"),
            ("dns:a b", "'a b' is not NAME or NAME:PORT, as DNS has them"),
            ("dns:a:0", "'a:0' is not NAME or NAME:PORT, as DNS has them"),
            ("dns:a:70000", "'a:70000' is not NAME or NAME:PORT, as DNS has them"),
            ("etcd:127.0.0.1:2379", f"'127.0.0.1:2379' {url}"),
            ("etcd:http://a,", f"'' {url}"),
            ("etcd:http://a:b", f"'http://a:b' {url}"),
            ("etcd:http://", f"'http://' {url}"),
            ("etcd:http://é", f"'http://é' {url}"),
            (
                "etcd:http://me:word@a",
                "a URL of etcd has a host, a port and a path, and no more",
            ),
        ):
            error = self.assertRaises(ValueError, directory, text, Clock())
            self.assertEqual(str(error), reason)

    def test_no_client(self) -> None:
        """Without treq, etcd cannot be used, and the line says how to get it."""
        with patch.dict(sys.modules):
            for name in list(sys.modules):
                if re.match(r"skynet_tw\.discovery\.(etcd|gateway)", name):
                    del sys.modules[name]
            sys.modules["treq.client"] = None  # type: ignore[assignment]
            error = self.assertRaises(ValueError, directory, "etcd:http://a:1", Clock())
        self.assertEqual(
            str(error), "etcd needs the package treq: pip install 'skynet_tw[etcd]'"
        )
