"""Keys that were chosen to make a dict slow are refused, and no others."""

from __future__ import annotations

import random
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import keys, seri
from skynet_tw.errors import UnpackError
from skynet_tw.keys import FREE_KEYS, check_keys
from skynet_tw.seri import LightUserdata

#: Slots of a dict, as a power of two, that is filled by an attack.
BITS = 14

#: Numbers that are near what has a meaning to a dict.
ODD = st.builds(
    lambda base, n: max(min(base + n, 2**63 - 1), -(2**63)),
    st.sampled_from([0, 2**61 - 1, 1 - 2**61, 2**62, 2**63 - 1, -(2**63)]),
    st.integers(-50, 50),
)


def way(code: int, taken: set[int], mask: int) -> list[int]:
    """The slots that CPython looks at to place a hash in a dict of mask + 1 slots."""
    place = code & mask
    perturb = code & (2**64 - 1)
    seen = [place]
    while place in taken:
        perturb >>= 5
        place = (5 * place + perturb + 1) & mask
        seen.append(place)
    return seen


def steps(hashes: list[int], bits: int) -> int:
    """How many slots are looked at to place hashes in a dict of 2**bits slots."""
    mask = (1 << bits) - 1
    taken: set[int] = set()
    count = 0
    for code in hashes:
        seen = way(code, taken, mask)
        taken.add(seen[-1])
        count += len(seen)
    return count


def attack(bits: int = BITS) -> list[int]:
    """Numbers of which many meet hundreds that came before, in a dict of 2**bits."""
    mask = (1 << bits) - 1
    keys: list[int] = []
    place = 0
    for _ in range(int(0.55 * mask)):
        # The way that all take whose own bits are used up; each first in its slot.
        keys.append(place or 1 << bits)
        place = (5 * place + 1) & mask
    taken = {key & mask for key in keys}
    walkers: list[int] = []
    n = 0
    while len(walkers) < 0.1 * mask:
        n += 1
        seen = way(n << 45, taken, mask)
        if len(seen) > 2000:
            walkers.append(n << 45)
            taken.add(seen[-1])
    return keys + walkers


def honest(count: int) -> dict[str, list[Any]]:
    """Keys that people use."""
    chance = random.Random(7)
    return {
        "from 1": [2 * n for n in range(count)],
        "negative": [-n for n in range(1, count)],
        "times": [1_700_000_000_000 + 50 * n for n in range(count)],
        "handles": [0x01000000 + n for n in range(count)],
        "stride 65536": [n << 16 for n in range(count)],
        "stride 2**32": [n << 32 for n in range(count)],
        "stride 2**45": [n << 45 for n in range(min(count, 2**17))],
        "random": [chance.getrandbits(63) for _ in range(count)],
        "floats": [chance.random() for _ in range(count)],
        "halves": [n + 0.5 for n in range(count)],
        "pointers": [LightUserdata(n * 64) for n in range(count)],
    }


class KeyTests(SynchronousTestCase):
    """Tables from a stranger."""

    def test_attack(self) -> None:
        """It costs hundreds of steps a key, and is refused on both wires."""
        chosen = attack()
        self.assertGreater(steps(chosen, BITS), 25 * len(chosen))
        for wire_2013 in (False, True):
            packed = self.packed(chosen, wire_2013)
            with self.assertRaises(UnpackError) as caught:
                seri.unpack(packed, wire_2013=wire_2013)
            self.assertIn("collide", str(caught.exception))

    def packed(self, keys: list[int], wire_2013: bool) -> bytes:
        """A table with these keys in this order, as a stranger writes it."""
        pairs: list[Any] = []
        for key in keys:
            pairs += (key, True)
        return b"\x06" + seri.pack_values(pairs, wire_2013=wire_2013) + b"\x00"

    def test_same_hash(self) -> None:
        """Numbers of one hash, in pairs and more, are refused in a large table."""
        prime = 2**61 - 1
        keys = [n + k * prime for n in range(1000) for k in range(-3, 4)]
        self.assertRaises(UnpackError, seri.unpack, self.packed(keys, False))

    def test_hidden_twins(self) -> None:
        """A key that is there twice is seen, also where its first is jumped over.

        Else the twins, which a dict does not keep, would hide how full it gets.
        """
        mask = 2**BITS - 1
        hashes: list[int] = []
        place = 1
        for _ in range(6000):
            hashes.append(place)
            place = (5 * place + 1) & mask
        taken = set(hashes)
        late: list[int] = []
        n = 0
        while len(late) < 100:
            n += 1
            seen = way(n << 45, taken, mask)
            # The last seven have no bits left, so they are beyond the single steps.
            if seen[-7:-1] == [(5 * p + 1) & mask for p in seen[-8:-2]]:
                late.append(n << 45)
                taken.add(seen[-1])
        keys._place(hashes + late, mask + 1)
        self.assertRaises(ValueError, keys._place, hashes + late + late, mask + 1)

    @given(st.sets(st.integers(0, 255)), st.lists(st.integers(0, 255), max_size=60))
    def test_jumps(self, taken: set[int], starts: list[int]) -> None:
        """A jump ends where single steps would, and knows how many those are."""
        slots = [0 if place in taken else None for place in range(256)]
        slots[77] = None
        jumps = keys._Jumps(slots, 255)
        for start in starts:
            end, length = start, 0
            while slots[end] is not None:
                end = (5 * end + 1) & 255
                length += 1
            if length:
                self.assertEqual(jumps.leap(start), (end, length))
                # As in use, it stays where it came to; but one place is left.
                if end != 77:
                    slots[end] = 0

    def test_plan(self) -> None:
        """Dicts of numbers grow when and as far as it is assumed here."""
        sizes = []
        table: dict[int, None] = {}
        for n in range(12_000):
            table[n * 3] = None
            sizes.append(sys.getsizeof(table))
        grown = [n for n in range(1, len(sizes)) if sizes[n] > sizes[n - 1]]
        rooms = [2 * 2**bits // 3 for bits in range(3, 15)]
        self.assertEqual(grown, rooms)

    def test_honest(self) -> None:
        """Keys that people use pass, in tables of any size, and come as they were."""
        for count in (FREE_KEYS - 1, FREE_KEYS + 1, 5000, 40_000):
            for name, used in honest(count).items():
                table = dict.fromkeys(used, 1)
                [got] = seri.unpack(seri.pack(table))
                if isinstance(got, list):
                    got = dict(enumerate(got, 1))
                self.assertEqual(got, table, (name, count))

    @given(st.lists(ODD, max_size=40), st.integers(0, 60), st.integers(0, 2**63))
    def test_any(self, odd: list[int], shift: int, start: int) -> None:
        """Rows of numbers, with odd ones among them, are honest."""
        row = [((start + n) << shift) % 2**63 for n in range(FREE_KEYS + 1)]
        check_keys(list(dict.fromkeys([*row, *odd])))
