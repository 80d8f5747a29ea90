"""The command line of ``skynet-tw``."""

from __future__ import annotations

import io
import shlex
from contextlib import redirect_stdout
from typing import Any

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import __version__
from skynet_tw.cli import options
from skynet_tw.cli.options import Request

WHERE = "127.0.0.1:7000"


class RequestTests(SynchronousTestCase):
    """What a command line asks for."""

    def assert_asks(self, words: str, *request: Any) -> None:
        self.assertEqual(options.read(shlex.split(words)), Request(*request))

    def test_commands(self) -> None:
        """Each command has its words, and its options stand before them."""
        deposit = ("DEPOSIT", "alice", 100)
        for words, *request in (
            (
                f"call {WHERE} @bank DEPOSIT alice 100",
                *("call", WHERE, "@bank", deposit, 5.0, False),
            ),
            (
                f"send --timeout 0.5 {WHERE} .bank 'DEPOSIT' alice 100",
                *("send", WHERE, ".bank", deposit, 0.5, False),
            ),
            (
                f"call --json {WHERE} :0000000a '\"DEPOSIT\"' '[1]'",
                *("call", WHERE, ":0000000a", ("DEPOSIT", [1]), 5.0, True),
            ),
            (f"call -s {WHERE} 10 1", "call", WHERE, 10, ("1",), 5.0, False),
            (f"call {WHERE} X -5", "call", WHERE, "X", (-5,), 5.0, False),
            (f"call {WHERE} X", "call", WHERE, "X", (), 5.0, False),
            (f"query {WHERE} bank", "query", WHERE, "bank", (), 5.0, False),
            (f"query -j {WHERE} @bank", "query", WHERE, "bank", (), 5.0, True),
            (f"ping {WHERE}", "ping", WHERE, "", (), 5.0, False),
            (f"ping -t 1 {WHERE} @x", "ping", WHERE, "x", (), 1.0, False),
            ("ping tcp:h:port=1", "ping", "tcp:h:port=1", "", (), 5.0, False),
        ):
            self.assert_asks(words, *request)

    def test_errors(self) -> None:
        """A command line that means nothing is told why, in one line."""
        for words, said in (
            ("", "a command is missing: call, send, query or ping"),
            ("cal", "Unknown command: cal"),
            ("--foo", "option --foo not recognized"),
            ("call", "HOST:PORT is missing"),
            (f"call {WHERE}", "TARGET is missing"),
            ("call nowhere @bank", "'nowhere' is neither HOST:PORT nor an endpoint"),
            (f"call {WHERE} @bank {{", "argument 1, '{': at character 1: a table"),
            (f"call {WHERE} --json @bank", "--json: options go before HOST:PORT"),
            (f"call -js {WHERE} @bank", "--json and --string: arguments have one"),
            (f"query {WHERE}", "NAME is missing"),
            (f"query {WHERE} a b", "'b' is too much"),
            (f"ping {WHERE} a b", "'b' is too much"),
            (f"ping {WHERE} -t 1", "-t: options go before HOST:PORT"),
            (f"ping -s {WHERE}", "option -s not recognized"),
            (f"ping -t 0 {WHERE}", "--timeout: '0' is no number of seconds above 0"),
            (f"ping -t nan {WHERE}", "--timeout: 'nan' is no number"),
            (f"ping -t inf {WHERE}", "--timeout: 'inf' is no number"),
        ):
            error = self.assertRaises(
                usage.UsageError, options.read, shlex.split(words)
            )
            self.assertIn(said, str(error))
            self.assertEqual(len(str(error).splitlines()), 1)

    def printed(self, *words: str) -> str:
        """What is printed by a command line that asks for nothing else."""
        out = io.StringIO()
        with redirect_stdout(out):
            ended = self.assertRaises(SystemExit, options.read, list(words))
        self.assertIn(ended.code, (None, 0))
        return out.getvalue()

    def test_help(self) -> None:
        """Help and the version are printed for the whole and for each command."""
        self.assertIn("Usage: skynet-tw COMMAND", self.printed("--help"))
        for command, words in (
            ("call", "HOST:PORT TARGET [ARG ...]"),
            ("send", "HOST:PORT TARGET [ARG ...]"),
            ("query", "HOST:PORT NAME"),
            ("ping", "HOST:PORT [NAME]"),
        ):
            synopsis = f"Usage: skynet-tw {command} [options] {words}"
            self.assertIn(synopsis, self.printed(command, "--help"))
            version = f"skynet-tw {__version__}\n"
            self.assertEqual(self.printed(command, "--version"), version)
        self.assertEqual(self.printed("--version"), version)

    def test_named(self) -> None:
        """A request names itself as it was written, without its arguments."""
        for words in (f"call {WHERE} @bank", f"ping {WHERE}"):
            self.assertEqual(str(options.read(words.split())), words)
