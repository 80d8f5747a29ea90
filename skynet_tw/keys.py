# -*- test-case-name: tests.test_keys -*-
"""Whether a dict may be made of keys that a stranger chose.

Python hashes strings with a secret, but numbers without one.  Who knows how a dict
looks for a free slot can send numbers of which each meets all that came before it:
600 kB of them take seconds.  A number has no other hash, so the only remedy is not to
make such a dict.  What is here goes through CPython's way to place keys without a dict,
and jumps where a dict would go step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Compiled, a machine word; else, as annotations do nothing, an int like any other.
    from mypy_extensions import i64

#: So many keys of one table do no harm, whatever they are.
FREE_KEYS = 1024

#: The most steps for each key on the way that all keys share.  Numbers at a regular
#: distance, the worst that are not meant to be, take up to 220.
_MOST_STEPS = 256

#: Keys that meet another of their own hash, or themselves.  Of numbers that people use
#: next to none do: it takes two of 61 bits and more.
_MOST_TWINS = 64

#: From here on steps are remembered, to be jumped over.
_SINGLE_STEPS = 4


def check_keys(keys: list[Any]) -> None:
    """Refuse keys that a dict would take the square of their number to hold.

    They are tried in a dict of each size that it has as they come in, and also of the
    next one if few more would make it grow.  The dict must get them in this order, and
    no string before a number: with that it would change its size.

    :raises ValueError: the keys are far more in each other's way than any that were not
        chosen for it, or too many of them have the same hash.
    """
    hashes = list(map(hash, keys))
    count = len(hashes)
    size = 2 * FREE_KEYS
    # What so few can do at worst is little beside the work for all of them.
    while (2 * size // 3) ** 2 < FREE_KEYS * count:
        size *= 2
    room = 0
    while room < count + count // 16 + 2:
        room = 2 * size // 3
        _place(hashes[:room], size)
        size *= 2


def _place(hashes: list[Any], size: int) -> None:
    """Find the slots of keys in a dict of *size* slots, a power of two.

    :raises ValueError: as of `check_keys`.
    """
    slots: list[Any] = [None] * size
    mask: i64 = size - 1
    spare: i64 = _MOST_STEPS * len(hashes)
    jumps: _Jumps | None = None
    twins: i64 = 0
    for hashed in hashes:
        code: i64 = hashed
        place: i64 = code & mask
        taken = slots[place]
        if taken is not None:
            # A dict takes the hash as a number without a sign, 64 bits wide.
            bits: i64 = (code >> 5) & 0x7FFFFFFFFFFFFFF
            steps = 0
            while taken is not None:
                if taken == hashed:
                    twins += 1
                if steps == _SINGLE_STEPS:
                    if jumps is None:
                        jumps = _Jumps(slots, mask)
                    # A jump looks at nobody, so a twin could pass unseen.
                    if jumps.seen(hashed):
                        twins += 1
                    place, length = jumps.leap(place)
                    spare -= length
                    break
                place = (5 * place + bits + 1) & mask
                taken = slots[place]
                if bits:
                    bits >>= 5
                else:
                    # All its bits are used up: who meets here goes on together.
                    steps += 1
            if twins > _MOST_TWINS:
                raise ValueError("too many keys with one hash, or there twice")
            if spare < 0:
                raise ValueError("keys that were chosen to collide")
        slots[place] = hashed


class _Jumps:
    """Jumps along the way that all keys share, over the slots that are taken."""

    def __init__(self, slots: list[Any], mask: int) -> None:
        self._slots = slots
        self._mask = mask
        #: Of each slot: how far a jump from here goes, if there is one, and where to.
        self._lengths = [0] * len(slots)
        self._ends = [0] * len(slots)
        # As text: numbers in a set are as good a target as in a dict.
        self._hashes: set[str] = set()

    def seen(self, hashed: int) -> bool:
        """Tell if one with this hash was here before."""
        name = str(hashed)
        if name in self._hashes:
            return True
        self._hashes.add(name)
        return False

    def leap(self, place: int) -> tuple[int, int]:
        """Find the first free slot from a taken one on, and how many steps it takes."""
        way: list[int] = []
        while self._slots[place] is not None:
            way.append(place)
            if self._lengths[place]:
                place = self._ends[place]
            else:
                place = (5 * place + 1) & self._mask
        length = 0
        for at in reversed(way):
            length += self._lengths[at] or 1
            self._lengths[at] = length
            self._ends[at] = place
        return place, length
