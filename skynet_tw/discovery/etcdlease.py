# -*- test-case-name: tests.discovery.test_etcd_names -*-
"""What a node publishes of itself in etcd, as long as it lives.

All its names hang on one lease, which the node keeps alive.  If it dies, etcd deletes
them when the lease runs out.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime

from ..errors import BootFailed
from ..text import shown
from .etcdclient import Entry, EtcdClient, LeaseLost

#: Seconds by which two estimates of one lease's end may differ: etcd counts whole ones.
_SLACK = 1.5


class Taken(BootFailed):
    """Another living node has published a name."""


class Publication:
    """The names of this node, held by a lease.

    A name that is there already may be the one of our own earlier process, which died
    without a farewell: its lease runs out, and until then we wait.  A lease that is
    prolonged meanwhile is a living node's, and then the name is taken.  At our own
    address nobody else can live, so there it is never taken.

    :param own: the names, and their addresses.
    :param prefix: what their keys begin with.
    :param ttl: how many seconds they last when this node has died.
    :param clock: gives the time.
    """

    def __init__(
        self, own: Mapping[str, str], prefix: str, ttl: int, clock: IReactorTime
    ) -> None:
        self._own = dict(own)
        self._prefix = prefix
        self._ttl = ttl
        self._clock = clock
        #: When a lease that stands in our way is over, as it seemed at first.
        self._ends: dict[int, float] = {}
        #: The lease, None before there is one.
        self.lease: int | None = None
        #: What stands in the way of publishing everything, in a line.
        self.waiting_for: str | None = None

    async def hold(self, client: EtcdClient) -> bool:
        """Keep the lease alive, or get one, and publish what is not there.

        :returns: whether all names are published.
        :raises Taken: another living node has one of them; the others are published.
        """
        if not self._own:
            return True
        try:
            return await self._hold(client)
        except LeaseLost:
            self.lease = None
            return await self._hold(client)

    async def _hold(self, client: EtcdClient) -> bool:
        lease = self.lease
        if lease is None:
            lease = self.lease = await client.grant(self._ttl)
        else:
            await client.keep_alive(lease)
        in_the_way = []
        for name, address in self._own.items():
            there = await client.claim(self._prefix + name, address, lease)
            if there is not None and there.lease != lease:
                in_the_way.append((name, address, there))
        if not in_the_way:
            self.waiting_for = None
            return True
        for name, address, there in in_the_way:
            await self._judge(client, name, address, there)
        return False

    async def _judge(
        self, client: EtcdClient, name: str, address: str, there: Entry
    ) -> None:
        """Wait for the end of a lease, if it comes to an end.

        :raises Taken: it does not.
        """
        where = shown(there.value)
        published = f"etcd: the name {shown(name)} is published at {where}"
        if not there.lease:
            raise Taken(f"{published}, by somebody who gave it no lease")
        remaining = await client.remaining(there.lease)
        end = self._clock.seconds() + max(remaining, 0)
        first = self._ends.setdefault(there.lease, end)
        if there.value != address and remaining > 0 and end > first + _SLACK:
            raise Taken(f"{published}, by another living node")
        self.waiting_for = f"{published}; its lease ends in {max(remaining, 0)} s"

    async def withdraw(self, client: EtcdClient) -> None:
        """Delete what is published."""
        lease, self.lease = self.lease, None
        if lease is not None:
            await client.revoke(lease)
