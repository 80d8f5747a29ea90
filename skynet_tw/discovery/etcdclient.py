# -*- test-case-name: tests.discovery.test_etcd -*-
"""etcd's v3 JSON gateway: requests about keys and leases, and watches.

Facts are from etcd's documentation ("gRPC gateway", "API reference") and from the
answers of etcd 3.4.23: keys and values are base64, 64-bit numbers are text, a field
that is zero or false is left out.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from ..text import shown
from .asking import EngineError, limited

#: Longest line of an answer, in bytes.
MAX_LINE = 1 << 24

#: The code of an error about a lease that is not there (gRPC, NOT_FOUND).
_NOT_FOUND = 5

_Json = dict[str, Any]


class EtcdError(EngineError):
    """etcd answered with an error.

    :param code: the code of gRPC, or the status of HTTP where there is none.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


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


def check_url(url: str) -> str:
    """Return the URL of a server without a slash at its end.

    :raises ValueError: it is none.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # Raises for one that is none.
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{shown(url)} is no URL http://HOST:PORT or https://...")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{shown(url)}: a URL of etcd has a host, a port and a path")
    return url.rstrip("/")


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
        self._clock = clock
        self._time_limit = time_limit
        self._http = HTTPClient(agent, data_to_body_producer=_Body)

    # Leases

    async def grant(self, ttl: int) -> int:
        """Get a lease of so many seconds."""
        answer = await self._call("lease/grant", {"TTL": ttl})
        return int(answer["ID"])

    async def keep_alive(self, lease: int) -> None:
        """Have a lease last for its time from now on.

        :raises LeaseLost: it has run out.
        """
        answer = await self._call("lease/keepalive", {"ID": str(lease)})
        if int(answer["result"].get("TTL", 0)) <= 0:
            raise LeaseLost("the lease has run out")

    async def remaining(self, lease: int) -> int:
        """How many seconds a lease still lasts; -1 if it has run out."""
        answer = await self._call("lease/timetolive", {"ID": str(lease)})
        return int(answer.get("TTL", 0))

    async def revoke(self, lease: int) -> None:
        """End a lease, and delete what ends with it."""
        await self._call("lease/revoke", {"ID": str(lease)})

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
            answer = await self._call("kv/txn", request)
        except EtcdError as error:
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
        answer = await self._call("kv/range", _range(prefix))
        return int(answer["header"]["revision"]), _entries(answer.get("kvs", ()))

    async def is_current(self, prefix: str, revision: int, count: int) -> bool:
        """Whether there are *count* keys with a prefix, none newer than *revision*."""
        newer = {"min_mod_revision": str(revision + 1), "limit": "1", "keys_only": True}
        answer = await self._call("kv/range", {**_range(prefix), **newer})
        return int(answer.get("count", 0)) == count and not answer.get("kvs")

    async def watch(
        self, prefix: str, revision: int, changed: Callable[[list[Entry]], object]
    ) -> None:
        """Tell what happens to keys with a prefix, until the connection is lost.

        :param revision: the first that is told of.
        :param changed: gets the changes of one message, in order.
        :raises Compacted: that revision is not kept any more.
        """

        begun: Deferred[None] = Deferred()
        late: list[Failure] = []

        def take(message: _Json) -> None:
            if not begun.called:
                begun.callback(None)
            result = message.get("result", {})
            if int(result.get("compact_revision", 0)):
                raise Compacted("the revision is not kept any more")
            if result.get("canceled") or "error" in message:
                reason = result.get("cancel_reason") or message.get("error")
                raise EngineError(f"etcd ended the watch: {shown(reason)}")
            events = result.get("events", ())
            if events:
                changed(_entries(event["kv"] for event in events))

        def too_late(failure: Failure) -> None:
            late.append(failure)
            watching.cancel()

        create = {**_range(prefix), "start_revision": str(revision)}
        watching = self._stream("watch", {"create_request": create}, take)
        # A watch may be silent for days, but etcd says at once that it has begun.
        limited(begun, self._time_limit, self._clock).addErrback(too_late)
        try:
            await watching
        except Exception:
            # The HTTP client has several errors for a request that is cancelled.
            if late:
                late[0].raiseException()
            raise
        finally:
            if not begun.called:
                begun.callback(None)
        raise EngineError("the watch has ended")

    # How it is asked

    async def _call(self, path: str, message: _Json) -> _Json:
        """Ask, and return the one object that is answered."""
        answers: list[_Json] = []
        asked = self._stream(path, message, answers.append)
        await limited(asked, self._time_limit, self._clock)
        if len(answers) != 1:
            raise EngineError(f"{len(answers)} answers to {path}")
        return answers[0]

    def _stream(
        self, path: str, message: _Json, take: Callable[[_Json], object]
    ) -> Deferred[None]:
        """Ask, and fire at the end of the answer; it may be cancelled.

        :param take: gets each object of the answer; what it raises ends it.
        """
        return Deferred.fromCoroutine(self._exchange(path, message, take))

    async def _exchange(
        self, path: str, message: _Json, take: Callable[[_Json], object]
    ) -> None:
        response = await self._http.request(
            "POST",
            f"{self.url}/v3/{path}",
            json=message,
            unbuffered=True,
            # treq would take the process's own otherwise.
            reactor=cast(Any, self._clock),
        )

        def read(line: bytes) -> None:
            found = json.loads(line)
            if not isinstance(found, dict):
                raise ValueError("no object")
            take(found)

        wrong: list[bytes] = []
        is_good = response.code == 200
        lines = _Lines(read if is_good else wrong.append)
        response.deliverBody(lines)
        await lines.done
        if not is_good:
            raise _error(response.code, b"\n".join(wrong))


def _error(status: int, body: bytes) -> EtcdError:
    """What an answer means whose status is no success."""
    try:
        found = json.loads(body)
        text = found.get("message") or found["error"]
        return EtcdError(int(found.get("code", status)), str(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return EtcdError(status, f"HTTP status {status}: {shown(body)}")


def _range(prefix: str) -> _Json:
    """All keys with a prefix: those before the first text that is behind them all."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": _coded(prefix), "range_end": _coded(end)}


def _coded(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


def _decoded(text: str) -> str:
    """What others wrote need not be text."""
    return b64decode(text).decode("utf-8", "backslashreplace")


def _entries(found: Iterable[_Json]) -> list[Entry]:
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


@implementer(IBodyProducer)
class _Body:
    """A request's body, written at once: it is short."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class _Lines(Protocol):
    """The lines of an answer, as they come.

    :param take: gets each line; what it raises closes the connection.
    """

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._rest: list[bytes] = []
        self._size = 0
        self._ended = False
        #: Fires at the end of the answer; to cancel it closes the connection.
        self.done: Deferred[None] = Deferred(lambda _: self._close())

    def dataReceived(self, data: bytes) -> None:
        head, newline, tail = data.rpartition(b"\n")
        self._rest.append(head if newline else data)
        self._size += len(data)
        if newline:
            whole, self._rest, self._size = b"".join(self._rest), [tail], len(tail)
            self._give(whole.split(b"\n"))
        elif self._size > MAX_LINE:
            self._fail(EngineError(f"an answer of more than {MAX_LINE} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._give([b"".join(self._rest)])
        if not self._ended:
            self._ended = True
            if reason.check(ResponseDone, PotentialDataLoss):
                self.done.callback(None)
            else:
                self.done.errback(reason)

    def _give(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if self._ended:
                return
            if line.strip():
                try:
                    self._take(line)
                except EngineError as error:
                    self._fail(error)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    wrong = EngineError(f"an answer that is none: {shown(line)}")
                    wrong.__cause__ = error
                    self._fail(wrong)

    def _fail(self, error: EngineError) -> None:
        if not self._ended:
            self._close()
            self.done.errback(error)

    def _close(self) -> None:
        self._ended = True
        if self.transport is not None:
            self.transport.loseConnection()
