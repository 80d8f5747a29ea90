"""Order: what one sender sends one receiver arrives in order, and at most once."""

from __future__ import annotations

from random import Random
from typing import Any

from skynet_tw.errors import SkynetError
from skynet_tw.handle import Handle
from skynet_tw.node.actor import Actor, command
from skynet_tw.node.limits import Limits

from .support import NodeTestCase

FAR = Handle(0x0200000A)


class Noting(Actor):
    """Notes what it gets; starts after a while."""

    async def started(self) -> None:
        self.got: list[int] = []
        await self.sleep(1)

    @command
    def NOTE(self, n: int) -> None:
        self.got.append(n)


class OrderTests(NodeTestCase):
    """Random histories of the way between two actors."""

    def outwards(self, seed: int) -> None:
        random = Random(seed)
        one = self.world(ready=False, limits=Limits(messages=10))
        remote, client = one.remote, one.node.client()
        known = up = busy = False
        taken: list[int] = []
        for n in range(200):
            dest: int | str = FAR if known and random.randrange(2) else "BANK"
            try:
                if random.randrange(2):
                    client.send(dest, n)
                else:
                    called = client.call(dest, n, timeout=random.choice([1, 5]))
                    called.addErrback(lambda _: None)
                    if called.called:
                        continue
                taken.append(n)
            except SkynetError:
                pass
            event = random.randrange(14)
            if event == 0:
                known = True
                remote.known("BANK", FAR)
            elif event in (1, 2):
                if not up:
                    remote.up(2, room=random.choice([None, 1, 3]))
                    up = True
                elif busy:
                    remote.free(2, room=random.choice([None, 1, 3]))
                busy = False
            elif event == 3 and up:
                remote.busy(2)
                busy = True
            elif event == 4 and up:
                remote.lost(2)
                up = busy = False
            elif event == 5 and not up:
                remote.receiver.peer_expected(2)
            elif event == 6:
                one.turn(random.choice([0.1, 1, 2]))
            elif event == 7 and n > 100:
                one.open_gate()
        remote.known("BANK", FAR)
        remote.up(2)
        written = [sent.values[0] for sent in remote.take()]
        self.assertEqual(written, sorted(set(written)), f"seed {seed}")
        self.assertEqual(set(written) - set(taken), set(), f"seed {seed}")
        one.open_gate()
        one.settle()

    def test_outwards(self) -> None:
        """Through look-up, connecting, full transports, losses: in order, once."""
        for seed in range(150):
            self.outwards(seed)

    def inwards(self, seed: int) -> None:
        random = Random(seed)
        one = self.world(ready=False)
        one.remote.up(2)
        events: list[Any] = [one.open_gate, lambda: one.node.spawn(Noting), one.settle]
        sent = 0
        while events or sent < 100:
            frames = []
            for _ in range(random.randrange(4)):
                frames.append(one.remote.frame(1, "NOTE", sent))
                sent += 1
            one.remote.receiver.frames_received(2, frames)
            if events and not random.randrange(4):
                # The gate opens and the actor starts in any order; then it settles.
                events.pop(random.randrange(max(len(events) - 1, 1)))()
            one.turn(random.choice([0, 0.1]))
        one.turn(2)
        self.assertEqual(one.actor(0x01000001).got, list(range(sent)), f"seed {seed}")

    def test_inwards(self) -> None:
        """Through the boot's gate and the actor's own: in order, once, none lost."""
        for seed in range(150):
            self.inwards(seed)
