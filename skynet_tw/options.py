# -*- test-case-name: tests.test_options -*-
"""The command line of ``twistd skynet``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from twisted.python import usage

from .config import Config, check, dashed, read, where
from .net.wires import DEFAULT_WIRE, WIRES
from .reasons import one_line

__all__ = ["Config", "Options"]


class Options(usage.Options):
    """The command line; after parsing, `config` holds what it and the file say."""

    synopsis = "[options]"
    longdesc = (
        "A Skynet node with actors in Python. Without options it is a whole network"
        " of one: the master and harbor 1 on loopback."
    )
    optParameters = [  # noqa: N815, RUF012
        ["harbor", None, None, "1-255; 0: a node with no harbor (1)"],
        ["master", None, None, "HOST:PORT where the master is (127.0.0.1:2013)"],
        ["standalone", None, None, "HOST:PORT: run the master in this node, too"],
        ["address", None, None, "HOST:PORT that others dial (127.0.0.1:2526)"],
        ["listen", None, None, "HOST:PORT that is bound, where that differs"],
        [
            "wire",
            None,
            None,
            f"the harbor protocol: {' or '.join(WIRES)} ({DEFAULT_WIRE})",
        ],
        [
            "cluster-nodes",
            None,
            None,
            "the file with the nodes of the cluster: TOML, or Skynet's own",
        ],
        [
            "cluster-directory",
            None,
            None,
            "where they are found: etcd:URL, dns:NAME or file:PATH",
        ],
        ["cluster-name", None, None, "what the directory calls this node"],
        [
            "cluster-address",
            None,
            None,
            "HOST:PORT that others dial, for the directory",
        ],
        [
            "cluster-absent",
            None,
            None,
            "what a call to an absent node does: wait or fail (wait)",
        ],
        [
            "boot-timeout",
            None,
            None,
            "seconds that the boot may take; 0: no limit (30)",
        ],
        ["call-timeout", None, None, "seconds a remote call may take; 0: none (30)"],
        ["stop-grace", None, None, "seconds that actors may take to stop (10)"],
        ["config", None, None, "a TOML file with the same keys"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[str] = []
        self.paths: list[str] = []
        self.cluster_listen: list[str] = []
        self.cluster_require: list[str] = []
        self.config = Config()

    def opt_start(self, text: str) -> None:
        """Start an actor, "pkg.module:Class arg ..."; may be given again, in order."""
        self.starts.append(text)

    def opt_path(self, directory: str) -> None:
        """Put a directory in front of the import path; may be given again, in order."""
        self.paths.append(directory)

    def opt_cluster_listen(self, where: str) -> None:
        """Let nodes of the cluster connect: HOST:PORT, or a node's name; repeatable."""
        self.cluster_listen.append(where)

    def opt_cluster_require(self, name: str) -> None:
        """Boot only when this node of the cluster is linked; may be given again."""
        self.cluster_require.append(name)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802
        """Read the command line; what it cannot mean ends the program with one line."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            # twistd would print its whole help instead, and exit with 0.
            _give_up(str(error))

    def postOptions(self) -> None:  # noqa: N802
        """Merge and check; a bad value ends the program with one line."""
        try:
            given = {
                key.replace("-", "_"): value
                for key, value in self.items()
                if value is not None and key != "config"
            }
            lists = {
                "start": self.starts,
                "path": self.paths,
                "cluster_listen": self.cluster_listen,
                "cluster_require": self.cluster_require,
            }
            given.update({key: texts for key, texts in lists.items() if texts})
            file: str | None = self["config"]
            if file is None:
                self.config = check(given)
                return
            named = {key: f"--{dashed(key)}" for key in given}
            self.config = check(
                {**read(file), **given},
                lambda key: named.get(key) or f"{where(file)} {dashed(key)}",
            )
        except ValueError as error:
            _give_up(str(error))


def _give_up(reason: str) -> NoReturn:
    raise SystemExit(f"skynet: {one_line(reason)}")
