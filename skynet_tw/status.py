# -*- test-case-name: tests.node.test_status -*-
"""What a node knows of itself: frozen snapshots, for people and for programs.

`Node.status` makes one of the whole node.  It holds no object of the node, so it stays
as it was, may be kept, compared and pickled, and nothing that reads it disturbs the
node.  Times are seconds; ages count from the moment of the snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass

from .handle import Handle
from .interfaces import LinkInfo, Peer


@dataclass(frozen=True, slots=True)
class StageReport:
    """How far one stage of the boot is."""

    #: The stage.
    stage: str
    #: ``done``, ``waiting``, ``failed`` or ``to come``.
    state: str
    #: Seconds from the start of the boot to the start of the stage; None before.
    since: float | None
    #: Seconds that the stage took, or has taken until now; None before.
    took: float | None
    #: What is waited for and why, in words.
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A one-way message or an answer that could not be delivered."""

    #: Why, in words.
    reason: str
    #: Who sent it.
    source: Handle
    #: Where it was sent to: a handle, a name, or an address in a node of the cluster.
    destination: Handle | str
    #: Its type.
    ptype: int


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """What became of all messages; `accepted` is the sum of all that follow."""

    #: Messages taken: from actors of this node, and from other nodes.
    accepted: int
    #: Handed to an actor, or written to a link.
    delivered: int
    #: Not taken in the end, and the sender was told.
    refused: int
    #: Waited in vain until their time limit.
    expired: int
    #: Lost for a reason which was counted and logged.
    dropped: int
    #: Waiting now.
    waiting: int
    #: Answers that came when nobody waited for them any more.
    late_answers: int
    #: How often each reason dropped, refused or expired a message, the most first.
    reasons: tuple[tuple[str, int], ...]
    #: The newest dead letters, oldest first.
    dead_letters: tuple[DeadLetter, ...]


@dataclass(frozen=True, slots=True)
class CallStatus:
    """One call of an actor of this node that waits for its answer."""

    #: Who calls.
    caller: Handle
    #: Who is called, as the caller said it.
    callee: str
    #: The session on the wire; 0 for a call within the node that has no time limit.
    session: int
    #: What it waits for: ``name``, ``boot``, ``link``, or ``sent`` for its answer.
    stage: str
    #: How long it has waited.
    seconds: float
    #: In how many seconds its time limit is over; None without one.
    left: float | None


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One coroutine of an actor."""

    #: The values of the message that it works on, or what else it is.
    request: str
    #: Who sent that message, None for what works on none.
    source: Handle | None
    #: What it waits for, in words.
    waits_for: str
    #: How long it has waited for that.
    seconds: float


@dataclass(frozen=True, slots=True)
class ActorStatus:
    """One actor."""

    handle: Handle
    #: Its class.
    kind: str
    #: The names that it owns.
    names: tuple[str, ...]
    #: ``starting``, ``running`` or ``ending``.
    state: str
    #: Messages in its mailbox.
    mailbox: int
    #: Messages that it has handled.
    handled: int
    #: Its coroutines, in the order in which they began to wait.
    tasks: tuple[TaskStatus, ...]
    #: Its calls with a session that wait for an answer.
    calls: int


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One other node."""

    #: The id of a harbor, or the name of a cluster node.
    peer: Peer
    #: ``expected``, ``writing``, ``ready``, ``busy`` or ``gone``.
    stage: str
    #: Why it is gone, empty if it is not.
    reason: str
    #: Messages that wait for its link.
    queued: int
    #: Calls to it that wait, for the link or for their answers.
    calls: int
    #: Its link, None while there is none.
    link: LinkInfo | None


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A whole node at one moment."""

    #: The id of this harbor, 0 without one.
    harbor: int
    #: ``booting``, ``ready``, ``failed``, ``stopping`` or ``stopped``.
    state: str
    #: The stages of the boot, in order; none for a node without a boot.
    boot: tuple[StageReport, ...]
    #: The other nodes that were heard of or sent to; of those of a cluster that no
    #: table has, the ones that something waits for.
    peers: tuple[PeerStatus, ...]
    #: The global names that this node knows, and their owners.
    names: tuple[tuple[str, Handle], ...]
    #: The actors, in the order in which they were started.
    actors: tuple[ActorStatus, ...]
    #: Calls that wait for an answer, the oldest first.
    calls: tuple[CallStatus, ...]
    #: How many messages wait for what, in words; without those in mailboxes.
    waits: tuple[tuple[str, int], ...]
    #: Messages of other nodes in the mailboxes of actors that have started.
    backlog: int
    #: Whether links are read; they are not while the backlog is too long.
    reading: bool
    ledger: LedgerStatus
