"""Compiles the way of a remote message, from its Python source, in a built wheel.

``pip install .`` does it where a compiler is; an editable install never does, so that
edited source is what runs.  Pure Python is always there: SKYNET_TW_PURE=1 asks for it,
and a failing compiler falls back to it.  All other metadata stands in setup.cfg.
"""

from __future__ import annotations

import os
import sys

from setuptools import Extension, setup

#: Decided by measurement, see docs/performance.md.
COMPILED = [
    "skynet_tw/luavalue.py",
    "skynet_tw/seri.py",
    "skynet_tw/wire/buffer.py",
    "skynet_tw/wire/harbor.py",
    "skynet_tw/wire/harbor2013.py",
    "skynet_tw/node/border.py",
    "skynet_tw/node/calls.py",
    "skynet_tw/node/channel.py",
    "skynet_tw/node/context.py",
    "skynet_tw/node/ledger.py",
    "skynet_tw/node/node.py",
    "skynet_tw/node/outbox.py",
    "skynet_tw/node/scheduler.py",
    "skynet_tw/node/task.py",
    "skynet_tw/node/work.py",
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
    for extension in found:
        extension.optional = True
    return found


setup(ext_modules=extensions())
