# -*- test-case-name: tests.node.test_cluster_calls -*-
"""Addresses in the nodes of a cluster: never those of this node's own network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import BadAddress
from .handle import Handle
from .text import plain, shown

#: Longest text that names an actor of another node, in bytes (cluster, section 3).
MAX_TARGET = 255


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """An actor of a node of the cluster.

    It is no `Handle`: the same number means another actor in each node.
    """

    #: The node's name in the node table.
    node: str
    #: The actor's handle there; or ``@name``, ``.name``, or other text that its node
    #: resolves.
    target: int | str

    def __str__(self) -> str:
        target = self.target
        if isinstance(target, int):
            target = f":{target:08x}"
        # What has no sign of its own is a global name.
        sign = "" if target.startswith(("@", ".", ":")) else ":"
        return f"{self.node}{sign}{target}"


def cluster_address(node: Any, target: Any) -> ClusterAddress:
    """The address that a user gives.

    :param node: the name of a node.
    :param target: what `ClusterAddress` has, or a `ClusterAddress` of that node.
    :raises TypeError: one of them is of a wrong type.
    :raises BadAddress: one of them cannot be an address.
    """
    if not isinstance(node, str):
        raise TypeError(f"the name of a node is text, not {shown(node, 80)}")
    node = plain(node)
    if not node:
        raise BadAddress("the name of a node may not be empty")
    if type(target) is ClusterAddress:
        if target.node != node:
            what = f"{shown(target, 80)} is an address in another node than"
            raise BadAddress(f"{what} {shown(node, 80)}")
        # Anybody can make one: it is checked as what is in it.
        target = target.target
    if isinstance(target, Handle):
        what = f"{target} is an address in this node's own network"
        raise BadAddress(f"{what}, and means nothing in the node {shown(node, 80)}")
    if isinstance(target, int) and not isinstance(target, bool):
        target = int.__index__(target)
        if not 0 < target <= 0xFFFFFFFF:
            raise BadAddress(f"{shown(target, 80)} is no handle of an actor")
    elif isinstance(target, str):
        target = plain(target)
        _check_text(target)
    else:
        wrong = shown(target, 80)
        raise TypeError(f"a name or a handle of another node is wanted, not {wrong}")
    return ClusterAddress(node, target)


def _check_text(target: str) -> None:
    try:
        size = len(target.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        size = 0
    if not 1 <= size <= MAX_TARGET:
        raise BadAddress(f"{shown(target, 80)} is no address of 1..{MAX_TARGET} bytes")
