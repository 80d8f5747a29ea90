# -*- test-case-name: tests.network.test_simulation -*-
"""What holds at all times, whatever the network does: the promises, as checks.

Each check raises `Broken` and says what it found.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.python.failure import Failure

from ..errors import SkynetError
from ..node.node import Node


class Broken(AssertionError):
    """A promise does not hold."""


def check_books(node: Node) -> None:
    """Each message that the node took has one fate, or waits."""
    # A whole snapshot after each step would take half of a simulation's time.
    held = sum(len(cell.mailbox) + len(cell.unhandled) for cell in node.actors())
    difference = node.ledger.balance(held + sum(node.waits().values()))
    if difference:
        raise Broken(f"{node}: {difference} messages too many in {node.ledger}")


def check_bounds(node: Node) -> None:
    """No queue of the node is longer than its limit."""
    queues = node.waits()
    queues.update((repr(cell), len(cell.mailbox)) for cell in node.actors())
    for queue, count in queues.items():
        if count > node.limits.messages:
            most = node.limits.messages
            raise Broken(f"{node}: {count} messages for {queue}, of at most {most}")


def check_idle(node: Node) -> None:
    """Nothing waits in the node: no message, and no call to another one."""
    status = node.status()
    if waiting := status.ledger.waiting:
        raise Broken(f"{node}: {waiting} messages wait: {dict(status.waits)}")
    if status.calls:
        raise Broken(f"{node}: {len(status.calls)} calls wait, first {status.calls[0]}")


def check_order(numbers: Iterable[int], what: object) -> None:
    """What one sender numbered for one receiver came in this order, and once.

    :param numbers: as they came; some may be missing.
    :param what: who sent them to whom.
    """
    last = 0
    for number in numbers:
        if number <= last:
            raise Broken(f"{what}: {number} came after {last}")
        last = number


def check_call(number: int, ends: list[object], arrived: bool, what: object) -> None:
    """A call that is over ended once, and its end is true.

    :param number: what its callee answers.
    :param ends: the results that its caller got, a `Failure` for an error.
    :param arrived: whether its callee saw it.
    :param what: who called whom.
    """
    if len(ends) != 1:
        raise Broken(f"{what}: the call {number} has {len(ends)} ends")
    [end] = ends
    if not isinstance(end, Failure):
        if end != number or not arrived:
            raise Broken(f"{what}: the call {number} got the answer {end!r}")
    elif not isinstance(end.value, SkynetError):
        raise Broken(f"{what}: the call {number} ended with {end.value!r}")
    elif end.value.retry_safe and arrived:
        raise Broken(f"{what}: the call {number} ran; it ended with {end.value!r}")
