"""What can go wrong, and whether the request may have run.

Every error that reaches a user is a :class:`SkynetError`.  ``retry_safe`` is True
when the request certainly did not leave this node, so that sending it again cannot
make it run twice; it is False when the other side may have run it.
"""

from __future__ import annotations

from typing import Any


class SkynetError(Exception):
    """The base of all errors of this package."""

    #: True when the request certainly did not leave this node.
    retry_safe: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as it is, whatever arguments its class takes."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[SkynetError], args: tuple[Any, ...], state: dict[str, Any]
) -> SkynetError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class BadAddress(SkynetError, ValueError):
    """A destination or a name is malformed; nothing was sent."""

    retry_safe = True


class NoSuchName(SkynetError):
    """Nobody owned the name until the time limit; nothing was sent."""

    retry_safe = True


class NoSuchActor(SkynetError):
    """The handle belongs to this node, and no actor lives there; nothing ran."""

    retry_safe = True


class NameTaken(SkynetError):
    """Another actor owns the name already; nothing was registered."""

    retry_safe = True


class PeerDown(SkynetError):
    """There was no link to the harbor until the time limit; nothing was written."""

    retry_safe = True


class DirectoryFailed(SkynetError):
    """Where the nodes are could not be asked; the last good view stays in use."""

    retry_safe = True


class QueueFull(SkynetError):
    """A queue is at its limit of messages or bytes; nothing was queued."""

    retry_safe = True


class TooLarge(SkynetError):
    """A message does not fit the wire; nothing was sent and the link lives on."""

    retry_safe = True

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a payload of {size} bytes; the wire carries {limit}")
        #: Length of the refused payload, in bytes.
        self.size = size
        #: Largest payload that the wire carries, in bytes.
        self.limit = limit


class NotReady(SkynetError):
    """The node, or its link to the master, was not up; nothing was sent."""

    retry_safe = True


class CallTimeout(SkynetError):
    """No answer came in time; the request may have run."""


class LinkLost(SkynetError):
    """The link broke after the request was written; it may have run."""


class RemoteError(SkynetError):
    """The callee answered with an error, exited before it answered, or is no more."""


class ProtocolError(SkynetError):
    """A peer broke the protocol; its connection is closed."""


class OtherWire(ProtocolError):
    """A peer speaks the other one of Skynet's two harbor protocols."""

    def __init__(self, theirs: str, ours: str) -> None:
        super().__init__(f"the other side speaks --wire {theirs}, we --wire {ours}")


class BootFailed(SkynetError):
    """The node could not boot; the text says what, where and why in one line."""

    retry_safe = True


class UnpackError(SkynetError, ValueError):
    """Bytes that are no Skynet values."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"at byte {offset}: {reason}")
        #: Where reading stopped, in bytes from the start of the message.
        self.offset = offset
        #: What is wrong there.
        self.reason = reason


class PackError(SkynetError, ValueError):
    """A value that Skynet's messages cannot carry; nothing was sent."""

    retry_safe = True

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        #: The way to the value, as in ``argument 2 -> ["pos"]["x"]``.
        self.path = path
        #: Why it cannot be packed.
        self.reason = reason
