# -*- test-case-name: tests.node.test_cluster_calls -*-
"""What the actors of a node send to the nodes of a cluster, and ask of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from ..cluster_address import ClusterAddress, cluster_address
from ..errors import NotReady, PeerDown, RemoteError, SkynetError
from ..interfaces import ICluster
from ..message import PType
from ..seri import pack_values
from ..text import plain, shown
from .agents import Agents
from .cluster_names import ClusterNames
from .core import Core
from .dispatch import ActorCell
from .outgoing import Outgoing
from .timeouts import DEFAULT, Default, check_seconds

_LUA = int(PType.LUA)

#: The time limit of a call in a node whose own calls have none: across a cluster no
#: call waits for ever.
CALL_TIMEOUT = 30.0

#: How many addresses are kept ready.
MAX_ADDRESSES = 1024


class ClusterCalls:
    """A node's use of its cluster.

    :param layer: what reaches the other nodes.
    :param names: the names that this node has for them.
    :param agents: what the other nodes ask.
    """

    def __init__(
        self,
        core: Core,
        outgoing: Outgoing,
        layer: ICluster,
        names: ClusterNames,
        agents: Agents,
    ) -> None:
        self._core = core
        self._outgoing = outgoing
        self._layer = layer
        self._names = names
        self._agents = agents
        #: Those that were used lately, by node and target.
        self._addresses: dict[tuple[str, int | str], tuple[ClusterAddress, str]] = {}

    def call(
        self,
        caller: ActorCell,
        node: Any,
        target: Any,
        args: tuple[Any, ...],
        timeout: Any,
    ) -> Deferred[Any]:
        """Send a request and wait for its answer, see `ClusterAccess.call`."""
        self._core.check_thread()
        limit = self._limit(timeout)
        try:
            address, text = self._address(node, target)
            return self._call(caller, address, text, address.target, args, limit)
        except SkynetError as error:
            return fail(error)

    def query(
        self, caller: ActorCell, node: Any, name: Any, timeout: Any
    ) -> Deferred[ClusterAddress]:
        """Find the owner of a name, see `ClusterAccess.query`."""
        self._core.check_thread()
        name = _name(name)
        limit = self._limit(timeout)
        try:
            address = cluster_address(node, f"@{name}")
            # Handle 0 asks for the owner of a name (cluster, section 3).
            asked = self._call(caller, address, str(address), 0, (name,), limit)
        except SkynetError as error:
            return fail(error)

        def found(handle: Any) -> ClusterAddress:
            if type(handle) is int and 0 < handle <= 0xFFFFFFFF:
                return ClusterAddress(address.node, handle)
            what = f"{address.node} answered with no handle"
            raise RemoteError(f"{what}: {shown(handle, 80)}")

        return asked.addCallback(found)

    def _call(
        self,
        caller: ActorCell,
        address: ClusterAddress,
        text: str,
        target: int | str,
        args: tuple[Any, ...],
        limit: float,
    ) -> Deferred[Any]:
        payload = pack_values(args, max_size=self._layer.max_payload)
        node = address.node
        self._reach(node)
        return self._outgoing.call(node, caller, target, text, _LUA, payload, limit)

    def _address(self, node: Any, target: Any) -> tuple[ClusterAddress, str]:
        """An address, and its text: most are used again and again.

        :raises TypeError: *node* or *target* is of a wrong type.
        :raises BadAddress: they can be no address.
        """
        known = type(node) is str and (type(target) is str or type(target) is int)
        if known:
            found = self._addresses.get((node, target))
            if found is not None:
                return found
        address = cluster_address(node, target)
        pair = address, str(address)
        if known:
            if len(self._addresses) >= MAX_ADDRESSES:
                self._addresses.clear()
            self._addresses[node, target] = pair
        return pair

    def send(
        self, sender: ActorCell, node: Any, target: Any, args: tuple[Any, ...]
    ) -> None:
        """Send a message one way, see `ClusterAccess.send`."""
        self._core.check_thread()
        address, text = self._address(node, target)
        payload = pack_values(args, max_size=self._layer.max_payload)
        try:
            self._reach(address.node)
            self._outgoing.send(
                address.node, address.target, sender.handle, _LUA, 0, payload
            )
        except (PeerDown, NotReady) as error:
            reason = "the node stops" if isinstance(error, NotReady) else "no such node"
            self._core.ledger.lose(reason, sender.handle, text, _LUA)

    def _reach(self, node: str) -> None:
        """See to it that there will be a link.

        :raises PeerDown: there is none, and none is waited for.
        """
        channel = self._outgoing.find(node)
        is_linked = channel is not None and channel.link is not None
        if not is_linked and not self._core.stopping:
            self._layer.want(node)

    def _limit(self, timeout: Any) -> float:
        """A time limit in seconds: there always is one.

        :raises TypeError: it is no number.
        :raises ValueError: it is none that ends.
        """
        if isinstance(timeout, Default):
            return self._core.call_timeout or CALL_TIMEOUT
        if timeout is not None:
            limit = check_seconds(timeout)
            if limit > 0:
                return limit
        raise ValueError(
            f"a call to a node of the cluster has a time limit, not {shown(timeout)}"
        )

    # Names, ports, nodes

    def register(self, cell: ActorCell, name: Any) -> Deferred[None]:
        """Give an actor a name, see `ClusterAccess.register`."""
        self._core.check_thread()
        name = _name(name)
        try:
            if not cell.alive:
                raise NotReady(f"{cell!r} has ended")
            self._names.register(name, cell.handle)
            self._agents.retry()
        except SkynetError as error:
            return fail(error)
        return succeed(None)

    def unregister(self, name: Any) -> Deferred[None]:
        """Take a name away, see `ClusterAccess.unregister`."""
        self._core.check_thread()
        self._names.unregister(_name(name))
        return succeed(None)

    def open(self, where: Any) -> Deferred[str]:
        """Listen, too, see `ClusterAccess.open`."""
        self._core.check_thread()
        if not isinstance(where, str):
            raise TypeError(f"a node or HOST:PORT is opened, not {shown(where, 80)}")
        return self._layer.open(plain(where))

    def reload(self, changes: Any) -> Deferred[None]:
        """Look again where the nodes are, see `ClusterAccess.reload`."""
        self._core.check_thread()
        if changes is not None and not isinstance(changes, Mapping):
            wrong = shown(changes, 80)
            raise TypeError(f"nodes and their addresses are wanted, not {wrong}")
        try:
            return self._layer.reload(changes)
        except SkynetError as error:
            return fail(error)

    def nodes(self) -> dict[str, str]:
        """The nodes that are known, see `ClusterAccess.nodes`."""
        self._core.check_thread()
        return self._layer.nodes()

    def nodes_other_than(self, known: Any) -> Deferred[dict[str, str]]:
        """Wait for other nodes, see `ClusterAccess.nodes_other_than`."""
        self._core.check_thread()
        if not isinstance(known, Mapping):
            wrong = shown(known, 80)
            raise TypeError(f"nodes and their addresses are wanted, not {wrong}")
        return self._layer.nodes_other_than(known)


class ClusterAccess:
    """The cluster, as one actor uses it: ``self.cluster``.

    Nodes are known by their names in the node table; a target is ``"@name"``,
    ``".name"``, a handle of that node, other text that it resolves, or a
    `ClusterAddress`.
    """

    __slots__ = ("_calls", "_cell")

    def __init__(self, calls: ClusterCalls, cell: ActorCell) -> None:
        self._calls = calls
        self._cell = cell

    def call(
        self,
        node: str,
        target: int | str | ClusterAddress,
        *args: Any,
        timeout: float | Default = DEFAULT,
    ) -> Deferred[Any]:
        """Send a request and wait for its answer.

        :param timeout: seconds; by default the node's own limit for remote calls, or
            30 where it has none.
        :returns: a Deferred of None, the value, or a tuple of several values.  It
            fails with a `SkynetError`: `PeerDown` if the node was not reached and
            nothing was written, `LinkLost` or `CallTimeout` if the request may have
            run, `RemoteError` if the node answered with an error.
        """
        return self._calls.call(self._cell, node, target, args, timeout)

    def send(self, node: str, target: int | str | ClusterAddress, *args: Any) -> None:
        """Send a message one way: a push.

        :raises BadAddress: there can be no such address.
        :raises PackError: a value cannot leave the node.
        :raises TooLarge: the message does not fit the wire.
        :raises QueueFull: too much waits for the node already.

        What fails later is found in the dead-letter record.
        """
        self._calls.send(self._cell, node, target, args)

    def query(
        self, node: str, name: str, timeout: float | Default = DEFAULT
    ) -> Deferred[ClusterAddress]:
        """Ask a node who owns a name.

        :param name: as it was registered, without ``@``.
        :returns: a Deferred of the address; it fails as `call` does, with
            `RemoteError` if nobody has the name.
        """
        return self._calls.query(self._cell, node, name, timeout)

    def register(self, name: str) -> Deferred[None]:
        """Give this actor a name that other nodes may use, in place of its last one.

        :returns: a Deferred that fails with `NameTaken` if another actor has it.
        """
        return self._calls.register(self._cell, name)

    def unregister(self, name: str) -> Deferred[None]:
        """Take a name away from whoever has it."""
        return self._calls.unregister(name)

    def proxy(self, node: str, target: int | str | ClusterAddress) -> ClusterProxy:
        """Make an object that calls one actor of one node.

        :raises BadAddress: there can be no such address.
        """
        return ClusterProxy(self, cluster_address(node, target))

    def open(self, where: str) -> Deferred[str]:
        """Let other nodes connect.

        :param where: HOST:PORT, or the name of a node: its address in the node table.
        :returns: a Deferred of the address that was bound.
        """
        return self._calls.open(where)

    def reload(
        self, changes: Mapping[str, str | bool | None] | None = None
    ) -> Deferred[None]:
        """Look again where the nodes are, or say it.

        :param changes: HOST:PORT by the names of nodes, False for one that is no
            more, None to take back what was said; what is not mentioned stays.
        :returns: a Deferred, fired when it has taken effect.
        """
        return self._calls.reload(changes)

    def nodes(self) -> dict[str, str]:
        """The nodes whose addresses are known now, by their names."""
        return self._calls.nodes()

    def nodes_other_than(self, known: Mapping[str, str]) -> Deferred[dict[str, str]]:
        """Wait until the nodes are others than *known*, which they may be already.

        To see all changes::

            nodes = {}
            while True:
                nodes = await self.cluster.nodes_other_than(nodes)

        :returns: a Deferred of the nodes, fired when the change has taken effect; it
            may be cancelled.  It fails with `NotReady` when this node stops.
        """
        return self._calls.nodes_other_than(known)


class ClusterProxy:
    """One actor of one node of the cluster."""

    __slots__ = ("_access", "address")

    def __init__(self, access: ClusterAccess, address: ClusterAddress) -> None:
        self._access = access
        #: Which actor.
        self.address = address

    def __repr__(self) -> str:
        return f"<ClusterProxy {self.address}>"

    def call(self, *args: Any, timeout: float | Default = DEFAULT) -> Deferred[Any]:
        """Send a request and wait for its answer, see `ClusterAccess.call`."""
        address = self.address
        return self._access.call(address.node, address.target, *args, timeout=timeout)

    def send(self, *args: Any) -> None:
        """Send a message one way, see `ClusterAccess.send`."""
        self._access.send(self.address.node, self.address.target, *args)


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a name is text, not {shown(name, 80)}")
    return plain(name)
