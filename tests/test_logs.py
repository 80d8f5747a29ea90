"""The log: every event is in it once, whatever its text."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, cast
from unittest.mock import ANY

from hypothesis import given
from hypothesis import strategies as st
from twisted.application.service import Application, IService, MultiService, Service
from twisted.internet import reactor
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    Logger,
    LogLevel,
    LogPublisher,
    globalLogPublisher,
    jsonFileLogObserver,
    textFileLogObserver,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase, TestCase

from skynet_tw import logs
from skynet_tw.logs import FORMATS, as_json, as_text, keep_every_event
from skynet_tw.options import Options

from .processes import ROOT, NodeProcess
from .test_cli import ACTORS

#: Any text that Python can hold.
texts = st.text(st.characters(exclude_categories=())) | st.text(
    st.sampled_from(
        "\x00\x07\x1b\x1e\r\n\t\v\f\x85\u2028\ud800\udcff{}!a\u4f60\U0001f600"
    )
)


class Rude:
    """A value whose text raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        raise self._error

    __repr__ = __str__


def _loop() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


values = (
    texts
    | st.binary()
    | st.floats()
    | st.builds(_loop)
    | st.builds(
        Rude,
        st.sampled_from([ValueError("\udcff"), SystemExit(1), KeyboardInterrupt()]),
    )
)


class ObserverTests(SynchronousTestCase):
    """What an observer of ours writes."""

    def written(self, encoding: str, form: logs.Format, *events: dict[str, Any]) -> str:
        """The file after *events*, which go the way of all events."""
        data = io.BytesIO()
        file = io.TextIOWrapper(data, encoding, "strict", newline="")
        publisher = LogPublisher(logs.observer(file, form))
        lost: list[dict[str, Any]] = []
        publisher.addObserver(cast(ILogObserver, lost.append))
        for event in events:
            publisher(event)
        self.assertEqual(len(lost), len(events), lost)
        return data.getvalue().decode(encoding)

    @given(
        st.sampled_from(["ascii", "latin-1", "utf-8", "gbk", "utf-16"]),
        st.sampled_from([as_text, as_json]),
        st.lists(st.tuples(texts, values, texts, st.booleans()), max_size=5),
    )
    def test_any(
        self,
        encoding: str,
        form: logs.Format,
        given: list[tuple[str, Any, str, bool]],
    ) -> None:
        """Every event leaves one record in a file of any encoding, with its text."""
        events = []
        for number, (text, value, name, fails) in enumerate(given):
            event = {
                "log_format": f"<{number}> {{text}} {{value}}",
                "text": text,
                "value": value,
                "log_time": 1e9,
                "log_level": LogLevel.info,
                "log_namespace": name,
                name: value,
            }
            if fails:
                event["log_failure"] = Failure(ValueError(text))
            events.append(event)
        written = self.written(encoding, form, *events)
        records = re.split(r"\n(?!\t)", written)
        self.assertEqual(records.pop(), "")
        if form is as_text:
            # No reader takes anything else for the end of a line.
            self.assertEqual(len(written.splitlines()), written.count("\n"))
        self.assertEqual(len(records), len(events))
        for number, record in enumerate(records):
            self.assertIn(f"<{number}>", record)
            if form is as_json:
                json.loads(record.lstrip("\x1e"))

    @given(texts)
    def test_any_format(self, text: str) -> None:
        """A format that is none leaves one record as well."""
        for form in FORMATS.values():
            event = {"log_format": f"mark {text}", "log_level": LogLevel.info}
            written = self.written("utf-8", form, event)
            lines = [x for x in written.split("\n") if x and not x.startswith("\t")]
            self.assertEqual(len(lines), 1)
            self.assertIn("mark", written)

    def test_plain(self) -> None:
        """What Twisted writes in full is written as Twisted does it."""
        failure = Failure(ValueError("no"))
        for more in ({}, {"log_failure": failure}, {"log_system": "me"}):
            event = {
                "log_format": "a {b}\nc\td",
                "b": "\u4f60",
                "log_time": 1e9,
                "log_level": LogLevel.warn,
                "log_namespace": "name",
                **more,
            }
            file = io.StringIO()
            textFileLogObserver(file)(dict(event))
            self.assertEqual(self.written("utf-8", as_text, event), file.getvalue())
            if "log_failure" not in event:
                file = io.StringIO()
                jsonFileLogObserver(file)(dict(event))
                self.assertEqual(self.written("utf-8", as_json, event), file.getvalue())

    def test_escapes(self) -> None:
        """What cannot be written is escaped, and nothing else."""
        event = {"log_format": "{text}", "text": "\u4f60 \udcff \x1b[1m \r \x85 \n\te"}
        for encoding, text in [
            ("utf-8", "\u4f60 \\udcff \\x1b[1m \\r \\x85 \n\t\te"),
            ("ascii", "\\u4f60 \\udcff \\x1b[1m \\r \\x85 \n\t\te"),
        ]:
            written = self.written(encoding, as_text, event)
            self.assertEqual(written, f"- [-#-] {text}\n")

    def test_traceback(self) -> None:
        """JSON has the traceback of a failure with its text, and changes no event."""
        event = {
            "log_format": "x",
            "log_failure": Failure(ValueError("no \udcff")),
            "log_level": LogLevel.critical,
        }
        before = dict(event)
        record = json.loads(self.written("ascii", as_json, event).lstrip("\x1e"))
        self.assertIn("ValueError: no \udcff", record["log_traceback"])
        self.assertEqual(event, before)

    def test_unwritable(self) -> None:
        """An event whose values have no JSON keeps its text, level, name and time."""
        rest = {"log_time": 1e9, "log_level": LogLevel.warn, "log_namespace": "name"}
        for value in (_loop(), Rude(KeyError("\udcff"))):
            event = {"log_format": "mark {value}", "value": value, **rest}
            record = json.loads(self.written("ascii", as_json, event).lstrip("\x1e"))
            self.assertIn("mark", record["text"])
            self.assertEqual(record["log_time"], 1e9)
            self.assertEqual(record["log_level"]["name"], "warn")
            self.assertEqual(record["log_namespace"], "name")

    def test_broken_event(self) -> None:
        """An event with impossible parts leaves a record."""
        for part in ("log_time", "log_level", "log_namespace", "log_failure"):
            for value in (Rude(ValueError()), float("nan"), 1e300, None, "x"):
                for form in FORMATS.values():
                    event = {"log_format": "mark", part: value}
                    self.assertIn("mark", self.written("utf-8", form, event))

    def test_file_error(self) -> None:
        """A file that fails is the publisher's business; nothing is written twice."""

        class Full(io.StringIO):
            def flush(self) -> None:
                raise OSError("no space left")

        file = Full()
        observer = logs.observer(file)
        with self.assertRaises(OSError):
            observer({"log_format": "mark"})
        self.assertEqual(file.getvalue().count("mark"), 1)

    def test_log_file(self) -> None:
        """Twisted's log file takes UTF-8, and rotates as ever."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "log"
            file = LogFile.fromFullPath(str(path), rotateLength=10)
            observer = logs.observer(file)
            for _ in range(2):
                observer({"log_format": "\u4f60 \udcff"})
            file.close()
            for name in ("log", "log.1"):
                text = (Path(directory) / name).read_text("utf-8")
                self.assertEqual(text, "- [-#-] \u4f60 \\udcff\n")


class ProgramTests(SynchronousTestCase):
    """How ``twistd`` and ``twist`` are given an observer."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = str(Path(directory.name) / "log")
        before = signal.getsignal(signal.SIGUSR1)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        self.calls: list[Any] = []

    def callFromThread(self, function: Any) -> None:
        self.calls.append(function)

    def component(self, **options: Any) -> Any:
        """The observer that an application is given under ``twistd``."""
        options = {"logfile": None, "nodaemon": False, "syslog": False, **options}
        service = Service()
        top = keep_every_event(service, options, self)
        application = Application("skynet")
        top.setServiceParent(application)
        self.assertEqual([*cast(MultiService, IService(application))], [top])
        within = [top] if top is service else [*cast(MultiService, top)]
        self.assertEqual(within, [service])
        return application.getComponent(ILogObserver, None)

    def test_stdout(self) -> None:
        """Without a daemon, the log goes to the standard output of that moment."""
        file = io.TextIOWrapper(io.BytesIO(), "ascii")
        self.patch(sys, "stdout", file)
        for name in (None, "", "-"):
            self.component(nodaemon=True, logfile=name)({"log_format": "\udcff"})
        self.assertEqual(file.buffer.getvalue(), b"- [-#-] \\udcff\n" * 3)

    def test_file(self) -> None:
        """``--logfile`` names a file, with a daemon and without."""
        for nodaemon in (True, False):
            observer = self.component(nodaemon=nodaemon, logfile=self.path)
            observer({"log_format": "\udcff"})
        self.assertEqual(Path(self.path).read_text(), "- [-#-] \\udcff\n" * 2)

    def test_default_file(self) -> None:
        """A daemon logs to ``twistd.log``."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(os.path.dirname(self.path))
        self.component()({"log_format": "mark"})
        self.assertIn("mark", Path("twistd.log").read_text())

    def test_rotate(self) -> None:
        """SIGUSR1 rotates the file, in the reactor's thread, if nobody else has it."""
        self.component(logfile=self.path)({"log_format": "mark"})
        os.kill(os.getpid(), signal.SIGUSR1)
        [rotate] = self.calls
        rotate()
        self.assertIn("mark", Path(self.path + ".1").read_text())
        handler = signal.getsignal(signal.SIGUSR1)
        self.component(logfile=self.path)
        self.assertIs(signal.getsignal(signal.SIGUSR1), handler)

    def test_daemon_on_stdout(self) -> None:
        """A daemon that is to log to stdout is left to ``twistd``, which refuses."""
        self.assertIsNone(self.component(logfile="-"))

    def test_own_observer(self) -> None:
        """An application's own observer stays."""
        application: Any = Application("skynet")
        own = FileLogObserver(io.StringIO(), as_text)
        application.setComponent(ILogObserver, own)
        options = {"logfile": None, "nodaemon": True}
        keep_every_event(Service(), options, self).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), own)

    def test_syslog(self) -> None:
        """Each line for the system's log is without what that refuses."""
        from twisted.python import syslog

        lines: list[str] = []

        def write(priority: int, line: str) -> None:
            line.encode()
            lines.append(line)
            self.assertNotIn("\0", line)

        prefixes: list[str] = []

        class Observer(syslog.SyslogObserver):
            def openlog(self, prefix: str, *options: int) -> None:
                prefixes.append(prefix)

            syslog = staticmethod(write)

        self.patch(syslog, "SyslogObserver", Observer)
        observer = self.component(syslog=True, prefix="me")
        Logger("name", observer=observer).info("a \udcff\0 \u4f60\nb")
        self.assertEqual(prefixes, ["me"])
        self.assertEqual(lines, ["[-] a \\udcff\\x00 \u4f60", "[-] \tb"])

    def test_twist(self) -> None:
        """``twist`` makes its observer of ours, in the format that it would use."""
        for name, form in FORMATS.items():
            options: dict[str, Any] = {"logFormat": name}
            options["fileLogObserverFactory"] = ANY
            service = Service()
            self.assertIs(keep_every_event(service, options, self), service)
            file = io.TextIOWrapper(io.BytesIO(), "ascii")
            options["fileLogObserverFactory"](file)({"log_format": "\u4f60"})
            expected = form({"log_format": "\u4f60"}) or ""
            self.assertEqual(
                file.buffer.getvalue(), expected.encode("ascii", "backslashreplace")
            )

    def test_others(self) -> None:
        """Another program keeps its log: nothing of the process is touched."""
        stdout, stderr = sys.stdout, sys.stderr
        observers = list(globalLogPublisher._observers)
        service = Service()
        self.assertIs(keep_every_event(service, Options().parent, self), service)
        self.assertIs(keep_every_event(service, {}, self), service)
        self.assertEqual((sys.stdout, sys.stderr), (stdout, stderr))
        self.assertEqual(globalLogPublisher._observers, observers)
        # Nor is the service refused by a parent that is no application.
        options = {"logfile": None, "nodaemon": True}
        parent = MultiService()
        keep_every_event(service, options, self).setServiceParent(parent)
        self.assertEqual(len([*parent]), 1)


#: What `Noisy` logs, each once.
MARKS = (
    *("mark-own", "mark-format", "mark-chinese", "mark-value", "mark-loop"),
    *("mark-print", "mark-stderr", "mark-legacy", "mark-failure", "mark-end"),
)


class ProcessTests(TestCase):
    """The log of real programs, with what is hard to write in it."""

    timeout = 120

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    async def run_noisy(self, program: str, *first: str, **env: str) -> str:
        """Run a node that logs and ends; what it printed."""
        command = [str(Path(sys.executable).with_name(program)), *first, "skynet"]
        command += ["--harbor", "0", "--path", ACTORS, "--start", "actors:Noisy"]
        process = NodeProcess()
        environment = {"PATH": "/usr/bin:/bin", **env}
        # A daemon keeps the last of these, so that its end is seen.
        pipes: Any = {0: "w", 1: "r", 2: "r", 3: "r"}
        reactor.spawnProcess(
            process, command[0], command, environment, str(ROOT), childFDs=pipes
        )
        self.addCleanup(process.stop, "KILL")
        self.assertEqual(await process.wait(), 0, process.output)
        return process.output

    def check(self, log: str, *, text: bool = True) -> None:
        """Each event has left one record, in order."""
        lines = log.split("\n")
        if not text:
            lines = [record for record in lines if record.startswith("\x1e")]
        found = [
            mark
            for line in lines
            for mark in MARKS
            if mark in line and (not line.startswith("\t"))
        ]
        if text:
            # Its record has its whole event, format and all, in further lines.
            self.assertIn("mark-value", log)
            found.insert(3, "mark-value")
            self.assertIn("ValueError: mark-error \\udcff\\x1b", log)
        else:
            self.assertIn("ValueError: mark-error \\udcff\\u001b", log)
        self.assertEqual(found, list(MARKS), log)

    async def test_twistd_stdout(self) -> None:
        """``twistd -n`` to a pipe, in every locale."""
        for env in (
            {"LANG": "C"},
            {"LANG": "C.UTF-8"},
            {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "utf-8:strict"},
        ):
            log = await self.run_noisy("twistd", "-n", "--pidfile=", **env)
            self.check(log)

    async def test_twistd_logfile(self) -> None:
        """``twistd --logfile``, with a daemon and without; the file is UTF-8."""
        for number, how in enumerate([["-n"], []]):
            path = self.directory / f"log{number}"
            files = [f"--pidfile={self.directory}/pid", f"--logfile={path}"]
            output = await self.run_noisy("twistd", *how, *files)
            self.assertEqual(output, "")
            log = path.read_text("utf-8")
            self.check(log)
            self.assertIn("mark-chinese \u4f60\u597d", log)

    async def test_twist(self) -> None:
        """``twist``, to a pipe and to a file, as JSON and as text."""
        path = self.directory / "log"
        for env in ({"LANG": "C.UTF-8"}, {"PYTHONIOENCODING": "ascii"}):
            self.check(await self.run_noisy("twist", **env), text=False)
            self.check(await self.run_noisy("twist", "--log-format=text", **env))
        for name in ("json", "text"):
            options = [f"--log-format={name}", f"--log-file={path}-{name}"]
            locale = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
            await self.run_noisy("twist", *options, **locale)
            log = Path(f"{path}-{name}").read_text("utf-8")
            self.check(log, text=name == "text")
