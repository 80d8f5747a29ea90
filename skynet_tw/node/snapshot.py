# -*- test-case-name: tests.node.test_status -*-
"""Makes the snapshot of a node out of what its parts say of themselves."""

from __future__ import annotations

from collections.abc import Sequence

from ..status import NodeStatus, StageReport
from .cells import Cells
from .core import Core
from .incoming import Incoming
from .names import Names
from .outgoing import Outgoing
from .requests import Call


def snapshot(
    core: Core,
    cells: Cells,
    outgoing: Outgoing,
    incoming: Incoming,
    names: Names,
    boot: Sequence[StageReport],
    stopped: bool,
) -> NodeStatus:
    """The whole node as it is now.

    :param boot: how far each stage of the boot is.
    """
    now = core.clock.seconds()
    actors = cells.all()
    channels = outgoing.channels()
    links = core.backlog.links()
    waits = {**core.outboxes.waits(), **incoming.waits()}
    held = sum(len(cell.mailbox) + len(cell.unhandled) for cell in actors)
    # Each call that has a session stands in one of these, and in no other.
    calls: list[Call] = [*core.calls]
    for channel in channels:
        calls += channel.calls
    return NodeStatus(
        core.harbor,
        _state(core, boot, stopped),
        tuple(boot),
        tuple(channel.status(links.get(channel.peer)) for channel in channels),
        tuple(sorted(names.known().items())),
        tuple(cell.status(now) for cell in actors),
        tuple(call.status(now) for call in sorted(calls, key=lambda it: it.since)),
        tuple(waits.items()),
        core.backlog.count,
        core.backlog.reading,
        core.ledger.status(held + core.outboxes.waiting() + incoming.waiting()),
    )


def _state(core: Core, boot: Sequence[StageReport], stopped: bool) -> str:
    if core.stopping:
        return "stopped" if stopped else "stopping"
    states = {report.state for report in boot}
    if "failed" in states:
        return "failed"
    return "ready" if states <= {"done"} else "booting"
