"""A node in a program of any kind: `make_node`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Application, IService
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from skynet_tw import Actor, BootFailed, NotReady, Start, command, make_node
from skynet_tw.config import check
from skynet_tw.discovery.table import TableDirectory
from skynet_tw.interfaces import Addresses
from skynet_tw.net.wires import WIRES
from skynet_tw.service import NodeService
from skynet_tw.testing import MemoryNetwork, MemoryNodes

ALONE = {"harbor": 0}
LOOPBACK = {"standalone": "127.0.0.1:0", "address": "127.0.0.1:0"}


class Echo(Actor):
    """Answers with what it is told, and with what it was started with."""

    async def started(self, *args: Any) -> None:
        self.args = args
        for name in args:
            await self.register(name)

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return (*self.args, *values)


class Slow(Actor):
    """Does not start."""

    async def started(self, *args: Any) -> None:
        await Deferred()


class Broken(Actor):
    """Fails to start."""

    async def started(self, *args: Any) -> None:
        raise ValueError("no gold")


class Published(TableDirectory):
    """Notes what it is told to publish."""

    publishes = True

    def start(
        self, changed: Callable[[Addresses], object], own: Mapping[str, str]
    ) -> Deferred[None]:
        self.own = own
        return super().start(changed, own)


class ConfigTests(SynchronousTestCase):
    """What it takes."""

    def refused(self, config: Any, **rest: Any) -> str:
        """The one line with which a configuration is refused."""
        with self.assertRaises(BootFailed) as caught:
            make_node(config, reactor=MemoryReactorClock(), **rest)
        line = str(caught.exception)
        self.assertTrue(line.isprintable(), line)
        return line

    def test_wrong(self) -> None:
        """What is wrong is refused in one line: which key, which value, why."""
        cases: list[tuple[dict[Any, Any], str]] = [
            ({"wire": "2012"}, "config['wire'] '2012' is not one of: modern, 2013"),
            ({"harbor": 256}, "config['harbor'] 256 is not in 0..255"),
            ({"harbour": 1}, "config there is no option 'harbour'; the nearest is"),
            ({1: 2}, "config there is no option 1; there are"),
            ({"master": "x"}, "config['master']: 'x' is neither HOST:PORT"),
            ({"call-timeout": "soon"}, "config['call_timeout'] 'soon' is not a number"),
            ({"call-timeout": 1, "call_timeout": 2}, "are one key, given twice"),
            ({"path": "."}, "config['path']: the import path is the program's own"),
            ({"start": ["none"]}, "config['start'] 'none': 'pkg.module:Class'"),
            ({"start": ["no.such:Class"]}, "ModuleNotFoundError"),
            ({"listen": "tcp:x"}, "config['listen']: 'tcp:x': no endpoint to listen"),
        ]
        for config, reason in cases:
            self.assertIn(reason, self.refused(config))

    def test_cluster(self) -> None:
        """What is wrong with a cluster is refused in one line as well."""
        listen = {"cluster_listen": ["127.0.0.1:0"]}
        publishes = "it is for a directory that publishes nodes: --cluster-directory"
        cases: list[tuple[dict[str, Any], str]] = [
            (
                {"cluster_listen": ["tcp:x"]},
                "config['cluster_listen']: 'tcp:x': no endpoint to listen on",
            ),
            (
                {"cluster_nodes": "/no/such.toml"},
                "config['cluster_nodes'] /no/such.toml: No such file or directory",
            ),
            (
                {"cluster_nodes": {"db": 7}},
                "config['cluster_nodes']: node 'db': 7 is no HOST:PORT and not False",
            ),
            (
                {"cluster_directory": "zookeeper:z"},
                "config['cluster_directory'] 'zookeeper:z' is not one of: etcd:URL,",
            ),
            ({"cluster_name": "db", **listen}, f"'db': {publishes} etcd:URL"),
            (
                {"cluster_name": "db", "cluster_directory": "dns:a", **listen},
                f"config['cluster_name'] 'db': {publishes} etcd:URL",
            ),
            (
                {"cluster_name": "db", "cluster_directory": TableDirectory()},
                "config['cluster_name'] 'db': it has no port that others can dial",
            ),
        ]
        for config, reason in cases:
            self.assertIn(reason, self.refused({**ALONE, **config}))

    def test_directory(self) -> None:
        """A program may give a directory itself, which publishes what can be dialed."""
        for listen, told, published in (
            ("db:7000", None, "db:7000"),
            ("db:7000", "10.0.0.1:0", "10.0.0.1:7000"),
            ("db:0", None, "db:{}"),
            ("db:0", "10.0.0.1:0", "10.0.0.1:{}"),
        ):
            nodes = MemoryNodes()
            directory = Published({"web": "web:7000"})
            service = nodes.start(
                0,
                cluster_listen=[listen],
                cluster_directory=directory,
                cluster_name="db",
                cluster_address=told,
            )
            nodes.ready()
            self.assertEqual(service.cluster.nodes(), {"web": "web:7000"})
            _, _, port = service.cluster.addresses()[0].partition(":")
            self.assertNotEqual(port, "0")
            self.assertEqual(directory.own, {"db": published.format(port)})
            nodes.stop()

    def test_checked(self) -> None:
        """A configuration that is checked already is taken as it is."""
        checked = check({"harbor": 7, "master": "10.0.0.1:2013", "call_timeout": 5})
        service = make_node(checked, reactor=MemoryReactorClock())
        self.assertEqual(service.node.harbor, 7)
        self.assertEqual(service.node.call_timeout, 5.0)
        self.assertIn("--path: the import path", self.refused(check({"path": "."})))

    def test_actors(self) -> None:
        """Classes and starts are taken, after those that the configuration names."""
        config = {**ALONE, "start": [f"{__name__}:Echo one"]}
        service = make_node(
            config, reactor=Clock(), actors=[Echo, Start(Echo, ("two",))]
        )
        service.startService()
        self.successResultOf(service.when_ready())
        actors: list[Any] = [cell.actor for cell in service.node.actors()]
        started = [actor.args for actor in actors]
        self.assertEqual(started, [("one",), (), ("two",)])
        self.successResultOf(service.stopService())

    def test_no_actors(self) -> None:
        """What is no actor is refused before anything starts."""
        kind: Any = int
        for wrong in (3, Echo(), object, Start(kind)):
            actors: list[Any] = [Echo, wrong]
            with self.assertRaises(TypeError):
                make_node(ALONE, reactor=Clock(), actors=actors)

    def test_in_order(self) -> None:
        """Configuration, reactor or clock, and actors may be given in that order."""
        clock = Clock()
        service = make_node(ALONE, clock, [Echo])
        service.startService()
        self.successResultOf(service.when_ready())
        self.assertEqual([it.kind for it in service.node.status().actors], ["Echo"])
        self.successResultOf(service.stopService())

    def test_no_reactor(self) -> None:
        """Without a reactor, or with something else, the error says so."""
        for wrong in (None, object(), [Echo]):
            with self.assertRaises(TypeError) as caught:
                make_node(ALONE, wrong)  # type: ignore[arg-type]
            self.assertIn("a reactor, or a clock, is wanted", str(caught.exception))

    def test_no_sockets(self) -> None:
        """A clock is enough where endpoints are given, or none are needed."""
        with self.assertRaises(TypeError) as caught:
            make_node(reactor=Clock())
        self.assertIn("no sockets: give a server and a client", str(caught.exception))
        network = MemoryNetwork(Clock())
        make_node(reactor=Clock(), server=network.server, client=network.client)
        make_node(ALONE, reactor=Clock())

    def test_wires(self) -> None:
        """Each wire makes whole networks."""
        for wire in WIRES:
            nodes = MemoryNodes()
            nodes.start(1, standalone=True, actors=[Start(Echo, ("E",))], wire=wire)
            client = nodes.start(2, wire=wire).node.client()
            self.assertEqual(nodes.result(client.call("E", "ECHO", 1)), ("E", 1))
            nodes.stop()
            self.assertEqual(nodes.clock.getDelayedCalls(), [])


class LifeTests(TestCase):
    """How it starts and stops."""

    def make(self, *actors: Any, **config: Any) -> NodeService:
        """A node without a harbor, on a clock."""
        self.clock = Clock()
        self.failures: list[BootFailed] = []
        return make_node({**ALONE, **config}, reactor=self.clock, actors=actors)

    def test_service(self) -> None:
        """It is an `IService`, and one of an application's like any other."""
        service = self.make(Echo)
        verifyObject(IService, service)
        application = Application("a program")
        service.setServiceParent(application)
        parent = IService(application)
        parent.privilegedStartService()
        parent.startService()
        self.successResultOf(service.when_ready())
        self.successResultOf(parent.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_when_running(self) -> None:
        """On a reactor that does not run yet the ports are bound, and no more."""
        reactor = MemoryReactorClock()
        service = make_node(reactor=reactor, actors=[Echo])
        service.startService()
        self.assertEqual(len(reactor.tcpServers), 2)
        self.assertEqual(reactor.tcpClients, [])
        reactor.run()
        self.assertEqual(len(reactor.tcpClients), 1)
        service.stopService()

    def test_boot_fails(self) -> None:
        """Whoever waits is told; by default one line in the log says it as well."""
        observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        service = self.make(Slow, boot_timeout=5)
        waiting = service.when_ready()
        service.startService()
        self.clock.advance(5)
        error = self.failureResultOf(waiting, BootFailed).value
        self.assertIn("boot failed at stage actors", str(error))
        self.failureResultOf(service.when_ready(), BootFailed)
        lines = [formatEvent(event) for event in observer]
        self.assertEqual(lines.count(str(error)), 1)
        self.successResultOf(service.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_on_failure(self) -> None:
        """Who asks for it is told of the failure, once, in place of the log."""
        observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        failures: list[BootFailed] = []
        service = make_node(
            ALONE, reactor=Clock(), actors=[Broken], on_failure=failures.append
        )
        service.startService()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        [error] = failures
        self.assertIn("Broken did not start: ValueError: no gold", str(error))
        self.assertNotIn(str(error), [formatEvent(event) for event in observer])
        self.successResultOf(service.stopService())
        self.assertEqual(len(failures), 1)

    def test_stop_before_start(self) -> None:
        """One that never started can be stopped; who waits for it is told."""
        service = self.make(Echo)
        waiting = service.when_ready()
        self.successResultOf(service.stopService())
        self.failureResultOf(waiting, NotReady)
        self.assertStartsOnce(service)

    def assertStartsOnce(self, service: NodeService) -> None:
        for start in (service.startService, service.privilegedStartService):
            with self.assertRaises(BootFailed) as caught:
                start()
            self.assertIn("a node starts once", str(caught.exception))

    def test_starts_once(self) -> None:
        """To start again is an error that says so, while it runs and after its end."""
        service = self.make(Echo)
        service.startService()
        self.assertStartsOnce(service)
        self.successResultOf(service.when_ready())
        self.successResultOf(service.stopService())
        self.assertStartsOnce(service)
        self.successResultOf(service.stopService())

    def test_port_in_use(self) -> None:
        """A start that raises leaves no port, and cannot be repeated."""
        nodes = MemoryNodes()
        nodes.start(1, standalone=True)
        network = nodes.network
        service = make_node(
            {"harbor": 2, "standalone": "other:1", "address": nodes.address(1)},
            reactor=nodes.clock,
            server=network.server,
            client=network.client,
        )
        with self.assertRaises(BootFailed) as caught:
            service.startService()
        self.assertIn("harbor 2 cannot listen on", str(caught.exception))
        self.assertFalse(service.running)
        self.assertStartsOnce(service)
        self.failureResultOf(service.when_ready(), BootFailed)
        nodes.result(network.server("other:1").listen(Factory()))
        nodes.result(service.stopService())
        nodes.stop()
        self.assertEqual(nodes.clock.getDelayedCalls(), [])
