# -*- test-case-name: tests.node.test_outgoing -*-
"""Packed messages which wait, in order and in bounds, for a way to leave.

One queue waits for one thing: a link to a peer, or the owner of a name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..cluster_address import ClusterAddress
from ..errors import QueueFull, SkynetError
from .ledger import Ledger
from .limits import Limits
from .requests import Call

#: Seconds between two looks for messages that waited too long.
SWEEP_INTERVAL = 1.0


class Envelope:
    """One message in waiting.

    :param source: the sender's handle.
    :param destination: the receiver's handle, 0 while only its name is known; in a
        cluster whatever its node resolves.
    :param ptype: the message type.
    :param session: 0, or the session of the request or answer.
    :param payload: the packed values, or the raw bytes.
    :param deadline: when it is no longer worth sending, on the node's clock; None:
        never.
    :param call: the call of an actor of ours that it is the request of, if any.
    """

    __slots__ = (
        "call",
        "deadline",
        "destination",
        "payload",
        "ptype",
        "session",
        "source",
    )

    def __init__(
        self,
        source: int,
        destination: int | str,
        ptype: int,
        session: int,
        payload: bytes,
        deadline: float | None,
        call: Call | None,
    ) -> None:
        self.source = source
        self.destination = destination
        self.ptype = ptype
        self.session = session
        self.payload = payload
        self.deadline = deadline
        self.call = call

    @property
    def dead(self) -> bool:
        """Whether it is a request of which nobody awaits the answer any more."""
        # A call that waits has a slot; over is it later, when its answer is handled.
        return self.call is not None and self.call.slot is None


class Outbox:
    """A queue of envelopes.

    :param what: what is waited for, in words, for error texts.
    :param name: the name whose owner is waited for, if it is one.
    :param node: the node of the cluster that is waited for, if it is one.
    :param emptied: told when the last that waits here was taken out as too late.
    """

    __slots__ = ("_envelopes", "_limits", "_node", "_size", "emptied", "name", "what")

    def __init__(
        self,
        what: str,
        limits: Limits,
        name: str = "",
        node: str = "",
        emptied: Callable[[str], None] | None = None,
    ) -> None:
        self.what = what
        self.name = name
        self._node = node
        self.emptied = emptied
        self._limits = limits
        self._envelopes: deque[Envelope] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._envelopes)

    def __bool__(self) -> bool:
        # Said aloud: compiled, an optional Outbox would be true even when empty.
        return bool(self._envelopes)

    def destination(self, envelope: Envelope) -> int | str:
        """Where one of its messages was sent to: a handle, or text."""
        destination = envelope.destination
        if self._node:
            return str(ClusterAddress(self._node, destination))
        return destination or self.name

    def put(self, envelope: Envelope) -> None:
        """Append an envelope.

        :raises QueueFull: the limit is reached; the envelope was not taken.
        """
        size = self._size + len(envelope.payload)
        if len(self._envelopes) >= self._limits.messages or size > self._limits.size:
            raise QueueFull(
                f"{len(self._envelopes)} messages of {self._size} bytes"
                f" wait for {self.what} already"
            )
        self._envelopes.append(envelope)
        self._size = size

    def take(self) -> Envelope:
        """Remove and return the first envelope."""
        envelope = self._envelopes.popleft()
        self._size -= len(envelope.payload)
        return envelope

    def remove_expired(self, now: float) -> list[Envelope]:
        """Remove and return what is too late or dead; the rest keeps its order."""
        kept: deque[Envelope] = deque()
        removed: list[Envelope] = []
        for envelope in self._envelopes:
            over = envelope.deadline is not None and envelope.deadline <= now
            (removed if over or envelope.dead else kept).append(envelope)
        if removed:
            self._envelopes = kept
            self._size -= sum(len(envelope.payload) for envelope in removed)
        return removed


class Outboxes:
    """All messages of a node that wait for a way to leave, and their time limits.

    :param timeout: seconds that a message may wait which is no call; 0 for no limit.
    """

    def __init__(
        self, clock: IReactorTime, ledger: Ledger, limits: Limits, timeout: float
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._limits = limits
        self._timeout = timeout
        #: Those in which something waits.
        self._boxes: dict[Outbox, None] = {}
        self._sweep: IDelayedCall | None = None

    def open(
        self,
        what: str,
        name: str = "",
        node: str = "",
        emptied: Callable[[str], None] | None = None,
    ) -> Outbox:
        """Make an empty queue, see `Outbox`."""
        return Outbox(what, self._limits, name, node, emptied)

    def waiting(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._boxes))

    def waits(self) -> dict[str, int]:
        """How many messages wait for what, in words."""
        return {box.what: len(box) for box in self._boxes if box}

    def put(self, box: Outbox, envelope: Envelope) -> None:
        """Let a message wait; it stands in the ledger as queued from before.

        :raises QueueFull: the limit is reached; the envelope was not taken.
        """
        if envelope.call is not None:
            envelope.deadline = envelope.call.deadline
        elif envelope.deadline is None and self._timeout:
            envelope.deadline = self._clock.seconds() + self._timeout
        box.put(envelope)
        self._boxes[box] = None
        if self._sweep is None:
            self._sweep = self._clock.callLater(SWEEP_INTERVAL, self._expire)

    def refuse(
        self, box: Outbox, envelope: Envelope, error: SkynetError, reason: str
    ) -> None:
        """A message that has waited cannot leave: tell its caller, or record it."""
        if envelope.call is not None:
            self._ledger.refuse_call()
            envelope.call.fail(error)
        else:
            to = box.destination(envelope)
            self._ledger.refuse(reason, envelope.source, to, envelope.ptype)

    def refuse_all(
        self, box: Outbox, kind: type[SkynetError], why: str, reason: str
    ) -> None:
        """Nothing that waits in a queue can leave: each message gets its own error."""
        while box:
            self.refuse(box, box.take(), kind(why), reason)

    def stop(self) -> None:
        """Look at the time limits no more."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _expire(self) -> None:
        """Take out what waited too long, and calls that nobody waits for any more."""
        self._sweep = None
        now = self._clock.seconds()
        for box in list(self._boxes):
            removed = box.remove_expired(now)
            for envelope in removed:
                if envelope.call is not None:
                    # The call's own limit has told its caller.
                    self._ledger.expire_call()
                else:
                    self._ledger.expire(
                        f"waited too long for {box.what}",
                        envelope.source,
                        box.destination(envelope),
                        envelope.ptype,
                    )
            if not box:
                del self._boxes[box]
                if removed and box.emptied is not None:
                    box.emptied(box.name)
        if self._boxes:
            self._sweep = self._clock.callLater(SWEEP_INTERVAL, self._expire)
