"""The command line and the TOML file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.node.actor import Actor
from skynet_tw.options import Config, Options, load_start


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
            *("--boot-timeout", "5"),
            *("--call-timeout", "0.5"),
        )
        expected = Config(
            harbor=7,
            master="master:1",
            standalone="0.0.0.0:2",
            address="me:3",
            listen="[::]:4",
            wire="modern",
            start=("a:A 1", "b:B"),
            path="somewhere",
            boot_timeout=5.0,
            call_timeout=0.5,
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
            ("--wire", "2099"): "'2099' is not one of: modern, 2013",
            ("--master", "nowhere"): "--master",
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
            path="somewhere",
            boot_timeout=5.0,
            call_timeout=0.5,
        )
        self.assertEqual(self.parse("--config", path), expected)

    def test_command_line_wins(self) -> None:
        """What the command line says as well, counts."""
        path = self.file('harbor = 7\naddress = "me:3"\nstart = ["a:A"]')
        config = self.parse("--config", path, "--harbor", "8", "--start", "b:B")
        got = (config.harbor, config.address, config.start)
        self.assertEqual(got, (8, "me:3", ("b:B",)))

    def test_refused(self) -> None:
        """A bad file ends the program with one line that says what is wrong."""
        cases: dict[str | bytes, str] = {
            "harbour = 1": "harbour",
            "config = 'x'": "config",
            "harbor = true": "True",
            "harbor = 1.5": "1.5",
            "harbor = []": "[]",
            "boot-timeout = true": "True",
            "master = 5": "--master",
            "path = 5": "--path",
            "wire = '2099'": "2099",
            "wire = true": "'True' is not one of",
            "start = 'a:A'": "start",
            "start = 5": "start",
            "start = [5]": "start",
            "harbor": "--config",
            b"\xff": "utf-8",
        }
        for text, named in cases.items():
            with self.subTest(text=text):
                self.assertIn(named, self.refused("--config", self.file(text)))


class LoadTests(SynchronousTestCase):
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

    def test_broken_module(self) -> None:
        """A module that fails when it is imported is named with its error."""
        directory = _directory(self)
        (directory / "broken_for_test.py").write_text("raise KeyError('inside')")
        self.patch(__import__("sys"), "path", [str(directory)])
        with self.assertRaises(ValueError) as caught:
            load_start("broken_for_test:Class")
        self.assertIn("KeyError", str(caught.exception))
