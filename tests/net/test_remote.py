"""Networks of harbors keep the contract on each wire."""

from __future__ import annotations

# Not their names: a runner takes each class of tests that it finds in a module.
from . import remote_contract as contract
from .modern import ModernWorld
from .world2013 import World2013


class ModernTests(contract.RemoteContract, ModernWorld):
    """Current nodes."""


class ModernRoughNetworkTests(contract.RoughNetworkContract, ModernWorld):
    """Current nodes on a rough network."""


class Of2013Tests(contract.RemoteContract, World2013):
    """Nodes of 2013."""


class Of2013RoughNetworkTests(contract.RoughNetworkContract, World2013):
    """Nodes of 2013 on a rough network."""
