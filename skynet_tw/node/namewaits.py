# -*- test-case-name: tests.node.test_names -*-
"""Who waits for which name."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from ..errors import SkynetError
from ..handle import Handle
from ..text import shown
from .core import Core
from .deferred import NodeDeferred


class NameWaits:
    """Deferreds of the owners of names, each with its time limit.

    :param late: the error of who waited for a name until the limit.
    :param nobody: told when the last who waited for a name is gone.
    """

    def __init__(
        self,
        core: Core,
        late: Callable[[str], SkynetError],
        nobody: Callable[[str], object],
    ) -> None:
        self._core = core
        self._late_error = late
        self._nobody = nobody
        self._waits: dict[str, dict[NodeDeferred[Handle], IDelayedCall | None]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._waits

    def wait(self, name: str, timeout: float | None) -> Deferred[Handle]:
        """A fresh Deferred of the owner of a name.

        :param timeout: seconds; None or 0 for no limit.
        """
        waiting: NodeDeferred[Handle] = NodeDeferred(
            self._core.scheduler, lambda waiting: self._leave(name, waiting)
        )
        waiting.what = f"the owner of the name {shown(name, 80)}"
        limit: IDelayedCall | None = None
        if timeout:
            limit = self._core.clock.callLater(timeout, self._late, name, waiting)
        self._waits.setdefault(name, {})[waiting] = limit
        return waiting

    def fire(self, name: str, owner: Handle) -> None:
        """Tell all who wait for a name who owns it."""
        for waiting in self._take(name):
            waiting.fire(owner)

    def fail(self, name: str, kind: type[SkynetError], why: str) -> None:
        """Give all who wait for a name an error, each its own."""
        for waiting in self._take(name):
            waiting.fail(kind(why))

    def fail_all(self, kind: type[SkynetError], why: str) -> None:
        """Give all who wait an error."""
        for name in list(self._waits):
            self.fail(name, kind, why)

    def _take(self, name: str) -> list[NodeDeferred[Handle]]:
        waits = self._waits.pop(name, {})
        for limit in waits.values():
            if limit is not None:
                limit.cancel()
        return list(waits)

    def _late(self, name: str, waiting: NodeDeferred[Handle]) -> None:
        self._leave(name, waiting)
        waiting.fail(self._late_error(name))

    def _leave(self, name: str, waiting: NodeDeferred[Handle]) -> None:
        waits = self._waits.get(name, {})
        limit = waits.pop(waiting, None)
        if limit is not None and limit.active():
            limit.cancel()
        if not waits and self._waits.pop(name, None) is not None:
            self._nobody(name)
