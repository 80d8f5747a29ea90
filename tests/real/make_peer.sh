#!/bin/sh
# Usage: make_peer.sh [DIR]        (default: .peer in the project's root)
#
# Makes a virtual environment with pyskynet, which carries Skynet's own C core
# and Lua services. The first run compiles for a few minutes; later runs are a
# no-op until this script, or the Python it uses, changes.
#
# PEER_PYTHON chooses the Python (default: python3.11, else python3).
set -eu

# pyskynet comes as source only, from the time of Cython 0.29. It asks for cffi
# 1.14, which has no wheels for Python 3.11; 1.15.1 has, and serves it as well.
PYSKYNET="pyskynet==0.2.3"
BUILD="setuptools==65.5.1 wheel==0.42.0 Cython==0.29.37"
RUN="numpy==1.26.4 cffi==1.15.1 gevent==23.9.1 greenlet==3.0.3 zope.event==5.0
     zope.interface==6.4.post2 pycparser==2.22"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dir=${1:-$here/../../.peer}
python=${PEER_PYTHON:-$(command -v python3.11 || command -v python3 || true)}

fail() {
    echo "make_peer: $*" >&2
    exit 1
}

[ -n "$python" ] || fail "no python3 found; set PEER_PYTHON"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
    fail "$python does not run"
case $version in
    3.9 | 3.10 | 3.11) ;;
    *) fail "$python is Python $version; pyskynet builds with 3.9 to 3.11." \
            "Set PEER_PYTHON" ;;
esac

stamp="$(cksum <"$0") $("$python" -c 'import sys; print(sys.version)')"
if [ -x "$dir/bin/python" ] && [ "$(cat "$dir/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

# What is missing on this machine, as Debian packages.
missing() {
    command -v gcc >/dev/null && command -v g++ >/dev/null || echo build-essential
    echo '#include <stdio.h>
#include <readline/readline.h>' | gcc -E - >/dev/null 2>&1 || echo libreadline-dev
    "$python" -c '
import os, sys, sysconfig
header = os.path.join(sysconfig.get_path("include"), "Python.h")
sys.exit(not os.path.exists(header))' || echo "python$version-dev"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "python$version-venv"
}

packages=$(missing)
if [ -n "$packages" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "make_peer: installing" $packages
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y $packages
    else
        fail "missing; install these packages (Debian's names):" $packages
    fi
    packages=$(missing)
    [ -z "$packages" ] || fail "still missing:" $packages
fi

rm -rf "$dir"
"$python" -m venv "$dir"
pip="$dir/bin/python -m pip --disable-pip-version-check -q"
$pip install --only-binary :all: $BUILD $RUN

# Setuptools compiles one file after the other unless this file says otherwise.
printf '[build_ext]\nparallel = %s\n' "$(getconf _NPROCESSORS_ONLN)" >"$dir/build.cfg"
# No isolation, so that the pinned Cython and numpy are what it builds with; the
# path, because setup.py looks for them where "cython" runs.
echo "make_peer: compiling $PYSKYNET, this takes a few minutes"
DIST_EXTRA_CONFIG="$dir/build.cfg" PATH="$dir/bin:$PATH" \
    $pip install --no-build-isolation --no-deps --no-binary pyskynet "$PYSKYNET"

(cd "$dir" && bin/python -c 'import pyskynet') || fail "pyskynet does not load"
echo "$stamp" >"$dir/stamp"
echo "make_peer: ready in $dir"
