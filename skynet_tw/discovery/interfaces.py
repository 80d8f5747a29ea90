"""What a cluster asks of whatever knows where its nodes are."""

from ..interfaces import Addresses, INodeDirectory

__all__ = ["Addresses", "INodeDirectory"]
