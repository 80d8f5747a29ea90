"""The layers by which nodes reach each other: one row for each."""

from __future__ import annotations

from dataclasses import dataclass

from .nodes import Network
from .ours import Ours, OursCluster
from .real import Real, RealCluster


@dataclass(frozen=True)
class Layer:
    """The networks of a layer, and how their first node's echo is named and called."""

    ours: type[Network]
    real: type[Network]
    #: The name under which ``echo`` is found.
    name: str
    #: What ``loadgen`` calls, in another node.
    dest: str


LAYERS = {
    "harbor": Layer(Ours, Real, "ECHO", "ECHO"),
    "cluster": Layer(OursCluster, RealCluster, "@ECHO", "server@ECHO"),
}
