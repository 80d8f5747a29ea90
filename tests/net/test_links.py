"""The links of each layer keep the contract: harbors on each wire, and the cluster."""

from __future__ import annotations

# Not their names: a runner takes each class of tests that it finds in a module.
from . import link_contract as contract
from .clusterworld import ClusterWorld
from .modern import ModernWorld
from .world2013 import World2013


class ModernTests(contract.LinkContract, ModernWorld):
    """Current harbors."""


class ModernRoughNetworkTests(contract.RoughNetworkContract, ModernWorld):
    """Current harbors on a rough network."""


class ModernImpatientTests(contract.ImpatientContract, ModernWorld):
    """Current harbors that have little time."""


class Of2013Tests(contract.LinkContract, World2013):
    """Harbors of 2013."""


class Of2013RoughNetworkTests(contract.RoughNetworkContract, World2013):
    """Harbors of 2013 on a rough network."""


class Of2013ImpatientTests(contract.ImpatientContract, World2013):
    """Harbors of 2013 that have little time."""


class ClusterTests(contract.LinkContract, ClusterWorld):
    """Nodes of a cluster."""


class ClusterRoughNetworkTests(contract.RoughNetworkContract, ClusterWorld):
    """Nodes of a cluster on a rough network."""


class ClusterImpatientTests(contract.ImpatientContract, ClusterWorld):
    """Nodes of a cluster that have little time."""
