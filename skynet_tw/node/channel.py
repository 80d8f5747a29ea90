# -*- test-case-name: tests.node.test_border -*-
"""The way to one other harbor: its link, what waits for it, and the calls on it."""

from __future__ import annotations

from ..interfaces import ILink
from .calls import Calls
from .limits import Limits
from .outbox import Outbox


class Channel:
    """What a node keeps for one harbor.

    :param calls: a table for the calls that are written to its link.
    """

    __slots__ = ("calls", "draining", "gone", "harbor", "link", "outbox")

    def __init__(self, harbor: int, limits: Limits, calls: Calls) -> None:
        self.harbor = harbor
        #: The link while it takes a message now and nothing waits before that.
        self.link: ILink | None = None
        #: Messages that wait for the link.
        self.outbox = Outbox(f"the link to harbor {harbor}", limits)
        #: Calls that were written to the link, and fail with it.
        self.calls = calls
        #: Whether what waits is being written, and the link has room.
        self.draining = False
        #: Why there is no such harbor any more, None if there may be one.
        self.gone: str | None = None
