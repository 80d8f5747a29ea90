# -*- test-case-name: tests.discovery.test_dns -*-
"""Nodes that DNS knows: SRV records of a service, or the addresses of a name.

Without a port, the SRV records of the name say everything: each target is a node, its
first label is the node's name (``db`` for ``db.nodes.example.org``), and its address is
dialed at the record's port.  With a port, the name's own A and AAAA records are nodes
at that port: one address is a node of the name itself, several are nodes of the names
that the addresses are (``10.0.0.1``), as DNS says nothing else of them.

What DNS answers is the view, also when it is that there is nothing; a server that
cannot answer changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import (
    Deferred,
    DeferredLock,
    FirstError,
    fail,
    gatherResults,
    succeed,
)
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IResolver
from twisted.logger import Logger
from twisted.names import client, dns
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure
from zope.interface import implementer

from ..addresses import join
from ..errors import DirectoryFailed, NotReady
from ..interfaces import Addresses, INodeDirectory
from ..net.kit.logging import FailureLog
from ..oneshot import OneShot
from .asking import DEFAULT_RETRY_POLICY, limited, reason_of
from .view import View

#: Seconds between looks: what the records say, within these bounds.
MIN_TTL, MAX_TTL = 1.0, 60.0

#: Seconds until DNS is asked again that answered that there is nothing.
NOTHING_TTL = 5.0

#: Seconds that each server has for an answer, in the first round and in the next ones.
TIMEOUTS = (1, 2, 4)

#: Seconds for a whole look.
TIME_LIMIT = 30.0

#: Where the system's name servers are written down.
RESOLV_CONF = "/etc/resolv.conf"

#: Addresses by names, and after how many seconds to ask again.
_Found = tuple[dict[str, str], float]


class SystemResolver(client.Resolver):
    """Asks the system's name servers, and looks at each question who they are.

    Twisted's own looks once a minute, by a timer that nobody can stop.

    :param reactor: has the sockets and the time.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__(resolv=RESOLV_CONF, timeout=TIMEOUTS, reactor=reactor)

    def maybeParseConfig(self) -> None:
        """Read who the name servers are, if that has changed."""
        try:
            changed = os.stat(RESOLV_CONF).st_mtime
            if changed == self._lastResolvTime:
                return
            self._lastResolvTime = changed
            with open(RESOLV_CONF, "rb") as lines:
                self.parseConfig(lines)
        except OSError:
            self.parseConfig(())  # The one of this machine, as the system does.

    def queryUDP(
        self, queries: Sequence[dns.Query], timeout: Sequence[int] | None = None
    ) -> Deferred[Any]:
        """Ask, see `client.Resolver`."""
        self.maybeParseConfig()
        return super().queryUDP(queries, timeout)


@implementer(INodeDirectory)
class DNSDirectory:
    """The nodes that DNS knows by a name.

    :param name: the name, in full: no search domain is added.
    :param port: where the addresses of the name are dialed; None to read SRV records.
    :param resolver: asks DNS.
    :param clock: says when to ask again.
    :param retry_policy: seconds to wait after so many failed looks in a row.
    """

    publishes = False

    _log = Logger()

    def __init__(
        self,
        name: str,
        port: int | None,
        resolver: IResolver,
        clock: IReactorTime,
        retry_policy: Callable[[int], float] = DEFAULT_RETRY_POLICY,
    ) -> None:
        self._name = name
        self._port = port
        self._resolver = resolver
        self._clock = clock
        self._retry_policy = retry_policy
        self._failed_looks = 0
        self._error = "no answer yet"
        self._failures = FailureLog(
            self._log,
            "cannot ask DNS for {name}: {error}; the nodes stay as they were",
            name=name,
        )
        self._odd = FailureLog(self._log, "DNS, {name}: {error}", name=name)
        self._view: View | None = None
        self._stopped = False
        self._started = OneShot()
        self._turn = DeferredLock()
        self._looking: Deferred[_Found] | None = None
        self._next: IDelayedCall | None = None

    def start(
        self, changed: Callable[[Addresses], object], own: Mapping[str, str]
    ) -> Deferred[None]:
        """Ask until there is a first answer."""
        self._view = View(changed)
        started = self._started.when()
        self._again()
        return started

    def refresh(self) -> Deferred[None]:
        """Ask again now."""
        if self._stopped:
            return fail(DirectoryFailed(f"DNS, {self._name}: stopped"))
        return self._turn.run(self._look)

    def waiting_for(self) -> str | None:
        """Say that DNS has not answered, and why."""
        if self._started.is_done:
            return None
        return f"DNS, {self._name}: {self._error}"

    def stop(self) -> Deferred[None]:
        """Ask no more.

        A question that is under way is given up; of Twisted's resolver a timer for it
        is left, which ends without an effect after some seconds.
        """
        self._stopped = True
        if self._view is not None:
            self._view.close()
        self._cancel_next()
        if self._looking is not None:
            self._looking.cancel()
        self._started.fail(lambda: NotReady("the directory was stopped"))
        return succeed(None)

    def _again(self) -> None:
        """It is time for the next look; its failure is in the log."""
        self._next = None
        self.refresh().addErrback(lambda failure: failure.trap(DirectoryFailed))

    def _look(self) -> Deferred[None]:
        """Ask, tell, and have the next look in time."""
        if self._stopped:
            return fail(DirectoryFailed(f"DNS, {self._name}: stopped"))
        self._cancel_next()
        asked = Deferred.fromCoroutine(self._ask())
        self._looking = limited(asked, TIME_LIMIT, self._clock)
        return self._looking.addCallbacks(self._answered, self._not_answered)

    def _answered(self, found: _Found) -> None:
        addresses, ttl = found
        self._looking = None
        self._failed_looks = 0
        self._failures.succeeded()
        self._look_in(ttl)
        assert self._view is not None
        self._view.tell(addresses)
        self._started.fire()

    def _not_answered(self, failure: Failure) -> None:
        """Keep the view.

        :raises DirectoryFailed: always.
        """
        self._looking = None
        assert failure.value is not None
        self._error = reason_of(failure.value)
        if not self._stopped:
            self._failed_looks += 1
            self._look_in(self._retry_policy(self._failed_looks))
            self._failures.failed(self._error)
        raise DirectoryFailed(f"DNS, {self._name}: {self._error}") from failure.value

    def _look_in(self, seconds: float) -> None:
        if not self._stopped:
            self._next = self._clock.callLater(seconds, self._again)

    def _cancel_next(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    # What is asked

    async def _ask(self) -> _Found:
        if self._port is None:
            found, ttls = await self._services()
        else:
            found, ttls = await self._addresses(self._port)
        return found, min(max(min(ttls, default=NOTHING_TTL), MIN_TTL), MAX_TTL)

    async def _services(self) -> tuple[dict[str, str], list[float]]:
        """The targets of the SRV records, and for how long that holds."""
        records = await self._records(self._resolver.lookupService, self._name, dns.SRV)
        # An empty target says that there is no such service (RFC 2782).
        records = [it for it in records if it.payload.target.name]
        hosts = {_text(it.payload.target.name) for it in records}
        by_host = dict(zip(hosts, await self._all(hosts), strict=True))
        ttls = [float(record.ttl) for record in records]
        found: dict[str, str] = {}
        odd = [] if records else ["no SRV record"]
        for record in sorted(records, key=_preference):
            host = _text(record.payload.target.name)
            ips = by_host[host]
            if not ips:
                odd.append(f"no address of {host}")
                continue
            ttls += [ttl for _, ttl in ips]
            name = host.partition(".")[0]
            address = join(ips[0][0], record.payload.port)
            if found.setdefault(name, address) != address:
                odd.append(f"{address} of {host} left out: {name} is {found[name]}")
        self._say(odd)
        return found, ttls

    async def _addresses(self, port: int) -> tuple[dict[str, str], list[float]]:
        """The addresses of the name itself, and for how long that holds."""
        ips = await self._lookup(self._name)
        self._say([] if ips else ["no address"])
        found = {ip: join(ip, port) for ip, _ in ips}
        if len(found) == 1:
            found = dict.fromkeys([self._name], *found.values())
        return found, [ttl for _, ttl in ips]

    async def _all(self, hosts: Iterable[str]) -> list[list[tuple[str, float]]]:
        lookups = [Deferred.fromCoroutine(self._lookup(host)) for host in hosts]
        try:
            return await gatherResults(lookups, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
            raise  # Never reached.

    async def _lookup(self, host: str) -> list[tuple[str, float]]:
        """The addresses of a host and their TTLs, in order; IPv6 if it has no others.

        Most hosts have one of each kind, and are one node all the same.
        """
        records = await self._records(self._resolver.lookupAddress, host, dns.A)
        if not records:
            lookup = self._resolver.lookupIPV6Address
            records = await self._records(lookup, host, dns.AAAA)
        found = [(ip_address(it.payload.address), float(it.ttl)) for it in records]
        return [(str(ip), ttl) for ip, ttl in sorted(found)]

    async def _records(
        self, lookup: Callable[..., Deferred[Any]], name: str, kind: int
    ) -> list[Any]:
        """The records of a kind that a name has; none if there is no such name."""
        try:
            answers, _, _ = await lookup(name, TIMEOUTS)
        except DNSNameError:
            return []
        return [record for record in answers if record.type == kind]

    def _say(self, odd: list[str]) -> None:
        """Log each thing that is odd in an answer, and not again as long as it is."""
        if not odd:
            self._odd.succeeded()
        for what in odd:
            self._odd.failed(what)


def _text(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")


def _preference(record: Any) -> tuple[int, int, bytes, int]:
    """Which of two records with one name of a node is taken: the first."""
    it = record.payload
    return it.priority, -it.weight, it.target.name, it.port
