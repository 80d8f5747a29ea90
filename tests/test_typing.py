"""A user's file of actors passes the strictest type checks."""

from __future__ import annotations

from pathlib import Path

from mypy import api
from twisted.trial.unittest import SynchronousTestCase

SOURCE = """
from typing import Any

from twisted.internet.defer import Deferred

from skynet_tw import Actor, Handle, command


class Region(Actor):
    async def started(self, region: str, size: int = 3) -> None:
        self.region = region
        await self.register(region)

    @command
    def NAME(self) -> str:
        return self.region

    @command(name="ASK")
    async def ask(self, dest: Handle) -> Any:
        answer: Deferred[Any] = self.call(dest, "NAME", timeout=2.0)
        self.fork(self.later())
        return await answer

    async def later(self) -> None:
        await self.sleep(1.0)

    async def stopped(self) -> None:
        await self.call("STORE", "SAVE", self.region)


class Plain(Region):
    async def started(self, region: str, size: int = 4) -> None:
        await super().started(region, size)


class Sync(Actor):
    def started(self, region: str) -> None:
        pass

    def stopped(self) -> None:
        pass
"""


class TypingTests(SynchronousTestCase):
    """What `Actor` promises to a type checker."""

    def test_strict(self) -> None:
        """mypy --strict finds nothing in handlers, starts and ends of their own."""
        file = Path(self.mktemp())
        file.write_text(SOURCE)
        out, err, status = api.run(
            ["--strict", "--no-incremental", "--config-file=", str(file)]
        )
        self.assertEqual((status, err), (0, ""), out)
