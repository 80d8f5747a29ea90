# -*- test-case-name: tests.node.test_cluster_names -*-
"""Whom a node of a cluster can be asked for: names, and addresses as text."""

from __future__ import annotations

from ..cluster_address import MAX_TARGET
from ..errors import BadAddress, NameTaken, NoSuchName
from ..handle import Handle
from ..text import shown


class ClusterNames:
    """The names of one node, which all nodes that connect to it may use.

    Nobody announces them: a name is found by asking its node (cluster, section 8).  An
    actor has one name.
    """

    def __init__(self) -> None:
        #: Handles by ``@name``, as clients write it.
        self.targets: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def register(self, name: str, handle: int) -> None:
        """Give an actor a name, in place of the one that it has.

        :param name: without the ``@`` that stands in front of it in an address.
        :raises BadAddress: the name is empty or too long.
        :raises NameTaken: another actor has it.
        """
        try:
            size = len(name.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            size = 0
        # In an address there is one byte more.
        if not 1 <= size < MAX_TARGET:
            raise BadAddress(
                f"{shown(name, 80)} is no name of 1..{MAX_TARGET - 1} bytes"
            )
        owner = self.targets.get(f"@{name}")
        if owner is not None and owner != handle:
            raise NameTaken(f"{shown(name, 80)} is the name of {Handle(owner)}")
        self.forget(handle)
        self.targets[f"@{name}"] = handle
        self._names[handle] = name

    def unregister(self, name: str) -> int | None:
        """Take a name away; returns whose it was, None if it was nobody's."""
        handle = self.targets.pop(f"@{name}", None)
        if handle is not None:
            del self._names[handle]
        return handle

    def forget(self, handle: int) -> None:
        """Take the name of an actor away, if it has one."""
        name = self._names.pop(handle, None)
        if name is not None:
            del self.targets[f"@{name}"]

    def owner(self, name: str) -> int:
        """Whose a name is.

        :raises NoSuchName: nobody has it.
        """
        handle = self.targets.get(f"@{name}")
        if handle is None:
            raise NoSuchName(f"nobody has the name {shown(name, 80)}")
        return handle

    def resolve(self, address: str) -> int | str:
        """Read an address that is text (cluster, section 3).

        :returns: a handle for ``@name``, ``:0100000a`` and decimal digits; what the
            node itself must look up, ``.local`` or ``GLOBAL``, as it is.
        :raises NoSuchName: nobody has the name behind the ``@``.
        :raises BadAddress: the text is empty, or no handle where it should be one.
        """
        first = address[:1]
        if first == "@":
            return self.owner(address[1:])
        if first == ":":
            return Handle.parse(address)
        if address.isascii() and address.isdigit():
            if len(address) > 10 or int(address) > 0xFFFFFFFF:
                raise BadAddress(f"{shown(address, 80)} is no handle")
            return int(address)
        if not address:
            raise BadAddress("an address may not be empty")
        return address
