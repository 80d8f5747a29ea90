"""An etcd in memory: the part of its JSON gateway that directories use.

It answers as etcd 3.4 does: base64, 64-bit numbers as text, no field that is zero.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.web.client import URI
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

Json = dict[str, Any]


@dataclass
class Lease:
    """A lease, and when it ends."""

    ttl: int
    end: float


@dataclass
class Key:
    """A key as it is now."""

    value: bytes
    lease: int
    revision: int


@dataclass
class Watch:
    """A watch whose connection is open."""

    request: Any
    key: bytes
    end: bytes


@dataclass
class Store:
    """What all servers of one etcd share.

    :param clock: says when leases end.
    """

    clock: Clock
    revision: int = 1
    compacted: int = 0
    keys: dict[bytes, Key] = field(default_factory=dict)
    leases: dict[int, Lease] = field(default_factory=dict)
    history: list[tuple[int, Json, bytes]] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)

    def put(self, key: bytes, value: bytes, lease: int = 0) -> None:
        """Write a key."""
        self.revision += 1
        self.keys[key] = Key(value, lease, self.revision)
        self._happened({"kv": self.shown(key)}, key)

    def delete(self, key: bytes) -> None:
        """Delete a key."""
        del self.keys[key]
        self.revision += 1
        gone = {"key": coded(key), "mod_revision": str(self.revision)}
        self._happened({"type": "DELETE", "kv": gone}, key)

    def grant(self, ttl: int) -> int:
        """Make a lease."""
        lease = 7000 + len(self.leases) + self.revision
        self.leases[lease] = Lease(ttl, self.clock.seconds() + ttl)
        return lease

    def revoke(self, lease: int) -> None:
        """End a lease, and what hangs on it."""
        del self.leases[lease]
        for key in [key for key, it in self.keys.items() if it.lease == lease]:
            self.delete(key)

    def expire(self) -> None:
        """End the leases whose time is over."""
        now = self.clock.seconds()
        for lease in [it for it, found in self.leases.items() if found.end <= now]:
            self.revoke(lease)

    def shown(self, key: bytes) -> Json:
        """A key, as it is answered."""
        it = self.keys[key]
        found = {"key": coded(key), "mod_revision": str(it.revision), "version": "1"}
        if it.value:
            found["value"] = coded(it.value)
        if it.lease:
            found["lease"] = str(it.lease)
        return found

    def _happened(self, event: Json, key: bytes) -> None:
        self.history.append((self.revision, event, key))
        for watch in self.watches:
            if watch.key <= key < watch.end:
                self.tell(watch, {"events": [event]})

    def tell(self, watch: Watch, message: Json) -> None:
        """Write a message of a watch."""
        result = {"header": {"revision": str(self.revision)}, **message}
        watch.request.write(json.dumps({"result": result}).encode() + b"\n")


def coded(data: bytes) -> str:
    return b64encode(data).decode()


class FakeEtcd(Resource):
    """One server.

    :param store: what it serves.
    """

    isLeaf = True

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.watches: list[Watch] = []
        #: What it was asked, in order.
        self.asked: list[str] = []
        #: Paths that it does not answer any more.
        self.silent: set[str] = set()
        #: Answers in place of its own, by path: a status and a body.
        self.instead: dict[str, tuple[int, bytes]] = {}
        #: Paths that do their work once, and whose answer is lost.
        self.lossy: set[str] = set()

    def render_POST(self, request: Any) -> bytes | int:
        path = request.path.decode().removeprefix("/v3/")
        self.asked.append(path)
        if path in self.silent:
            return NOT_DONE_YET
        if path in self.instead:
            status, body = self.instead[path]
            request.setResponseCode(status)
            return body
        self.store.expire()
        message = json.loads(request.content.read())
        if path == "watch":
            return self._watch(request, message["create_request"])
        answer = getattr(self, "_" + path.replace("/", "_"))(message)
        if answer is None:
            request.setResponseCode(404)
            text = "etcdserver: requested lease not found"
            answer = {"error": text, "message": text, "code": 5}
        if path in self.lossy:
            self.lossy.remove(path)
            request.setResponseCode(504)
            return b"the gateway has lost it"
        return json.dumps(answer).encode()

    def cut(self) -> None:
        """Break the connections of all watches."""
        watches, self.watches = self.watches, []
        for watch in watches:
            self._forget(watch)
            watch.request.transport.loseConnection()

    def _header(self) -> Json:
        return {"revision": str(self.store.revision)}

    def _watch(self, request: Any, message: Json) -> int:
        key, end = b64decode(message["key"]), b64decode(message["range_end"])
        watch = Watch(request, key, end)
        self.store.tell(watch, {"created": True})
        begin = int(message["start_revision"])
        if begin <= self.store.compacted:
            again = str(self.store.compacted + 1)
            self.store.tell(watch, {"canceled": True, "compact_revision": again})
            return NOT_DONE_YET
        for revision, event, name in self.store.history:
            if revision >= begin and key <= name < end:
                self.store.tell(watch, {"events": [event]})
        self.watches.append(watch)
        self.store.watches.append(watch)
        gone = request.notifyFinish()
        gone.addErrback(lambda _: self._forget(watch))
        return NOT_DONE_YET

    def _forget(self, watch: Watch) -> None:
        for watches in (self.watches, self.store.watches):
            if watch in watches:
                watches.remove(watch)

    def _lease_grant(self, message: Json) -> Json:
        ttl = int(message["TTL"])
        lease = self.store.grant(ttl)
        return {"header": self._header(), "ID": str(lease), "TTL": str(ttl)}

    def _lease_keepalive(self, message: Json) -> Json:
        found = self.store.leases.get(int(message["ID"]))
        result = {"header": self._header(), "ID": message["ID"]}
        if found is not None:
            found.end = self.store.clock.seconds() + found.ttl
            result["TTL"] = str(found.ttl)
        return {"result": result}

    def _lease_timetolive(self, message: Json) -> Json:
        found = self.store.leases.get(int(message["ID"]))
        left = int(found.end - self.store.clock.seconds()) if found else -1
        answer = {"header": self._header(), "ID": message["ID"]}
        return {**answer, "TTL": str(left)} if left else answer

    def _lease_revoke(self, message: Json) -> Json | None:
        if int(message["ID"]) not in self.store.leases:
            return None
        self.store.revoke(int(message["ID"]))
        return {"header": self._header()}

    def _kv_txn(self, message: Json) -> Json | None:
        [compare] = message["compare"]
        key = b64decode(compare["key"])
        if key in self.store.keys:
            kvs = {"kvs": [self.store.shown(key)], "count": "1"}
            return {"header": self._header(), "responses": [{"response_range": kvs}]}
        put = message["success"][0]["requestPut"]
        lease = int(put["lease"])
        if lease not in self.store.leases:
            return None
        self.store.put(key, b64decode(put["value"]), lease)
        return {"header": self._header(), "succeeded": True, "responses": [{}]}

    def _kv_range(self, message: Json) -> Json:
        begin, end = b64decode(message["key"]), b64decode(message["range_end"])
        newer = int(message.get("min_mod_revision", 0))
        keys = [key for key in sorted(self.store.keys) if begin <= key < end]
        answer: Json = {"header": self._header()}
        if keys:
            answer["count"] = str(len(keys))
        kvs = [
            self.store.shown(it) for it in keys if self.store.keys[it].revision >= newer
        ]
        if kvs:
            answer["kvs"] = kvs[: int(message.get("limit", len(kvs)))]
        return answer


@implementer(IAgent)
class Network:
    """Servers by their hosts; those that are not there refuse connections."""

    def __init__(self) -> None:
        self._agents: dict[str, RequestTraversalAgent] = {}
        self._down: set[str] = set()
        #: Hosts to which connections were made, in order.
        self.dialed: list[str] = []

    def add(self, host: str, server: FakeEtcd) -> None:
        """Have a server at a host."""
        self._agents[host] = RequestTraversalAgent(server)

    def down(self, *hosts: str) -> None:
        """These hosts refuse connections, all others are there."""
        self._down = set(hosts)

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Any = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        host = URI.fromBytes(uri).host.decode()
        self.dialed.append(host)
        if host in self._down:
            return fail(ConnectionRefusedError())
        found: Deferred[IResponse] = self._agents[host].request(
            method, uri, headers, bodyProducer
        )
        return found

    def flush(self) -> None:
        """Deliver what was written."""
        for agent in self._agents.values():
            agent.flush()
