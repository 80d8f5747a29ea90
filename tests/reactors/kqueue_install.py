"""Twisted's own kqueue reactor, over the model where the kernel has no kqueue."""

from __future__ import annotations

import importlib
import select
import sys
from types import ModuleType

# All that kqreactor imports is imported here first, with the real ``select``.
import twisted.internet.posixbase  # noqa: F401

KQREACTOR = "twisted.internet.kqreactor"


def kernel_has_kqueue() -> bool:
    return hasattr(select, "kqueue")


def load_kqreactor() -> ModuleType:
    """
    Import Twisted's ``kqreactor`` so that ``--reactor=kqueue`` finds it.

    Without a kqueue in the kernel the module sees the model in the place of
    ``select``, and nothing else does: no other module learns of a kqueue.
    """
    if kernel_has_kqueue() or KQREACTOR in sys.modules:
        return importlib.import_module(KQREACTOR)
    from tests.reactors import kqueue_model

    sys.modules["select"] = kqueue_model
    try:
        return importlib.import_module(KQREACTOR)
    finally:
        sys.modules["select"] = select
