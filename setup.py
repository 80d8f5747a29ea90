"""Compiles the way of a remote message, from its Python source, in a built wheel.

``pip install .`` does it where a compiler is; an editable install never does, so that
edited source is what runs.  Pure Python is always there: SKYNET_TW_PURE=1 asks for it,
and a failing compiler falls back to it.  All other metadata stands in setup.cfg.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

#: Decided by measurement, see docs/performance.md.
COMPILED = [
    "skynet_tw/keys.py",
    "skynet_tw/luavalue.py",
    "skynet_tw/seri.py",
    "skynet_tw/link/cluster.py",
    "skynet_tw/link/parts.py",
    "skynet_tw/wire/buffer.py",
    "skynet_tw/wire/cluster.py",
    "skynet_tw/wire/harbor.py",
    "skynet_tw/wire/harbor2013.py",
    "skynet_tw/node/agents.py",
    "skynet_tw/node/backlog.py",
    "skynet_tw/node/callers.py",
    "skynet_tw/node/calls.py",
    "skynet_tw/node/cell.py",
    "skynet_tw/node/cells.py",
    "skynet_tw/node/channel.py",
    "skynet_tw/node/cluster_calls.py",
    "skynet_tw/node/cluster_names.py",
    "skynet_tw/node/clustering.py",
    "skynet_tw/node/core.py",
    "skynet_tw/node/delivery.py",
    "skynet_tw/node/dispatch.py",
    "skynet_tw/node/driven.py",
    "skynet_tw/node/incoming.py",
    "skynet_tw/node/ledger.py",
    "skynet_tw/node/node.py",
    "skynet_tw/node/outbox.py",
    "skynet_tw/node/outgoing.py",
    "skynet_tw/node/receiver.py",
    "skynet_tw/node/requests.py",
    "skynet_tw/node/scheduler.py",
    "skynet_tw/node/task.py",
    "skynet_tw/node/work.py",
    "skynet_tw/node/writes.py",
]


def extensions() -> list[Extension]:
    """What to compile: nothing unless a wheel is built, or where mypyc is missing."""
    if "bdist_wheel" not in sys.argv or os.environ.get("SKYNET_TW_PURE"):
        return []
    try:
        from mypyc.build import mypycify
    except ImportError:
        return []
    try:
        found: list[Extension] = mypycify(COMPILED, opt_level="3")
    except SystemExit:
        # mypyc has said what it objects to; a newer mypy may find something new.
        sys.stderr.write("skynet_tw: not compiled, it will run as pure Python\n")
        return []
    return found


class BuildAllOrNone(build_ext):
    """Builds all extensions or none: each is of no use without the others."""

    def build_extensions(self) -> None:
        """Build them; where one fails, take the others away."""
        try:
            super().build_extensions()
        except Exception as error:
            sys.stderr.write(f"skynet_tw: not compiled, it will be pure: {error}\n")
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = []


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildAllOrNone})
