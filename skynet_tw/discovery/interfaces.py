"""What a cluster asks of whatever knows where its nodes are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: Where the nodes are: the name of each, and its address, ``HOST:PORT`` or an endpoint
#: string.
Addresses = Mapping[str, str]


class INodeDirectory(Interface):
    """Knows where the nodes of a cluster are."""

    def start(
        changed: Callable[[Addresses], object], own: Mapping[str, str]
    ) -> Deferred[None]:
        """Begin to look; it is done once.

        An engine that cannot be reached yet is asked again, with growing pauses and
        without an end: the boot has a time limit of its own.

        :param changed: gets whole views: a name that is missing in the next one is
            gone.  The first comes before the Deferred fires, others whenever the view
            changes.
        :param own: the names and addresses to publish of this node, where the directory
            takes such (etcd); empty for none.
        :returns: fails with `BootFailed` when the directory is wrong for good: a file
            that cannot be read, a name that another living node has published.  Fails
            with `NotReady` when it is stopped before.
        """

    def refresh() -> Deferred[None]:
        """Look again now; fires when the view is fresh and ``changed`` was told.

        :returns: fails with `DirectoryFailed` when that is not possible; the last good
            view stays.
        """

    def waiting_for() -> str | None:
        """Say in a line why `start` has not fired yet; None when it has."""

    def stop() -> Deferred[None]:
        """Withdraw what was published, and close everything.

        Nothing is told any more.  It may be called at any time, also before `start`
        has fired, and again.
        """
