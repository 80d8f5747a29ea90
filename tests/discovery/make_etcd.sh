#!/bin/sh
# Usage: make_etcd.sh
#
# Installs etcd, for the tests that need a real one, unless it is there. The tests
# start it themselves, on free ports of loopback.
set -eu

fail() {
    echo "make_etcd: $*" >&2
    exit 1
}

command -v etcd >/dev/null && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    fail "no etcd on the PATH; install Debian's package etcd-server, 3.4 or newer"
echo "make_etcd: installing etcd-server"
apt-get update -q
# The package starts a server of its own, but not in the runlevel of one user.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y etcd-server
command -v etcd >/dev/null || fail "etcd is still missing"
