"""What tests of actors use: whole nodes on a network in memory that a clock drives."""

from .network import MemoryNetwork
from .nodes import MemoryMaster, MemoryNodes

__all__ = ["MemoryMaster", "MemoryNetwork", "MemoryNodes"]
