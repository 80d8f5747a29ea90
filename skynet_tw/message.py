"""The kinds of messages, and the numbers that bound them."""

from __future__ import annotations

from enum import IntEnum

#: The largest session; bit 31 is not used (harbor-modern, section 5).
MAX_SESSION = 0x7FFFFFFF


class PType(IntEnum):
    """Skynet's message types, as they stand in the top byte of a destination."""

    TEXT = 0
    RESPONSE = 1
    MULTICAST = 2
    CLIENT = 3
    SYSTEM = 4
    HARBOR = 5
    SOCKET = 6
    ERROR = 7
    QUEUE = 8
    DEBUG = 9
    LUA = 10
    SNAX = 11
    TRACE = 12


#: Types whose payload is Skynet values; the payload of all others is raw bytes.
PACKED_TYPES = frozenset({PType.LUA, PType.SNAX, PType.DEBUG})

#: Types that real nodes use inside a node only; from a peer they are refused.
LOCAL_TYPES = frozenset({PType.SYSTEM, PType.HARBOR, PType.SOCKET, PType.MULTICAST})
