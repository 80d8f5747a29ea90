# -*- test-case-name: tests.discovery.test_etcd,tests.discovery.test_etcd_away -*-
"""Nodes that find each other through etcd, and leave it when they die.

Each name is a key, ``/skynet/nodes/NAME``, with the address as its value.  The view is
all keys with that prefix: they are listed once, and changes come by a watch.  With each
keep-alive etcd is asked whether the watch has missed something, as a connection that
broke silently tells nothing.

While etcd cannot be reached the last view stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from twisted.internet.defer import (
    Deferred,
    FirstError,
    fail,
    gatherResults,
)
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IAgent
from zope.interface import implementer

from ..errors import DirectoryFailed, NotReady
from ..interfaces import Addresses, INodeDirectory
from ..net.kit.logging import FailureLog
from ..oneshot import OneShot
from ..text import shown
from .asking import DEFAULT_RETRY_POLICY, EngineError, limited, reason_of
from .etcdclient import Compacted, Entry, EtcdClient
from .etcdlease import Publication, Taken
from .gateway import check_url
from .nodetable import check_address, check_name
from .view import View

#: What the keys of nodes begin with.
PREFIX = "/skynet/nodes/"

#: Seconds that a node which died stays in the views.
TTL = 10

#: Seconds for an answer, at most: a third of the ttl, so that another server is asked
#: before the lease runs out.
TIME_LIMIT = 5.0

#: Seconds between attempts to publish a name which is still there from before.
POLL = 1.0

#: Seconds that etcd has to take our names away when we stop.
FAREWELL = 2.0


class Behind(EngineError):
    """The watch has missed something."""


class _Entries:
    """The keys of the nodes, as far as they are known.

    :param prefix: what the keys begin with.
    :param odd: gets a line for each entry that is no node.
    """

    def __init__(self, prefix: str, odd: Callable[[str], None]) -> None:
        self._prefix = prefix
        self._odd = odd
        self._found: dict[str, Entry] = {}
        #: The revision of the store that this is.
        self.revision = 0

    def __len__(self) -> int:
        return len(self._found)

    def load(self, revision: int, entries: Iterable[Entry]) -> None:
        """Take a whole list."""
        self.revision = revision
        self._found = {entry.key: entry for entry in entries}

    def change(self, entries: Iterable[Entry]) -> None:
        """Take changes; those before our revision are in what we have."""
        for entry in entries:
            if entry.revision < self.revision:
                continue
            self.revision = entry.revision
            if entry.value is None:
                self._found.pop(entry.key, None)
            else:
                self._found[entry.key] = entry

    def addresses(self) -> dict[str, str]:
        """The names and addresses of the nodes."""
        found = {}
        for key, entry in self._found.items():
            name = key.removeprefix(self._prefix)
            try:
                found[check_name(name)] = check_address(entry.value or "")
            except ValueError as error:
                self._odd(f"etcd: {shown(key)} is no node: {error}")
        return found


@implementer(INodeDirectory)
class EtcdDirectory:
    """The nodes that etcd knows, this one among them.

    :param urls: the servers, ``http://HOST:PORT``; they are tried in turns.
    :param agent: makes HTTP requests.
    :param clock: says when to try again, and what is too late.
    :param prefix: what the keys of nodes begin with.
    :param ttl: how many seconds a node that died stays in the views, at least; etcd may
        take a little longer.
    :param retry_policy: seconds to wait after so many failed rounds in a row; it has
        the jitter in it.
    :raises ValueError: a URL is none.
    """

    publishes = True

    _log = Logger()

    def __init__(
        self,
        urls: Sequence[str],
        agent: IAgent,
        clock: IReactorTime,
        prefix: str = PREFIX,
        ttl: int = TTL,
        retry_policy: Callable[[int], float] = DEFAULT_RETRY_POLICY,
    ) -> None:
        if not urls:
            raise ValueError("no URL of etcd")
        self._clients = [
            EtcdClient(check_url(url), agent, clock, min(TIME_LIMIT, ttl / 3))
            for url in urls
        ]
        self._client = self._clients[0]
        self._clock = clock
        self._prefix = prefix
        self._ttl = ttl
        self._retry_policy = retry_policy
        self._failed_attempts = 0
        self._error = f"{self._client.url}: no answer yet"
        self._failures = FailureLog(
            self._log, "etcd at {error}; trying again, the nodes stay as they were"
        )
        self._odd = FailureLog(self._log, "{error}")
        self._entries = _Entries(prefix, self._odd.failed)
        self._own = Publication({}, prefix, ttl, clock)
        self._view: View | None = None
        self._started = OneShot()
        self._running: Deferred[None] | None = None
        self._stopping: Deferred[None] | None = None
        #: Whether the nodes were listed since we talk to this server.
        self._is_listed = False
        self._is_published = False

    def start(
        self, changed: Callable[[Addresses], object], own: Mapping[str, str]
    ) -> Deferred[None]:
        """Publish this node's names, and watch those of all.

        It fails with `BootFailed` when another living node has one of the names.
        """
        self._view = View(changed)
        self._own = Publication(own, self._prefix, self._ttl, self._clock)
        started = self._started.when()
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._ended)
        return started

    def refresh(self) -> Deferred[None]:
        """List the nodes again."""
        if self._stopping is not None or not self._is_listed:
            return fail(DirectoryFailed(f"etcd at {self._error}"))
        listed = Deferred.fromCoroutine(self._list(self._client))
        return listed.addErrback(self._not_refreshed)

    def waiting_for(self) -> str | None:
        """Say that etcd has not answered, or that a name of ours is not free yet."""
        if self._started.is_done:
            return None
        return self._own.waiting_for or f"etcd at {self._error}"

    def stop(self) -> Deferred[None]:
        """Take our names away, and talk to etcd no more."""
        if self._stopping is None:
            if self._view is not None:
                self._view.close()
            self._stopping = Deferred.fromCoroutine(self._stop())
            self._started.fail(lambda: NotReady("the directory was stopped"))
        stopped: Deferred[None] = Deferred()
        self._stopping.chainDeferred(stopped)
        return stopped

    # Talking to etcd

    async def _run(self) -> None:
        """Talk to one server after the other, until one of them takes our names."""
        while True:
            try:
                await self._talk(self._client)
            except Taken as error:
                self._refused(error)
                return
            except (Behind, Compacted) as error:
                self._error = f"{self._client.url}: {error}"
                # It is there, so this is no failure; but never again and again at once.
                await deferLater(self._clock, self._retry_policy(1))
            except Exception as error:
                if self._stopping is not None:
                    raise
                await self._failed(error)
            finally:
                self._is_listed = False

    def _refused(self, error: Taken) -> None:
        self._started.fail(lambda: error)

    async def _failed(self, error: Exception) -> None:
        """Take the next server; after each round of all of them, wait."""
        self._failed_attempts += 1
        self._error = f"{self._client.url}: {reason_of(error)}"
        self._failures.failed(self._error)
        self._own.waiting_for = None
        rounds, turn = divmod(self._failed_attempts, len(self._clients))
        at = self._clients.index(self._client) + 1
        self._client = self._clients[at % len(self._clients)]
        if turn == 0:
            await deferLater(self._clock, self._retry_policy(rounds))

    async def _talk(self, client: EtcdClient) -> None:
        """Watch the nodes and keep our names, until one of both fails."""
        # First, so that our names are in the list.
        await self._publish(client)
        both = [
            Deferred.fromCoroutine(self._watch(client)),
            Deferred.fromCoroutine(self._keep(client)),
        ]
        try:
            await gatherResults(both, consumeErrors=True)
        except FirstError as first:
            for part in both:
                part.cancel()
            error = first.subFailure.value
            raise (error or first) from None

    async def _watch(self, client: EtcdClient) -> None:
        """List the nodes, and tell each change."""
        self._entries.revision = 0  # An engine that was set up anew counts anew.
        self._odd.succeeded()
        await self._list(client)
        self._is_listed = True
        if self._failed_attempts:
            self._log.info("etcd at {url}: it is back", url=client.url)
        self._failed_attempts = 0
        self._failures.succeeded()
        await client.watch(self._prefix, self._entries.revision + 1, self._changed)

    async def _list(self, client: EtcdClient) -> None:
        revision, entries = await client.entries(self._prefix)
        if revision >= self._entries.revision:
            self._entries.load(revision, entries)
            self._tell()

    def _changed(self, entries: list[Entry]) -> None:
        self._entries.change(entries)
        self._tell()

    def _tell(self) -> None:
        if self._view is not None:
            self._view.tell(self._entries.addresses())
            self._check_started()

    async def _keep(self, client: EtcdClient) -> None:
        """Keep our names, and look whether the watch has missed something.

        :raises Behind: it has.
        """
        while True:
            pause = self._ttl / 3
            await deferLater(
                self._clock, pause if self._is_published else min(POLL, pause)
            )
            await self._publish(client)
            self._check_started()
            known = self._entries
            if self._is_listed and not await client.is_current(
                self._prefix, known.revision, len(known)
            ):
                raise Behind("the watch has missed something")

    async def _publish(self, client: EtcdClient) -> None:
        """Keep our lease, and publish the names that are not.

        :raises Taken: one never will be, and the node is still booting.
        """
        try:
            self._is_published = await self._own.hold(client)
        except Taken as error:
            if not self._started.is_done:
                raise
            # Its owner took it while etcd had lost ours: the node goes on without it.
            self._odd.failed(str(error))
            self._is_published = False

    def _check_started(self) -> None:
        if self._is_published and self._view is not None and self._view.was_told:
            self._started.fire()

    # Its end

    async def _stop(self) -> None:
        # Not at once: who stops us may have been called by what is cancelled here.
        await deferLater(self._clock, 0)
        if self._running is not None:
            self._running.cancel()
        farewell = Deferred.fromCoroutine(self._own.withdraw(self._client))
        try:
            await limited(farewell, FAREWELL, self._clock)
        except Exception as error:
            self._log.info(
                "etcd at {url}: cannot take our names away: {error}; they end by"
                " themselves within {ttl} s",
                url=self._client.url,
                error=reason_of(error),
                ttl=self._ttl,
            )

    def _ended(self, failure: Failure) -> None:
        if self._stopping is None:
            self._log.failure("what talks to etcd has failed", failure)

    def _not_refreshed(self, failure: Failure) -> None:
        """
        :raises DirectoryFailed: always.
        """
        assert failure.value is not None
        reason = f"etcd at {self._client.url}: {reason_of(failure.value)}"
        raise DirectoryFailed(reason) from failure.value
