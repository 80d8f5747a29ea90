# -*- test-case-name: tests.reactors.test_kqueue_model -*-
"""
A strict model of the kernel's kqueue, for platforms that have none.

It offers what :mod:`select` offers where there is a kqueue: :class:`kqueue`,
:class:`kevent` and the ``KQ_*`` constants with FreeBSD's numbers, so that
Twisted's own ``kqreactor`` runs over it (:mod:`tests.reactors.kqueue_install`).
The rules are those of FreeBSD's manual page kqueue(2):

* an event is known by its pair (ident, filter); two filters of one descriptor
  are two events, reported apart and never merged;
* filters are numbers, and negative ones: no bit masks;
* the filter is run again when the event is taken, so what no longer holds is
  not reported; what still holds goes to the end of the queue;
* deleting, enabling or disabling what is not registered fails with ENOENT;
* the end of the stream is a flag of the event, data may still be pending;
* closing a descriptor takes its events away, and a descriptor opened later
  under the same number has none.

What the model does not know (other filters, NOTE_LOWAT, EV_DISPATCH, plain
files) raises :exc:`NotImplementedError`: a wrong answer would be worse.

Two things Linux does not tell without changing them or at all. The pending
error of a socket is only known to be there: ``fflags`` says ECONNREFUSED when
the socket was never connected, else ECONNRESET. And a number that is closed and
given back, by ``dup2``, to the same open file between two calls of ``control``
keeps its events.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
import struct
import termios
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

KQ_FILTER_READ = -1
KQ_FILTER_WRITE = -2
KQ_FILTER_AIO = -3
KQ_FILTER_VNODE = -4
KQ_FILTER_PROC = -5
KQ_FILTER_SIGNAL = -6
KQ_FILTER_TIMER = -7

KQ_EV_ADD = 0x0001
KQ_EV_DELETE = 0x0002
KQ_EV_ENABLE = 0x0004
KQ_EV_DISABLE = 0x0008
KQ_EV_ONESHOT = 0x0010
KQ_EV_CLEAR = 0x0020
KQ_EV_SYSFLAGS = 0xF000
KQ_EV_FLAG1 = 0x2000
KQ_EV_ERROR = 0x4000
KQ_EV_EOF = 0x8000

KQ_NOTE_LOWAT = 0x0001

_LOWEST_FILTER = -13
_ACTIONS = (
    KQ_EV_ADD
    | KQ_EV_DELETE
    | KQ_EV_ENABLE
    | KQ_EV_DISABLE
    | KQ_EV_ONESHOT
    | KQ_EV_CLEAR
)
# Linux's numbers, so that the module can be imported, if not used, elsewhere.
_RDHUP = 0x2000
_EPOLLIN = 0x0001
_EPOLLOUT = 0x0004
_EPOLLET = 1 << 31

_EVERYTHING = select.POLLIN | select.POLLOUT | _RDHUP
_POLL_MASK = {
    KQ_FILTER_READ: select.POLLIN | _RDHUP,
    KQ_FILTER_WRITE: select.POLLOUT,
}
_EDGE_MASK = {
    KQ_FILTER_READ: _EPOLLIN | _RDHUP | _EPOLLET,
    KQ_FILTER_WRITE: _EPOLLOUT | _EPOLLET,
}
# Seconds between looks at descriptors that poll() reports and no filter does.
_FUTILE_PAUSE = 0.01

_Key = tuple[int, int]


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


@dataclass(order=True, slots=True)
class KEvent:
    """
    One change or event, as ``struct kevent``.

    :ivar ident: the descriptor, or an object with ``fileno()``.
    :ivar filter: one of ``KQ_FILTER_*``, a negative number.
    :ivar flags: actions on the way in, EV_EOF and EV_ERROR on the way out.
    :ivar fflags: on the way out the error of the socket, if it has one.
    :ivar data: on the way out a number of bytes, or of waiting connections.
    :ivar udata: handed back unchanged.
    """

    ident: int | _HasFileno
    filter: int = KQ_FILTER_READ
    flags: int = KQ_EV_ADD
    fflags: int = 0
    data: int = 0
    udata: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.ident, int):
            self.ident = self.ident.fileno()


@dataclass(slots=True, eq=False)
class _Knote:
    """A registered event.

    :ivar edge: with EV_CLEAR: something happened since the last report.
    """

    ident: int
    filter: int
    oneshot: bool
    clear: bool
    udata: int = 0
    disabled: bool = False
    edge: bool = False

    @property
    def key(self) -> _Key:
        return self.ident, self.filter


class _Descriptor:
    """What a filter asks of an open descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        mode = os.fstat(fd).st_mode
        self.is_socket = stat.S_ISSOCK(mode)
        self.is_pipe = stat.S_ISFIFO(mode)
        self._was_connected = False
        self._note_connected()

    def poll(self) -> int:
        poller = select.poll()
        poller.register(self.fd, _EVERYTHING)
        return dict(poller.poll(0)).get(self.fd, 0)

    def read_state(self) -> tuple[bool, bool, int, int]:
        """:returns: whether to report, end of stream, bytes to read, error."""
        revents = self.poll()
        waiting = bool(revents & select.POLLIN)
        failed = bool(revents & select.POLLERR)
        if not self.is_socket:
            # The write end of a pipe says that its reader left by POLLERR.
            ended = failed or bool(revents & select.POLLHUP)
            return waiting or ended, ended, self._queued(termios.FIONREAD), 0
        with self._socket() as sock:
            if _is_listening(sock):
                backlog = max(_backlog(sock), 1) if waiting else 0
                return waiting, False, backlog, 0
        ended = bool(revents & _RDHUP)
        error = self._error(revents) if ended else 0
        return (
            waiting or ended or failed,
            ended,
            self._queued(termios.FIONREAD),
            error,
        )

    def write_state(self) -> tuple[bool, bool, int, int]:
        """:returns: whether to report, reader gone, room in bytes, error."""
        revents = self.poll()
        writable = bool(revents & select.POLLOUT)
        failed = bool(revents & select.POLLERR)
        if not self.is_socket:
            room = 0 if failed else self._pipe_room()
            return writable or failed, failed, room, 0
        hung_up = bool(revents & select.POLLHUP)
        if hung_up and not revents & _RDHUP:
            return failed, False, 0, 0  # not connected yet
        ended = hung_up or (writable and not failed and self._shut_for_writing())
        error = self._error(revents) if ended else 0
        return writable or ended or failed, ended, self._socket_room(), error

    @contextmanager
    def _socket(self) -> Iterator[socket.socket]:
        sock = socket.socket(fileno=self.fd)
        try:
            yield sock
        finally:
            sock.detach()

    def _note_connected(self) -> None:
        if self.is_socket and not self._was_connected:
            with self._socket() as sock, suppress(OSError):
                sock.getpeername()
                self._was_connected = True

    def _error(self, revents: int) -> int:
        if not revents & select.POLLERR:
            return 0
        return errno.ECONNRESET if self._was_connected else errno.ECONNREFUSED

    def _queued(self, request: int) -> int:
        try:
            answer = fcntl.ioctl(self.fd, request, bytes(4))
        except OSError:
            return 0
        return int(struct.unpack("i", answer)[0])

    def _socket_room(self) -> int:
        self._note_connected()
        with self._socket() as sock:
            size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        return max(size - self._queued(termios.TIOCOUTQ), 0)

    def _pipe_room(self) -> int:
        if not self.is_pipe:
            return 1
        size = fcntl.fcntl(self.fd, fcntl.F_GETPIPE_SZ)
        return max(size - self._queued(termios.FIONREAD), 0)

    def _shut_for_writing(self) -> bool:
        """Ask by writing nothing, which leaves no trace on a stream."""
        with self._socket() as sock:
            if sock.type != socket.SOCK_STREAM:
                return False
            try:
                sock.send(b"", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BrokenPipeError:
                return True
            except OSError:
                return False
        return False


def _is_listening(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _backlog(sock: socket.socket) -> int:
    """:returns: how many connections wait to be accepted; 0 when Linux hides it."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
    except OSError:
        return 0
    # Of a listening socket, tcpi_unacked is the length of the accept queue.
    return int(struct.unpack_from("I", info, 24)[0])


class KQueue:
    """A queue of kernel events, as :class:`select.kqueue`."""

    def __init__(self) -> None:
        # epoll knows an item by number and open file: modifying the item of a
        # number that now means another file fails, and so tells of the close.
        self._witness = select.epoll()
        self._edges: dict[int, select.epoll] = {}
        self._descriptors: dict[int, _Descriptor] = {}
        self._knotes: dict[_Key, _Knote] = {}
        self._active: dict[_Key, _Knote] = {}
        self._owner = os.getpid()

    @property
    def closed(self) -> bool:
        return self._witness.closed

    def fileno(self) -> int:
        self._check_open()
        return self._witness.fileno()

    def close(self) -> None:
        self._witness.close()
        for edges in self._edges.values():
            edges.close()
        self._edges.clear()
        self._descriptors.clear()
        self._knotes.clear()
        self._active.clear()

    def control(
        self,
        changelist: Iterable[KEvent] | None,
        max_events: int,
        timeout: float | None = None,
    ) -> list[KEvent]:
        """
        Apply changes, then take pending events.

        :param max_events: with 0, return at once whatever the time limit.
        :param timeout: the longest wait in seconds; None waits for ever.
        :raises OSError: a change failed and there was no room to report it; the
            changes before it stay, those after it are not applied.
        """
        self._check_open()
        if max_events < 0:
            raise ValueError(f"max_events must not be negative, got {max_events}")
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must not be negative")
        failures = self._apply(changelist or (), max_events)
        if failures or max_events == 0:
            return failures
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._leave_closed()
            self._activate()
            events = self._take(max_events)
            remaining = None
            if deadline is not None:
                remaining = deadline - time.monotonic()
            if events or (remaining is not None and remaining <= 0):
                return events
            self._wait(remaining)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed kqueue object")
        if os.getpid() != self._owner:
            raise OSError(errno.EBADF, "a kqueue is not inherited by fork")

    # Changes

    def _apply(self, changes: Iterable[KEvent], room: int) -> list[KEvent]:
        failures: list[KEvent] = []
        for change in changes:
            if not isinstance(change, KEvent):
                raise TypeError("changelist must be an iterable of kevent objects")
            try:
                self._apply_one(change)
            except OSError as error:
                if len(failures) == room:
                    raise
                failures.append(
                    KEvent(
                        change.ident,
                        change.filter,
                        KQ_EV_ERROR,
                        change.fflags,
                        error.errno or 0,
                        change.udata,
                    )
                )
        return failures

    def _apply_one(self, change: KEvent) -> None:
        if not _LOWEST_FILTER <= change.filter < 0:
            raise _os_error(errno.EINVAL)
        if (
            change.filter not in _POLL_MASK
            or change.flags & ~_ACTIONS
            or change.fflags
            or change.data
        ):
            raise NotImplementedError(f"not modelled: {change}")
        assert isinstance(change.ident, int)
        self._leave_if_closed(change.ident)
        _check_descriptor(change.ident)
        knote = self._knotes.get((change.ident, change.filter))
        if knote is None:
            if not change.flags & KQ_EV_ADD:
                raise _os_error(errno.ENOENT)
            knote = self._attach(change)
        elif change.flags & KQ_EV_ADD and (
            knote.oneshot != bool(change.flags & KQ_EV_ONESHOT)
            or knote.clear != bool(change.flags & KQ_EV_CLEAR)
        ):
            raise NotImplementedError(f"not modelled, other behaviour: {change}")
        if change.flags & KQ_EV_DELETE:
            self._drop(knote)
            return
        knote.udata = change.udata
        if change.flags & KQ_EV_DISABLE:
            knote.disabled = True
            self._active.pop(knote.key, None)
        elif change.flags & (KQ_EV_ADD | KQ_EV_ENABLE):
            knote.disabled = False
            knote.edge = True

    def _attach(self, change: KEvent) -> _Knote:
        assert isinstance(change.ident, int)
        fd = change.ident
        descriptor = self._descriptors.get(fd) or _Descriptor(fd)
        if change.filter == KQ_FILTER_WRITE and descriptor.is_pipe:
            _, reader_gone, _, _ = descriptor.write_state()
            if reader_gone:
                raise _os_error(errno.EPIPE)
        try:
            _register(self._witness, fd, 0)
        except PermissionError:
            raise NotImplementedError(f"not modelled, a plain file: {change}") from None
        knote = _Knote(
            fd,
            change.filter,
            oneshot=bool(change.flags & KQ_EV_ONESHOT),
            clear=bool(change.flags & KQ_EV_CLEAR),
        )
        if knote.clear:
            edges = self._edges.setdefault(change.filter, select.epoll())
            _register(edges, fd, _EDGE_MASK[change.filter])
        self._descriptors[fd] = descriptor
        self._knotes[knote.key] = knote
        return knote

    def _drop(self, knote: _Knote) -> None:
        del self._knotes[knote.key]
        self._active.pop(knote.key, None)
        if knote.clear:
            with suppress(OSError):
                self._edges[knote.filter].unregister(knote.ident)
        if not any((knote.ident, other) in self._knotes for other in _POLL_MASK):
            del self._descriptors[knote.ident]
            with suppress(OSError):
                self._witness.unregister(knote.ident)

    # Descriptors that were closed

    def _leave_closed(self) -> None:
        for fd in list(self._descriptors):
            self._leave_if_closed(fd)

    def _leave_if_closed(self, fd: int) -> None:
        if fd not in self._descriptors:
            return
        try:
            self._witness.modify(fd, 0)
        except OSError:
            for other in _POLL_MASK:
                knote = self._knotes.get((fd, other))
                if knote is not None:
                    self._drop(knote)

    # Events

    def _activate(self) -> None:
        """Queue, in the order of registration, what may have something to report."""
        for filter_, edges in self._edges.items():
            for fd, _ in edges.poll(0):
                if (fd, filter_) in self._knotes:
                    self._knotes[fd, filter_].edge = True
        ready = dict(self._poller().poll(0))
        for key, knote in self._knotes.items():
            if not knote.disabled and (knote.edge if knote.clear else key[0] in ready):
                self._active.setdefault(key, knote)

    def _take(self, max_events: int) -> list[KEvent]:
        events: list[KEvent] = []
        for key, knote in list(self._active.items()):
            if len(events) == max_events:
                break
            del self._active[key]
            knote.edge = False
            event = self._run_filter(knote)
            if event is None:
                continue
            events.append(event)
            if knote.oneshot:
                self._drop(knote)
            elif not knote.clear:
                self._active[key] = knote
        return events

    def _run_filter(self, knote: _Knote) -> KEvent | None:
        descriptor = self._descriptors[knote.ident]
        if knote.filter == KQ_FILTER_READ:
            report, ended, data, error = descriptor.read_state()
        else:
            report, ended, data, error = descriptor.write_state()
        if not report:
            return None
        flags = KQ_EV_ADD
        flags |= KQ_EV_ONESHOT if knote.oneshot else 0
        flags |= KQ_EV_CLEAR if knote.clear else 0
        flags |= KQ_EV_EOF if ended else 0
        return KEvent(knote.ident, knote.filter, flags, error, data, knote.udata)

    # Waiting

    def _poller(self, without: Iterable[int] = ()) -> select.poll:
        masks: dict[int, int] = {}
        for (fd, filter_), knote in self._knotes.items():
            if not knote.disabled and not knote.clear and fd not in without:
                masks[fd] = masks.get(fd, 0) | _POLL_MASK[filter_]
        poller = select.poll()
        for fd, mask in masks.items():
            poller.register(fd, mask)
        for edges in self._edges.values():
            poller.register(edges.fileno(), select.POLLIN)
        return poller

    def _wait(self, remaining: float | None) -> None:
        """Wait until something may have happened, at most ``remaining`` seconds."""
        # No filter wanted to report what poll() tells of these.
        futile = [fd for fd, _ in self._poller().poll(0)]
        if futile:
            pause = _FUTILE_PAUSE
            remaining = pause if remaining is None else min(pause, remaining)
        limit = None if remaining is None else remaining * 1000
        self._poller(without=futile).poll(limit)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _check_descriptor(fd: int) -> None:
    try:
        os.fstat(fd)
    except (OSError, OverflowError):
        raise _os_error(errno.EBADF) from None


def _register(poller: select.epoll, fd: int, mask: int) -> None:
    try:
        poller.register(fd, mask)
    except FileExistsError:
        # Left behind when the number was closed and its file stayed open.
        poller.modify(fd, mask)


# The names under which ``select`` has them.
kevent = KEvent
kqueue = KQueue
