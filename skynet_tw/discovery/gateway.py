# -*- test-case-name: tests.discovery.test_gateway,tests.discovery.test_etcd_away -*-
"""A gateway that takes a JSON object and answers with one, or with one in each line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
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

#: An object of JSON.
Json = dict[str, Any]


class GatewayError(EngineError):
    """It answered with an error.

    :param code: the code of gRPC, or the status of HTTP where there is none.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


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
        # It may have a password in it, which is nothing to show.
        raise ValueError("a URL of etcd has a host, a port and a path, and no more")
    return url.rstrip("/")


class Gateway:
    """One server, whose methods are paths.

    What is asked fails with `EngineError`, or with what Twisted's HTTP client raises.

    :param url: what is in front of the paths.
    :param agent: makes HTTP requests.
    :param clock: says when an answer is too late.
    :param time_limit: seconds that an answer may take.
    """

    def __init__(
        self, url: str, agent: IAgent, clock: IReactorTime, time_limit: float
    ) -> None:
        self._url = url
        self._clock = clock
        self._time_limit = time_limit
        self._http = HTTPClient(agent, data_to_body_producer=_Body)

    async def call(self, path: str, message: Json) -> Json:
        """Ask, and return the one object that is answered."""
        answers: list[Json] = []
        asked = self._stream(path, message, answers.append)
        await limited(asked, self._time_limit, self._clock)
        if len(answers) != 1:
            raise EngineError(f"{len(answers)} answers to {path}")
        return answers[0]

    async def follow(
        self, path: str, message: Json, take: Callable[[Json], object]
    ) -> None:
        """Ask, and take what is answered until it ends, which may be never.

        Only the first object has to come in time.

        :param take: gets each object; what it raises ends the answer.
        """
        begun: Deferred[None] = Deferred()
        late: list[Failure] = []

        def take_in_time(found: Json) -> None:
            if not begun.called:
                begun.callback(None)
            take(found)

        def too_late(failure: Failure) -> None:
            late.append(failure)
            asked.cancel()

        asked = self._stream(path, message, take_in_time)
        limited(begun, self._time_limit, self._clock).addErrback(too_late)
        try:
            await asked
        except Exception:
            # The HTTP client has several errors for a request that is cancelled.
            if late:
                late[0].raiseException()
            raise
        finally:
            if not begun.called:
                begun.callback(None)

    def _stream(
        self, path: str, message: Json, take: Callable[[Json], object]
    ) -> Deferred[None]:
        """Ask, and fire at the end of the answer; it may be cancelled."""
        return Deferred.fromCoroutine(self._exchange(path, message, take))

    async def _exchange(
        self, path: str, message: Json, take: Callable[[Json], object]
    ) -> None:
        response = await self._http.request(
            "POST",
            f"{self._url}/{path}",
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
        lines = Lines(read if is_good else wrong.append)
        response.deliverBody(lines)
        await lines.done
        if not is_good:
            raise _error(response.code, b"\n".join(wrong))


def _error(status: int, body: bytes) -> GatewayError:
    """What an answer means whose status is no success."""
    try:
        found = json.loads(body)
        text = found.get("message") or found["error"]
        return GatewayError(int(found.get("code", status)), str(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return GatewayError(status, f"HTTP status {status}: {shown(body)}")


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


class Lines(Protocol):
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
