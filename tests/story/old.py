# -*- test-case-name: tests.test_story -*-
"""Small models of what went wrong in the boot of Skynet of September 2013.

They are written from the story (``docs/story.md``) and show only how each version
behaved, not how it was built; no code of Skynet is in them.  Time is a clock of
Twisted's, so that nothing waits, and a turn of their event loop is one delayed call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock

#: Seconds from the connect to the answer of the other side.
CONNECT = 1.0


class Sender:
    """What all versions have in common: one connection, which takes time to come up.

    :param clock: what they wait on.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.connected = False
        #: What the other side got, in the order in which it got it.
        self.arrived: list[int] = []

    def connect(self) -> None:
        """Begin; the connection is up at some later turn of the loop."""
        self.clock.callLater(CONNECT, self.is_connected)

    def is_connected(self) -> None:
        """The other side has answered."""
        self.connected = True

    def send(self, message: int) -> None:
        """Send a message to an actor of another node."""
        raise NotImplementedError


class Aborting(Sender):
    """The first version: nobody sends before there is a connection, so it asserts."""

    def send(self, message: int) -> None:
        assert self.connected, "no connection to the master"
        self.arrived.append(message)


class Swapping(Sender):
    """Keeps the message that has to wait, and swaps the callback until it can leave.

    There is room for one message.  The one that comes next takes its place.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._pending: int | None = None
        self.send = self._start  # type: ignore[method-assign]

    def _start(self, message: int) -> None:
        self._pending = message
        self.send = self._wait  # type: ignore[method-assign]
        self.connect()

    def _wait(self, message: int) -> None:
        self._pending = message

    def is_connected(self) -> None:
        super().is_connected()
        self.send = self.arrived.append  # type: ignore[method-assign, assignment]
        if self._pending is not None:
            self.send(self._pending)


class Forwarding(Sender):
    """The second version: what cannot leave yet goes to the end of its own queue.

    Each turn of its loop takes one message out of the queue, and tries it again.
    """

    #: Seconds that a turn takes.
    TURN = 0.1

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._queue: deque[int] = deque()
        #: How often a message was taken up in vain.
        self.vain = 0

    def send(self, message: int) -> None:
        if self.connected:
            self.arrived.append(message)
            return
        self.vain += 1
        if not self._queue:
            self.clock.callLater(self.TURN, self._turn)
        self._queue.append(message)

    def _turn(self) -> None:
        message = self._queue.popleft()
        if self._queue:
            self.clock.callLater(self.TURN, self._turn)
        self.send(message)


class Blocking(Sender):
    """The last version: it stands in connect until the other side has answered."""

    def connect(self) -> None:
        self.clock.rightNow += CONNECT  # time goes by, and nobody has a turn
        self.is_connected()

    def send(self, message: int) -> None:
        if not self.connected:
            self.connect()
        self.arrived.append(message)


class DeferredPorts:
    """Ports of a node whose `listen` only asks the event loop to listen.

    :param clock: its turns are those of the loop.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: set[str] = set()

    def listen(self, address: str) -> None:
        """Listen from the next turn of the loop on."""
        self._clock.callLater(0, self._open.add, address)

    def connect(self, address: str) -> None:
        """Connect at once, as a node did that could not go on without its master.

        :raises ConnectionRefusedError: nobody listens there.
        """
        if address not in self._open:
            raise ConnectionRefusedError(string=f"nobody listens at {address}")


class StagedNode:
    """A node that boots in stages: its port is open before its actor has started.

    Who knows the address from earlier does not wait for the stages.
    """

    def __init__(self) -> None:
        self._actor: Starting | None = None
        #: What came in for nobody.
        self.lost: list[int] = []

    def begin(self) -> Starting:
        """Create the actor; it has not started yet."""
        self._actor = Starting()
        return self._actor

    def receive(self, message: int) -> None:
        """Something came in from another node."""
        if self._actor is None:
            self.lost.append(message)
        else:
            self._actor.handle(message)


class Starting:
    """An actor which needs what its start prepares."""

    def __init__(self) -> None:
        self.has_started = False
        #: What it got before it had started, and after.
        self.early: list[int] = []
        self.seen: list[int] = []

    def handle(self, message: int) -> None:
        """Handle a message."""
        (self.seen if self.has_started else self.early).append(message)


class Alike:
    """Sends to whatever handle, in the same way and with the same silence.

    :param harbor: the harbor of this node.
    """

    def __init__(self, harbor: int) -> None:
        self._harbor = harbor
        self._actors: dict[int, Callable[[str], str]] = {}

    def add(self, handle: int, actor: Callable[[str], str]) -> None:
        """Let an actor live in this node."""
        self._actors[handle] = actor

    def call(self, handle: int, text: str, answer: Callable[[str], None]) -> None:
        """Call an actor wherever it lives; *answer* gets what it says."""
        actor = self._actors.get(handle)
        if actor is not None:
            answer(actor(text))


READ, WRITE = -1, -2  # kqueue's EVFILT_READ and EVFILT_WRITE


def is_filter_2013(event: int, wanted: int) -> bool:
    """Whether an event of kqueue is of a filter, asked as of a bit mask."""
    return bool(event & wanted)
