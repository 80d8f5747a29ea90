"""What all tests over the etcd in memory have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from twisted.internet.task import Clock
from twisted.trial import util

from skynet_tw.discovery.etcd import PREFIX, EtcdDirectory

from .fakeetcd import FakeEtcd, Network, Store
from .support import DirectoryCase, Views

KEY = PREFIX.encode()


class EtcdCase(DirectoryCase):
    """A test with an etcd of one server at the host "a"."""

    # Twisted's table of headers has names of both kinds.
    suppress: ClassVar = [util.suppress(category=BytesWarning)]

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        # After the directories were stopped: what they still have to do.
        self.addCleanup(self.clock.advance, 5)
        self.store = Store(self.clock)
        self.server = FakeEtcd(self.store)
        self.net = Network()
        self.net.add("a", self.server)

    def directory(self, *urls: str) -> EtcdDirectory:
        """A directory, which tries again after 1 s, 2 s and so on."""
        given = urls or ("http://a:2379",)
        return EtcdDirectory(given, self.net, self.clock, retry_policy=float)

    def started(
        self, own: Mapping[str, str] | None = None, views: Views | None = None
    ) -> EtcdDirectory:
        """A directory that has started; *views* gets what it tells."""
        directory = self.directory()
        told = self.views if views is None else views
        self.addCleanup(directory.stop)
        done = directory.start(told.take, own or {})
        self.successResultOf(done)
        return directory

    def stop(self, directory: EtcdDirectory) -> None:
        """Stop a directory, and wait for that."""
        done = directory.stop()
        self.clock.advance(0)
        self.net.flush()
        self.successResultOf(done)

    def put(self, name: str, address: str, lease: int = 0) -> None:
        """Write a key beside the directories."""
        self.store.put(KEY + name.encode(), address.encode(), lease)
        self.net.flush()

    def advance(self, seconds: float) -> None:
        """Let time go by, in small steps."""
        for _ in range(round(seconds * 8)):
            self.clock.advance(1 / 8)
            self.store.expire()
            self.net.flush()

    def node(self, name: str) -> str | None:
        """Where a node is published."""
        key = self.store.keys.get(KEY + name.encode())
        return key.value.decode() if key else None
