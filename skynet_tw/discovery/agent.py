# -*- test-case-name: tests.discovery.test_agent -*-
"""The HTTP agent of directories, which is silent: they log what is to be known."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

#: Seconds to connect to a server.
TIMEOUT = 3.0


def http_agent(reactor: Any) -> IAgent:
    """Make an agent that has a connection for each request.

    None waits that the server may have closed meanwhile.

    :param reactor: has the sockets and the time.
    """
    agent: IAgent = Agent.usingEndpointFactory(reactor, Endpoints(reactor))
    return agent


@implementer(IAgentEndpointFactory)
class Endpoints:
    """Where URLs are reached: as `Agent` does it, but for the log.

    :param reactor: has the sockets.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._policy = BrowserLikePolicyForHTTPS()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The endpoint of a URL, over TLS for ``https``."""
        host = uri.host.decode("ascii")
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            self._reactor, host, uri.port, timeout=TIMEOUT
        )
        if uri.scheme == b"https":
            creator = self._policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        return Quiet(endpoint)


@implementer(IStreamClientEndpoint)
class Quiet:
    """An endpoint whose factories do not log when they start and stop.

    :param endpoint: what connects.
    """

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, see `IStreamClientEndpoint`."""
        quiet: Any = factory
        quiet.noisy = False
        connected: Deferred[IProtocol] = self._endpoint.connect(factory)
        return connected
