"""The command line and the TOML file."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from skynet_tw import config
from skynet_tw.node.actor import Actor
from skynet_tw.options import Config, Options
from skynet_tw.starts import load_start


class Started(Actor):
    """What `LoadTests` start."""

    class Inner(Actor):
        """Found by its dotted name."""


def _directory(test: SynchronousTestCase) -> Path:
    """A directory that is gone after the test."""
    directory = tempfile.TemporaryDirectory()
    test.addCleanup(directory.cleanup)
    return Path(directory.name)


class OptionsTestCase(SynchronousTestCase):
    """Parses command lines."""

    def parse(self, *args: str) -> Config:
        options = Options()
        options.parseOptions(list(args))
        return options.config

    def file(self, text: str | bytes) -> str:
        """A configuration file."""
        path = _directory(self) / "node.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def refused(self, *args: str) -> str:
        """The one line with which the program ends."""
        with self.assertRaises(SystemExit) as caught:
            self.parse(*args)
        line = str(caught.exception.code)
        self.assertNotIn("\n", line)
        self.assertTrue(line.startswith("skynet: "), line)
        return line


class CommandLineTests(OptionsTestCase):
    """Options on the command line."""

    def test_nothing(self) -> None:
        """Without options a node is a network of its own."""
        self.assertEqual(self.parse(), Config(standalone="127.0.0.1:2013"))

    def test_each(self) -> None:
        """Each option arrives."""
        config = self.parse(
            *("--harbor", "7"),
            *("--master", "master:1"),
            *("--standalone", "0.0.0.0:2"),
            *("--address", "me:3"),
            *("--listen", "[::]:4"),
            *("--wire", "modern"),
            *("--start", "a:A 1"),
            *("--start", "b:B"),
            *("--path", "somewhere"),
            *("--path", "else/where"),
            *("--boot-timeout", "5"),
            *("--call-timeout", "0.5"),
            *("--stop-grace", "1.5"),
        )
        expected = Config(
            harbor=7,
            master="master:1",
            standalone="0.0.0.0:2",
            address="me:3",
            listen="[::]:4",
            wire="modern",
            start=("a:A 1", "b:B"),
            path=("somewhere", "else/where"),
            boot_timeout=5.0,
            call_timeout=0.5,
            stop_grace=1.5,
        )
        self.assertEqual(config, expected)

    def test_wires(self) -> None:
        """A node speaks one of two harbor protocols, the current one by default."""
        self.assertEqual(self.parse().wire, "modern")
        for wire in ("modern", "2013"):
            self.assertEqual(self.parse("--wire", wire).wire, wire)
            file = self.file(f'wire = "{wire}"')
            self.assertEqual(self.parse("--config", file).wire, wire)
        # The year is a number as well.
        file = self.file("wire = 2013")
        self.assertEqual(self.parse("--config", file).wire, "2013")

    def test_master_only(self) -> None:
        """Who says where the master is runs none."""
        config = self.parse("--master", "master:1")
        self.assertEqual((config.master, config.standalone), ("master:1", None))

    def test_standalone_only(self) -> None:
        """Who runs the master finds it there."""
        config = self.parse("--standalone", "10.0.0.1:5")
        self.assertEqual(config.master, "10.0.0.1:5")

    def test_no_harbor(self) -> None:
        """A node without a harbor has no master."""
        self.assertIsNone(self.parse("--harbor", "0").standalone)

    def test_endpoints(self) -> None:
        """Endpoint strings are addresses, where nobody else has to dial them."""
        for option in ("--master", "--standalone", "--listen"):
            self.parse(option, "tcp:2013:interface=127.0.0.1")
        self.parse("--standalone", "tls:2013", "--master", "tls:here:2013")

    def test_told(self) -> None:
        """Others are told what they can dial: what is bound, unless it is said."""
        cases: dict[tuple[str, ...], str] = {
            (): "127.0.0.1:2526",
            ("--address", "host:0"): "host:0",
            ("--address", "host:00"): "host:0",
            ("--address", "[::1]:5"): "[::1]:5",
            # Where that is all interfaces, this machine is told.
            ("--listen", "10.0.0.1:5"): "10.0.0.1:5",
            ("--listen", "10.0.0.1:0"): "10.0.0.1:0",
            ("--listen", "[::1]:5"): "[::1]:5",
            ("--listen", "0.0.0.0:5"): "127.0.0.1:5",
            ("--listen", "[::]:5"): "127.0.0.1:5",
            ("--listen", ":0"): "127.0.0.1:0",
            ("--listen", "tcp:5"): "127.0.0.1:5",
            ("--listen", "tcp:0"): "127.0.0.1:0",
            ("--listen", "tcp:5:interface=10.0.0.1"): "10.0.0.1:5",
            ("--listen", r"tcp6:5:interface=\:\:1"): "[::1]:5",
            ("--listen", "systemd:domain=INET:index=0"): "127.0.0.1:0",
            # What the system chooses, others cannot be told otherwise.
            ("--listen", "0.0.0.0:0", "--address", "host:5"): "host:0",
            ("--listen", "tcp:0", "--address", "host:5"): "host:0",
            ("--listen", "0.0.0.0:7", "--address", "host:5"): "host:5",
            ("--listen", "unix:/a/b", "--address", "host:5"): "host:5",
            # A node without a harbor tells nobody.
            ("--harbor", "0", "--address", ":5"): ":5",
        }
        for wire in ("modern", "2013"):
            for args, told in cases.items():
                with self.subTest(args=args, wire=wire):
                    self.assertEqual(self.parse("--wire", wire, *args).address, told)

    def test_told_everywhere(self) -> None:
        """An address that means all interfaces is not told to others."""
        hosts = ["", "*", "0", "0.0", "0.0.0.0", "0x0", "[::]", "[0::0]"]
        for host in [*hosts, "[::ffff:0.0.0.0]", "[::%eth0]"]:
            for more in ((), ("--listen", "0.0.0.0:5"), ("--wire", "2013")):
                with self.subTest(host=host, more=more):
                    line = self.refused("--address", f"{host}:5", *more)
                    self.assertIn(f"--address '{host}:5': others are told", line)
                    self.assertIn("--listen", line)
            file = self.file(f"address = '{host}:5'")
            self.assertIn(f"{file}: address", self.refused("--config", file))
            self.assertEqual(self.parse("--standalone", f"{host}:5").harbor, 1)

    def test_refused(self) -> None:
        """A bad value ends the program with one line that names it."""
        cases = {
            ("--harbor", "256"): "256",
            ("--harbor", "-1"): "-1",
            ("--harbor", "one"): "one",
            ("--harbor", "1.5"): "1.5",
            ("--boot-timeout", "soon"): "soon",
            ("--boot-timeout", "-1"): "-1",
            ("--call-timeout", "inf"): "inf",
            ("--call-timeout", "nan"): "nan",
            ("--stop-grace", "-1"): "--stop-grace '-1'",
            ("--stop-grace", "inf"): "--stop-grace 'inf'",
            ("--wire", "2099"): "'2099' is not one of: modern, 2013",
            ("--master", "nowhere"): "--master",
            ("--master", ":1"): "--master ':1': nobody can dial all interfaces",
            ("--master", "0.0.0.0:1"): "nobody can dial all interfaces",
            ("--master", "host:0"): "nobody can dial port 0",
            ("--standalone", "ssl:1"): "say it with --master",
            ("--standalone", "tls:1"): "say it with --master",
            ("--listen", "unix:/a/b"): "no port for others to dial",
            ("--listen", "unix:/a/b", "--address", "a:0"): "no port for others",
            ("--address", "[host]:1"): "'host'",
            ("--address", "a b:1"): "neither HOST:PORT",
            ("--address", "a\udcff:1"): "a\\udcff",
            ("--address", "a:" + "1" * 5000): "neither HOST:PORT",
            ("--harbor", "1" * 5000): "--harbor",
            ("--wire", "\n"): "--wire",
            ("--standalone", "x:y"): "--standalone",
            ("--address", "host:65536"): "65536",
            ("--address", "tcp:2526"): "--address",
            ("--listen", ""): "--listen",
            ("--config", "/no/such/file"): "/no/such/file",
            ("--no-such-option",): "no-such-option",
            ("--harbor",): "harbor",
            ("argument",): "argument",
        }
        for args, named in cases.items():
            with self.subTest(args=args):
                self.assertIn(named, self.refused(*args))

    def test_standalone_without_harbor(self) -> None:
        """A node without a harbor cannot run the master."""
        self.assertIn("--standalone", self.refused("--harbor=0", "--standalone=:1"))


class ClusterTests(OptionsTestCase):
    """The options of a cluster."""

    ETCD = ("--cluster-directory", "etcd:http://127.0.0.1:2379")

    def test_each(self) -> None:
        """Each option arrives."""
        config = self.parse(
            *("--cluster-listen", "db", "--cluster-listen", "0.0.0.0:7000"),
            *(*self.ETCD, "--cluster-name", "db", "--cluster-address", "[fd00::1]:7"),
            *("--cluster-require", "web", "--cluster-require", "bank"),
            *("--cluster-absent", "fail"),
        )
        self.assertEqual(config.cluster_listen, ("db", "0.0.0.0:7000"))
        self.assertEqual(config.cluster_directory, "etcd:http://127.0.0.1:2379")
        self.assertEqual(config.cluster_name, "db")
        self.assertEqual(config.cluster_address, "[fd00::1]:7")
        self.assertEqual(config.cluster_require, ("web", "bank"))
        self.assertEqual(config.cluster_absent, "fail")
        nodes = self.parse("--cluster-nodes", "nodes.toml").cluster_nodes
        self.assertEqual(nodes, "nodes.toml")

    def test_pure_caller(self) -> None:
        """A node that only calls others needs no name and no port."""
        config = self.parse(*self.ETCD)
        self.assertEqual((config.cluster_name, config.cluster_address), ("", None))

    def test_published(self) -> None:
        """What is published can be dialed: as told, or as it is bound; 0 is to come."""
        for listen, told, published in [
            ("127.0.0.1:7000", None, "127.0.0.1:7000"),
            ("127.0.0.1:0", None, "127.0.0.1:0"),
            ("db.example.org:7000", None, "db.example.org:7000"),
            ("[::1]:7000", None, "[::1]:7000"),
            ("tcp:7000:interface=10.0.0.1", None, "10.0.0.1:7000"),
            (r"tcp6:0:interface=\:\:1", None, "[::1]:0"),
            ("0.0.0.0:7000", "10.0.0.1:7001", "10.0.0.1:7001"),
            ("0.0.0.0:7000", "10.0.0.1:0", "10.0.0.1:7000"),
            ("0.0.0.0:0", "10.0.0.1:0", "10.0.0.1:0"),
            ("tcp:7000", "10.0.0.1:0", "10.0.0.1:7000"),
            ("unix:/run/node", "10.0.0.1:7000", "10.0.0.1:7000"),
        ]:
            address = () if told is None else ("--cluster-address", told)
            config = self.parse(
                *(*self.ETCD, "--cluster-name", "db", "--cluster-listen", listen),
                *address,
            )
            self.assertEqual(config.cluster_address, published, listen)

    def test_not_published(self) -> None:
        """What nobody could dial is refused, with what is to be given."""
        everywhere = "others are told to dial it, and nobody can dial all interfaces"
        advice = "; give the HOST:PORT that they reach with --cluster-address"
        for listen, told, reason in [
            ("0.0.0.0:7000", "", f"listen '0.0.0.0:7000': {everywhere}{advice}"),
            ("0.0.0.0:0", "", f"listen '0.0.0.0:0': {everywhere}{advice}"),
            (":7000", "", f"listen ':7000': {everywhere}{advice}"),
            ("[::]:7000", "", f"listen '[::]:7000': {everywhere}{advice}"),
            ("tcp:7000", "", f"listen 'tcp:7000': {everywhere}{advice}"),
            ("h:1", "0.0.0.0:7", f"address '0.0.0.0:7': {everywhere}{advice}"),
            ("h:1", "tcp:h:7", "address 'tcp:h:7': others can dial HOST:PORT only"),
            ("h:1", "h", "address: 'h' is neither HOST:PORT nor an endpoint string"),
            (
                "unix:/run/node",
                "",
                f"listen 'unix:/run/node': 'unix:/run/node' has no port for others to"
                f" dial{advice}",
            ),
            (
                "unix:/run/node",
                "h:0",
                f"address 'h:0': 'unix:/run/node' has no port for others to"
                f" dial{advice}",
            ),
        ]:
            address = ("--cluster-address", told) if told else ()
            line = self.refused(
                *(*self.ETCD, "--cluster-name", "db", "--cluster-listen", listen),
                *address,
            )
            self.assertEqual(line, f"skynet: --cluster-{reason}")

    def test_refused(self) -> None:
        """What means nothing ends the program with one line that says what does."""
        port = "it has no port that others can dial; give one with --cluster-listen"
        for words, reason in [
            ("--cluster-listen nowhere:", "listen: 'nowhere:' is neither HOST:PORT"),
            ("--cluster-listen h:70000", "port 70000 is not in 0..65535"),
            ("--cluster-listen=", "listen: it is empty"),
            ("--cluster-name db", f"name 'db': {port} HOST:PORT"),
            ("--cluster-name db --cluster-listen db", f"name 'db': {port} HOST:PORT"),
            ("--cluster-name __db", "name: '__db' cannot be the name of a node"),
            (
                "--cluster-address h:7000",
                "address 'h:7000': a directory says it of a name; give --cluster-name,",
            ),
            ("--cluster-absent never", "absent 'never' is not one of: wait, fail"),
            (
                "--cluster-nodes x --cluster-directory file:x",
                "nodes and --cluster-directory both say where the nodes are; give one",
            ),
        ]:
            line = self.refused(*words.split())
            self.assertIn("skynet: --cluster-", line)
            self.assertIn(reason, line)

    def test_file(self) -> None:
        """The same keys are in a file; an error names it."""
        text = """
            cluster-listen = ["127.0.0.1:0"]
            cluster-directory = "etcd:http://a:1"
            cluster-name = "db"
        """
        config = self.parse("--config", self.file(text))
        self.assertEqual(config.cluster_name, "db")
        for key, value, reason in [
            ("listen", "'h:1'", "a list of texts is wanted, not 'h:1'"),
            ("require", "[1]", "a list of texts is wanted, not [1]"),
            ("nodes", "7", "7 is no file and no table of nodes"),
            ("directory", "7", "7 is not text"),
            ("name", "7", "7 is not text"),
            ("address", "7", "7 is not text"),
        ]:
            path = self.file(f"cluster-{key} = {value}")
            line = self.refused("--config", path)
            said = f"skynet: --config {path}: cluster-{key}: {reason}"
            self.assertEqual(line, said)


class FileTests(OptionsTestCase):
    """Options in a TOML file."""

    def test_each(self) -> None:
        """Each key arrives, written with - or with _."""
        path = self.file(
            """
            harbor = 7
            master = "master:1"
            standalone = "0.0.0.0:2"
            address = "me:3"
            listen = "[::]:4"
            wire = "modern"
            start = ["a:A 1", "b:B"]
            path = "somewhere"
            boot-timeout = 5
            call_timeout = 0.5
            stop-grace = 1.5
            """
        )
        expected = Config(
            harbor=7,
            master="master:1",
            standalone="0.0.0.0:2",
            address="me:3",
            listen="[::]:4",
            wire="modern",
            start=("a:A 1", "b:B"),
            path=("somewhere",),
            boot_timeout=5.0,
            call_timeout=0.5,
            stop_grace=1.5,
        )
        self.assertEqual(self.parse("--config", path), expected)

    def test_command_line_wins(self) -> None:
        """What the command line says as well, counts."""
        path = self.file('harbor = 7\naddress = "me:3"\nstart = ["a:A"]')
        config = self.parse("--config", path, "--harbor", "8", "--start", "b:B")
        got = (config.harbor, config.address, config.start)
        self.assertEqual(got, (8, "me:3", ("b:B",)))

    def test_refused(self) -> None:
        """A bad value ends the program with one line: the file, the key, the reason."""
        cases: dict[str, tuple[str, str]] = {
            "harbor = true": ("harbor", "True is not a number"),
            "harbor = 1.5": ("harbor", "1.5"),
            "harbor = []": ("harbor", "[]"),
            "harbor = 256": ("harbor", "256 is not in 0..255"),
            "harbor = 1979-05-27": ("harbor", "1979"),
            "boot-timeout = true": ("boot-timeout", "True"),
            "boot_timeout = -1": ("boot-timeout", "-1"),
            "call_timeout = inf": ("call-timeout", "inf"),
            "stop_grace = 'x'": ("stop-grace", "'x' is not a number"),
            "master = 5": ("master", "5 is not text"),
            "master = 'nowhere'": ("master", "nowhere"),
            "listen = {a = 1}": ("listen", "{'a': 1} is not text"),
            "path = 5": ("path", "5"),
            "path = ['a', 5]": ("path", "['a', 5]"),
            "wire = '2099'": ("wire", "2099"),
            "wire = true": ("wire", "'True' is not one of"),
            "start = 'a:A'": ("start", "a list of texts"),
            "start = 5": ("start", "5"),
            "start = [5]": ("start", "[5]"),
        }
        for text, (key, reason) in cases.items():
            with self.subTest(text=text):
                path = self.file(text)
                line = self.refused("--config", path)
                self.assertIn(f"--config {path}: {key}", line)
                self.assertIn(reason, line)

    def test_who_said_it(self) -> None:
        """A value is blamed on the file only where the command line says no other."""
        path = self.file("harbor = 5")
        line = self.refused("--config", path, "--harbor", "256")
        self.assertEqual(line, "skynet: --harbor '256' is not in 0..255")

    def test_paths(self) -> None:
        """The import path is one text, or a list of them; the command line wins."""
        for text, expected in [
            ("path = 'a'", ("a",)),
            ("path = ['a', 'b']", ("a", "b")),
            ("path = []", ()),
        ]:
            self.assertEqual(self.parse("--config", self.file(text)).path, expected)
        file = self.file("path = ['a', 'b']")
        config = self.parse("--config", file, "--path", "c", "--path", "d")
        self.assertEqual(config.path, ("c", "d"))

    def test_byte_order_mark(self) -> None:
        """The mark that some editors put in front of UTF-8 is no part of the text."""
        path = self.file("\ufeffharbor = 7".encode())
        self.assertEqual(self.parse("--config", path).harbor, 7)

    def test_unreadable(self) -> None:
        """A file that cannot be read, or is no TOML, is named with the cause."""
        cases: dict[bytes, str] = {
            b"harbor": "Expected '='",
            b"harbor = 1\nharbor = 2": "overwrite",
            b"# one\nmaster = 'h\xff:1'": "not UTF-8: byte 0xff in line 2",
            b"\xe4": "not UTF-8: byte 0xe4 in line 1",
            "harbor = 1".encode("utf-16"): "UTF-16",
            "harbor = 1".encode("utf-16-be"): "line 1",
            b"\xef\xbb\xbf\xef\xbb\xbfharbor = 1": "line 1",
            b"harbor = " + b"1" * 5000: "4300",
            b"harbor = " + b"[" * 100_000: "too deep",
        }
        for data, reason in cases.items():
            with self.subTest(data=data[:30]):
                path = self.file(data)
                line = self.refused("--config", path)
                self.assertTrue(line.startswith(f"skynet: --config {path}: "), line)
                # tomli 2.0.0 quotes with the other mark.
                self.assertIn(reason, line.replace('"', "'"))
        directory = str(_directory(self))
        line = self.refused("--config", directory)
        self.assertEqual(line, f"skynet: --config {directory}: Is a directory")
        line = self.refused("--config", "/no/such\nfile\udcff")
        self.assertIn(r"such; file\udcff: No such file", line)
        self.assertIn("null byte", self.refused("--config", "a\0b"))

    def test_no_permission(self) -> None:
        """A file that may not be read is named with the system's reason."""

        def refuse(path: str, mode: str) -> None:
            raise PermissionError(13, "Permission denied", path)

        # The tests may run as root, who may read everything.
        vars(config)["open"] = refuse
        self.addCleanup(vars(config).pop, "open")
        line = self.refused("--config", "node.toml")
        self.assertEqual(line, "skynet: --config node.toml: Permission denied")

    def test_both_spellings(self) -> None:
        """A key that is given in both of its spellings is refused; both are named."""
        for one, other in [
            ("boot-timeout", "boot_timeout"),
            ("call_timeout", "call-timeout"),
        ]:
            path = self.file(f"{one} = 1\n{other} = 1")
            line = self.refused("--config", path)
            said = f"--config {path}: {one!r} and {other!r} are one key, given twice"
            self.assertIn(said, line)

    def test_unknown_key(self) -> None:
        """A key that is none is named with its file and the nearest that is one."""
        cases = {
            "harbour = 1": ("'harbour'", "the nearest is harbor"),
            "Harbor = 1": ("'Harbor'", "the nearest is harbor"),
            "adress = 1": ("'adress'", "the nearest is address"),
            "boottimeout = 1": ("'boottimeout'", "the nearest is boot-timeout"),
            "CALL_TIMEOUT = 1": ("'CALL_TIMEOUT'", "the nearest is call-timeout"),
            "[master]": ("--config", "master: {} is not text"),
            "[skynet]\nharbor = 1": ("'skynet'", "there are harbor, master"),
            "config = 'x'": ("'config'", "there"),
            '"a\\nb\\u0007" = 1': (r"'a\nb\x07'", "there are harbor"),
        }
        for text, (named, hint) in cases.items():
            with self.subTest(text=text):
                path = self.file(text)
                line = self.refused("--config", path)
                self.assertIn(f"--config {path}: ", line)
                self.assertIn(named, line)
                self.assertIn(hint, line)

    @given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever is in a file, it is understood or refused with one line."""
        path = _directory(self) / "node.toml"
        path.write_bytes(data)
        try:
            self.parse("--config", str(path))
        except SystemExit as error:
            line = str(error.code)
            self.assertTrue(line.startswith(f"skynet: --config {path}: "), line)
            self.assertTrue(line.isprintable(), line)


class LoadTests(TestCase):
    """What --start names."""

    def test_found(self) -> None:
        """A class is imported; the rest are arguments, quoted as in a shell."""
        start = load_start(f"{__name__}:Started one 'two words' 3")
        self.assertIs(start.actor_class, Started)
        self.assertEqual(start.args, ("one", "two words", "3"))
        self.assertIs(
            load_start(f"{__name__}:Started.Inner").actor_class, Started.Inner
        )

    def test_refused(self) -> None:
        """What is no actor, or not there, is refused with one line."""
        cases: list[tuple[str, str]] = [
            ("", "pkg.module:Class"),
            ("module", "pkg.module:Class"),
            (":Class", "pkg.module:Class"),
            ("module:", "pkg.module:Class"),
            ("no.such.module:Class", "no"),
            (f"{__name__}:Missing", "Missing"),
            (f"{__name__}:LoadTests", "not an Actor"),
            (f"{__name__}:Path", "not an Actor"),
            (f"{__name__}:Started 'open", "quotation"),
        ]
        for text, reason in cases:
            with self.subTest(text=text):
                with self.assertRaises(ValueError) as caught:
                    load_start(text)
                line = str(caught.exception)
                self.assertIn(reason, line)
                self.assertNotIn("\n", line)

    def broken(self, source: str, **others: str) -> str:
        """The line with which a module fails; its traceback is logged once."""
        directory = _directory(self)
        for name, text in {"broken_for_test": source, **others}.items():
            (directory / f"{name}.py").write_text(text)
        self.patch(sys, "path", [str(directory), *sys.path])
        observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        with self.assertRaises(ValueError) as caught:
            load_start("broken_for_test:Class")
        said = "--start 'broken_for_test:Class': the import failed"
        self.assertIn(said, [formatEvent(event) for event in observer])
        for name in ("broken_for_test", *others):
            sys.modules.pop(name, None)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        line = str(caught.exception)
        self.assertTrue(line.isprintable(), line)
        self.assertTrue(line.startswith("--start 'broken_for_test:Class': "), line)
        return line.replace(str(directory), "").partition("': ")[2]

    def test_broken_module(self) -> None:
        """A module that fails when it is imported is named with file and line."""
        file = "/broken_for_test.py"
        cases = {
            "\nraise KeyError('inside')": f"KeyError: 'inside' ({file}:2)",
            "import sys\n\nsys.exit(3)": f"SystemExit: 3 ({file}:3)",
            "raise SystemExit": f"SystemExit ({file}:1)",
            "raise KeyboardInterrupt": f"KeyboardInterrupt ({file}:1)",
            "raise GeneratorExit('x')": f"GeneratorExit: x ({file}:1)",
            "raise ValueError('a\\nb\\x1b')": rf"ValueError: a; b\x1b ({file}:1)",
            "import json\njson.loads('{')": f"(char 1) ({file}:2)",
            "def __getattr__(name):\n raise RuntimeError(name)": f"Class ({file}:2)",
            "def f():\n    raise OSError\nf()": f"OSError ({file}:2)",
            "x = 1\ndef f(:\n    pass": f"({file}:2)",
            "if x:\npass": f"({file}:2)",
            "x = '\0'": "null bytes",
            "import no_such_module": f"'no_such_module' ({file}:1)",
            "from os import nothing": f"({file}:1)",
            "class E(Exception):\n def __str__(s): 1/0\nraise E": f"({file}:3)",
        }
        for source, said in cases.items():
            with self.subTest(source=source):
                self.assertIn(said, self.broken(source))

    def test_broken_inside(self) -> None:
        """A module that another one imports is named where it is the one that fails."""
        cases = {
            "\nimport no_such_module": "'no_such_module' (/inner_for_test.py:2)",
            "\n\n1 / 0": "ZeroDivisionError: division by zero (/inner_for_test.py:3)",
            "x = 1\nx = = 1": "(/inner_for_test.py:2)",
            "import sys; sys.exit('no')": "SystemExit: no (/inner_for_test.py:1)",
        }
        for source, said in cases.items():
            with self.subTest(source=source):
                line = self.broken("import inner_for_test", inner_for_test=source)
                self.assertIn(said, line)
