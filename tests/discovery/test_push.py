"""Node tables that are sent to Lua nodes, here played by an actor of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from skynet_tw import Actor, Start, command
from skynet_tw.discovery.push import EVERY, TablePusher
from skynet_tw.discovery.table import TableDirectory
from skynet_tw.service import NodeService
from skynet_tw.testing import MemoryNetwork, MemoryNodes

LUA = "lua:7000"

#: What the pushing node knows at first.
FIRST = {"lua": LUA, "db": "db:7000"}


class Reloader(Actor):
    """Takes node tables, as a service of a Lua node does that reloads."""

    async def started(self) -> None:
        self.tables: list[dict[str, Any]] = []
        self.error = ""
        await self.cluster.register("nodes")

    @command
    def RELOAD(self, table: dict[str, Any]) -> None:
        self.tables.append(table)
        if self.error:
            raise ValueError(self.error)


class PushTests(TestCase):
    """A node with a directory, and one that is told of it."""

    @contextmanager
    def nodes(self, *actors: type[Actor], **options: Any) -> Iterator[MemoryNodes]:
        """Both run.

        :param actors: those of the node that is told.
        """
        observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        nodes = self.all = MemoryNodes(MemoryNetwork(Clock()))
        self.lua = self.start_lua(*actors)
        self.directory = TableDirectory(FIRST)
        self.service = nodes.start(
            0,
            actors=[Start(TablePusher, ("lua", "@nodes"))],
            cluster_directory=self.directory,
            **options,
        )
        nodes.ready()
        nodes.run(0.1)
        yield nodes
        nodes.stop()
        self.assertEqual(nodes.clock.getDelayedCalls(), [])
        self.lines = [
            (event["log_level"], formatEvent(event))
            for event in observer
            if event["log_namespace"] == "skynet_tw.discovery.push.TablePusher"
        ]

    def start_lua(self, *actors: type[Actor]) -> NodeService:
        return self.all.start(0, actors=actors, cluster_listen=[LUA])

    @property
    def tables(self) -> list[dict[str, Any]]:
        """The tables that the node was sent."""
        return self.all.actor(self.lua, Reloader).tables

    def test_changes(self) -> None:
        """Each change is sent at once: addresses, and false for what is gone."""
        with self.nodes(Reloader) as nodes:
            self.assertEqual(self.tables, [FIRST])
            self.directory.update({"lua": LUA, "web": "web:7000", "x": "unix:/run/x"})
            nodes.run(0.1)
            moved = {"lua": LUA, "web": "web:7000", "db": False}
            # A Lua node cannot dial endpoint strings.
            self.assertEqual(self.tables[1:], [moved])
            self.directory.update({"lua": LUA, "web": "unix:/run/web"})
            nodes.run(0.1)
            self.assertEqual(self.tables[2:], [{"lua": LUA, "web": False}])

    def test_again(self) -> None:
        """The same table is sent again, as a node that was started again needs it."""
        with self.nodes(Reloader) as nodes:
            self.directory.update({"lua": LUA})
            nodes.run(0.1)
            nodes.stop(self.lua)
            self.lua = self.start_lua(Reloader)
            nodes.run(EVERY + 5)
            self.assertGreaterEqual(len(self.tables), 1)
            self.assertEqual(self.tables[0], {"lua": LUA})
        info = LogLevel.info
        self.assertEqual(
            self.lines,
            [
                (info, "lua@nodes knows where 2 nodes are"),
                (info, "lua@nodes knows where 1 nodes are"),
            ],
        )

    def test_no_service(self) -> None:
        """A node that has no such service is named once; later it gets the table."""
        with self.nodes() as nodes:
            nodes.run(3 * EVERY)
            nodes.stop(self.lua)
            self.lua = self.start_lua(Reloader)
            nodes.run(EVERY + 5)
            self.assertEqual(self.tables[0], FIRST)
        (level, line), *rest = self.lines
        self.assertIs(level, LogLevel.warn)
        self.assertRegex(
            line,
            r"^lua@nodes does not take the node table: .+"
            r" \(a service there has to do cluster\.reload\); trying again$",
        )
        known = (LogLevel.info, "lua@nodes knows where 2 nodes are")
        self.assertEqual(rest, [known])

    def test_may_have_run(self) -> None:
        """What a push that failed may have told is false when it is gone."""
        with self.nodes(Reloader) as nodes:
            actor = nodes.actor(self.lua, Reloader)
            actor.error = "no"
            self.directory.update({**FIRST, "web": "web:7000"})
            nodes.run(0.1)
            self.directory.update(FIRST)
            nodes.run(0.1)
            self.assertEqual(self.tables[-1], {**FIRST, "web": False})
            actor.error = ""
            nodes.run(EVERY + 1)
            self.assertEqual(self.tables[-1], {**FIRST, "web": False})
            nodes.run(EVERY + 1)
            self.assertEqual(self.tables[-1], FIRST)
            self.flushLoggedErrors(ValueError)

    def test_absent(self) -> None:
        """A node that is away gets the table when it is there, waited for or not."""
        for absent in ("wait", "fail"):
            with self.nodes(Reloader, cluster_absent=absent) as nodes:
                nodes.stop(self.lua)
                self.directory.update({"lua": LUA})
                nodes.run(60)
                self.lua = self.start_lua(Reloader)
                nodes.run(EVERY + 10)
                self.assertEqual(self.tables[0], {"lua": LUA, "db": False})
            warnings = [line for level, line in self.lines if level is LogLevel.warn]
            self.assertEqual(len(warnings), 1, self.lines)
            self.assertIn("lua@nodes does not take the node table: ", warnings[0])
