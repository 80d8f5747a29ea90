"""Run one real Skynet node. Needs the Python that ``make_peer.sh`` made.

    python node.py --harbor 1 --master H:P --address H:P --standalone H:P \
        --start "probe PROBE"

With ``--tree DIR`` it is the Skynet that was built in DIR, and any Python will do.
Skynet's log goes to stdout. The process ends when Skynet does (``abort``, or a
boot that failed) and at once on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

SERVICES = Path(__file__).resolve().parent / "services"
PR_SET_PDEATHSIG = 1


class SkynetConfig(ctypes.Structure):
    """``struct skynet_config`` of skynet_imp.h."""

    _fields_ = (
        ("thread", ctypes.c_int),
        ("harbor", ctypes.c_int),
        ("profile", ctypes.c_int),
        ("daemon", ctypes.c_char_p),
        ("module_path", ctypes.c_char_p),
        ("bootstrap", ctypes.c_char_p),
        ("logger", ctypes.c_char_p),
        ("logservice", ctypes.c_char_p),
    )


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run one real Skynet node.")
    parser.add_argument("--harbor", type=int, required=True, help="1-255; 0: none")
    parser.add_argument("--master", metavar="H:P", help="where the master is")
    parser.add_argument("--address", metavar="H:P", help="this node's own address")
    parser.add_argument("--standalone", metavar="H:P", help="run the master, too")
    parser.add_argument("--start", required=True, help='"service arg ..."')
    parser.add_argument("--services", type=Path, default=SERVICES, metavar="DIR")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--tree", type=Path, metavar="DIR", help="Skynet's own tree, which is built"
    )
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="K=V",
        help="one more value of Skynet's configuration, e.g. cluster=FILE",
    )
    parser.add_argument(
        "--with-parent",
        action="store_true",
        help="end when the process that started this one does (Linux)",
    )
    return parser.parse_args(argv)


def environment(options: argparse.Namespace, root: str) -> dict[str, str]:
    """Skynet's configuration, as its own main program would have read it."""
    env = {
        "thread": str(options.threads),
        "harbor": str(options.harbor),
        "start": options.start,
        "bootstrap": "snlua bootstrap",
        "logservice": "logger",
        "lualoader": f"{root}/lualib/loader.lua",
        "lua_path": f"{root}/lualib/?.lua;{root}/lualib/?/init.lua",
        "lua_cpath": f"{root}/luaclib/?.so",
        "luaservice": f"{options.services.resolve()}/?.lua;{root}/service/?.lua",
        "cservice": f"{root}/cservice/?.so",
    }
    for key in ("master", "address", "standalone"):
        if getattr(options, key):
            env[key] = getattr(options, key)
    for pair in options.arg:
        key, found, value = pair.partition("=")
        if not found:
            sys.exit(f"--arg {pair}: wants K=V")
        env[key] = value
    if options.harbor and not {"master", "address"} <= env.keys():
        sys.exit("a node with a harbor needs --master and --address")
    return env


def run_pyskynet(options: argparse.Namespace) -> NoReturn:
    """Run the Skynet that pyskynet carries, in this process."""
    import pyskynet  # importing it loads Skynet's core
    from pyskynet import boot, skynet_py_main

    env = environment(options, os.path.realpath(boot.SKYNET_ROOT))
    for key, value in env.items():
        pyskynet.setenv(key, value)
    config = SkynetConfig(
        thread=options.threads,
        harbor=options.harbor,
        module_path=env["cservice"].encode(),
        bootstrap=env["bootstrap"].encode(),
        logger=env["logger"].encode() if "logger" in env else None,
        logservice=env["logservice"].encode(),
    )
    # The main thread waits in C, where a Python signal handler never runs.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    core = ctypes.CDLL(skynet_py_main.__file__)
    core.skynet_py_start.restype = core.skynet_py_join.restype = None
    core.skynet_py_start(ctypes.byref(config))
    core.skynet_py_join()
    # Python's own shutdown would meet gevent's half started loop.
    os._exit(0)


def run_tree(options: argparse.Namespace) -> NoReturn:
    """Become the Skynet of a tree that is built."""
    root = os.path.realpath(options.tree)
    env = environment(options, root)
    env["cpath"] = env.pop("cservice")
    # Its main program reads a file of Lua; this one is nowhere but in memory.
    config = os.memfd_create("config", 0)
    for key, value in env.items():
        os.write(config, f"{key} = [==[{value}]==]\n".encode())
    os.execv(f"{root}/skynet", ["skynet", f"/proc/self/fd/{config}"])


def main(argv: list[str]) -> None:
    options = parse(argv)
    if options.with_parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if options.tree:
        run_tree(options)
    run_pyskynet(options)


if __name__ == "__main__":
    main(sys.argv[1:])
