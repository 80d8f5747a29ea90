"""Each wire's master keeps the contract."""

from __future__ import annotations

# Not their names: a runner takes each class of tests that it finds in a module.
from . import master_contract as contract
from .modern import ModernWorld
from .world2013 import World2013


class ModernTests(contract.MasterContract, ModernWorld):
    """The master of current nodes."""


class Of2013Tests(contract.MasterContract, World2013):
    """The master of 2013."""
