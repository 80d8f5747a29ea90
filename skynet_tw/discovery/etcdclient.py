# -*- test-case-name: tests.discovery.test_etcd -*-
"""etcd's v3 JSON gateway: requests about keys and leases, and watches.

Facts are from etcd's documentation ("gRPC gateway", "API reference") and from the
answers of etcd 3.4.23: keys and values are base64, 64-bit numbers are text, a field
that is zero or false is left out.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from ..text import shown
from .asking import EngineError
from .gateway import Gateway, GatewayError, Json

#: The code of an error about a lease that is not there (gRPC, NOT_FOUND).
_NOT_FOUND = 5


class LeaseLost(EngineError):
    """A lease has run out, or never was."""


class Compacted(EngineError):
    """The revision from which a watch was to begin is not kept any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key, at one revision."""

    key: str
    #: None: it was deleted at this revision.
    value: str | None
    #: The lease that it ends with, 0 for none.
    lease: int
    #: The revision of the store at which it was changed last.
    revision: int


class EtcdClient:
    """Asks one server of etcd.

    Its methods fail with `EngineError`, or with what Twisted's HTTP client raises.

    :param url: where its gateway is, ``http://HOST:PORT``.
    :param agent: makes HTTP requests.
    :param clock: says when an answer is too late.
    :param time_limit: seconds that the server has to answer, or to begin a watch.
    """

    def __init__(
        self, url: str, agent: IAgent, clock: IReactorTime, time_limit: float
    ) -> None:
        self.url = url
        self._gateway = Gateway(f"{url}/v3", agent, clock, time_limit)

    # Leases

    async def grant(self, ttl: int) -> int:
        """Get a lease of so many seconds."""
        answer = await self._gateway.call("lease/grant", {"TTL": ttl})
        return int(answer["ID"])

    async def keep_alive(self, lease: int) -> None:
        """Have a lease last for its time from now on.

        :raises LeaseLost: it has run out.
        """
        answer = await self._gateway.call("lease/keepalive", {"ID": str(lease)})
        if int(answer["result"].get("TTL", 0)) <= 0:
            raise LeaseLost("the lease has run out")

    async def remaining(self, lease: int) -> int:
        """How many seconds a lease still lasts; -1 if it has run out."""
        answer = await self._gateway.call("lease/timetolive", {"ID": str(lease)})
        return int(answer.get("TTL", 0))

    async def revoke(self, lease: int) -> None:
        """End a lease, and delete what ends with it."""
        await self._gateway.call("lease/revoke", {"ID": str(lease)})

    # Keys

    async def claim(self, key: str, value: str, lease: int) -> Entry | None:
        """Write a key if it is not there; if it is, return what it is.

        :raises LeaseLost: the lease has run out.
        """
        name = _coded(key)
        absent = {"target": "CREATE", "key": name, "createRevision": "0"}
        put = {"key": name, "value": _coded(value), "lease": str(lease)}
        request = {
            "compare": [{**absent, "result": "EQUAL"}],
            "success": [{"requestPut": put}],
            "failure": [{"requestRange": {"key": name}}],
        }
        try:
            answer = await self._gateway.call("kv/txn", request)
        except GatewayError as error:
            if error.code == _NOT_FOUND:
                raise LeaseLost("the lease has run out") from error
            raise
        if answer.get("succeeded"):
            return None
        [found] = answer["responses"]
        [entry] = _entries(found["response_range"].get("kvs", ()))
        return entry

    async def entries(self, prefix: str) -> tuple[int, list[Entry]]:
        """The store's revision, and all keys with a prefix at that revision."""
        answer = await self._gateway.call("kv/range", _range(prefix))
        return int(answer["header"]["revision"]), _entries(answer.get("kvs", ()))

    async def is_current(self, prefix: str, revision: int, count: int) -> bool:
        """Whether there are *count* keys with a prefix, none newer than *revision*."""
        newer = {"min_mod_revision": str(revision + 1), "limit": "1", "keys_only": True}
        answer = await self._gateway.call("kv/range", {**_range(prefix), **newer})
        return int(answer.get("count", 0)) == count and not answer.get("kvs")

    async def watch(
        self, prefix: str, revision: int, changed: Callable[[list[Entry]], object]
    ) -> None:
        """Tell what happens to keys with a prefix, until the connection is lost.

        :param revision: the first that is told of.
        :param changed: gets the changes of one message, in order.
        :raises Compacted: that revision is not kept any more.
        """

        def take(message: Json) -> None:
            result = message.get("result", {})
            if int(result.get("compact_revision", 0)):
                raise Compacted("the revision is not kept any more")
            if result.get("canceled") or "error" in message:
                reason = result.get("cancel_reason") or message.get("error")
                raise EngineError(f"etcd ended the watch: {shown(reason)}")
            events = result.get("events", ())
            if events:
                changed(_entries(event["kv"] for event in events))

        create = {**_range(prefix), "start_revision": str(revision)}
        # etcd says at once that the watch has begun.
        await self._gateway.follow("watch", {"create_request": create}, take)
        raise EngineError("the watch has ended")


def _range(prefix: str) -> Json:
    """All keys with a prefix: those before the first text that is behind them all."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": _coded(prefix), "range_end": _coded(end)}


def _coded(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


def _decoded(text: str) -> str:
    """What others wrote need not be text; different keys stay different."""
    return b64decode(text).decode("utf-8", "surrogateescape")


def _entries(found: Iterable[Json]) -> list[Entry]:
    return [
        Entry(
            _decoded(it["key"]),
            # A key that was deleted has no version; an empty value is left out.
            _decoded(it.get("value", "")) if int(it.get("version", 0)) else None,
            int(it.get("lease", 0)),
            int(it["mod_revision"]),
        )
        for it in found
    ]
